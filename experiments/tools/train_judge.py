"""Trains the judge of digits that comes with the package.

  python experiments/tools/train_judge.py --data_dir=~/data/mnist

The folder has MNIST's official files. The judge learns from the 50,000 training
digits that do not come with the package, and from pictures that are no digits:
noise, strokes, letters, and pieces of digits in the wrong place. It sees no
drawing of an agent, nor any picture that this package's renderers made.

Axes: N images, E members of the ensemble, H and W height and width.
"""

from collections.abc import Callable, Sequence
import functools
import io
import pathlib

from absl import flags
import chex
from flax import traverse_util
import jax
import numpy as np
import optax
from PIL import Image
from PIL import ImageDraw
import scipy.ndimage

from spiral_jax import console
from spiral_jax import datasets
from spiral_jax import files
from spiral_jax.datasets import batches
from spiral_jax.datasets import types
from spiral_jax.evaluation import recognition
from spiral_jax.training import cli

_DATA_DIR = flags.DEFINE_string(
    'data_dir', None, "folder of MNIST's official files", required=True
)
_OUT = flags.DEFINE_string(
    'out', str(recognition.WEIGHTS), 'file of the trained parameters'
)
_STEPS = flags.DEFINE_integer(
    'steps', 2500, 'gradient steps of each member', lower_bound=1
)

_EMBEDDED = 10_000  # Digits that come with the package: not learned from.
_BATCH_SIZE = 128
_LEARNING_RATE = 3e-3  # Peak of the one-cycle schedule.
_WEIGHT_DECAY = 1e-2
_DROPOUT = 0.3
_SIZE = recognition.SIZE


def make_digits(
    rng: np.random.Generator, ink: np.ndarray, copies: int
) -> np.ndarray:
  """Returns digits as other pens and hands would write them.

  Args:
    rng: source of all randomness.
    ink: digits, float32 `[N, 32, 32]`, 0 paper to 1 ink.
    copies: number of versions of each digit.

  Returns:
    Ink uint8 `[copies * N, 32, 32]`.
  """
  result = np.empty((copies, *ink.shape), np.uint8)
  for copy in range(copies):
    for n, digit in enumerate(ink):
      result[copy, n] = _written(rng, digit) * 255
  return result.reshape(-1, _SIZE, _SIZE)


def make_junk(
    rng: np.random.Generator,
    ink: np.ndarray,
    labels: np.ndarray,
    letters: np.ndarray,
    count: int,
) -> np.ndarray:
  """Returns pictures that are no digits, uint8 `[about count, 32, 32]`.

  Args:
    rng: source of all randomness.
    ink: digits, float32 `[N, 32, 32]`.
    labels: their classes, `[N]`.
    letters: ink of letters, float32 `[N', 32, 32]`.
    count: number of pictures.
  """
  turnable = ink[np.isin(labels, (1, 2, 3, 4, 5, 7))]
  kinds: dict[Callable[[], np.ndarray], float] = {
      functools.partial(_noise, rng): 0.1,
      functools.partial(_scribble, rng): 0.3,
      lambda: np.maximum(_some(rng, ink), _scribble(rng, most=6)): 0.07,
      functools.partial(_surface, rng): 0.04,
      lambda: _shuffled(rng, _some(rng, ink)): 0.12,
      lambda: _written(rng, _some(rng, letters)): 0.22,
      lambda: np.rot90(_written(rng, _some(rng, turnable))): 0.05,
      lambda: _overlaid(rng, _some(rng, ink), _some(rng, ink)): 0.05,
      lambda: _quarter(rng, _some(rng, ink)): 0.05,
  }
  pictures = [
      np.clip(make(), 0, 1) * 255
      for make, share in kinds.items()
      for _ in range(round(count * share))
  ]
  return np.stack(pictures).astype(np.uint8)


def _some(rng: np.random.Generator, pictures: np.ndarray) -> np.ndarray:
  return pictures[rng.integers(len(pictures))]


def _written(rng: np.random.Generator, digit: np.ndarray) -> np.ndarray:
  """Returns a glyph, turned, slanted, scaled, thinner or bolder, paler."""
  angle, slant = rng.normal(0, 0.12), rng.normal(0, 0.12)
  matrix = np.array(
      [
          [np.cos(angle), -np.sin(angle) + slant],
          [np.sin(angle), np.cos(angle)],
      ]
  ) * np.exp(rng.normal(0.05, 0.12, (2, 1)))
  center = (_SIZE - 1) / 2 + rng.uniform(-2.5, 2.5, 2)
  offset = (_SIZE - 1) / 2 - matrix @ center
  digit = scipy.ndimage.affine_transform(digit, matrix, offset, order=1)
  kind = rng.random()
  if kind < 0.2:
    digit = scipy.ndimage.grey_dilation(digit, size=(2, 2))
  elif kind < 0.3:
    digit = scipy.ndimage.grey_dilation(digit, size=(3, 3))
  elif kind < 0.4:
    digit = scipy.ndimage.grey_erosion(digit, size=(2, 2))
  if rng.random() < 0.3:  # As of a small canvas, or of a soft brush.
    digit = scipy.ndimage.gaussian_filter(digit, rng.uniform(0.3, 1.2))
  if rng.random() < 0.3:  # Hard edges.
    digit = np.clip((digit - 0.5) * rng.uniform(1, 6) + 0.5, 0, 1)
  digit = np.clip(digit, 0, 1) ** np.exp(rng.normal(0, 0.4))
  return np.clip(digit * rng.choice([1, rng.uniform(0.5, 1)]), 0, 1)


def _noise(rng: np.random.Generator) -> np.ndarray:
  """Returns noise in cells or blurred, of any density and contrast."""
  cell = int(rng.choice([1, 1, 2, 4, 8]))
  values: np.ndarray = rng.random((_SIZE // cell, _SIZE // cell))
  kind = rng.integers(4)
  if kind == 0:
    values = (values < rng.uniform(0.02, 0.9)).astype(float)
  elif kind == 1:
    values = np.clip(rng.normal(rng.random(), rng.random(), values.shape), 0, 1)
  elif kind == 2:
    values *= rng.random()
  values = np.kron(values, np.ones((cell, cell)))
  if rng.random() < 0.4:
    values = scipy.ndimage.gaussian_filter(values, rng.uniform(0.5, 4))
    values = (values - values.min()) / max(np.ptp(values), 1e-6)
    if rng.random() < 0.5:
      values = (values > rng.uniform(0.3, 0.9)).astype(float)
  return values


def _scribble(rng: np.random.Generator, most: int = 16) -> np.ndarray:
  """Returns random curves, with one pen or many."""
  scale = 4
  picture = Image.new('L', (_SIZE * scale, _SIZE * scale))
  draw = ImageDraw.Draw(picture)
  is_chained = rng.random() < 0.4
  width = rng.uniform(1, 5)
  spread = rng.uniform(0.5, 1)  # Of the places, about the center.
  pen = _place(rng, spread)
  for _ in range(rng.integers(2 if most < 16 else 3, most + 1)):
    start = pen if is_chained else _place(rng, spread)
    control, pen = _place(rng, spread), _place(rng, spread)
    t = np.linspace(0, 1, 25)[:, None]
    curve = (1 - t) ** 2 * start + 2 * t * (1 - t) * control + t**2 * pen
    if rng.random() < 0.4:
      width = rng.uniform(1, 6)
    ink = int(rng.choice([255, int(rng.integers(60, 256))]))
    radius = width * scale / 2
    draw.line(
        [tuple(p) for p in curve * scale],
        fill=ink,
        width=round(2 * radius),
        joint='curve',
    )
    for x, y in curve[[0, -1]] * scale:
      draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=ink)
  small = picture.resize((_SIZE, _SIZE), Image.Resampling.BOX)
  return np.asarray(small, np.float32) / 255


def _place(rng: np.random.Generator, spread: float) -> np.ndarray:
  return _SIZE * (0.5 + spread * (rng.random(2) - 0.5))


def _surface(rng: np.random.Generator) -> np.ndarray:
  """Returns a page of one color, a gradient, or bars."""
  kind = rng.integers(3)
  if kind == 0:
    return np.full((_SIZE, _SIZE), rng.choice([0, 1, rng.random()]))
  slope = rng.normal(size=2)
  rows, columns = np.mgrid[:_SIZE, :_SIZE]
  heights = rows * slope[0] + columns * slope[1]
  if kind == 1:
    heights = (heights - heights.min()) / np.ptp(heights)
    return heights * rng.random()
  return ((heights * rng.uniform(0.2, 1) % 2) < rng.uniform(0.2, 1)).astype(
      float
  )


def _shuffled(rng: np.random.Generator, digit: np.ndarray) -> np.ndarray:
  """Returns a digit's pieces in another order."""
  size = int(rng.choice([1, 2, 4, 8, 16]))
  n = _SIZE // size
  cells = digit.reshape(n, size, n, size).swapaxes(1, 2)
  pieces = cells.reshape(n * n, size, size)
  order = rng.permutation(n * n)
  if size == 16:  # At least none stays where it was.
    order = (np.arange(4) + rng.integers(1, 4)) % 4
  return (pieces[order].reshape(n, n, size, size).swapaxes(1, 2)).reshape(
      _SIZE, _SIZE
  )


def _overlaid(
    rng: np.random.Generator, one: np.ndarray, other: np.ndarray
) -> np.ndarray:
  """Returns two digits in one place."""
  shift = tuple(rng.integers(-6, 7, 2))
  return np.maximum(one, np.roll(other, shift, (0, 1)))


def _quarter(rng: np.random.Generator, digit: np.ndarray) -> np.ndarray:
  """Returns a corner of a digit, at twice its size or where it was."""
  half = _SIZE // 2
  y, x = rng.integers(0, 2, 2) * half
  corner = digit[y : y + half, x : x + half]
  if rng.random() < 0.5:
    return np.kron(corner, np.ones((2, 2)))
  result = np.zeros_like(digit)
  result[y : y + half, x : x + half] = corner
  return result


def train(
    ink: np.ndarray, labels: np.ndarray, steps: int, seed: int
) -> chex.ArrayTree:
  """Returns parameters of one member of the ensemble.

  Args:
    ink: pictures, uint8 `[N, 32, 32]`.
    labels: int32 `[N]`, with 10 for what is no digit.
    steps: gradient steps.
    seed: seed of initialization, order and dropout.
  """
  network = recognition.Network(dropout=_DROPOUT)
  schedule = optax.cosine_onecycle_schedule(
      steps, _LEARNING_RATE, pct_start=0.2
  )
  optimizer = optax.adamw(schedule, weight_decay=_WEIGHT_DECAY)
  init_key, key = jax.random.split(jax.random.key(seed))
  params = jax.jit(network.init)(init_key, ink[:1] / np.float32(255))
  opt_state = jax.jit(optimizer.init)(params)

  @jax.jit
  def step(params, opt_state, key, ink, labels):
    def loss(params):
      logits, _ = network.apply(
          params,
          ink.astype(np.float32) / 255,
          train=True,
          rngs={'dropout': key},
      )
      return optax.softmax_cross_entropy_with_integer_labels(
          logits, labels
      ).mean()

    value, grads = jax.value_and_grad(loss)(params)
    updates, opt_state = optimizer.update(grads, opt_state, params)
    return optax.apply_updates(params, updates), opt_state, value

  stream = batches.Batches(
      types.ImageDataset(ink[..., None], labels), _BATCH_SIZE, seed
  )
  # A Python loop: inside a scan, XLA's CPU convolutions use one core.
  for i in range(steps):
    batch = next(stream)
    params, opt_state, value = step(
        params,
        opt_state,
        jax.random.fold_in(key, i),
        batch.images[..., 0],
        batch.labels,
    )
    if i % 500 == 0 or i == steps - 1:
      _print(f'member {seed}, step {i}: loss {float(value):.4f}')
  return params


def _print(line: str) -> None:
  console.say(line)


def main(argv: Sequence[str]) -> None:
  """Trains an ensemble and writes its parameters."""
  del argv
  rng = np.random.default_rng(0)
  digits = datasets.load('mnist', 'train', data_dir=_DATA_DIR.value, size=64)
  assert digits.labels is not None
  ink = recognition.read_ink(digits.images[_EMBEDDED:])
  labels = digits.labels[_EMBEDDED:]
  letters = recognition.read_ink(
      datasets.load('omniglot', 'train', size=64).images
  )
  _print('making pictures')
  written = make_digits(rng, ink, copies=1)
  junk = make_junk(rng, ink, labels, letters, 2 * len(ink))
  pictures = np.concatenate([(ink * 255).astype(np.uint8), written, junk])
  classes = np.concatenate([labels, labels, np.full(len(junk), 10)])
  members = [
      train(pictures, classes.astype(np.int32), _STEPS.value, seed)
      for seed in range(recognition.MEMBERS)
  ]
  stacked = jax.tree.map(
      lambda *leaves: np.stack(leaves).astype(np.float16), *members
  )
  stream = io.BytesIO()
  np.savez_compressed(
      stream, **traverse_util.flatten_dict(stacked['params'], sep='/')
  )
  path = pathlib.Path(_OUT.value).expanduser()
  files.write_atomically(path, lambda file: file.write(stream.getvalue()))
  _print(f'{path}: {len(stream.getvalue()):,} bytes')


if __name__ == '__main__':
  cli.run(main)
