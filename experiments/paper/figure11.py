"""Figure 11 of the paper: a learned score leads home where l2 does not.

The data are pictures of one solid circle at all locations. Their l2 distance
from a target is constant once the circles no longer overlap. A discriminator
that learns to tell whether two pictures match is never asked how far apart
their circles are, and yet its score falls with their distance:

  python experiments/paper/figure11.py

The picture shows the data, a target, and both surfaces over the circle's
location, with arrows along their gradients. Two shares of locations, means over
many targets, are printed: those whose gradient points home (by less than 90
degrees), and those from which hill climbing, pixel by pixel, gets there.

This holds early in learning, for a network that knows where pixels lie; it does
not hold for an optimal score. --network=pixels --loss=wgan comes near the exact
Wasserstein distance, which here is the l2 norm again; and with --steps=2000 the
score loses what does not help to tell pictures apart.
"""

from collections.abc import Mapping, Sequence
import pathlib
from typing import Any, NamedTuple

from absl import flags
import chex
from flax import linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import rich.progress
import rich.table

from spiral_jax import console as console_lib
from spiral_jax import types
from spiral_jax.evaluation import surfaces
from spiral_jax.losses import wgan
from spiral_jax.training import cli
from spiral_jax.training import plots

_OUT_DIR = flags.DEFINE_string(
    'out_dir', 'runs/figure11', 'folder of the picture'
)
_SIZE = flags.DEFINE_integer(
    'size', 32, 'height and width of a picture, in pixels', lower_bound=1
)
_RADIUS = flags.DEFINE_integer(
    'radius', 4, 'radius of the circle, in pixels', lower_bound=1
)
_TARGETS = flags.DEFINE_integer(
    'targets', 200, 'largest number of targets', lower_bound=1
)
_NETWORK = flags.DEFINE_enum(
    'network',
    'coordinates',
    ['coordinates', 'pixels'],
    'input of the discriminator',
)
_LOSS = flags.DEFINE_enum(
    'loss', 'logistic', ['logistic', 'wgan'], 'loss of the discriminator'
)
_STEPS = flags.DEFINE_integer('steps', 400, 'number of updates', lower_bound=1)
_BATCH_SIZE = flags.DEFINE_integer(
    'batch_size', 128, 'number of targets in a batch', lower_bound=1
)
_LEARNING_RATE = flags.DEFINE_float(
    'learning_rate', 3e-3, 'first learning rate', lower_bound=0.0
)
_AVERAGE = flags.DEFINE_float(
    'average',
    0.98,
    'decay of the moving average of parameters, per update',
    lower_bound=0.0,
    upper_bound=1.0,
)
_SEED = flags.DEFINE_integer(
    'seed', 0, 'seed of all random numbers', lower_bound=0
)

_SHOWN = 5  # Pictures of the data set, in a row and in a column.
_ARROWS = 2  # Locations from one arrow to the next.


def circles(size: int, radius: int) -> np.ndarray:
  """Returns the pictures of a solid circle at all locations.

  Args:
    size: height and width of a picture, in pixels.
    radius: radius of the circle, in pixels.

  Returns:
    float32 `[P, P, size, size]`, P = size - 2 radius + 1, by row and column of
    the circle: ink is 0, paper 1.

  Raises:
    ValueError: if fewer than 2 x 2 circles fit.
  """
  if size <= 2 * radius:
    raise ValueError(
        f'--radius={radius} leaves a circle no room in {size} pixels; make '
        f'--size at least {2 * radius + 1}'
    )
  center = np.arange(radius, size - radius + 1)
  pixel = np.arange(size) + 0.5
  square = (pixel - center[:, np.newaxis]) ** 2  # [P, size]
  inside = square[:, None, :, None] + square[None, :, None, :] <= radius**2
  return 1.0 - inside.astype(np.float32)


def l2_surface(images: np.ndarray) -> surfaces.Surface:
  """Returns a surface of minus the mean squared error.

  Args:
    images: `[P, P, H, W]`.
  """
  flat = images.reshape(-1, *images.shape[2:])
  return lambda target: -((images - flat[target]) ** 2).mean((2, 3))


class Discriminator(nn.Module):
  """Scores how well pictures match their targets.

  Attributes:
    network: 'pixels' for dense layers on all pixels; 'coordinates' for layers
      on the mean, over all ink, of a code of a pixel's coordinates (Deep Sets,
      arXiv:1703.06114), so that whatever is learned at one location holds for
      those around it.
    code_size: size of the code of a pixel's coordinates.
    hidden_size: size of each layer.
  """

  network: str
  code_size: int = 16
  hidden_size: int = 64

  @nn.compact
  def __call__(self, image: chex.Array, target: chex.Array) -> chex.Array:
    """Maps pictures and targets, `[N, H, W]` each, to scores `[N]`."""
    ink = 1.0 - jnp.stack([image, target], axis=1)  # [N, 2, H, W]
    n, _, height, width = ink.shape
    x = ink.reshape(n, 2, height * width)
    if self.network == 'coordinates':
      axes = (jnp.linspace(-1.0, 1.0, length) for length in (height, width))
      place = jnp.stack(jnp.meshgrid(*axes, indexing='ij'), axis=-1)
      code = nn.tanh(nn.Dense(2 * self.code_size)(place.reshape(-1, 2)))
      code = nn.Dense(self.code_size)(code)
      x = x @ code / x.sum(-1, keepdims=True)
    x = x.reshape(n, -1)
    for _ in range(2):
      x = nn.leaky_relu(nn.Dense(self.hidden_size)(x), 0.2)
    return nn.Dense(1)(x)[:, 0]


class Training(NamedTuple):
  """The training of a discriminator.

  Attributes:
    loss: 'logistic'; or 'wgan', with gradient penalty.
    steps: number of Adam's updates; the learning rate falls to 0 along a
      cosine.
    batch_size: number of targets in a batch, each with its own picture and
      another.
    learning_rate: first learning rate.
    average: decay of the moving average of parameters, per update.
    seed: seed of all random numbers.
  """

  loss: str = 'logistic'
  steps: int = 400
  batch_size: int = 128
  learning_rate: float = 3e-3
  average: float = 0.98
  seed: int = 0


def learned_surface(
    images: np.ndarray, network: str, training: Training
) -> surfaces.Surface:
  """Trains a discriminator; returns the surface of its score.

  Args:
    images: `[P, P, H, W]`.
    network: as for `Discriminator`.
    training: configuration of the training.
  """
  discriminator = Discriminator(network)
  rows, columns = images.shape[:2]
  pictures = jnp.asarray(images.reshape(-1, *images.shape[2:]))
  optimizer = optax.adam(
      optax.cosine_decay_schedule(training.learning_rate, training.steps)
  )

  def loss(params: types.Params, key: chex.PRNGKey) -> chex.Array:
    target_key, fake_key, loss_key = jax.random.split(key, 3)
    shape = (training.batch_size,)
    target = pictures[jax.random.randint(target_key, shape, 0, len(pictures))]
    fake = pictures[jax.random.randint(fake_key, shape, 0, len(pictures))]

    def score(images: chex.Array) -> chex.Array:
      return discriminator.apply(params, images, target)

    if training.loss == 'wgan':
      return wgan.wgan_loss(score, loss_key, target, fake).total
    return wgan.logistic_loss(score, target, fake, offset_weight=1e-3).total

  @jax.jit
  def step(params, mean, opt_state, key):
    updates, opt_state = optimizer.update(
        jax.grad(loss)(params, key), opt_state
    )
    params = optax.apply_updates(params, updates)
    mean = optax.incremental_update(params, mean, 1.0 - training.average)
    return params, mean, opt_state

  key = jax.random.key(training.seed)
  params = mean = discriminator.init(key, pictures[:1], pictures[:1])
  opt_state = optimizer.init(params)
  console = console_lib.Console(stderr=True)
  for index in rich.progress.track(
      range(training.steps),
      'training',
      console=console,
      transient=True,
      disable=not console.is_terminal,
  ):
    params, mean, opt_state = step(
        params, mean, opt_state, jax.random.fold_in(key, index)
    )

  @jax.jit
  def score(params: types.Params, target: chex.Array) -> chex.Array:
    targets = jnp.broadcast_to(pictures[target], pictures.shape)
    return discriminator.apply(params, pictures, targets)

  return lambda target: np.asarray(score(mean, target)).reshape(rows, columns)


def plot(
    images: np.ndarray,
    target: int,
    heights: Mapping[str, np.ndarray],
    path: pathlib.Path,
) -> None:
  """Plots pictures, a target, and surfaces in relief and from above.

  Args:
    images: `[P, P, H, W]`.
    target: index of the location of its circle.
    heights: surfaces `[P, P]` by name.
    path: file of the plot.
  """
  from matplotlib import figure  # Late: it takes a second.

  rows, columns = images.shape[:2]
  flat = images.reshape(-1, *images.shape[2:])
  fig = figure.Figure(figsize=(9.6, 6.4), layout='constrained')
  grid = fig.add_gridspec(2, 1 + len(heights))
  ends = (np.linspace(0, n - 1, _SHOWN).astype(int) for n in (rows, columns))
  shown = np.pad(
      images[np.ix_(*ends)],
      ((0, 0), (0, 0), (1, 1), (1, 1)),
      constant_values=0.8,
  )
  sheet = np.concatenate(np.concatenate(shown, axis=1), axis=1)
  for line, image, title in (
      (0, sheet, f'{_SHOWN**2} of {len(flat)} pictures'),
      (1, flat[target], 'target'),
  ):
    axis = fig.add_subplot(grid[line, 0])
    axis.imshow(image, cmap='gray', vmin=0, vmax=1)
    axis.set(title=title, xticks=[], yticks=[])
  row, column = np.indices((rows, columns))
  few = slice(_ARROWS // 2, None, _ARROWS)
  for place, (name, surface) in enumerate(heights.items(), 1):
    relief: Any = fig.add_subplot(grid[0, place], projection='3d')
    # As in the paper, near locations lie low.
    relief.plot_surface(column, row, -surface, cmap='viridis_r')
    relief.set(title=name, xticks=[], yticks=[], zticks=[])
    relief.invert_yaxis()
    axis = fig.add_subplot(grid[1, place])
    axis.imshow(surface, cmap='viridis')
    down, right = np.gradient(surface)
    length = np.hypot(down, right)
    # Directions alone: near the target, learned slopes are many times steeper.
    length[length < 1e-6 * np.ptp(surface)] = np.inf
    axis.quiver(
        column[few, few],
        row[few, few],
        (right / length)[few, few],
        (down / length)[few, few],
        angles='xy',
        scale_units='xy',
        scale=1.2 / _ARROWS,
        width=0.006,
        color='white',
        pivot='mid',
    )
    axis.plot(*divmod(target, columns)[::-1], 'r+', markersize=12)
    axis.set(xticks=[], yticks=[])
  plots.save_plot(fig, path)


def main(argv: Sequence[str]) -> None:
  """Trains, measures and plots as the flags say."""
  del argv
  images = circles(_SIZE.value, _RADIUS.value)
  training = Training(
      _LOSS.value,
      _STEPS.value,
      _BATCH_SIZE.value,
      _LEARNING_RATE.value,
      _AVERAGE.value,
      _SEED.value,
  )
  compared = {
      'l2': l2_surface(images),
      'learned score': learned_surface(images, _NETWORK.value, training),
  }
  side = len(images)
  count = min(_TARGETS.value, side**2)
  targets = np.random.default_rng(_SEED.value).permutation(side**2)[:count]
  table = rich.table.Table('surface', 'gradient points home', 'climbs home')
  for name, surface in compared.items():
    shares = surfaces.measure(surface, targets)
    table.add_row(name, *(f'{share:.1%}' for share in shares))
  console = console_lib.Console()
  console.print(table)
  # Off the center, so that large distances occur.
  target = side * (side // 3) + 3 * side // 4
  path = pathlib.Path(_OUT_DIR.value).expanduser() / 'figure11.png'
  plot(images, target, {name: s(target) for name, s in compared.items()}, path)
  console.print(
      f'of {side**2} locations, mean over {count} targets; picture in {path}',
      soft_wrap=True,
  )


if __name__ == '__main__':
  cli.run(main)
