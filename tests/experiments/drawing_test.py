"""Painterly rendering, which drawings are compared with."""

import numpy as np

from experiments.drawing import painterly


def _image():
  y, x = np.mgrid[:96, :128]
  image = np.full((96, 128, 3), (200, 60, 40), np.uint8)
  image[np.hypot(y - 48, x - 64) < 30] = (40, 60, 200)
  return image


def test_more_strokes_are_nearer():
  image = _image()
  paper = np.broadcast_to(image.mean((0, 1)), image.shape)
  errors = [
      float(((painterly.paint(image, n) - image.astype(float)) ** 2).mean())
      for n in (20, 200)
  ]
  blank = float(((paper - image) ** 2).mean())
  assert errors[1] < 0.5 * errors[0] and errors[1] < 0.3 * blank


def test_no_more_strokes_than_allowed(monkeypatch):
  drawn = []
  real = painterly._draw
  monkeypatch.setattr(
      painterly, '_draw', lambda *args: drawn.append(1) or real(*args)
  )
  canvas, count = painterly._paint(_image(), 30.0, 1000, 0)
  assert count == len(drawn) > 10
  assert canvas.shape == (96, 128, 3)
  drawn.clear()
  _, count = painterly._paint(_image(), 30.0, 5, 0)
  assert count > 5 and len(drawn) <= 5


def test_strokes_follow_edges_across_the_gradient():
  y, x = np.mgrid[:64, :64]
  image = np.repeat((4.0 * y)[..., np.newaxis], 3, axis=-1)
  gradient = np.stack(np.gradient(image[..., 0]), axis=-1)
  stroke = painterly._stroke(
      32, 60, 4.0, np.full_like(image, 255.0), image, gradient
  )
  assert len(stroke.points) > 5
  assert np.ptp(stroke.points[:, 1]) < 1 < np.ptp(stroke.points[:, 0])
