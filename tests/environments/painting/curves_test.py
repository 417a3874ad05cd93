"""What commands mean, against the strokes that are painted."""

import numpy as np

from environments import painting
from environments.painting import curves as curves_lib
from environments.painting import strokes
from tests.environments.painting import golden


def test_curves_are_the_strokes_that_are_painted():
  programs = [program for program, _ in golden.programs()]
  assert {program.settings.color for program in programs} == {True, False}
  for program in programs:
    maker = strokes.StrokeMaker(program.settings, 1)
    for t, curve in enumerate(program.curves()):
      stroke = maker.make(
          {name: part[t : t + 1] for name, part in program.commands.items()}
      )
      points = stroke.points[0]
      assert curve.is_paint == stroke.is_paint[0]
      assert curve.is_jump == stroke.is_jump[0]
      np.testing.assert_allclose(curve.start, points[0, :2])
      np.testing.assert_allclose(curve.end, points[-1, :2])
      middle = 0.25 * np.add(curve.start, curve.end) + 0.5 * np.array(
          curve.control
      )
      np.testing.assert_allclose(middle, points[25, :2], rtol=1e-6)
      np.testing.assert_allclose(
          [curve.first_pressure, curve.last_pressure], points[[0, -1], 2]
      )
      np.testing.assert_allclose(
          np.log(curve.radius), stroke.log_radius[0], rtol=1e-6
      )
      if not curve.is_paint:
        continue
      times = np.linspace(0, 1, len(points))
      places = np.array([curve.place(t) for t in times])
      np.testing.assert_allclose(places, points[:, :2], atol=1e-4)
      np.testing.assert_allclose(
          [curve.pressure(t) for t in times], points[:, 2], atol=1e-6
      )
      seconds = strokes.SECONDS_PER_POINT
      # Of a parabola, the differences of neighbors are exact.
      steps = np.linalg.norm(places[2:] - places[:-2], axis=-1)
      np.testing.assert_allclose(
          [curve.speed(t) for t in times[1:-1]], steps / 2 / seconds, atol=1e-4
      )
      part = curve.part(0.2, 0.7)
      np.testing.assert_allclose(part.place(0.4), curve.place(0.4), atol=1e-9)
      assert np.isclose(part.pressure(0.4), curve.pressure(0.4))


def test_color_is_red_green_blue_and_ink_is_black_without():
  settings = painting.PaintingSettings(color=True)
  commands = {name: np.zeros(1, int) for name in settings.action_spec()}
  commands |= {'red': np.array([19]), 'blue': np.array([1])}
  (curve,) = curves_lib.curves(settings, commands)
  np.testing.assert_allclose(curve.color, (1, 0, 1 / 19))
  gray = painting.PaintingSettings()
  (curve,) = curves_lib.curves(
      gray, {name: np.zeros(1, int) for name in gray.action_spec()}
  )
  assert curve.color == (0, 0, 0)
