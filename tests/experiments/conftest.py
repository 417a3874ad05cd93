import jax
import pytest

from spiral_jax.driver import checkpoints
from spiral_jax.driver import serialization
from tests import tiny
from tests.training.conftest import scene_run as scene_run
from tests.training.conftest import scene_table as scene_table


@pytest.fixture(scope='session')
def painting_run(tmp_path_factory):
  """Returns a run of an untrained conditional agent; not to be changed."""
  run_dir = tmp_path_factory.mktemp('painting')
  experiment = tiny.experiment(run_dir, conditional=True)
  init_params = {
      'policy': experiment.make_agent().init,
      'discriminator': experiment.make_discriminator().init,
  }
  saved = checkpoints.Checkpoints(run_dir / 'checkpoints', experiment.to_json())
  saved.save(
      1,
      {
          name: {
              'learner': {
                  'params': serialization.to_plain(init(jax.random.key(seed)))
              }
          }
          for seed, (name, init) in enumerate(init_params.items())
      },
  )
  return run_dir
