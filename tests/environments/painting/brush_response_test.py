"""What brushes make of pressure and speed, in closed form and as painted."""

import json

import numpy as np
import pytest

from environments import painting
from environments.painting import brush_response
from environments.painting import library


def _brush(**settings):
  return json.dumps(
      {
          'version': 3,
          'settings': {
              name: {'base_value': value, 'inputs': {'pressure': curve}}
              for name, (value, curve) in settings.items()
          },
      }
  ).encode()


def test_pressure_bends_radius_and_opacity():
  brush = _brush(
      radius_logarithmic=(7.0, [[0, 0], [0.5, 1], [1, 0]]),
      opaque=(0.8, []),
      opaque_multiply=(0.0, [[0, 0], [1, 1]]),
  )
  found = brush_response.read(brush).at(0.25, speed=0)
  assert found.radius == pytest.approx(np.exp(0.5))
  assert found.opacity == pytest.approx(0.2)


@pytest.mark.parametrize('linearize, opacity', [(1.0, 0.5), (0.0, 1 - 0.5**4)])
def test_dabs_that_overlap_add_up_unless_the_brush_corrects(linearize, opacity):
  brush = _brush(
      opaque=(0.5, []),
      opaque_multiply=(1.0, []),
      dabs_per_actual_radius=(2.0, []),
      opaque_linearize=(linearize, []),
  )
  found = brush_response.read(brush).at(0.3, speed=0)
  assert found.opacity == pytest.approx(opacity)


def test_speeds_are_mapped_as_libmypaint_fixes_them():
  brush = json.dumps(
      {
          'settings': {
              'radius_logarithmic': {
                  'base_value': 2.0,
                  'inputs': {
                      'speed1': [[0, 0], [1, 1]],
                      'speed2': [[0, 0], [1, 2]],
                  },
              },
              'speed1_gamma': {'base_value': 3.0, 'inputs': {}},
              'speed2_gamma': {'base_value': 4.0, 'inputs': {}},
          }
      }
  ).encode()
  settings = brush_response.read(brush)
  # At 45 pixels a second either is 0.5 and grows by 0.015 a pixel a second.
  assert np.log(settings.at(0.5, 45).radius) == pytest.approx(1.5)
  slope = np.log(settings.at(0.5, 45.01).radius / settings.at(0.5, 45).radius)
  assert slope == pytest.approx(0.01 * 3 * 0.015, rel=1e-3)
  # Below 0, where the points of the curve begin, the line goes on.
  assert settings.at(0.5, 0).radius < 1


def _painted_and_expected(pressure):
  """Returns the ink across a pen's line of radius 8, and the response."""
  settings = painting.PaintingSettings(canvas_size=256, brush_sizes=(8,))
  row = 16 * 32
  program = painting.Program(
      settings,
      {
          'flag': [0, 1],
          'end': [row + 2, row + 29],
          'control': [0, row + 15],
          'pressure': [pressure] * 2,
      },
  )
  ink = (255.0 - program.render()[:, 128, 0]) / 255
  _, curve = program.curves()
  return ink, brush_response.read(library.read_brush(settings.brush)).at(
      curve.pressure(0.5), curve.speed(0.5)
  )


@pytest.mark.parametrize('pressure', [0, 4])
def test_a_pen_paints_wider_lines_under_pressure_as_told(pressure):
  ink, expected = _painted_and_expected(pressure)
  full_ink, full = _painted_and_expected(9)
  assert ink.max() == pytest.approx(expected.opacity, abs=0.05)
  # Its soft edge, which is left out, makes a pen narrower.
  assert 0.9 < ink.sum() / (16 * expected.radius) < 1
  assert ink.sum() / full_ink.sum() == pytest.approx(
      expected.radius / full.radius, rel=0.1
  )


@pytest.mark.parametrize(
    'setting, base, inputs, is_deterministic',
    [
        ('radius_logarithmic', 1.0, {'pressure': [[0, 0], [1, 1]]}, True),
        ('radius_by_random', 0.0, {}, True),
        ('radius_by_random', 0.1, {}, False),
        ('offset_by_random', 0.0, {'pressure': [[0, 0], [1, 1]]}, False),
        ('tracking_noise', 0.1, {}, False),
        ('hardness', 0.5, {'random': [[0, 0], [1, 1]]}, False),
        ('hardness', 0.5, {'gridmap_x': [[0, 0], [1, 1]]}, False),
        ('hardness', 0.5, {'random': []}, True),
    ],
)
def test_random_numbers_are_seen(setting, base, inputs, is_deterministic):
  settings = {setting: {'base_value': base, 'inputs': inputs}}
  brush = brush_response.BrushSettings(settings)
  assert brush.is_deterministic() == is_deterministic
