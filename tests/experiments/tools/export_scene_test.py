"""Programs of a run as files that MuJoCo and this library read."""

import mujoco
import numpy as np
from PIL import Image
import pytest

from environments import scene
from experiments.tools import export_scene
from spiral_jax import training
from tests import tiny


def opened(path):
  with Image.open(path) as image:
    return np.asarray(image)


@pytest.mark.usefixtures('scene_table')
def test_files_are_of_what_the_agent_did(scene_run, tmp_path):
  trained = training.restore(scene_run)
  programs = export_scene.export(trained, tmp_path, count=3, size=96)
  assert sorted(p.name for p in tmp_path.iterdir()) == ['000', '001', '002']
  targets = trained.experiment.load_images('test').images[:3]
  (drawn,) = training.episodes(trained, 3, targets, greedy=True)
  renderer = scene.SceneRenderer(trained.experiment.environment)
  for index, program in enumerate(programs):
    folder = tmp_path / f'{index:03d}'
    text = (folder / 'program.json').read_text()
    assert scene.Program.from_json(text) == program
    model = mujoco.MjModel.from_xml_path(str(folder / 'scene.xml'))
    num_objects = program.objects().present.sum()
    assert model.ngeom == 2 + num_objects  # And the platform and the ground.
    assert model.vis.global_.offwidth == 96
    np.testing.assert_array_equal(
        opened(folder / 'scene.png'), program.render(96, shadows=True)
    )
    np.testing.assert_array_equal(opened(folder / 'target.png'), targets[index])
    objects = scene.Objects(*(x[np.newaxis] for x in program.objects()))
    np.testing.assert_array_equal(
        renderer.render(objects)[0], drawn.canvas[-1, index]
    )


def test_the_program_runs(scene_run, tmp_path):
  code, output, errors = tiny.run_program(
      'tools/export_scene.py',
      f'--run_dir={scene_run}',
      f'--out_dir={tmp_path}',
      '--count=2',
      '--size=64',
      '--noshadows',
      '--nogreedy',
  )
  assert code == 0, errors
  assert f'--mjcf={tmp_path}/000/scene.xml' in output
  assert opened(tmp_path / '001' / 'scene.png').shape == (64, 64, 3)


def test_an_agent_that_paints_is_refused(painting_run, tmp_path):
  trained = training.restore(painting_run)
  with pytest.raises(ValueError, match='does not make scenes'):
    export_scene.export(trained, tmp_path / 'out')
  assert not (tmp_path / 'out').exists()
