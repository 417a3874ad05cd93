"""Recognition of digits, with the right to refuse what is none.

The judge comes with the package: `experiments/tools/train_judge.py` trained it
on digits and on noise, strokes and letters. It knows no image of the data that
comes with the package, and no drawing of an agent. It reads dark ink on white
paper at any size.

Axes: N images, H height, W width, C channels, F features, E members.
"""

from collections.abc import Callable
import functools
import pathlib
from typing import Any, NamedTuple

import chex
from flax import linen as nn
from flax import traverse_util
import jax
import jax.numpy as jnp
import numpy as np

from spiral_jax.evaluation import images as images_lib

NO_DIGIT = -1
WEIGHTS = pathlib.Path(__file__).parent / 'judge.npz'
SIZE = 32  # Height and width of the network's input, pixels.
MEMBERS = 3

_CELL = 4
_CHUNK = 100  # Images per call; what they need fits into the cache.
_CLASSES = 11  # The last is what is no digit.
_CONFIDENCE = 0.5  # Least mean probability of a digit.


class Recognition(NamedTuple):
  """Shares of images that the judge reads as the digit of the target."""

  reconstructions: float
  targets: float  # The same for the targets themselves, an upper limit.


def is_digit(images: np.ndarray) -> np.ndarray:
  """Returns whether each image is a legible digit, bool `[N]`.

  Args:
    images: dark ink on white, `[N, H, W, C]`, uint8 or floats in [0, 1], of any
      height and width.

  Raises:
    ValueError: if the shape or the values are others.
  """
  return read_digits(images) != NO_DIGIT


def read_digits(images: np.ndarray) -> np.ndarray:
  """Returns the digit that each image is, or -1 for none, int32 `[N]`.

  An image is a digit if all members of the ensemble read the same one, with a
  mean probability of one half.

  Args:
    images: as for `is_digit`.
  """
  return read(images)[0]


def digit_features(images: np.ndarray) -> np.ndarray:
  """Returns the last hidden layer of one member, float32 `[N, F]`.

  Args:
    images: as for `is_digit`.
  """
  (features,) = _in_chunks(_features, images)
  return features


def read(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
  """Returns `read_digits` and `digit_features` of images in one pass."""
  digits, features = _in_chunks(_apply, images)
  return digits, features


def _in_chunks(
    function: Callable[..., tuple[chex.Array, ...]], images: np.ndarray
) -> tuple[np.ndarray, ...]:
  """Returns what a function of parameters and ink returns, `[N, ...]` each."""
  ink = read_ink(images)
  # Pads to whole chunks, one at least: a single compiled function serves all.
  missing = -len(ink) % _CHUNK if len(ink) else _CHUNK
  padded = np.pad(ink, ((0, missing), (0, 0), (0, 0)))
  outputs = [
      function(_params(), padded[i : i + _CHUNK])
      for i in range(0, len(padded), _CHUNK)
  ]
  return tuple(np.concatenate(part)[: len(ink)] for part in zip(*outputs))


def evaluate_recognition(
    reconstructions: np.ndarray, targets: np.ndarray, labels: np.ndarray
) -> Recognition:
  """Returns the recognition accuracy of reconstructions and of targets.

  Args:
    reconstructions: `[N, H, W, C]`, uint8 or floats in [0, 1].
    targets: images of digits in the same form and order.
    labels: the targets' digits, integers `[N]`.

  Raises:
    ValueError: if the three differ in number, are empty, or labels are not
      `[N]`.
  """
  if not len(reconstructions) == len(targets) == len(labels) > 0:
    raise ValueError(
        f'{len(reconstructions)} reconstructions, {len(targets)} targets and '
        f'{len(labels)} labels: give as many of each, one at least'
    )
  labels = np.asarray(labels)
  if labels.ndim != 1:
    raise ValueError(f'labels have shape {labels.shape}: give [N]')
  return Recognition(
      *(
          float(np.mean(read_digits(images) == labels))
          for images in (reconstructions, targets)
      )
  )


def read_ink(images: np.ndarray) -> np.ndarray:
  """Returns the ink of images, float32 `[N, 32, 32]`, 0 white to 1 black.

  Each value is the mean over an area of the image.

  Args:
    images: as for `is_digit`.
  """
  images = np.asarray(images)
  if images.ndim != 4:
    raise ValueError(f'images have shape {images.shape}: give [N, H, W, C]')
  rows, columns = (_area_weights(n) for n in images.shape[1:3])
  ink = np.empty((len(images), SIZE, SIZE), np.float32)
  for i in range(0, len(images), _CHUNK):
    gray = images_lib.unit(images[i : i + _CHUNK]).mean(axis=-1)
    ink[i : i + _CHUNK] = 1 - rows @ gray @ columns.T
  return ink


def _area_weights(size: int) -> np.ndarray:
  """Returns the weights that average `size` pixels to 32, `[32, size]`."""
  ends = np.arange(SIZE + 1) * size / SIZE
  cells = np.arange(size)
  overlap = np.minimum(ends[1:, None], cells + 1) - np.maximum(
      ends[:-1, None], cells
  )
  return (np.maximum(overlap, 0) * SIZE / size).astype(np.float32)


class Network(nn.Module):
  """Maps ink `[N, 32, 32]` to logits `[N, 11]` and features `[N, F]`.

  Designed for two CPU cores: all convolutions are 3x3 on 8x8 cells.
  """

  channels: int = 32
  blocks: int = 2  # Residual blocks of two convolutions.
  features: int = 64
  dropout: float = 0.0  # Before the features.

  @nn.compact
  def __call__(
      self, ink: chex.Array, train: bool = False
  ) -> tuple[chex.Array, chex.Array]:
    """Returns logits and features; `train` drops units at random."""
    grid = SIZE // _CELL
    cells = ink.reshape(-1, grid, _CELL, grid, _CELL).swapaxes(2, 3)
    x = cells.reshape(-1, grid, grid, _CELL * _CELL)
    x = nn.Conv(self.channels, (3, 3))(x)
    for _ in range(self.blocks):
      y = nn.Conv(self.channels, (3, 3))(nn.relu(x))
      x += nn.Conv(self.channels, (3, 3))(nn.relu(y))
    x = nn.relu(x).reshape(len(x), -1)
    x = nn.Dropout(self.dropout, deterministic=not train)(x)
    features = nn.relu(nn.Dense(self.features)(x))
    return nn.Dense(_CLASSES)(features), features


@functools.cache
def _params() -> dict[str, Any]:
  """Returns the ensemble's parameters; leaves `[E, ...]`."""
  with np.load(WEIGHTS) as arrays:
    flat = {name: arrays[name].astype(np.float32) for name in arrays}
  return {'params': traverse_util.unflatten_dict(flat, sep='/')}


@jax.jit
def _features(params: dict[str, Any], ink: chex.Array) -> tuple[chex.Array]:
  """Returns features of the first member, `[N, F]`."""
  first = jax.tree.map(lambda weights: weights[0], params)
  _, features = Network().apply(first, ink)  # type: ignore[misc]
  return (features,)


@jax.jit
def _apply(
    params: dict[str, Any], ink: chex.Array
) -> tuple[chex.Array, chex.Array]:
  """Returns digits int32 `[N]`, -1 for none, and features `[N, F]`."""
  apply: Any = jax.vmap(Network().apply, in_axes=(0, None))
  logits, features = apply(params, ink)
  probs = jax.nn.softmax(logits).mean(0)
  digits = probs[:, :-1].argmax(-1)
  is_one = (logits.argmax(-1) == digits).all(0)
  is_one &= probs[:, :-1].max(-1) >= _CONFIDENCE
  return jnp.where(is_one, digits, NO_DIGIT).astype(jnp.int32), features[0]
