"""Small image classifier that the evaluation trains itself.

Designed for two CPU cores: pictures are area-averaged to 32x32 and cut into 4x4
cells, and all convolutions are 3x3 on the 8x8 cells. Axes: B images, H height,
W width, C channels, K classes, F features.
"""

import dataclasses
import functools
import hashlib
import io
import pathlib
from typing import Any
import zipfile

from absl import logging
import chex
from flax import linen as nn
from flax import traverse_util
import jax
import jax.numpy as jnp
import numpy as np
import optax

from spiral_jax import files
from spiral_jax.datasets import batches
from spiral_jax.datasets import types
from spiral_jax.evaluation import images as images_lib

_SIZE = 32  # Height and width of the network's input, pixels.
_CELL = 4
_CHUNK = 500  # Images per call.
# Part of the cache key: raise it when the same settings give another
# classifier.
_VERSION = 1


@dataclasses.dataclass(frozen=True)
class ClassifierSettings:
  """Architecture and training of a classifier, all part of its cache key."""

  channels: int = 32
  blocks: int = 1  # Number of residual blocks of two convolutions.
  features: int = 64  # Size of the last hidden layer, F.
  dropout: float = 0.3  # Dropout rate before the features.
  steps: int = 1100
  batch_size: int = 128
  learning_rate: float = 3e-3  # Peak of the one-cycle schedule.
  weight_decay: float = 1e-2
  shift: int = 2  # Largest random shift in each direction, pixels of 32.


class Classifier:
  """Trained classifier of images; see `train_classifier`."""

  def __init__(
      self,
      params: chex.ArrayTree,
      settings: ClassifierSettings,
      num_classes: int,
  ):
    """Wraps trained parameters."""
    self._params = params
    self._settings = settings
    self.num_classes = num_classes

  def logits(self, images: np.ndarray) -> np.ndarray:
    """Returns unnormalized log-probabilities, float32 `[B, K]`.

    Args:
      images: dark ink on white, `[B, H, W, C]`, uint8 or floats in [0, 1], of
        any height and width.
    """
    return self.read(images)[0]

  def features(self, images: np.ndarray) -> np.ndarray:
    """Returns the last hidden layer, float32 `[B, F]`, non-negative."""
    return self.read(images)[1]

  def probabilities(self, images: np.ndarray) -> np.ndarray:
    """Returns the probability of each class, float32 `[B, K]`."""
    return np.asarray(jax.nn.softmax(self.logits(images)))

  def read(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns logits `[B, K]` and features `[B, F]` in one pass."""
    ink = _ink(images)
    # Pads to whole chunks, so that a single compiled function serves all sizes.
    padded = np.pad(ink, ((0, -len(ink) % _CHUNK), (0, 0), (0, 0)))
    outputs = [
        _apply(
            self._settings,
            self.num_classes,
            self._params,
            padded[i : i + _CHUNK],
        )
        for i in range(0, len(padded), _CHUNK)
    ]
    if not outputs:
      return (
          np.zeros((0, self.num_classes), np.float32),
          np.zeros((0, self._settings.features), np.float32),
      )
    logits, features = (np.concatenate(part) for part in zip(*outputs))
    return logits[: len(ink)], features[: len(ink)]


def train_classifier(
    images: np.ndarray,
    labels: np.ndarray,
    *,
    settings: ClassifierSettings | None = None,
    seed: int = 0,
    use_cache: bool = True,
) -> Classifier:
  """Returns a classifier of these images, newly trained or from the cache.

  The same arguments give the same classifier on the same machine. Files in the
  user's cache are named by a hash of data, settings and seed.

  Args:
    images: dark ink on white, `[B, H, W, C]`, uint8 or floats in [0, 1].
    labels: integers `[B]`, 0 to K - 1; K is one more than the largest label.
    settings: architecture and training; None means the defaults.
    seed: random seed of initialization, order of images, shifts and dropout.
    use_cache: whether to read from and write to the user's cache.

  Raises:
    ValueError: if there are no images, or the labels are not integers from 0,
      one for each image.
  """
  settings = settings or ClassifierSettings()
  labels = np.asarray(labels)
  if len(images) != len(labels) or not len(images):
    raise ValueError(
        f'{len(images)} images and {len(labels)} labels: a '
        'classifier needs one label an image, and one at least'
    )
  if labels.dtype.kind not in 'iu' or labels.min() < 0:
    raise ValueError(
        f'labels are {labels.dtype} and at least {labels.min()}: '
        'give integers from 0'
    )
  num_classes = int(labels.max()) + 1
  ink = _ink(images)
  path = _path(ink, labels, settings, seed)
  params = _load(path) if use_cache else None
  if params is None:
    params = _train(ink, labels.astype(np.int32), settings, num_classes, seed)
    if use_cache:
      _save(path, params)
  return Classifier(params, settings, num_classes)


def _ink(images: np.ndarray) -> np.ndarray:
  """Returns the ink of images, float32 `[B, 32, 32]`, 0 white to 1 black."""
  images = np.asarray(images)
  if images.ndim != 4:
    raise ValueError(f'images have shape {images.shape}: give [B, H, W, C]')
  rows, columns = (_area_weights(n) for n in images.shape[1:3])
  ink = np.empty((len(images), _SIZE, _SIZE), np.float32)
  for i in range(0, len(images), _CHUNK):
    gray = images_lib.unit(images[i : i + _CHUNK]).mean(axis=-1)
    ink[i : i + _CHUNK] = 1 - rows @ gray @ columns.T
  return ink


def _area_weights(size: int) -> np.ndarray:
  """Returns the weights that average `size` pixels to 32, `[32, size]`."""
  ends = np.arange(_SIZE + 1) * size / _SIZE
  cells = np.arange(size)
  overlap = np.minimum(ends[1:, None], cells + 1) - np.maximum(
      ends[:-1, None], cells
  )
  return (np.maximum(overlap, 0) * _SIZE / size).astype(np.float32)


class _Network(nn.Module):
  """Maps ink `[B, 32, 32]` to logits `[B, K]` and features `[B, F]`."""

  settings: ClassifierSettings
  num_classes: int

  @nn.compact
  def __call__(
      self, ink: chex.Array, train: bool = False
  ) -> tuple[chex.Array, chex.Array]:
    grid = _SIZE // _CELL
    cells = ink.reshape(-1, grid, _CELL, grid, _CELL).swapaxes(2, 3)
    x = cells.reshape(-1, grid, grid, _CELL * _CELL)
    x = nn.Conv(self.settings.channels, (3, 3))(x)
    for _ in range(self.settings.blocks):
      y = nn.Conv(self.settings.channels, (3, 3))(nn.relu(x))
      x += nn.Conv(self.settings.channels, (3, 3))(nn.relu(y))
    x = nn.relu(x).reshape(len(x), -1)
    x = nn.Dropout(self.settings.dropout, deterministic=not train)(x)
    features = nn.relu(nn.Dense(self.settings.features)(x))
    return nn.Dense(self.num_classes)(features), features


@functools.partial(jax.jit, static_argnums=(0, 1))
def _apply(
    settings: ClassifierSettings,
    num_classes: int,
    params: chex.ArrayTree,
    ink: chex.Array,
) -> tuple[chex.Array, chex.Array]:
  """Returns logits `[B, K]` and features `[B, F]`."""
  return _Network(settings, num_classes).apply(params, ink)


def _train(
    ink: np.ndarray,
    labels: np.ndarray,
    settings: ClassifierSettings,
    num_classes: int,
    seed: int,
) -> chex.ArrayTree:
  """Returns parameters after `settings.steps` steps of AdamW."""
  init_key, key = jax.random.split(jax.random.key(seed))
  params, opt_state = _init(settings, num_classes, init_key, ink[:1])
  stream = batches.Batches(
      types.ImageDataset(ink, labels), settings.batch_size, seed
  )
  # A Python loop: inside a scan, XLA's CPU convolutions use one core.
  for i in range(settings.steps):
    batch = next(stream)
    params, opt_state = _step(
        settings,
        num_classes,
        params,
        opt_state,
        jax.random.fold_in(key, i),
        batch.images,
        batch.labels,
    )
  return jax.block_until_ready(params)


@functools.partial(jax.jit, static_argnums=(0, 1))
def _init(
    settings: ClassifierSettings,
    num_classes: int,
    key: chex.PRNGKey,
    ink: chex.Array,
) -> tuple[chex.ArrayTree, optax.OptState]:
  """Returns parameters and optimizer state before the first step."""
  params = _Network(settings, num_classes).init(key, ink)
  return params, _optimizer(settings).init(params)


def _optimizer(settings: ClassifierSettings) -> optax.GradientTransformation:
  """Returns AdamW on a one-cycle schedule."""
  schedule = optax.cosine_onecycle_schedule(
      settings.steps, settings.learning_rate, pct_start=0.2
  )
  return optax.adamw(schedule, weight_decay=settings.weight_decay)


@functools.partial(jax.jit, static_argnums=(0, 1))
def _step(
    settings: ClassifierSettings,
    num_classes: int,
    params: chex.ArrayTree,
    opt_state: optax.OptState,
    key: chex.PRNGKey,
    ink: chex.Array,
    labels: chex.Array,
) -> tuple[chex.ArrayTree, optax.OptState]:
  """Returns parameters and optimizer state after a batch `[B, 32, 32]`."""
  shift_key, dropout_key = jax.random.split(key)
  shifted = _shift(shift_key, ink, settings.shift)

  def loss(params):
    logits, _ = _Network(settings, num_classes).apply(
        params, shifted, train=True, rngs={'dropout': dropout_key}
    )
    return optax.softmax_cross_entropy_with_integer_labels(
        logits, labels
    ).mean()

  updates, opt_state = _optimizer(settings).update(
      jax.grad(loss)(params), opt_state, params
  )
  return optax.apply_updates(params, updates), opt_state


def _shift(key: chex.PRNGKey, ink: chex.Array, most: int) -> chex.Array:
  """Returns images `[B, 32, 32]`, shifted by up to `most` pixels each way."""
  corners = jax.random.randint(key, (len(ink), 2), 0, 2 * most + 1)
  padded = jnp.pad(ink, ((0, 0), (most, most), (most, most)))
  return jax.vmap(
      lambda image, corner: jax.lax.dynamic_slice(image, corner, (_SIZE, _SIZE))
  )(padded, corners)


def _path(
    ink: np.ndarray, labels: np.ndarray, settings: ClassifierSettings, seed: int
) -> pathlib.Path:
  """Returns the cache file of the classifier for these arguments."""
  digest = hashlib.sha256()
  digest.update(repr((_VERSION, settings, seed, ink.shape)).encode())
  digest.update(ink.tobytes())
  digest.update(labels.astype(np.int64).tobytes())
  return files.directory('classifiers') / f'{digest.hexdigest()[:32]}.npz'


def _load(path: pathlib.Path) -> chex.ArrayTree | None:
  """Returns cached parameters, or None if they are missing or unreadable."""
  try:
    with np.load(path, allow_pickle=False) as arrays:
      return traverse_util.unflatten_dict(dict(arrays), sep='/')
  except FileNotFoundError:
    return None
  except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
    logging.warning('%s cannot be read (%s): training again', path, error)
    return None


def _save(path: pathlib.Path, params: chex.ArrayTree) -> None:
  """Caches parameters; a failure to write is only logged."""
  stream = io.BytesIO()
  flat = traverse_util.flatten_dict(params, sep='/')
  arrays: dict[str, Any] = {name: np.asarray(x) for name, x in flat.items()}
  np.savez(stream, **arrays)
  try:
    files.write_atomically(path, lambda file: file.write(stream.getvalue()))
  except OSError as error:
    logging.warning(
        'the classifier is not cached (%s): the next run trains it again', error
    )
