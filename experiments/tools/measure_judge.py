"""Prints how much of what the judge takes for digits, and how much is none.

  python experiments/tools/measure_judge.py

Real digits should be taken, all else refused. The judge has learned from noise
and strokes that its trainer drew, letters, and pieces of digits in the wrong
place, but from none of the pictures below.
"""

from collections.abc import Callable, Sequence
import functools

from absl import flags
import jax
import matplotlib
import numpy as np
from PIL import Image
from PIL import ImageDraw
from PIL import ImageFont
import rich.table

from environments import painting
from environments import scene
from spiral_jax import console
from spiral_jax import datasets
from spiral_jax import evaluation
from spiral_jax import training
from spiral_jax.training import cli

_COUNT = flags.DEFINE_integer(
    'count', 1000, 'number of pictures of each kind, at most', lower_bound=1
)

_SIZE = 64  # Height and width of the pictures, pixels.


def held_out_digits(count: int) -> np.ndarray:
  """Returns real digits, dark on white, uint8 `[N, H, W, 1]`."""
  return datasets.load('mnist', 'test', size=_SIZE).images[:count]


def blank_pages(count: int) -> np.ndarray:
  """Returns white pages."""
  return np.full((count, _SIZE, _SIZE, 1), 255, np.uint8)


def uniform_noise(count: int) -> np.ndarray:
  """Returns pixels that are drawn uniformly."""
  rng = np.random.default_rng(0)
  return rng.integers(0, 256, (count, _SIZE, _SIZE, 1), np.uint8)


def untrained_agent(count: int, *, name: str, seed: int = 0) -> np.ndarray:
  """Returns drawings by an agent that has not learned anything.

  Args:
    count: number of drawings.
    name: weights whose settings the agent has.
    seed: seed of its parameters.
  """
  trained = training.restore(name)
  params = trained.agent.init(jax.random.key(seed))
  targets = None
  if trained.experiment.agent.conditional:
    targets = held_out_digits(count)
  episodes = training.episodes(trained._replace(params=params), count, targets)
  return np.concatenate([episode.canvas[-1] for episode in episodes])[:count]


def random_strokes(count: int, *, brush: str, length: int) -> np.ndarray:
  """Returns canvases after uniformly random commands."""
  environment = painting.make_batch(
      count, dtype=np.uint8, brush=brush, episode_length=length
  )
  return _at_random(environment, length)


def random_scenes(count: int) -> np.ndarray:
  """Returns scenes after five uniformly random commands, in color."""
  environment = scene.make_batch(count, dtype=np.uint8)
  return _at_random(environment, 5)


def _at_random(environment, length: int) -> np.ndarray:
  rng = np.random.default_rng(length)
  time_step = environment.reset()
  for _ in range(length):
    time_step = environment.step(
        {
            name: rng.integers(0, part.num_values, environment.count, np.int32)
            for name, part in environment.action_spec().items()
        }
    )
  return time_step.observation['canvas']


def gratings(count: int) -> np.ndarray:
  """Returns waves of any direction and length."""
  rng = np.random.default_rng(0)
  rows, columns = np.mgrid[:_SIZE, :_SIZE]
  waves = rng.uniform(-2, 2, (count, 2, 1, 1))
  heights = np.sin(rows * waves[:, 0] + columns * waves[:, 1])
  return (127.5 + 127.5 * heights).astype(np.uint8)[..., None]


def white_digits(count: int) -> np.ndarray:
  """Returns digits in white on black."""
  return 255 - held_out_digits(count)


def portraits(count: int) -> np.ndarray:
  """Returns photographs of faces, in color."""
  return datasets.load('celeba', 'test', size=_SIZE).images[:count]


def other_alphabets(count: int) -> np.ndarray:
  """Returns characters of alphabets that the judge has not seen."""
  test = datasets.load('omniglot', 'test', size=_SIZE)
  return test.spread(min(count, len(test.images))).images


def printed(characters: str) -> np.ndarray:
  """Returns characters of a font, in ten sizes each."""
  path = f'{matplotlib.get_data_path()}/fonts/ttf/DejaVuSans.ttf'
  images = []
  for character in characters:
    for size in range(36, 56, 2):
      image = Image.new('L', (_SIZE, _SIZE), 255)
      ImageDraw.Draw(image).text(
          (_SIZE / 2, _SIZE / 2),
          character,
          fill=0,
          font=ImageFont.truetype(path, size),
          anchor='mm',
      )
      images.append(np.asarray(image)[..., None])
  return np.stack(images)


# (number) -> pictures that are no digits, by name.
JUNK: dict[str, Callable[[int], np.ndarray]] = {
    'blank pages': blank_pages,
    'uniform noise': uniform_noise,
    **{
        f'untrained agent like {name}': functools.partial(
            untrained_agent, name=name
        )
        for name in ('digits', 'digits_unconditional')
    },
    **{
        f'{length} random strokes of {brush}': functools.partial(
            random_strokes, brush=brush, length=length
        )
        for brush, length in (('classic/pen', 8), ('classic/charcoal', 20))
    },
    'random scenes': random_scenes,
    'gratings': gratings,
    'white digits on black': white_digits,
    'portraits': portraits,
    'characters of other alphabets': other_alphabets,
    'printed letters AEFHKMNRWX': lambda count: printed('AEFHKMNRWX')[:count],
}


def main(argv: Sequence[str]) -> None:
  """Prints a table."""
  del argv
  table = rich.table.Table('pictures', 'number', 'taken for digits')
  kinds = {'held-out digits': held_out_digits, **JUNK}
  for name, make in kinds.items():
    images = make(_COUNT.value)
    share = evaluation.is_digit(images).mean()
    table.add_row(name, f'{len(images):,}', f'{share:.1%}')
  console.Console().print(table)


if __name__ == '__main__':
  cli.run(main)
