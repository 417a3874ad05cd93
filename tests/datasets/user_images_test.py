"""Images of every kind and of either polarity, as an agent sees them."""

import os

import numpy as np
from PIL import Image
from PIL import ImageDraw
import pytest

from spiral_jax import datasets
from spiral_jax.datasets import user_images

GRAY, COLOR = 1, 3  # Channels.


def save(path, array, **kwargs):
  Image.fromarray(array).save(path, **kwargs)
  return path


_RINGING = 8  # Shades by which scaling overshoots beside an edge.


def ink(size=40):
  """Returns a black square on white, `[size, size]`."""
  image = np.full((size, size), 255, np.uint8)
  image[size // 4 : size // 2, size // 4 : size // 2] = 0
  return image


def read(path, channels=GRAY, **kwargs):
  _, (image,) = user_images.read(path, size=16, channels=channels, **kwargs)
  return image


def kind(path):
  (guess,) = user_images.kinds(path).values()
  return guess


@pytest.mark.parametrize(
    'invert, is_inverted',
    [
        ('auto', True),
        ('yes', True),
        ('no', False),
    ],
)
def test_white_on_black_is_inverted(tmp_path, invert, is_inverted):
  path = save(tmp_path / 'a.png', 255 - ink())
  image = read(path, invert=invert)
  assert image.shape == (16, 16, 1)
  assert image[0, 0] == (255 if is_inverted else 0)
  assert image[6, 6] == (0 if is_inverted else 255)


def test_auto_leaves_black_on_white_color_and_dark_pages_alone(tmp_path):
  image = read(save(tmp_path / 'a.png', ink()))
  assert image[0, 0] == 255 and image[6, 6] == 0
  image = read(save(tmp_path / 'b.png', 255 - ink()), COLOR)
  assert image.shape == (16, 16, 3) and (image[0, 0] == 0).all()
  night = save(tmp_path / 'c.png', np.full((9, 9), 20, np.uint8))
  assert read(night).max() == 20


@pytest.mark.parametrize('shade', [0, 60, 150, 230, 255])
def test_ink_of_any_shade_on_nothing_is_dark_ink_on_paper(tmp_path, shade):
  rgba = np.zeros((40, 40, 4), np.uint8)
  rgba[..., :3] = shade
  rgba[..., 3] = 255 - ink()
  image = read(save(tmp_path / 'a.png', rgba))
  assert image[0, 0] == 255 and image[6, 6] == 0
  # Only what is told can be known of colors.
  image = read(tmp_path / 'a.png', COLOR)
  assert (image[0, 0] == 255).all()
  np.testing.assert_allclose(image[6, 6], shade, atol=_RINGING)
  image = read(tmp_path / 'a.png', COLOR, invert='yes')
  assert (image[0, 0] == 255).all()
  np.testing.assert_allclose(image[6, 6], 255 - shade, atol=_RINGING)


@pytest.mark.parametrize('invert', ['auto', 'yes'])
def test_what_is_added_to_an_image_is_its_paper(tmp_path, invert):
  wide = np.zeros((20, 60), np.uint8)
  wide[5:15, 25:35] = 255
  image = read(save(tmp_path / 'a.png', wide), invert=invert, fit='pad')
  assert (image[:4] == 255).all() and (image[-4:] == 255).all()
  assert image[8, 8] == 0 and image[8, 0] == 255


@pytest.mark.parametrize(
    'contrast, paper, darkest',
    [
        ('auto', 255, 0),
        ('yes', 255, 0),
        ('no', 180, 90),
    ],
)
def test_drawings_on_gray_paper(tmp_path, contrast, paper, darkest):
  page = np.where(ink(), 180, 90).astype(np.uint8)
  image = read(save(tmp_path / 'a.png', page), contrast=contrast)
  assert image[0, 0] == paper
  np.testing.assert_allclose(image[6, 6], darkest, atol=_RINGING)


def test_thin_lines_do_not_fade(tmp_path):
  page = Image.new('L', (800, 800), 255)
  ImageDraw.Draw(page).line([(150, 200), (600, 650)], fill=0, width=6)
  page.save(tmp_path / 'a.png')
  faint = read(tmp_path / 'a.png', contrast='no')
  assert faint.min() > 100
  image = read(tmp_path / 'a.png')
  assert image.min() == 0
  assert np.mean(image >= 250) > 0.7


def test_contrast_leaves_photographs_and_empty_pages_alone(tmp_path):
  ramp = np.tile(np.linspace(60, 200, 40).astype(np.uint8), (40, 1))
  image = read(save(tmp_path / 'a.png', ramp))
  assert image.min() > 55 and image.max() < 205
  speck = np.full((40, 40), 240, np.uint8)
  speck[10, 10] = 230
  assert read(save(tmp_path / 'b.png', speck)).max() <= 241
  colored = np.where(ink(), 180, 90).astype(np.uint8)
  assert read(save(tmp_path / 'c.png', colored), COLOR).max() < 200


@pytest.mark.parametrize(
    'dataset, channels, expected',
    [
        ('mnist', 1, 'drawing'),
        ('omniglot', 1, 'drawing'),
        ('celeba', 3, 'photograph'),
    ],
)
def test_drawings_are_told_from_photographs(
    tmp_path, dataset, channels, expected
):
  images = datasets.load(dataset, 'test', size=64, channels=channels).images
  for i, image in enumerate(images[:40]):
    path = save(tmp_path / f'{i}.png', image.squeeze())
    assert kind(path) == expected
    if expected == 'photograph':  # Nor is it mistaken for one in gray.
      gray = read(path, contrast='auto')
      np.testing.assert_array_equal(gray, read(path, contrast='no'))


def test_a_drawing_on_nothing_and_one_in_white_are_drawings(tmp_path):
  rgba = np.zeros((40, 40, 4), np.uint8)
  rgba[..., 3] = 255 - ink()
  assert kind(save(tmp_path / 'a.png', rgba)) == 'drawing'
  assert kind(save(tmp_path / 'b.png', 255 - ink())) == 'drawing'


def test_kinds_are_guessed_for_each_image(tmp_path):
  portraits = datasets.load('celeba', 'test').images
  for i in range(3):
    save(tmp_path / f'drawing{i}.png', np.roll(ink(), 2 * i))
  for i in range(2):
    save(tmp_path / f'photo{i}.webp', portraits[i])
  red = np.where(ink()[..., np.newaxis], 255, [220, 30, 30])
  save(tmp_path / 'red.png', red.astype(np.uint8))
  (tmp_path / 'broken.jpg').write_bytes(b'junk')
  assert user_images.kinds(tmp_path) == {
      'drawing0': 'drawing',
      'drawing1': 'drawing',
      'drawing2': 'drawing',
      'photo0': 'photograph',
      'photo1': 'photograph',
      'red': 'colored drawing',
  }


@pytest.mark.parametrize('least', [0, 130])
def test_a_photograph_that_is_cut_out_is_neither_drawing_nor_inverted(
    tmp_path, least
):
  portrait = datasets.load('celeba', 'test').images[0].astype(float)
  rgba = np.zeros((64, 64, 4), np.uint8)
  rgba[..., :3] = least + portrait * (255 - least) / 255
  rgba[12:52, 12:52, 3] = 255
  path = save(tmp_path / 'a.png', rgba)
  assert kind(path) == 'photograph'
  image = read(path)
  assert image[0, 0] == 255
  luma = rgba[16:48, 16:48, :3] @ np.array([0.299, 0.587, 0.114])
  np.testing.assert_allclose(image[4:12, 4:12].mean(), luma.mean(), atol=4)


def test_chalk_is_dark_ink_on_paper_and_photographs_at_night_are_not(tmp_path):
  board = np.where(ink(), 100, 200).astype(np.uint8)
  image = read(save(tmp_path / 'a.png', board))
  assert image[0, 0] == 255 and image[6, 6] == 0
  portrait = datasets.load('celeba', 'test', channels=1).images[0, ..., 0]
  night = np.pad(portrait, 8)
  image = read(save(tmp_path / 'b.png', night))
  assert image[0, 0] == 0 and image.max() > 100


def test_hairlines_of_a_large_scan_are_seen(tmp_path):
  page = Image.new('1', (6000, 5000), 1)
  ImageDraw.Draw(page).line([(1500, 1500), (4500, 3500)], fill=0, width=2)
  page.save(tmp_path / 'a.png')
  image = read(tmp_path / 'a.png')
  assert image.min() < 30
  assert 0.05 < np.mean(image < 128) < 0.15


def test_names_that_are_not_utf_8_can_be_printed(tmp_path):
  for name in (b'caf\xe9.png', b'caf\xe8.png'):
    with open(os.fsencode(tmp_path) + b'/' + name, 'wb') as file:
      Image.fromarray(ink()).save(file, 'PNG')
  names, _ = user_images.read(tmp_path, size=16, channels=1)
  assert names == ['caf\ufffd.png', 'caf\ufffd.png_']
  assert '\n'.join(names).encode()


def test_damaged_images_of_a_folder_are_left_out(tmp_path):
  save(tmp_path / 'a.png', ink())
  (tmp_path / 'b.png').write_bytes(b'junk')
  names, images = user_images.read(tmp_path, size=16, channels=1)
  assert names == ['a'] and images.shape == (1, 16, 16, 1)
  (tmp_path / 'a.png').write_bytes(b'junk')
  with pytest.raises(ValueError, match='a.png cannot be read'):
    user_images.read(tmp_path, size=16, channels=1)


def test_a_folder_is_read_in_order_and_names_differ(tmp_path):
  (tmp_path / 'more').mkdir()
  files = ('a.png', 'b.jpg', 'b.png', 'more/a.png', 'more_a.jpg', 'more_a.png')
  for i, name in enumerate(files):
    save(tmp_path / name, np.full((8, 8), 200 + 10 * i, np.uint8))
  (tmp_path / 'notes.txt').write_text('no image')
  names, images = user_images.read(tmp_path, size=16, channels=1)
  assert names == [
      'a',
      'b.jpg',
      'b.png',
      'more_a.png',
      'more_a.jpg',
      'more_a.png_',
  ]
  np.testing.assert_allclose(
      images[:, 8, 8, 0], [200, 210, 220, 230, 240, 250], atol=1
  )


def test_images_of_every_kind(tmp_path):
  gray = np.full((20, 20), 200, np.uint8)
  cmyk = Image.new('CMYK', (20, 20), (0, 0, 0, 55))
  cmyk.save(tmp_path / 'cmyk.jpg', quality=100)
  save(tmp_path / 'deep.png', gray.astype(np.uint16) * 257)
  save(tmp_path / 'gray.png', gray)
  save(tmp_path / 'pixel.png', gray[:1, :1])
  Image.new('1', (10_000, 10_000), 1).save(tmp_path / 'vast.png')
  names, images = user_images.read(tmp_path, size=16, channels=COLOR)
  assert names == ['cmyk', 'deep', 'gray', 'pixel', 'vast']
  assert images.shape == (5, 16, 16, 3)
  np.testing.assert_allclose(images[:4], 200, atol=3)
  assert (images[4] == 255).all()


@pytest.mark.parametrize(
    'name, words',
    [
        ('x.png', ['x.png does not exist', '--image']),
        ('empty', ['empty has no images', '.png', '--image']),
        ('bad.png', ['bad.png cannot be read', 'no known kind of picture']),
    ],
)
def test_images_that_are_not_there_or_damaged(tmp_path, name, words):
  (tmp_path / 'empty').mkdir()
  (tmp_path / 'bad.png').write_bytes(b'no picture')
  with pytest.raises((ValueError, FileNotFoundError)) as error:
    user_images.read(tmp_path / name, size=16, channels=1)
  assert '\n' not in str(error.value)
  for word in words:
    assert word in str(error.value)
