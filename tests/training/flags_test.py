"""Flags made of dataclasses, and flag files."""

import dataclasses
from typing import Literal

from absl import flags
import pytest

from spiral_jax import training
from spiral_jax.training import flags as flags_lib
from tests import tiny


@dataclasses.dataclass(frozen=True)
class Config:
  """A configuration.

  Attributes:
    size: height and width, in pixels, which may take
      two lines.
    names: some numbers.
    kind: one of two.
  """

  size: int = 3
  names: tuple[float, ...] = (1.0,)
  kind: Literal['a', 'b'] = 'a'
  path: str | None = None
  is_on: bool = False

  def __post_init__(self):
    if self.size < 0:
      raise ValueError(f'size is {self.size}, must be 0 or more')


def parse(*arguments, base=None):
  values = flags.FlagValues()
  flags_lib.define(Config, 'x_', values, 'group')
  values(['program', *arguments])
  return flags_lib.read(Config, 'x_', values, base)


def test_flags_that_are_not_given_leave_the_defaults():
  assert parse() == Config()
  assert parse('--x_size=4', '--x_names=1,2.5', '--x_kind=b') == Config(
      size=4, names=(1, 2.5), kind='b'
  )
  assert parse('--x_is_on', '--x_path=p') == Config(is_on=True, path='p')
  base = Config(size=7, kind='b')
  assert parse('--x_kind=a', base=base) == Config(size=7)


def test_errors_name_the_flag():
  with pytest.raises(ValueError, match='--x_size is -1, must be 0 or more'):
    parse('--x_size=-1')
  with pytest.raises(ValueError, match='--x_names=1,b must be numbers'):
    parse('--x_names=1,b')
  with pytest.raises(flags.IllegalFlagValueError, match='x_kind'):
    parse('--x_kind=c')


def test_help_is_the_docstrings_with_the_default():
  values = flags.FlagValues()
  flags_lib.define(Config, '', values, 'group')
  assert values['size'].help == (
      'height and width, in pixels, which may take two lines. (default: 3)'
  )
  assert [f.name for f in values.flags_by_module_dict()['group']]


def test_flag_files_include_each_other_relative_to_themselves(
    tmp_path, monkeypatch
):
  (tmp_path / 'a').mkdir()
  (tmp_path / 'a' / 'one.flags').write_text(
      '# A comment.\n\n--flagfile=two.flags\n--x=1\n'
  )
  (tmp_path / 'a' / 'two.flags').write_text('--y=2\n  --z=3\n')
  expand = flags_lib.expand_flag_files
  expected = ['program', '--y=2', '--z=3', '--x=1', '--w']
  one = tmp_path / 'a' / 'one.flags'
  assert expand(['program', f'--flagfile={one}', '--w']) == expected
  assert expand(['program', '--flagfile', str(one), '--w']) == expected
  monkeypatch.chdir(tmp_path)
  assert expand(['program', '-flagfile=a/one.flags', '--w']) == expected
  assert expand(['p', '--', f'--flagfile={one}'])[-1] == f'--flagfile={one}'
  with pytest.raises(ValueError, match="'none.flags' does not exist"):
    expand(['program', '--flagfile=none.flags'])
  (tmp_path / 'a' / 'two.flags').write_text('--flagfile=one.flags\n')
  with pytest.raises(ValueError, match='one.flags includes itself'):
    expand(['program', f'--flagfile={one}'])
  (tmp_path / 'a' / 'two.flags').write_text('--flagfile=none.flags\n')
  with pytest.raises(ValueError, match='none.flags.*two.flags includes'):
    expand(['program', f'--flagfile={one}'])


def define(*argv, task='environments.painting', dataset='mnist'):
  """Returns what the flags of a command line describe."""
  values = flags.FlagValues()
  argv = ['program', *argv]
  found = training.define_flags(task, dataset, argv=argv, flag_values=values)
  values(argv)
  return found.value


def test_the_flags_of_an_experiment_are_its_fields(tmp_path):
  experiment = define(*tiny.flags(tmp_path), '--stroke_start_cost=.2')
  assert experiment == tiny.experiment(tmp_path, costs=dict(stroke_start=0.2))
  scenes = define(
      *tiny.scene_flags(tmp_path), '--task=environments.scene', dataset='scenes'
  )
  assert scenes == tiny.scene_experiment(tmp_path)


def test_resume_alone_needs_no_other_flag(tmp_path):
  made = tiny.scene_experiment(tmp_path, costs=dict(object=0.5))
  training.train(made)
  # The task of the run, not that of the program.
  resumed = define('--resume', f'--run_dir={tmp_path}', '--frames=96')
  assert resumed == made.replace(resume=True, frames=96)
  # A flag file that says the same is no change.
  same = define('--resume', *tiny.scene_flags(tmp_path), '--object_cost=.5')
  assert same == made.replace(resume=True)
  with pytest.raises(ValueError) as error:
    define(
        '--resume',
        f'--run_dir={tmp_path}',
        '--grid_size=4',
        '--learning_rate=1',
        '--discriminator_channels=4',
        '--object_cost=2',
    )
  for words in (
      '--grid_size=4 (saved with 8)',
      '--learning_rate=1.0 (saved with 0.0001)',
      '--discriminator_channels=4 (saved with 4,4)',
      '--object_cost=2.0 (saved with 0.5)',
  ):
    assert words in str(error.value)
