"""Where brushes begin and end to paint, against what libmypaint paints."""

import json

import numpy as np
import pytest

from environments import painting
from environments.painting import brush_response
from environments.painting import dabs
from environments.painting import library

_ROW = 16 * 32


def _reach(program):
  curves = program.curves()
  return curves, dabs.reach(curves, library.read_brush(program.settings.brush))


def _settings(program):
  return brush_response.read(library.read_brush(program.settings.brush))


def _line(size, brush='classic/pen', ends=(2, 29), pressure=9):
  """Returns a move and strokes from one place in a row to the next."""
  settings = painting.PaintingSettings(
      canvas_size=512, brush=brush, brush_sizes=(size,)
  )
  count = len(ends)
  return painting.Program(
      settings,
      {
          'flag': [0] + [1] * (count - 1),
          'end': [_ROW + end for end in ends],
          'control': [0]
          + [_ROW + (a + b) // 2 for a, b in zip(ends, ends[1:])],
          'pressure': [pressure] * count,
      },
  )


def _ink_ends(program):
  """Returns the first and the last column where it is half black."""
  ink = program.render()[:, :, 0].min(0) < 128
  return np.flatnonzero(ink)[[0, -1]]


@pytest.mark.parametrize('size', [4, 16, 32])
def test_pens_paint_from_the_first_dab_to_the_last(size):
  program = _line(size, ends=(6, 25))
  curves, reach = _reach(program)
  assert reach[0] is None
  (first, last), curve = reach[1], curves[1]
  radius = size * _settings(program).at(1.0, curve.speed(0.5)).radius
  found = np.array([curve.place(first)[0], curve.place(last)[0]])
  seen = _ink_ends(program) + [radius, -radius]
  np.testing.assert_allclose(found, seen, atol=2 + 0.05 * size)
  # Which is not where the command begins and ends.
  assert found[0] - curve.start[0] > 0.3 * size
  assert curve.end[0] - found[1] > 0.1 * size


def test_a_stroke_goes_on_where_the_one_before_ended():
  program = _line(24, ends=(2, 14, 29))
  curves, (_, first, second) = _reach(program)
  # A brush that is on its way paints from the start on: less is missing than
  # at the start of the first stroke.
  missing = [
      curve.place(reach[0])[0] - curve.start[0]
      for curve, reach in ((curves[1], first), (curves[2], second))
  ]
  assert missing[1] < missing[0] / 2
  whole = painting.Program(
      program.settings,
      {name: part[:2] for name, part in program.commands.items()},
  )
  assert _reach(whole)[1] == [None, first]


def test_no_dab_on_a_stroke_that_is_too_short():
  program = _line(40, ends=(2, 3))
  assert _reach(program)[1] == [None, None]
  assert program.render().min() == 255
  assert '<path' not in program.to_svg()


@pytest.mark.parametrize(
    'brush',
    [
        'classic/pen',
        'classic/calligraphy',
        'classic/dry_brush',
        'classic/slow_ink',
        'classic/marker_small',
    ],
)
def test_strokes_without_a_dab_paint_nothing(brush):
  rng = np.random.default_rng(0)
  settings = painting.PaintingSettings(
      canvas_size=128, brush=brush, brush_sizes=(4, 16, 40)
  )
  count, found = 60, set()
  commands = {
      name: rng.integers(part.num_values, size=count)
      for name, part in settings.action_spec().items()
  }
  # Single strokes, many of which are short beside the brush.
  for t in range(count):
    end = commands['end'][t]
    other = (end // 32 + rng.integers(-2, 3)) % 32 * 32 + (
        end % 32 + rng.integers(-2, 3)
    ) % 32
    program = painting.Program(
        settings,
        {
            **{name: part[[t, t]] for name, part in commands.items()},
            'flag': [0, 1],
            'end': [end, other],
            'control': [end, other],
        },
    )
    times = _reach(program)[1][1]
    found.add(times is None)
    if times is None:
      ink = 255 - program.render().astype(float)
      assert ink.sum() / 255 < 1, (t, ink.sum() / 255)
  assert False in found


@pytest.mark.parametrize(
    'brush', ['classic/pen', 'classic/calligraphy', 'classic/charcoal']
)
def test_parameters_are_in_order_and_within_the_curve(brush):
  rng = np.random.default_rng(0)
  settings = painting.PaintingSettings(brush=brush, brush_sizes=(1, 4, 24))
  spec = settings.action_spec()
  program = painting.Program(
      settings,
      {
          name: rng.integers(part.num_values, size=60)
          for name, part in spec.items()
      },
  )
  curves, found = _reach(program)
  assert sum(times is not None for times in found) > 10
  for curve, times in zip(curves, found):
    if times is not None:
      assert curve.is_paint and 0 <= times[0] <= times[1] <= 1


def test_a_brush_of_countless_dabs_paints_the_whole_curve():
  brush = json.loads(library.read_brush('classic/pen'))
  brush['settings']['dabs_per_second'] = {'base_value': 1e9, 'inputs': {}}
  program = _line(4)
  found = dabs.reach(program.curves(), json.dumps(brush).encode())
  assert found[0] is None
  np.testing.assert_allclose(found[1], (0.0, 1.0), atol=1e-6)
