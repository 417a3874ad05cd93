"""Fields of configurations: what they may be, and how an error names them."""

import dataclasses
import math

import optax
import pytest

from spiral_jax import agents

# Values that are refused, and words of the error, by field.
WHOLE_0 = ((-1, 0.5, math.nan), 'a whole number from 0 on')
BLOCKS = ((-1, 65, 0.5, math.nan), 'a whole number from 0 to 64')
WHOLE_1 = ((0, -1, 1.5, math.nan), 'a whole number from 1 on')
ZERO_OR_MORE = ((-0.1, math.inf, math.nan), '0 or more')
ABOVE_0 = ((0, -1.0, math.inf, math.nan), 'above 0')
SHARE = ((-0.1, 1.1, math.nan), 'from 0 to 1')
IS_BOOL = (('yes', 1, None), 'give a bool')
BELOW_1 = ((-0.1, 1, math.nan), 'from 0 to below 1')


def one_of(*choices):
  return ('x', None), f'give one of {choices}'


AGENT = {
    'noise_size': WHOLE_0,
    'torso': one_of('conv', 'patches', 'fine'),
    'location_head': one_of('deconv', 'spatial'),
    'channels': WHOLE_1,
    'torso_blocks': BLOCKS,
    'head_blocks': BLOCKS,
    'hidden_size': WHOLE_1,
    'core_size': WHOLE_1,
    'embedding_size': WHOLE_1,
    'map_size': WHOLE_1,
    'architecture': one_of('own', 'stated'),
    'part_order': (('flag', 3, None), 'give a tuple'),
    'compute_dtype': one_of('float32', 'bfloat16'),
    **{
        name: IS_BOOL
        for name in ('conditional', 'blind', 'mix_cells', 'attend')
    },
}
LEARNER = {
    'reward_weight': ZERO_OR_MORE,
    'dreams_weight': ZERO_OR_MORE,
    'hindsight_weight': ZERO_OR_MORE,
    'memory_weight': ZERO_OR_MORE,
    'teacher_weight': ZERO_OR_MORE,
    'reward': one_of(
        'discriminator', 'l2', 'multiscale_l2', 'log_l2', 'euclidean'
    ),
    'reward_at': one_of('end', 'step'),
    'blank_page_cost': ZERO_OR_MORE,
    'color_cost': ZERO_OR_MORE,
    'color_bins': ((1, 257, 8.5), 'a whole number from 2 to 256'),
    'best_colors_weight': ZERO_OR_MORE,
    'corrections_weight': ZERO_OR_MORE,
    'algorithm': one_of('vtrace', 'clipped'),
    'epochs': WHOLE_1,
    'minibatches': WHOLE_1,
    'clip': ABOVE_0,
    'discount': SHARE,
    'td_lambda': SHARE,
    'entropy_cost': ZERO_OR_MORE,
    'value_cost': ZERO_OR_MORE,
    'learning_rate': ABOVE_0,
    'adam_epsilon': ABOVE_0,
    'max_gradient_norm': ABOVE_0,
    'decay_frames': ((-1, 0.5, 2**31), 'a whole number from 0 to 2147483647'),
    'decay_to': SHARE,
    **{
        name: IS_BOOL
        for name in (
            'scale_rewards',
            'normalize_advantages',
            'normalize_each_time',
            'entropy_shares',
        )
    },
}
DISCRIMINATOR = {
    'channels': (
        ((), (0,), (4, 1.5), ('64',), ((1,),)),
        'one or more whole numbers from 1 on',
    ),
    'patch_size': WHOLE_1,
    'loss': one_of('wgan', 'logistic'),
    'penalty_weight': ZERO_OR_MORE,
    'centering': SHARE,
    'learning_rate': ABOVE_0,
    'beta1': BELOW_1,
    'beta2': BELOW_1,
}
TABLES = {
    agents.AgentConfig: AGENT,
    agents.LearnerConfig: LEARNER,
    agents.DiscriminatorConfig: DISCRIMINATOR,
}


@pytest.mark.parametrize(
    'config_class, field, value, words',
    [
        pytest.param(
            config_class,
            field,
            value,
            words,
            id=f'{config_class.__name__}-{field}-{value}',
        )
        for config_class, table in TABLES.items()
        for field, (values, words) in table.items()
        for value in values
    ],
)
def test_a_value_out_of_range_is_named(config_class, field, value, words):
  with pytest.raises(ValueError) as error:
    config_class(**{field: value})
  assert str(error.value).startswith(f'{field} is {value!r}')
  assert words in str(error.value)


@pytest.mark.parametrize('config_class', TABLES)
def test_all_fields_are_checked(config_class):
  fields = {field.name for field in dataclasses.fields(config_class)}
  assert fields == TABLES[config_class].keys()


@pytest.mark.parametrize('value', ['64,128', 64, None])
def test_what_is_no_tuple_is_named(value):
  with pytest.raises(ValueError, match=f'^channels is {value!r}; give a tuple'):
    agents.DiscriminatorConfig(channels=value)


def test_a_list_becomes_a_tuple():
  config = agents.DiscriminatorConfig(channels=[4, 8])
  assert config == agents.DiscriminatorConfig(channels=(4, 8))
  assert hash(config)


@pytest.mark.parametrize('value', ['1e-3', None, (1e-3,), 1.5])
@pytest.mark.parametrize('field', ['epochs', 'minibatches'])
def test_numbers_of_another_type_are_named(field, value):
  with pytest.raises(ValueError, match=f'^{field} is .*, must be a whole'):
    agents.LearnerConfig(**{field: value})


@pytest.mark.parametrize('field', ['epochs', 'learning_rate', 'clip'])
def test_a_boolean_is_no_number(field):
  with pytest.raises(ValueError, match=f'^{field} is True; give a number'):
    agents.LearnerConfig(**{field: True})


def test_a_schedule_is_told_where_it_belongs():
  schedule = optax.cosine_decay_schedule(1e-3, 100)
  with pytest.raises(ValueError, match='^learning_rate is .*optimizer=.*optax'):
    agents.LearnerConfig(learning_rate=schedule)


def test_what_the_paper_states_needs_its_torso_and_heads():
  with pytest.raises(ValueError, match="architecture.*torso is 'patches'"):
    agents.AgentConfig(architecture='stated', torso='patches')


@pytest.mark.parametrize(
    'config_class, fields',
    [
        (agents.AgentConfig, dict(noise_size=0, torso_blocks=0, map_size=1)),
        (
            agents.LearnerConfig,
            dict(discount=0, td_lambda=1, color_bins=256, decay_to=1.0),
        ),
        (agents.LearnerConfig, dict(color_bins=2, epochs=1, decay_frames=0)),
        (
            agents.DiscriminatorConfig,
            dict(channels=(1,), beta1=0, patch_size=1),
        ),
    ],
)
def test_the_ends_of_ranges_are_taken(config_class, fields):
  config = config_class(**fields)
  for name, value in fields.items():
    assert getattr(config, name) == value


def test_attention_needs_a_feature_map():
  with pytest.raises(ValueError, match="attend reads .* is 'deconv'"):
    agents.AgentConfig(attend=True)
