"""Colors against Python's own colorsys."""

import colorsys

import numpy as np
import pytest

from environments.painting import colors


@pytest.mark.parametrize(
    'rgb, hsv',
    [
        ((0, 0, 0), (0, 0, 0)),
        ((1, 1, 1), (0, 0, 1)),
        ((1, 0, 0), (0, 1, 1)),
        ((0, 1, 0), (1 / 3, 1, 1)),
        ((0, 0, 1), (2 / 3, 1, 1)),
        ((1, 0, 1), (5 / 6, 1, 1)),
        ((0.25, 0.5, 0.5), (0.5, 0.5, 0.5)),
    ],
)
def test_known_colors(rgb, hsv):
  np.testing.assert_allclose(colors.rgb_to_hsv(np.array(rgb)), hsv)


def test_every_color_of_a_command_agrees_with_colorsys():
  shades = np.linspace(0, 1, 20)
  rgb = np.stack(np.meshgrid(shades, shades, shades), axis=-1).reshape(-1, 3)
  expected = [colorsys.rgb_to_hsv(*color) for color in rgb]
  np.testing.assert_allclose(colors.rgb_to_hsv(rgb), expected, atol=1e-12)
