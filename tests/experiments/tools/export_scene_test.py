"""Programs of a run as files that MuJoCo and this library read."""

import mujoco
import numpy as np
from PIL import Image
import pytest

from environments import scene
import export_scene
import restored
import run_setup
from tests.experiments import tiny
import training


def opened(path):
  with Image.open(path) as image:
    return np.asarray(image)


@pytest.mark.usefixtures('scene_table')
def test_files_are_of_what_the_agent_did(scene_run, tmp_path):
  programs = export_scene.export(scene_run, tmp_path, count=3, size=96)
  assert sorted(p.name for p in tmp_path.iterdir()) == ['000', '001', '002']
  agent = restored.load(scene_run)
  targets = run_setup.load_dataset(agent.setup, 'test').images[:3]
  (drawn,) = restored.episodes(agent, 3, targets, greedy=True)
  renderer = scene.SceneRenderer(agent.setup.environment)
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


@pytest.mark.slow
def test_the_script_runs(scene_run, tmp_path):
  process = tiny.script(
      'export_scene.py',
      f'--run_dir={scene_run}',
      f'--out_dir={tmp_path}',
      '--count=2',
      '--size=64',
      '--noshadows',
      '--nogreedy',
  )
  output, errors = process.communicate(timeout=600)
  assert process.returncode == 0, errors
  assert f'--mjcf={tmp_path}/000/scene.xml' in output
  assert opened(tmp_path / '001' / 'scene.png').shape == (64, 64, 3)


@pytest.mark.usefixtures('compilation_cache')
def test_a_run_of_paintings_is_refused(tmp_path):
  run_dir = training.train(tiny.setup(tmp_path / 'run'))
  with pytest.raises(ValueError, match='is no run of scenes'):
    export_scene.export(run_dir, tmp_path / 'out')
  assert not (tmp_path / 'out').exists()
