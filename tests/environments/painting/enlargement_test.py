"""The same picture on a larger canvas."""

import dataclasses
import json
import math

import numpy as np
import pytest

from environments import painting
from environments.painting import enlargement
from environments.painting import library
from environments.painting import strokes
from tests.environments.painting import golden

# Over the recorded programs; experiments/benchmarks/resolution.py prints them.
_LEAST = {
    'classic/dry_brush': 0.99,
    'classic/pen': 0.97,
    'classic/calligraphy': 0.97,
    'classic/brush': 0.97,
    'classic/charcoal': 0.97,
}


def _paint(program, size, backend='auto'):
  """Returns frames `[T + 1, size, size, C]`."""
  renderer = painting.PaintingRenderer(
      program.settings, size=size, backend=backend
  )
  frames = [renderer.reset()]
  for t in range(len(program)):
    command = {k: v[t : t + 1] for k, v in program.commands.items()}
    frames.append(renderer.step(command))
  return np.concatenate(frames)


@pytest.mark.parametrize('brush', _LEAST)
def test_512_pixels_show_what_64_show(brush):
  found = {
      program: golden.correlation(_paint(program, 512)[-1], canvases[-1])
      for program, canvases in golden.programs(brush)
  }
  assert len(found) >= 6
  assert min(found.values()) >= _LEAST[brush], found


@pytest.mark.parametrize('brush', ['classic/dry_brush', 'classic/calligraphy'])
def test_scaling_sizes_alone_would_not_do(brush):
  # What the test above measures can tell; its bounds are no formality.
  found = []
  for program, canvases in golden.programs(brush):
    settings = program.settings
    if settings.canvas_size == 64 and not settings.color:
      larger = dataclasses.replace(
          settings,
          canvas_size=512,
          brush_sizes=tuple(8 * size for size in settings.brush_sizes),
      )
      naive = painting.Program(larger, program.commands)
      found.append(golden.correlation(naive.render(), canvases[-1]))
  assert found and max(found) < _LEAST[brush]


def test_its_own_size_changes_nothing():
  settings = painting.PaintingSettings()
  brush = library.read_brush('classic/calligraphy')
  enlarged = enlargement.enlarge(settings, brush, 64)
  assert enlarged == (settings, brush, 50, float(np.float32(0.1)))
  for program, canvases in golden.programs('classic/charcoal'):
    np.testing.assert_array_equal(
        _paint(program, program.settings.canvas_size), canvases
    )


def test_native_and_ctypes_paint_the_same_larger_pixels(require_backend):
  require_backend('native')
  for brush in ('classic/charcoal', 'classic/calligraphy', 'classic/brush'):
    program, _ = next(golden.programs(brush))
    np.testing.assert_array_equal(
        _paint(program, 150, 'native'), _paint(program, 150, 'ctypes')
    )


def test_strokes_are_drawn_in_more_points_before_libmypaint_takes_them_apart():
  settings = painting.PaintingSettings(
      canvas_size=16, grid_size=16, brush_sizes=(1,), pressure=False
  )
  commands = {
      'flag': [0, 1, 1, 1],
      'end': [2 * 16 + 2, 12 * 16 + 12, 12 * 16 + 2, 3 * 16 + 13],
      'control': [0, 16 * 3 + 12, 200, 100],
  }
  program = painting.Program(settings, commands)
  enlarged = enlargement.enlarge(
      settings, library.read_brush(settings.brush), 1024
  )
  assert enlarged.steps_per_stroke == 100
  assert 0.1 < enlarged.seconds_per_point < 5
  assert enlarged.seconds_per_point * 100 == pytest.approx(64 * 0.1 * 50)
  small = program.render(256)
  assert golden.correlation(program.render(1024), small) > 0.99
  assert np.mean(small < 128) > 0.05


@pytest.mark.parametrize('factor', [1.5, 8.0])
def test_times_and_lengths_of_a_brush_are_multiplied(factor):
  changed = {
      'speed1_slowness': 0.04,
      'slow_tracking': 2.0,
      'offset_by_speed': 0.5,
      'offset_by_speed_slowness': 3.0,
      'direction_filter': 2.0,
      'dabs_per_second': 80.0,
      'stroke_duration_logarithmic': 4.0,
      'anti_aliasing': 3.5,
      'slow_tracking_per_dab': 0.8,
      'hardness': 0.7,
  }
  brush = json.dumps(
      {
          'version': 3,
          'settings': {
              name: {
                  'base_value': value,
                  'inputs': {'random': [[0, 1], [1, 2]]},
              }
              for name, value in changed.items()
          },
      }
  ).encode()
  enlarged = enlargement.enlarge(
      painting.PaintingSettings(canvas_size=100), brush, int(100 * factor)
  )
  settings = json.loads(enlarged.brush)['settings']
  new = {name: setting['base_value'] for name, setting in settings.items()}
  for name in ('speed1_slowness', 'slow_tracking', 'offset_by_speed'):
    assert new[name] == pytest.approx(factor * changed[name])
    assert settings[name]['inputs']['random'] == [[0, factor], [1, 2 * factor]]
  # Lengths of libmypaint's filters, in pixels and seconds.
  assert math.exp(new['direction_filter'] / 2) - 1 == pytest.approx(
      factor * (math.exp(1) - 1)
  )
  assert math.exp(new['offset_by_speed_slowness'] / 100) - 1 == pytest.approx(
      factor * (math.exp(0.03) - 1)
  )
  assert math.exp(new['stroke_duration_logarithmic']) == pytest.approx(
      factor * math.exp(4)
  )
  assert new['dabs_per_second'] == pytest.approx(80 / factor)
  assert new['anti_aliasing'] == pytest.approx(1 + 2.5 * factor)
  for name in ('slow_tracking_per_dab', 'hardness'):  # By dab, and a ratio.
    assert new[name] == changed[name]
    assert settings[name]['inputs']['random'] == [[0, 1], [1, 2]]
  assert enlarged.seconds_per_point == factor * strokes.SECONDS_PER_POINT


def test_an_edge_of_one_pixel_stays_one():
  settings = painting.PaintingSettings()
  pen = library.read_brush('classic/pen')
  new = json.loads(enlargement.enlarge(settings, pen, 512).brush)
  assert new['settings']['anti_aliasing']['base_value'] == 1.0


@pytest.mark.parametrize('size', [63, 8193])
def test_size_out_of_range(size):
  with pytest.raises(ValueError, match=rf'size is {size}, .*from 64.* to 8192'):
    painting.PaintingRenderer(painting.PaintingSettings(), size=size)


def test_a_file_that_is_no_brush_is_refused_at_any_size(tmp_path, backend):
  (tmp_path / 'bad.myb').write_text('{"settings": []}')
  settings = painting.PaintingSettings(brush='bad', brushes_path=str(tmp_path))
  with pytest.raises(ValueError, match='does not take the brush'):
    painting.PaintingRenderer(settings, backend=backend, size=128)


def test_filters_that_do_nothing_do_nothing_at_any_size():
  brush = json.loads(library.read_brush('classic/pen'))
  brush['settings']['direction_filter'] = {'base_value': -90.0, 'inputs': {}}
  enlarged = enlargement.enlarge(
      painting.PaintingSettings(), json.dumps(brush).encode(), 512
  )
  settings = json.loads(enlarged.brush)['settings']
  assert settings['direction_filter']['base_value'] == -90.0
  assert settings['speed1_slowness']['base_value'] == pytest.approx(
      8 * brush['settings']['speed1_slowness']['base_value']
  )
