"""Runs that imitate programs: alone, and beside rewards."""

import json

import jax
import numpy as np
import pytest

from spiral_jax import training
from spiral_jax.driver import checkpoints
from spiral_jax.training import lessons
from spiral_jax.training import population
from spiral_jax.training import teachers
from tests import tiny
from tests.own_renderer import rectangles
from tests.training.population import toys

pytestmark = pytest.mark.usefixtures('scene_table')

DREAMS = dict(reward_weight=0.0, dreams_weight=1.0)
# A round of each search: tests of the search itself are elsewhere.
SMALL = dict(memory_size=12, search_images=4, search_samples=2, search_rounds=1)


def population_train(experiment):
  """Trains a population, as far as it is not refused."""
  population.train(experiment, toys.SEARCH)


def train(run_dir, *, make=tiny.scene_experiment, **kwargs):
  """Returns the state of a run, and its records."""
  training.train(make(run_dir, **kwargs))
  lines = (run_dir / 'metrics.jsonl').open()
  return (
      checkpoints.load(run_dir / 'checkpoints').state,
      [json.loads(line) for line in lines],
  )


def assert_equal(one, other):
  for part in ('policy', 'dreams'):
    jax.tree.map(np.testing.assert_array_equal, one[part], other[part])


def test_dreams_alone_need_no_actor_and_are_resumed(tmp_path):
  whole, records = train(tmp_path / 'whole', learner=DREAMS)
  assert 'actor 0' not in whole and 'discriminator' not in whole
  assert whole['dreams']['rollout'] == {'lessons': 3}
  learned = [r for r in records if 'policy/dreams_nll' in r]
  assert [r['policy/frames'] for r in learned] == [24, 48, 72]
  assert sum('held_out/l2' in r for r in records) == 1
  halves = tmp_path / 'halves'
  train(halves, learner=DREAMS, run=dict(frames=24))
  state, _ = train(halves, learner=DREAMS, run=dict(resume=True))
  assert_equal(state, whole)


@pytest.mark.parametrize('lockstep', [False, True])
def test_dreams_and_hindsight_go_with_rewards(tmp_path, lockstep):
  weights = dict(
      reward='l2',
      reward_weight=0.5,
      dreams_weight=1.0,
      hindsight_weight=0.5,
      algorithm='clipped',
      minibatches=2,
  )
  run = dict(lockstep=lockstep)
  state, records = train(tmp_path, learner=weights, run=run)
  assert state['policy']['version'] == 3
  last = [r for r in records if 'policy/frames' in r][-1]
  names = {'dreams_nll', 'hindsight_nll', 'policy_loss', 'l2', 'lag'}
  assert {f'policy/{name}' for name in names} <= last.keys()


@pytest.mark.parametrize('conditional', [True, False])
def test_alternatives_of_episodes_are_learned_from(tmp_path, conditional):
  learner = dict(
      reward='l2' if conditional else 'discriminator',
      corrections_weight=1.0,
      algorithm='clipped',
      minibatches=2,
  )

  def make(run_dir, **kwargs):
    return tiny.experiment(
        run_dir, conditional=conditional, learner=learner, **kwargs
    )

  whole, records = train(tmp_path / 'whole', make=make)
  assert whole['actor 0']['rollout']['calls'] == 3
  last = [r for r in records if 'policy/frames' in r][-1]
  assert last['policy/corrections'] > 0
  halves = tmp_path / 'halves'
  train(halves, make=make, run=dict(frames=24))
  state, _ = train(halves, make=make, run=dict(resume=True))
  for part in ('policy', 'actor 0'):
    jax.tree.map(np.testing.assert_array_equal, state[part], whole[part])
  free, _ = train(tmp_path / 'free', make=make, run=dict(lockstep=False))
  assert free['policy']['version'] == 3


def test_the_cost_of_a_command_is_not_corrected(tmp_path):
  experiment = tiny.experiment(
      tmp_path / 'run', learner=dict(corrections_weight=1.0)
  )
  cost = next(iter(experiment.costs))
  with pytest.raises(ValueError, match=f'the cost of {cost} is of commands'):
    training.train(experiment.replace(costs={cost: 0.5}))


def test_a_memory_is_searched_learned_from_and_saved(tmp_path):
  small = training.LessonConfig(dream_prior='memory', **SMALL)
  learner = dict(reward_weight=0.0, dreams_weight=1.0, memory_weight=1.0)

  def make(run_dir, **kwargs):
    made = tiny.scene_experiment(run_dir, learner=learner, **kwargs)
    return made.replace(lessons=small)

  whole, records = train(tmp_path / 'whole', make=make)
  kept = whole['memory']['rollout']['source']
  assert kept['searches'] == 3
  assert np.isfinite(kept['memory']['errors']).all()
  assert {'policy/memory_nll', 'policy/dreams_nll'} <= records[-2].keys()
  assert records[-1]['memory/images'] == 12
  assert records[-1]['memory/error'] < records[-1]['held_out/l2']
  halves = tmp_path / 'halves'
  train(halves, make=make, run=dict(frames=24))
  state, _ = train(halves, make=make, run=dict(resume=True))
  for part in ('policy', 'memory', 'dreams'):
    jax.tree.map(np.testing.assert_array_equal, state[part], whole[part])


def test_an_unconditional_agent_dreams_and_is_looked_at(tmp_path):
  state, records = train(tmp_path, make=tiny.experiment, learner=DREAMS)
  assert state['policy']['frames'] == 72
  assert 'policy/dreams_nll' in records[-1]
  assert (tmp_path / 'samples.png').exists()


def test_the_prior_is_the_tasks_or_uniform(tmp_path):
  experiment = tiny.scene_experiment(tmp_path, learner=DREAMS)

  def kinds(experiment):
    program = experiment.sample_programs(np.random.default_rng(0), 300)
    return np.bincount(program['kind'].ravel(), minlength=3) / 900

  assert kinds(experiment)[2] == 0  # The task's own changes no object.
  uniform = training.LessonConfig(dream_prior='uniform')
  np.testing.assert_allclose(
      kinds(experiment.replace(lessons=uniform)), 1 / 3, atol=0.06
  )


def test_an_own_renderer_dreams_uniformly(tmp_path):
  own = tiny.experiment(tmp_path, conditional=True, learner=DREAMS).replace(
      task=rectangles.__name__,
      environment=rectangles.TASK.settings(),
      data=None,
      costs={},
  )
  state, _ = train(tmp_path, make=lambda run_dir: own)
  assert state['policy']['version'] > 0


@pytest.mark.parametrize(
    'conditional, run, learner, words',
    [
        (False, {}, dict(hindsight_weight=1.0), 'add --conditional'),
        (False, {}, dict(best_colors_weight=1.0), 'add --conditional'),
        (
            True,
            {},
            dict(best_colors_weight=1.0, reward_weight=0.0, dreams_weight=1.0),
            '--reward_weight is 0',
        ),
        (
            True,
            dict(unroll_length=1),
            dict(best_colors_weight=1.0),
            '--best_colors_weight=1.0 looks at whole episodes',
        ),
        (
            True,
            {},
            dict(best_colors_weight=1.0, reward='l2'),
            'no part of a command is said to be its color',
        ),
        (
            True,
            {},
            dict(corrections_weight=1.0, reward_weight=0.0, dreams_weight=1.0),
            '--reward_weight is 0',
        ),
        (
            True,
            dict(unroll_length=1),
            dict(corrections_weight=1.0),
            '--corrections_weight=1.0 looks at whole episodes',
        ),
        (
            True,
            dict(on_device=True),
            dict(corrections_weight=1.0),
            'leave out --on_device, or the weight',
        ),
        (
            True,
            dict(unroll_length=1),
            dict(hindsight_weight=1.0),
            '--unroll_length=1 divides them',
        ),
    ],
)
def test_what_lessons_cannot_do_is_refused(
    tmp_path, conditional, run, learner, words
):
  experiment = tiny.experiment(
      tmp_path / 'run', conditional=conditional, run=run, learner=learner
  )
  with pytest.raises(ValueError, match=words):
    training.train(experiment)


@pytest.mark.slow
@pytest.mark.parametrize('prior', ['agent', 'memory'])
def test_both_halves_of_wake_sleep_learn_in_one_run(tmp_path, prior):
  """Of rewards and dreams that are the generator's; and of neither."""
  is_rewarded = prior == 'agent'
  learner = dict(memory_weight=1.0, reward_weight=float(is_rewarded))

  def make(run_dir, **kwargs):
    made = tiny.experiment(run_dir, learner=learner, **kwargs)
    return made.replace(
        lessons=training.LessonConfig(dream_prior=prior, **SMALL)
    )

  whole, records = train(tmp_path / 'whole', make=make)
  assert ('actor 0' in whole) == ('discriminator' in whole) == is_rewarded
  assert whole['policy']['version'] == whole['recognizer']['version'] == 3
  kept = whole['recognizer memory']['rollout']['source']
  assert kept['searches'] == 3
  names = {
      'policy/memory_nll',
      'recognizer/memory_nll',
      'recognizer/dreams_nll',
      'memory/error',
      'held_out/l2',
  }
  assert names <= {name for record in records for name in record}
  assert 'policy/dreams_nll' not in records[-2]
  halves = tmp_path / 'halves'
  train(halves, make=make, run=dict(frames=24))
  state, _ = train(halves, make=make, run=dict(resume=True))
  for part in ('policy', 'recognizer', 'recognizer memory', 'memory'):
    jax.tree.map(np.testing.assert_array_equal, state[part], whole[part])
  trained = training.restore(halves)
  assert not trained.experiment.agent.conditional
  targets = np.zeros((2, 16, 16, 1), np.uint8)
  (redrawn,) = training.episodes(trained.recognizer(), 2, targets)
  assert redrawn.canvas.shape == (4, 2, 16, 16, 1)
  figures = training.evaluate(halves, count=8, recognizer=True)
  assert 'greedy' in figures and figures['frames'] == 72
  assert (halves / 'recognizer' / 'result_greedy.png').exists()


def test_a_recognizer_learns_from_the_generators_dreams(tmp_path):
  """They are its programs of the moment, in a world of their own."""
  experiment = tiny.experiment(
      tmp_path, learner=dict(memory_weight=1.0, reward_weight=0.0)
  ).replace(lessons=training.LessonConfig(dream_prior='agent', **SMALL))
  agent = experiment.make_agent()
  made, _ = teachers.make_teachers(
      experiment,
      agent,
      teachers.make_recognizer(experiment),
      experiment.load_images('train'),
  )
  (dreams,) = [t for t in made if t.source == 'dreams']
  assert (dreams.learns, dreams.acts) == ('recognizer', 'policy')
  params = agent.init(jax.random.key(0))
  sure = jax.tree.map(lambda x: 0 * x, params)  # Of nothing: uniform commands.
  lesson, other = dreams.lessons(params, 0), dreams.lessons(sure, 0)
  assert lesson.target.shape == other.target.shape == (8, 16, 16, 1)
  assert lesson.noise is None
  # The targets are the pictures of what is imitated.
  environment = experiment.make_environment(8)
  np.testing.assert_array_equal(
      lessons.render(environment, lesson.imitated)[-1], lesson.target
  )
  assert (lesson.imitated['end'] != other.imitated['end']).any()


def test_a_generator_does_not_imitate_its_own_dreams(tmp_path):
  weights = dict(memory_weight=1.0, dreams_weight=1.0)
  experiment = tiny.experiment(tmp_path / 'run', learner=weights).replace(
      lessons=training.LessonConfig(dream_prior='agent', **SMALL)
  )
  with pytest.raises(ValueError, match='its own dreams'):
    training.train(experiment)


def test_a_conditional_agent_has_no_recognizer(tmp_path):
  experiment = tiny.scene_experiment(tmp_path / 'run', learner=DREAMS)
  training.train(experiment)
  with pytest.raises(ValueError, match='there is no recognizer'):
    training.restore(tmp_path / 'run').recognizer()
  config = training.LessonConfig(dream_prior='agent')
  with pytest.raises(ValueError, match='take --dream_prior=task'):
    training.train(
        experiment.replace(lessons=config, run_dir=str(tmp_path / 'other'))
    )


def test_dreams_of_a_memory_need_one(tmp_path):
  experiment = tiny.scene_experiment(tmp_path / 'run', learner=DREAMS)
  config = training.LessonConfig(dream_prior='memory')
  with pytest.raises(ValueError, match='add --memory_weight'):
    training.train(experiment.replace(lessons=config))


def taught(run_dir, teacher, *, weight=1.0, learner=(), **kwargs):
  """Returns a run of an agent that draws from noise and has a teacher."""
  learner = {'reward_weight': 0.0, 'teacher_weight': weight, **dict(learner)}
  made = tiny.experiment(run_dir, learner=learner, **kwargs)
  lessons_config = training.LessonConfig(teacher=str(teacher), disturbance=0.0)
  return made.replace(lessons=lessons_config)


def test_a_trained_agent_teaches_what_it_draws_of_training_images(tmp_path):
  teacher = training.train(tiny.experiment(tmp_path / 'it', conditional=True))

  def make(run_dir, **kwargs):
    return taught(run_dir, teacher, **kwargs)

  whole, records = train(tmp_path / 'whole', make=make)
  assert 'actor 0' not in whole and 'discriminator' not in whole
  nll = [r['policy/teacher_nll'] for r in records if 'policy/teacher_nll' in r]
  assert len(nll) == 3 and nll[-1] < nll[0]
  halves = tmp_path / 'halves'
  train(halves, make=make, run=dict(frames=24))
  moved = teacher.rename(tmp_path / 'moved')
  state, _ = train(
      halves,
      make=lambda *args, **kwargs: taught(*args, moved, **kwargs),
      run=dict(resume=True),
  )
  for part in ('policy', 'teacher'):
    jax.tree.map(np.testing.assert_array_equal, state[part], whole[part])


@pytest.mark.parametrize('conditional', [True, False])
def test_lessons_are_the_likeliest_commands_of_the_teacher(
    tmp_path, conditional
):
  it = training.train(tiny.experiment(tmp_path / 'it', conditional=True))
  experiment = taught(
      tmp_path / 'run', it, conditional=conditional, run=dict(augment=('warp',))
  )
  train_images = experiment.load_images('train')
  (teacher,), _ = teachers.make_teachers(
      experiment,
      experiment.make_agent(),
      None,
      train_images,
      trained=teachers.load_teacher(experiment),
  )
  assert (teacher.learns, teacher.source) == ('policy', 'teacher')
  lesson, other = teacher.lessons(None, 0), teacher.lessons(None, 1)
  assert lesson.canvas.shape == (4, 8, 16, 16, 1)
  assert (lesson.noise is None) == conditional
  assert (lesson.target is not None) == conditional
  if not conditional:
    return
  assert (lesson.target != other.target).any()
  assert not any(  # They are warped anew each time.
      (train_images.images == target).all(axis=(1, 2, 3)).any()
      for target in lesson.target
  )
  (redrawn,) = training.episodes(
      training.restore(it), 8, lesson.target, greedy=True
  )
  np.testing.assert_array_equal(lesson.canvas, redrawn.canvas)
  np.testing.assert_array_equal(lesson.imitated['end'], redrawn.action['end'])


def test_a_teacher_goes_with_rewards(tmp_path):
  it = training.train(tiny.experiment(tmp_path / 'it', conditional=True))
  state, records = train(
      tmp_path / 'run',
      make=lambda run_dir, **kwargs: taught(run_dir, it, **kwargs),
      run=dict(lockstep=False),
      learner=dict(reward_weight=1.0),
  )
  assert 'actor 0' in state and 'discriminator' in state
  last = [r for r in records if 'policy/frames' in r][-1]
  assert {'policy/teacher_nll', 'policy/policy_loss'} <= last.keys()


@pytest.mark.parametrize('train_them', [training.train, population_train])
def test_a_teacher_that_cannot_teach_is_refused(tmp_path, train_them):
  run_dir = tmp_path / 'run'
  noise = training.train(tiny.experiment(tmp_path / 'noise'))
  other = training.train(tiny.scene_experiment(tmp_path / 'other'))
  for experiment, words in (
      (taught(run_dir, 'digts'), "no weights named 'digts'"),
      (taught(run_dir, tmp_path / 'gone'), 'gone holds no checkpoint'),
      (taught(run_dir, noise), 'draws from noise; name an agent that redraws'),
      (taught(run_dir, other), 'draws in another environment'),
      (taught(run_dir, ''), 'add --teacher, as --teacher=digits'),
      (
          taught(run_dir, 'digits', weight=0.0, learner=dict(reward_weight=1)),
          'add --teacher_weight=1, or leave the teacher out',
      ),
  ):
    with pytest.raises((ValueError, FileNotFoundError), match=words):
      train_them(experiment)
    assert not run_dir.exists()


def test_a_disturbance_is_a_share():
  with pytest.raises(ValueError, match='disturbance is 1.5, must be from 0 t'):
    training.LessonConfig(disturbance=1.5)
