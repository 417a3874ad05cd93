import errno
import json
import logging
import pathlib
import shutil
import signal
import subprocess
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from spiral_jax.driver import checkpoints
from spiral_jax.driver import orbax_files
from spiral_jax.driver import serialization
from tests.driver import toy
from tests.driver.program_test import ROOT
from tests.driver.program_test import assert_equal
from tests.driver.program_test import child_environment

DTYPES = [
    'bool',
    'int8',
    'uint8',
    'int16',
    'uint16',
    'int32',
    'uint32',
    'int64',
    'uint64',
    'float16',
    'bfloat16',
    'float32',
    'float64',
]


def test_round_trip_of_all_dtypes(tmp_path):
  rng = np.random.default_rng(0)
  arrays = {
      dtype: (100 * rng.random((2, 3))).astype(jnp.dtype(dtype))
      for dtype in DTYPES
  }
  state = dict(
      arrays=arrays,
      scalars={dtype: array[0, 0, ...] for dtype, array in arrays.items()},
      empty=dict(a=np.zeros((0, 3), np.uint8), below={'b': np.zeros(0)}),
      extremes=np.array([0, 2**64 - 1], np.uint64),
      nan=np.array([np.nan, -np.inf, -0.0], np.float32),
      large=rng.random((300, 400)),
      key=np.asarray(jax.random.PRNGKey(2**31 + 5)),
      rng=serialization.rng_to_array(rng),
      number=2**40,
      half=0.1,
      yes=True,
      names={'a/b': np.ones(1), 'a.b': np.zeros(1), 'layers_0': np.ones(2)},
  )
  checkpoints.Checkpoints(tmp_path).save(3, state)
  checkpoint = checkpoints.load(tmp_path)
  assert checkpoint.step == 3
  leaves, structure = jax.tree.flatten(state)
  restored, restored_structure = jax.tree.flatten(checkpoint.state)
  assert structure == restored_structure
  for one, two in zip(leaves, restored):
    assert np.asarray(one).dtype == np.asarray(two).dtype
    assert np.asarray(one).tobytes() == np.asarray(two).tobytes()
  assert type(checkpoint.state['number']) is int
  assert type(checkpoint.state['yes']) is bool
  again = serialization.rng_from_array(checkpoint.state['rng'])
  assert again.random() == rng.random()


def test_learner_state_comes_back_in_its_own_structure(tmp_path):
  learned = toy.learned(5)
  kept = checkpoints.Checkpoints(tmp_path)
  kept.save(0, {'policy': serialization.to_plain(learned)})
  _, state = kept.restore()
  restored = serialization.from_plain(toy.learned(6), state['policy'])
  assert isinstance(restored, toy.Learned)
  assert_equal(restored, learned)
  assert all(isinstance(x, jax.Array) for x in jax.tree.leaves(restored))


def test_keeps_the_latest(tmp_path):
  kept = checkpoints.Checkpoints(tmp_path, max_to_keep=2)
  assert kept.latest_step() is None
  for step in (1, 5, 9):
    kept.save(step, {'x': np.array(step)})
  assert kept.latest_step() == 9
  assert sorted(p.name for p in tmp_path.iterdir() if p.is_dir()) == ['5', '9']
  assert checkpoints.load(tmp_path).state['x'] == 9
  assert checkpoints.load(tmp_path, 5).state['x'] == 5
  again = checkpoints.Checkpoints(tmp_path, max_to_keep=2)
  assert again.latest_step() == 9


def test_saving_a_step_twice_keeps_the_first_and_an_earlier_one_is_an_error(
    tmp_path,
):
  kept = checkpoints.Checkpoints(tmp_path)
  kept.save(5, {'x': np.array(1)})
  kept.save(5, {'x': np.array(2)})
  assert checkpoints.load(tmp_path).state['x'] == 1
  with pytest.raises(ValueError, match='holds checkpoint 5, later than 3'):
    kept.save(3, {'x': np.array(2)})


def test_missing_checkpoints_are_named_and_nothing_is_made(tmp_path):
  folder = tmp_path / 'nowhere'
  with pytest.raises(FileNotFoundError, match=f'no checkpoint folder {folder}'):
    checkpoints.load(folder)
  assert not folder.exists()
  folder.mkdir()
  with pytest.raises(FileNotFoundError, match='steps there: none'):
    checkpoints.load(folder)
  checkpoints.Checkpoints(folder).save(4, {'x': np.ones(1)})
  with pytest.raises(FileNotFoundError, match=r'no checkpoint 3 in .*: \[4\]'):
    checkpoints.load(folder, 3)


def test_the_configuration_is_kept_as_json(tmp_path):
  config = dict(agent=dict(size=64, parts=('flag', 'end')), seed=1)
  checkpoints.Checkpoints(tmp_path, config).save(1, {'x': np.ones(1)})
  as_json = json.loads(json.dumps(config))
  assert checkpoints.load(tmp_path).config == as_json
  assert checkpoints.load_config(tmp_path) == as_json


@pytest.mark.parametrize('damage', ['truncate', 'remove', 'flip'])
def test_damaged_checkpoint_is_named(tmp_path, damage):
  kept = checkpoints.Checkpoints(tmp_path)
  for step in (1, 2):
    kept.save(step, {'x': np.random.default_rng(0).random(5000)})
  files = [
      p
      for p in (tmp_path / '2').rglob('*')
      if p.is_file() and '/d/' in p.as_posix()
  ]
  for file in files:
    content = file.read_bytes()
    if damage == 'remove':
      file.unlink()
    elif damage == 'truncate':
      file.write_bytes(content[: len(content) // 2])
    else:
      file.write_bytes(bytes(255 - byte for byte in content))
  assert files
  with pytest.raises(
      ValueError, match='/2 is damaged .state/.* the last good one, 1$'
  ):
    checkpoints.load(tmp_path)
  np.testing.assert_array_equal(
      checkpoints.load(tmp_path, 1).state['x'],
      np.random.default_rng(0).random(5000),
  )


def test_a_flipped_bit_in_any_file_is_noticed(tmp_path):
  kept = checkpoints.Checkpoints(tmp_path, {'seed': 1})
  kept.save(2, {'x': np.arange(9.0), 'a': {'b': 3, 'c': np.zeros((0, 2))}})
  paths = [p for p in (tmp_path / '2').rglob('*') if p.stat().st_size]
  paths = [path for path in paths if path.is_file()]
  assert {path.name for path in paths} >= {'checksums.sha256', 'manifest.ocdbt'}
  for path in paths:
    content = path.read_bytes()
    for place in {0, len(content) // 2, len(content) - 1}:
      flipped = bytearray(content)
      flipped[place] ^= 0x10
      path.write_bytes(flipped)
      for load in (checkpoints.load, checkpoints.load_config):
        with pytest.raises(ValueError, match='/2 is damaged .*no earlier one'):
          load(tmp_path)
    path.write_bytes(content)
  assert checkpoints.load(tmp_path).config == {'seed': 1}


def test_the_last_good_one_is_looked_for(tmp_path):
  kept = checkpoints.Checkpoints(tmp_path)
  for step in (1, 2, 3):
    kept.save(step, {'x': np.full(3, step)})
  for step in (2, 3):
    (tmp_path / str(step) / 'notes' / 'metadata').write_text('{}')
  for load in (checkpoints.load, checkpoints.load_config):
    with pytest.raises(ValueError, match='/3 is damaged .* last good one, 1$'):
      load(tmp_path)


def test_checksums_that_cannot_be_read_are_damage(tmp_path):
  checkpoints.Checkpoints(tmp_path, {}).save(1, {'x': np.ones(3)})
  (tmp_path / '1' / 'checksums.sha256').write_text('no two columns\n')
  with pytest.raises(ValueError, match='checksums.sha256 cannot be read'):
    checkpoints.load(tmp_path)


def test_checkpoints_without_checksums_load(tmp_path):
  checkpoints.Checkpoints(tmp_path, {'seed': 1}).save(1, {'x': np.ones(3)})
  (tmp_path / '1' / 'checksums.sha256').unlink()
  loaded = checkpoints.load(tmp_path)
  assert loaded.config == {'seed': 1}
  np.testing.assert_array_equal(loaded.state['x'], np.ones(3))


@pytest.mark.parametrize(
    'name',
    [
        '[new]',
        'run_[0]',
        'a*b?',
        'back\\slash',
        'new\nline',
        "sp ace's",
        '[red]x[/red]',
        ':smile:',
        'not utf-8 \udcff',
    ],
)
def test_a_folder_may_have_any_name(tmp_path, name):
  folder = tmp_path / name / 'deep' / 'checkpoints'
  for step in (1, 2):
    kept = checkpoints.Checkpoints(folder, {'run_dir': str(folder)})
    kept.save(step, {'x': np.full(3, step)})
  assert kept.latest_step() == 2
  loaded = checkpoints.load(folder)
  np.testing.assert_array_equal(loaded.state['x'], np.full(3, 2))
  assert loaded.config == {'run_dir': str(folder)}
  assert checkpoints.load_config(folder, 1) == loaded.config


@pytest.mark.parametrize('what', ['x', 'notes', 'broken'])
def test_what_does_not_read_back_is_no_checkpoint(tmp_path, monkeypatch, what):
  kept = checkpoints.Checkpoints(tmp_path)
  kept.save(1, {'x': np.zeros(3)})
  read = orbax_files.read

  def read_other(folder):
    state, notes = read(folder)
    if what == 'broken':
      raise KeyError('no such file')
    if what == 'notes':
      return state, {**notes, 'config': {'seed': 2}}
    return {'x': state['x'] + 1}, notes

  with monkeypatch.context() as patch:
    patch.setattr(orbax_files, 'read', read_other)
    with pytest.raises(checkpoints.SaveError, match='checkpoint 2 .* one is 1'):
      kept.save(2, {'x': np.ones(3)})
  assert [path.name for path in tmp_path.iterdir()] == ['1']
  kept.save(2, {'x': np.ones(3)})
  assert checkpoints.load(tmp_path).state['x'][0] == 1


def test_a_save_that_fails_leaves_what_was_there(tmp_path):
  code = (
      'import resource, sys\n'
      'import numpy as np\n'
      'from spiral_jax.driver import checkpoints\n'
      'kept = checkpoints.Checkpoints(sys.argv[1])\n'
      "kept.save(1, {'x': np.ones(3)})\n"
      'resource.setrlimit(resource.RLIMIT_FSIZE, (99999, -1))\n'
      'try:\n'
      "  kept.save(2, {'x': np.random.default_rng(0).random(99999)})\n"
      'except checkpoints.SaveError as error:\n'
      '  print(error.errno, error)\n'
      'resource.setrlimit(resource.RLIMIT_FSIZE, (-1, -1))\n'
      "kept.save(3, {'x': np.ones(3)})\n"
  )
  done = subprocess.run(
      [sys.executable, '-c', code, str(tmp_path)],
      cwd=ROOT,
      env=child_environment(),
      capture_output=True,
      text=True,
      check=True,
  )
  assert done.stdout == (
      f'{errno.EFBIG} checkpoint 2 cannot be saved in {tmp_path} '
      '([Errno 27] File too large); the last one is 1\n'
  )
  assert done.stderr == ''
  assert sorted(path.name for path in tmp_path.iterdir()) == ['1', '3']


def test_what_people_leave_between_checkpoints_is_not_looked_at(tmp_path):
  checkpoints.Checkpoints(tmp_path).save(4, {'x': np.ones(1)})
  (tmp_path / '.DS_Store').write_bytes(b'x')
  (tmp_path / '4' / '.DS_Store').write_bytes(b'x')
  (tmp_path / '7').write_text('')
  (tmp_path / '8').mkdir()
  (tmp_path / '9').symlink_to(tmp_path / '4')
  (tmp_path / '10').symlink_to(tmp_path / 'nowhere')
  for copy in ('4 (copy)', '4.bak', '+11'):
    shutil.copytree(tmp_path / '4', tmp_path / copy)
  assert set(checkpoints.steps(tmp_path)) == {4}
  assert checkpoints.load(tmp_path).step == 4
  checkpoints.Checkpoints(tmp_path).save(5, {'x': np.ones(1)})
  assert checkpoints.load(tmp_path).step == 5
  assert (tmp_path / '4.bak').exists() and (tmp_path / '9').is_symlink()


def test_incomplete_checkpoint_is_skipped_and_cleaned_up(tmp_path):
  kept = checkpoints.Checkpoints(tmp_path)
  kept.save(1, {'x': np.ones(1)})
  # What saves that were killed leave, earlier versions' among them.
  torn = [
      tmp_path / '.unfinished' / '3',
      tmp_path / '3.orbax-checkpoint-tmp',
      tmp_path / '3.orbax-checkpoint-tmp-1703334121930256',
  ]
  for folder in torn:
    (folder / 'state').mkdir(parents=True)
    (folder / 'state' / 'part').write_bytes(b'x')
  assert checkpoints.load(tmp_path).step == 1
  again = checkpoints.Checkpoints(tmp_path)
  assert again.latest_step() == 1
  again.save(2, {'x': np.zeros(1)})
  assert sorted(path.name for path in tmp_path.iterdir()) == ['1', '2']
  assert checkpoints.load(tmp_path).step == 2


def test_orbax_is_quiet_where_absl_is_not(tmp_path, caplog):
  with caplog.at_level(logging.INFO):
    checkpoints.Checkpoints(tmp_path).save(1, {'x': np.ones(1)})
    checkpoints.load(tmp_path)
  assert not caplog.records


def test_killed_and_resumed_is_as_if_never_killed(tmp_path):
  folder = tmp_path / 'killed'
  for kill in range(2):
    process = subprocess.Popen(
        [sys.executable, '-m', 'tests.driver.toy', str(folder)],
        cwd=ROOT,
        env=child_environment(),
        stderr=subprocess.PIPE,
    )
    before = latest(folder)
    deadline = time.monotonic() + 900
    while latest(folder) < before + 20 and time.monotonic() < deadline:
      time.sleep(0.003)
    time.sleep(0.023 * kill)  # Another place within a save or a round.
    process.send_signal(signal.SIGKILL)
    errors = process.communicate()[1]
    assert process.returncode == -signal.SIGKILL, errors
    assert before + 20 <= latest(folder)
  updates = latest(folder) + 20
  resumed = toy.run(folder, updates)
  whole = toy.run(tmp_path / 'whole', updates, every_rounds=1000)
  assert_equal(resumed, whole)
  assert lines(folder / 'metrics.jsonl') == lines(
      tmp_path / 'whole' / 'metrics.jsonl'
  )
  assert len(lines(folder / 'metrics.jsonl')) == 2 * updates


def test_what_is_resumed_at_its_end_changes_nothing(tmp_path):
  first = toy.run(tmp_path, 6)
  written = lines(tmp_path / 'metrics.jsonl')
  assert_equal(toy.run(tmp_path, 6), first)
  assert lines(tmp_path / 'metrics.jsonl') == written


def latest(folder: pathlib.Path) -> int:
  folder = folder / 'checkpoints'
  if not folder.exists():
    return 0
  return max(
      (int(p.name) for p in folder.iterdir() if p.name.isdigit()), default=0
  )


def lines(path):
  """Records of metrics without what the clock says."""
  records = [json.loads(line) for line in path.read_text().splitlines()]
  for record in records:
    assert record.pop('seconds') >= 0
  return records
