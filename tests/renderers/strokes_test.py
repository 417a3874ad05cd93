"""Tests of strokes on the device, beside those of libmypaint."""

import json

import jax
import numpy as np
import pytest

from environments import painting
from environments.painting import library
from spiral_jax import renderers
from spiral_jax import types

B, T = 24, 6
# All brushes of this folder that can be drawn.
BRUSHES = ('brush', 'bulk', 'calligraphy', 'kabura', 'pen', 'slow_ink')


def _make(settings):
  brush = library.read_brush(settings.brush, settings.brushes_path)
  return renderers.make_strokes(settings, brush)


def _programs(settings, count=B, length=T):
  rng = np.random.default_rng(0)
  return types.uniform_programs(settings.action_spec(), length, count, rng)


def _canvases(settings, programs):
  """Returns canvases on the device and of libmypaint, `[T, B, H, W, C]`."""
  device = _make(settings)
  length, count = programs['end'].shape
  host = painting.TASK.make_renderer(settings, count, 1)
  state, canvas = device.init(count)
  np.testing.assert_array_equal(canvas, host.reset())
  _, ours = jax.jit(lambda s, p: jax.lax.scan(device.step, s, p))(
      state, programs
  )
  theirs = []
  for t in range(length):
    theirs.append(host.step({k: v[t] for k, v in programs.items()}))
  return np.asarray(ours), np.stack(theirs)


def _check(ours, theirs):
  """Asserts that canvases are as good as equal, and not blank."""
  assert ours.dtype == np.uint8 and ours.shape == theirs.shape
  assert (theirs[-1] < 200).any(axis=(1, 2, 3)).mean() > 0.5
  differences = np.abs(ours.astype(int) - theirs)
  # A dab more or less, where floats round otherwise, is a shade on its edge.
  assert differences.mean(axis=(2, 3, 4)).max() < 0.05
  assert (differences > 1).mean() < 1e-3


@pytest.mark.parametrize(
    'settings',
    [
        dict(grid_size=16),
        dict(color=True, brush_sizes=(2, 4, 8, 16)),
        dict(canvas_size=40, pressure=False, brush_sizes=(1.5,)),
        dict(canvas_size=100, grid_size=7),
    ],
    ids=['gray', 'color', 'one size', 'large'],
)
def test_strokes_of_the_pen_are_those_of_libmypaint(settings):
  settings = painting.PaintingSettings(**settings)
  _check(*_canvases(settings, _programs(settings)))


@pytest.mark.parametrize('brush', BRUSHES)
def test_brushes_that_fit_draw_as_libmypaint_does(brush):
  settings = painting.PaintingSettings(brush=f'classic/{brush}', grid_size=16)
  # Of classic/brush, a stroke is thousands of dabs.
  programs = _programs(settings, count=12, length=2 if brush == 'brush' else T)
  _check(*_canvases(settings, programs))


def test_all_other_brushes_are_refused():
  folder = library.find_brushes()
  names = sorted(path.stem for path in folder.glob('classic/*.myb'))
  assert len(names) > 30
  fitting = []
  for name in names:
    settings = painting.PaintingSettings(brush=f'classic/{name}')
    try:
      _make(settings)
      fitting.append(name)
    except ValueError as error:
      assert f"brush 'classic/{name}' has" in str(error)
  assert tuple(fitting) == BRUSHES


@pytest.mark.parametrize(
    'change, words',
    [
        ({'smudge': {'base_value': 0.5, 'inputs': {}}}, 'smudge 0.5'),
        (
            {
                'hardness': {
                    'base_value': 0.5,
                    'inputs': {'direction': [[0, 0], [180, 0.5]]},
                }
            },
            'hardness by direction',
        ),
        (
            {'eraser': {'inputs': {'pressure': [[0, 0], [1, 1]]}}},
            'eraser by pressure',
        ),
        (
            {
                'dabs_per_second': {
                    'base_value': 0,
                    'inputs': {'speed1': [[0, 0], [1, 1]]},
                }
            },
            'dabs_per_second by speed1',
        ),
    ],
)
def test_what_a_brush_has_that_is_not_drawn_is_named(change, words):
  settings = painting.PaintingSettings()
  brush = json.loads(library.read_brush(settings.brush))
  brush['settings'].update(change)
  with pytest.raises(
      ValueError, match=f"'classic/pen' has {words}, which is not"
  ):
    renderers.make_strokes(settings, json.dumps(brush).encode())


def test_transparent_paper_is_refused():
  settings = painting.PaintingSettings(background='transparent')
  with pytest.raises(ValueError, match="background is 'transparent'"):
    _make(settings)


def test_a_step_keeps_the_types_of_the_state():
  """Or a jitted step is compiled twice, and cannot be scanned."""
  settings = painting.PaintingSettings(color=True)
  device = _make(settings)
  state, _ = device.init(B)
  command = {k: v[0] for k, v in _programs(settings).items()}
  after, _ = jax.eval_shape(device.step, state, command)

  def kinds(tree):
    return jax.tree.map(lambda x: (x.shape, x.dtype, x.weak_type), tree)

  assert kinds(jax.eval_shape(lambda: state)) == kinds(after)


@pytest.mark.parametrize('text', [b'no json', b'{}', b'{"settings": [1]}'])
def test_what_is_no_brush_is_refused(text):
  with pytest.raises(ValueError, match="'classic/pen' is no brush of libmyp"):
    renderers.make_strokes(painting.PaintingSettings(), text)


def test_locations_out_of_range_are_the_nearest():
  settings = painting.PaintingSettings(canvas_size=16, grid_size=4)
  device = _make(settings)
  command = {name: np.ones(2, np.int32) for name in settings.action_spec()}
  command['end'] = np.array([15, 2**31 - 1], np.int32)
  command['control'] = np.array([0, -9], np.int32)
  _, canvas = device.step(device.init(2)[0], command)
  np.testing.assert_array_equal(canvas[0], canvas[1])
  assert (canvas[0] < 128).any()
