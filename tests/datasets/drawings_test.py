"""Drawings told from photographs, and their ink and paper."""

import numpy as np
from PIL import Image
from PIL import ImageDraw
import pytest

from spiral_jax import datasets
from spiral_jax.datasets import drawings

SIZE = 240
BLACK, WHITE = (0, 0, 0), (255, 255, 255)


def lines(width=8, size=SIZE):
  """Returns the share of ink of a circle with a line, `[size, size, 1]`."""
  image = Image.new('L', (size, size))
  draw = ImageDraw.Draw(image)
  low, high = size * 0.3, size * 0.7
  draw.ellipse([low, low, high, high], outline=255, width=width)
  draw.line([(size * 0.1, low), (size * 0.9, high)], fill=255, width=width)
  return np.asarray(image)[..., np.newaxis] / 255


def page(ink, paper=WHITE, color=BLACK, light=1.0, noise=0.0):
  """Returns a drawing as a camera sees it, `[H, W, 3]`."""
  shown = (1 - ink) * np.array(paper) + ink * np.array(color)
  grains = np.random.default_rng(0).normal(0, 1, shown.shape) * noise
  return (shown * light + grains).clip(0, 255).astype(np.uint8)


def slope(least, most, size=SIZE):
  """Returns light that falls in from a corner, `[size, size, 1]`."""
  way = np.linspace(0, 0.5, size)
  return (least + (most - least) * (way + way[:, None]))[..., np.newaxis]


def lamp(size=SIZE):
  """Returns light that fades away from the middle, `[size, size, 1]`."""
  way = np.linspace(-1, 1, size) ** 2
  return np.exp(-0.6 * (way + way[:, None]))[..., np.newaxis]


def hand(size=SIZE):
  """Returns light with a shadow that has an edge, `[size, size, 1]`."""
  light = np.ones((size, size, 1))
  light[:, size * 5 // 9 :] = 0.75
  return light


PAGES = {
    'black on white': page(lines()),
    'chalk on a gray board': page(lines(), (100,) * 3, (200,) * 3, noise=6),
    'chalk in uneven light': page(
        lines(), (110,) * 3, (180,) * 3, slope(0.6, 1.3), 5
    ),
    'chalk on a green board': page(lines(), (50, 90, 60), (220,) * 3, noise=6),
    'white on black': page(lines(), BLACK, WHITE),
    'uneven paper': page(lines(), (200, 195, 180), (50,) * 3, slope(0.3, 1), 3),
    'pencil on uneven paper': page(
        lines(), (210,) * 3, (140,) * 3, slope(0.5, 1.1), 3
    ),
    'below a lamp': page(lines(), (220,) * 3, (30,) * 3, lamp(), 2),
    'in a shadow': page(lines(), (210, 205, 195), (60,) * 3, hand(), 3),
    'blue ballpoint': page(lines(), (245, 240, 230), (40, 50, 130), noise=3),
    'pencil on yellow paper': page(lines(), (240, 230, 170), (90,) * 3),
}


@pytest.mark.parametrize('name', PAGES)
def test_ink_is_black_and_paper_white_wherever_light_falls(name):
  look = drawings.look(PAGES[name])
  is_light = 'chalk' in name or 'white on' in name
  assert look == drawings.Look(True, is_light, False)
  gray = np.asarray(Image.fromarray(PAGES[name]).convert('L'))[..., np.newaxis]
  image = drawings.in_ink(gray, 1, is_light=look.is_light) / 255
  ink = lines() > 0.5
  assert image[ink].mean() < 0.15 and np.quantile(image[ink], 0.95) < 0.4
  paper = image[lines() == 0]
  assert paper.mean() > 0.97 and np.quantile(paper, 0.01) > 0.7


@pytest.mark.parametrize(
    'color', [(220, 30, 30), (0, 140, 40), (30, 60, 220), (230, 120, 0)]
)
@pytest.mark.parametrize('width', [2, 20])
def test_colored_ink(color, width):
  look = drawings.look(page(lines(width), color=color))
  assert look.is_drawing and look.is_colored


def test_an_empty_page_has_no_ink():
  for shade in (20, 128, 255):
    empty = page(np.zeros((SIZE, SIZE, 1)), (shade,) * 3, noise=3)
    assert drawings.look(empty) == drawings.Look(True, False, False)
    np.testing.assert_array_equal(drawings.in_ink(empty, 1), empty)


def faces():
  return datasets.load('celeba', 'test', size=128).images[:12]


def cut_out(face, ground):
  """Returns the middle of a photograph, an oval, on a ground."""
  way = np.linspace(-1, 1, len(face))
  is_face = (way / 0.6) ** 2 + (way[:, None] / 0.8) ** 2 < 1
  return np.where(is_face[..., np.newaxis], face, ground).astype(np.uint8)


def on_a_page(face, ground):
  """Returns a small photograph on a large page."""
  image = np.full((2 * SIZE, 2 * SIZE, 3), ground, np.uint8)
  image[120 : 120 + 128, 200 : 200 + 128] = face
  return image


@pytest.mark.parametrize('change', [cut_out, on_a_page])
@pytest.mark.parametrize('ground', [255, 200, 0])
def test_a_photograph_on_an_even_ground_is_a_photograph(change, ground):
  found = [drawings.look(change(face, ground)) for face in faces()]
  assert not any(look.is_drawing for look in found)


@pytest.mark.parametrize('size', [28, 280])
def test_thick_digits_are_drawings(size):
  digits = [
      np.asarray(Image.fromarray(digit).resize((size, size)))
      for digit in datasets.load('mnist', 'test', size=28, channels=3).images[
          :30
      ]
  ]
  assert all(drawings.look(digit).is_drawing for digit in digits)
  assert all(drawings.look(255 - digit).is_light for digit in digits)


@pytest.mark.parametrize('width', [1, 2, 5])
@pytest.mark.parametrize('contrast', [1.0, 0.15])
def test_hairlines_become_as_wide_as_asked(width, contrast):
  ink = lines(width, size=600)
  shade = round(255 * (1 - contrast))
  image = drawings.in_ink(page(ink, color=(shade,) * 3), 9)
  dark = image[..., 0] < 128
  # Ink along the line that crosses the middle of the left part.
  column = dark[:, 90]
  assert 7 <= column.sum() <= 14
  assert dark.mean() < 0.1


def test_strokes_of_enough_width_are_left_alone():
  thick = page(lines(20))
  np.testing.assert_array_equal(drawings.in_ink(thick, 9), thick)
