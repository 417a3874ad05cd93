"""Damaged weights and checkpoints, fed to the library that reads them.

`weights` and `checkpoints` each damage a small agent's files and load it as a
user would: see `fuzz.py`, which runs them.
"""

import functools
import io
import json
import pathlib
import tempfile

import jax
import numpy as np

from spiral_jax import agents
from spiral_jax.driver import checkpoints as checkpoints_lib
from spiral_jax.driver import checksums
from spiral_jax.driver import serialization
from spiral_jax.training import trained_agent
from tests import tiny
from tests.campaigns import fuzz_data
from tests.campaigns import fuzz_painting


def weights(rng: np.random.Generator, folder: pathlib.Path) -> None:
  """Damages a saved agent, loads it, and looks at what was loaded."""
  saved = folder / 'weights'
  _write('weights', folder)
  draw = rng.random()
  if draw < 0.4:
    path = saved / 'config.json'
    text = fuzz_painting.damaged_json(rng, path.read_text())
    path.write_text(text, errors='replace')
  elif draw < 0.7:
    path = saved / 'weights.npz'
    path.write_bytes(_with_odd_arrays(rng, path))
  else:
    _damage_a_file(rng, saved)
  loaded = agents.load(saved)
  template = jax.eval_shape(loaded.agent.init, jax.random.key(0))
  assert jax.tree.structure(loaded.params) == jax.tree.structure(template)
  leaves = zip(jax.tree.leaves(loaded.params), jax.tree.leaves(template))
  for found, expected in leaves:
    assert found.shape == expected.shape and found.dtype == expected.dtype
    assert np.isfinite(found).all()


def checkpoints(rng: np.random.Generator, folder: pathlib.Path) -> None:
  """Damages a run, some of it as if written without checksums; restores it."""
  run_dir = folder / 'run'
  _write('run', folder)
  (step,) = (run_dir / 'checkpoints').iterdir()
  if rng.random() < 0.5:
    (step / checksums.NAME).unlink()
  for _ in range(int(rng.choice([1, 1, 2]))):
    _damage_a_file(rng, run_dir)
  trained_agent.restore(run_dir)
  checkpoints_lib.load_config(run_dir / 'checkpoints')


def _write(name: str, folder: pathlib.Path) -> None:
  """Writes the sound files of `weights` or `run` into a folder."""
  for path, content in _files().items():
    if path.parts[0] == name:
      (folder / path).parent.mkdir(parents=True, exist_ok=True)
      (folder / path).write_bytes(content)


@functools.cache
def _files() -> dict[pathlib.Path, bytes]:
  """Returns an untrained agent's weights, and a run of it, by path."""
  experiment = tiny.experiment('run')
  agent = experiment.make_agent()
  params = jax.device_get(agent.init(jax.random.key(0)))
  state = {'policy': {'learner': {'params': serialization.to_plain(params)}}}
  with tempfile.TemporaryDirectory(prefix='fuzz-') as name:
    folder = pathlib.Path(name)
    run = checkpoints_lib.Checkpoints(
        folder / 'run/checkpoints', experiment.to_json()
    )
    run.save(7, state)
    trained = trained_agent.restore(folder / 'run')
    agents.save(folder / 'weights', trained.pretrained())
    return {
        path.relative_to(folder): path.read_bytes()
        for path in folder.rglob('*')
        if path.is_file()
    }


def _damage_a_file(rng: np.random.Generator, folder: pathlib.Path) -> None:
  """Damages one file below a folder, or loses it."""
  files = sorted(path for path in folder.rglob('*') if path.is_file())
  path = files[rng.integers(len(files))]
  draw = rng.random()
  if draw < 0.1:
    path.unlink()
  elif draw < 0.15:
    path.unlink()
    path.mkdir()
  elif draw < 0.4 and _is_json(path):
    text = fuzz_painting.damaged_json(rng, path.read_text())
    path.write_text(text, errors='replace')
  else:
    path.write_bytes(fuzz_data.damaged(rng, path.read_bytes()))


def _is_json(path: pathlib.Path) -> bool:
  try:
    return isinstance(json.loads(path.read_bytes()), dict)
  except ValueError:
    return False


def _with_odd_arrays(rng: np.random.Generator, path: pathlib.Path) -> bytes:
  """Returns a weights file with arrays lost, added, or of another content."""
  with np.load(path) as file:
    arrays = dict(file)
  for _ in range(int(rng.integers(1, 4))):
    name = str(rng.choice(list(arrays)))
    array = arrays[name]
    if array.dtype.kind not in 'fi':
      continue
    match int(rng.integers(7)):
      case 0:
        del arrays[name]
      case 1:
        arrays[name + '/x'] = array
      case 2:
        arrays[name] = array.reshape(-1)
      case 3:
        arrays[name] = array.astype(rng.choice(['f2', 'f8', 'i4', 'c8', 'S3']))
      case 4:
        arrays[name] = np.full_like(array, rng.choice([np.nan, np.inf, 1e30]))
      case 5:
        arrays[name] = np.array([{'a': 1}, None], object)
      case _:
        arrays[name] = np.zeros((0, *array.shape), array.dtype)
    if not arrays:
      break
  buffer = io.BytesIO()
  np.savez(buffer, **arrays)
  return buffer.getvalue()
