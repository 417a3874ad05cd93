r"""Measures paintings of few strokes, next to what people use instead.

Mean squared errors at 64 and 256 pixels, and structural similarity at 256 (more
is better), of photographs, held-out portraits, Omniglot's characters and kanji:

  python experiments/benchmarks/drawing.py --out_dir=out/drawing
  python experiments/benchmarks/drawing.py --images=portraits --strokes=200 \\
      --seconds=5

Next to them: the best page of one color; the best of 64 drawings by the agent
that comes with the package; vtracer with at most as many paths; and painterly
rendering (Hertzmann, 1998) with at most as many strokes. Lines are drawn by
--method=lines of draw.py as well. It needs vtracer, scikit-image and
svgpathtools: `pip install -e '.[train,benchmark]'`. --out_dir gets a picture of
all and figures.json.
"""

from collections.abc import Callable, Mapping, Sequence
import functools
import json
import pathlib
import time

from absl import flags
import matplotlib
import numpy as np
from PIL import Image
from PIL import ImageDraw

from environments import optional
from environments.painting import lines as lines_lib
from experiments.drawing import by_agent
from experiments.drawing import by_strokes
from experiments.drawing import painterly
from experiments.drawing import tracing
from spiral_jax import console as console_lib
from spiral_jax import datasets
from spiral_jax import search
from spiral_jax import training
from spiral_jax.datasets import skeleton
from spiral_jax.training import cli
from spiral_jax.training import out_dir as out_dir_lib
from spiral_jax.training import plots

_IMAGES = flags.DEFINE_list(
    'images', 'photographs', 'photographs, portraits, characters, kanji'
)
_COUNT = flags.DEFINE_integer(
    'count', 50, 'largest number of images of a kind', lower_bound=1
)
_STROKES = flags.DEFINE_list(
    'strokes', '20,100,500', 'largest numbers of strokes'
)
_SECONDS = flags.DEFINE_list(
    'seconds', '5,30', 'times to search for each image'
)
_SCORE = flags.DEFINE_enum(
    'score', 'l2', list(search.SCORES), 'error that paintings minimize'
)
_BRUSH = flags.DEFINE_string('brush', 'classic/pen', 'brush of paintings')
_PEERS = flags.DEFINE_boolean('peers', True, 'whether others draw as well')
_OUT_DIR = flags.DEFINE_string('out_dir', '', 'folder of figures; empty: none')

_SIZES = 64, 256  # Pixels at which pictures are compared.
_SHOWN = 6  # Images of a kind on the picture.

# Strokes of kanji, in their order, on a square of 100.
_KANJI = {
    '一': '10,50 90,50',
    '二': '25,30 75,30|10,80 90,80',
    '三': '20,20 80,20|25,50 75,50|10,82 90,82',
    '十': '10,50 90,50|50,10 50,92',
    '土': '22,42 78,42|50,12 50,86|8,86 92,86',
    '王': '15,16 85,16|50,16 50,84|22,48 78,48|8,84 92,84',
    '木': '8,36 92,36|50,8 50,94|50,38 34,62 10,80|50,38 66,62 90,80',
    '本': (
        '8,32 92,32|50,8 50,94|50,34 34,58 8,76|50,34 66,58 92,76|32,76 68,76'
    ),
    '大': '8,38 92,38|50,8 46,50 12,92|48,44 64,70 92,90',
    '天': '18,18 82,18|10,46 90,46|50,18 46,56 12,92|49,50 64,74 92,90',
    '人': '50,10 44,50 10,90|47,34 64,66 92,90',
    '入': '40,12 54,20 46,58 10,90|50,30 66,66 92,90',
    '八': '38,24 32,56 10,84|58,16 70,56 92,84',
    '川': '22,14 22,60 12,90|50,18 50,80|80,10 80,92',
    '山': '50,10 50,84|16,40 16,86 84,86|84,40 84,90',
    '口': '20,22 20,84|20,22 80,22 80,84|20,80 80,80',
    '日': '26,12 26,90|26,12 74,12 74,90|26,48 74,48|26,86 74,86',
    '田': ('14,18 14,88|14,18 86,18 86,88|50,18 50,84|14,50 86,50|14,84 86,84'),
    '目': ('28,10 28,92|28,10 72,10 72,92|28,36 72,36|28,62 72,62|28,88 72,88'),
    '中': '16,28 16,64|16,28 84,28 84,64|16,62 84,62|50,8 50,94',
}
_KANJI_SIZE, _KANJI_WIDTH = 256, 4  # Pixels.


def main(argv: Sequence[str]) -> None:
  """Draws and prints a table for each kind of images."""
  del argv
  console = console_lib.Console()
  for kind in _IMAGES.value:
    if kind not in _KINDS:
      raise ValueError(
          f'--images has {kind!r}, must be some of {", ".join(_KINDS)}'
      )
  for flag, number in ((_STROKES, int), (_SECONDS, float)):
    for text in flag.value:
      try:
        number(text)
      except ValueError:
        raise ValueError(
            f'--{flag.name} has {text!r}, must be numbers, as 20,100'
        ) from None
  out_dir = pathlib.Path(_OUT_DIR.value) if _OUT_DIR.value else None
  if out_dir is not None:
    out_dir_lib.check_new(out_dir)
    out_dir_lib.prepare(out_dir)
  figures: dict[str, dict[str, dict[str, float]]] = {}
  for kind in _IMAGES.value:
    images = dict(list(_KINDS[kind]().items())[: _COUNT.value])
    console.print(f'{kind}: {len(images)} images')
    figures[kind] = _measure(kind, images, out_dir)
  if out_dir is not None:
    (out_dir / 'figures.json').write_text(json.dumps(figures, indent=2))


def _measure(
    kind: str, images: Mapping[str, np.ndarray], out_dir: pathlib.Path | None
) -> dict[str, dict[str, float]]:
  """Returns the mean figures of each way to draw, which it prints."""
  ways = _ways(kind)
  count = min(_SHOWN, len(images))
  on_sheet = np.linspace(0, len(images) - 1, count).astype(int).tolist()
  found: dict[str, dict[str, float]] = {}
  shown: dict[str, list[np.ndarray]] = {}
  print(f'{"":34} {"l2, 64":>8} {"l2, 256":>8} {"SSIM":>6} {"seconds":>8}')
  for name, draw in ways.items():
    rows = []
    for number, image in enumerate(images.values()):
      start = time.monotonic()
      picture = draw(image)
      seconds = time.monotonic() - start
      rows.append([*_errors(picture, image), seconds])
      if number in on_sheet:
        shown.setdefault(name, []).append(_fitted(picture, 256))
    mean = np.mean(rows, axis=0)
    found[name] = dict(
        zip(('l2_64', 'l2_256', 'ssim_256', 'seconds'), mean.tolist())
    )
    print(
        f'{name:34} {mean[0]:8.4f} {mean[1]:8.4f} {mean[2]:6.3f}'
        f' {mean[3]:8.1f}',
        flush=True,
    )
  if out_dir is not None:
    every = list(images.values())
    originals = [_fitted(every[number], 256) for number in on_sheet]
    plots.save(
        _sheet({'original': originals, **shown}), out_dir / f'{kind}.png'
    )
  return found


# Ways to draw: image uint8 `[H, W, 3]` -> picture `[h, w, 3]`, any size.


def _ways(kind: str) -> dict[str, Callable[[np.ndarray], np.ndarray]]:
  is_line_art = kind in ('characters', 'kanji')
  ways: dict[str, Callable[[np.ndarray], np.ndarray]] = {}
  if _PEERS.value:
    ways['best page of one color'] = _constant
    agent = 'characters' if is_line_art else 'portraits'
    ways[f'agent of {agent}, best of 64'] = _by_agent(agent)
  if is_line_art:
    ways['lines'] = _by_lines
  for text in _STROKES.value:
    count = int(text)
    if _PEERS.value:
      ways[f'vtracer, {count} paths'] = functools.partial(
          tracing.trace, most=count
      )
      ways[f'Hertzmann, {count} strokes'] = functools.partial(
          _hertzmann, strokes=count
      )
    for seconds in _SECONDS.value:
      ways[f'{count} strokes, {seconds} s'] = functools.partial(
          _by_strokes,
          strokes=count,
          seconds=float(seconds),
          color=not is_line_art,
      )
  return ways


def _by_strokes(
    image: np.ndarray, *, strokes: int, seconds: float, color: bool
) -> np.ndarray:
  drawing = by_strokes.paint(
      image,
      strokes=strokes,
      seconds=seconds,
      score=_SCORE.value,
      brush=_BRUSH.value,
      color=color,
      paper='auto' if color else 'white',
  )
  return drawing.program.render(max(_SIZES))


def _by_lines(image: np.ndarray) -> np.ndarray:
  ink = image.mean(axis=-1) < 128
  found = skeleton.center_lines(ink)
  return lines_lib.of_lines(
      [line.points for line in found],
      [line.width for line in found],
      shape=ink.shape,
  ).render(max(_SIZES))


def _by_agent(weights: str) -> Callable[[np.ndarray], np.ndarray]:
  trained = training.restore(weights)
  settings = trained.experiment.environment

  def draw(image: np.ndarray) -> np.ndarray:
    side = min(image.shape[:2])
    top, left = (image.shape[0] - side) // 2, (image.shape[1] - side) // 2
    square = Image.fromarray(image[top : top + side, left : left + side])
    mode = 'L' if settings.channels == 1 else 'RGB'
    small = square.convert(mode).resize([settings.canvas_size] * 2)
    target = np.asarray(small).reshape(
        1, settings.canvas_size, settings.canvas_size, settings.channels
    )
    (drawing,) = by_agent.draw(trained, target, samples=64)
    # What the agent does not see, beside the square, is white.
    picture = np.full((*image.shape[:2], 3), 255, np.uint8)
    large = drawing.program.render(max(side, settings.canvas_size))
    picture[top : top + side, left : left + side] = by_strokes.resized(
        large, (side, side)
    )
    return picture

  return draw


def _constant(image: np.ndarray) -> np.ndarray:
  color = np.rint(image.mean((0, 1))).astype(np.uint8)
  return np.broadcast_to(color, image.shape)


def _hertzmann(image: np.ndarray, *, strokes: int) -> np.ndarray:
  return painterly.paint(_fitted(image, 256), strokes)


# Figures.


def _errors(picture: np.ndarray, image: np.ndarray) -> list[float]:
  """Returns mean squared errors at both sizes, and structural similarity."""
  metrics = optional.load('skimage.metrics', 'scikit-image', 'this comparison')
  errors = []
  for size in _SIZES:
    seen, wanted = _fitted(picture, size), _fitted(image, size)
    seen = by_strokes.resized(seen, wanted.shape[:2])
    difference = seen.astype(float) - wanted
    errors.append(float((difference**2).mean()) / 255**2)
  similarity = metrics.structural_similarity(seen, wanted, channel_axis=-1)
  return [*errors, float(similarity)]


def _fitted(image: np.ndarray, size: int) -> np.ndarray:
  """Returns an image with a longer side of some pixels, in color."""
  scale = size / max(image.shape[:2])
  shape = tuple(max(1, round(scale * side)) for side in image.shape[:2])
  fitted = by_strokes.resized(np.ascontiguousarray(image), (shape[0], shape[1]))
  return np.broadcast_to(fitted, (*shape, 3)).copy()


def _sheet(rows: Mapping[str, Sequence[np.ndarray]]) -> np.ndarray:
  """Returns pictures in rows, each with its name."""
  caption, gap = 20, 6
  height = max(i.shape[0] for images in rows.values() for i in images)
  width = max(i.shape[1] for images in rows.values() for i in images)
  columns = max(map(len, rows.values()))
  page = Image.new(
      'RGB',
      (columns * (width + gap) + gap, len(rows) * (height + caption + gap)),
      'white',
  )
  draw = ImageDraw.Draw(page)
  for row, (name, images) in enumerate(rows.items()):
    y = row * (height + caption + gap)
    draw.text((gap, y + 4), name, fill='black')
    for column, image in enumerate(images):
      x = gap + column * (width + gap)
      page.paste(Image.fromarray(image), (x, y + caption))
  return np.asarray(page)


# Images by name, uint8 `[H, W, 3]`.


def _photographs() -> dict[str, np.ndarray]:
  data = optional.load('skimage.data', 'scikit-image', 'its photographs')
  folder = pathlib.Path(matplotlib.get_data_path()) / 'sample_data'
  with Image.open(folder / 'grace_hopper.jpg') as picture:
    hopper = np.asarray(picture.convert('RGB'))
  return {
      'Grace Hopper': hopper,
      'astronaut': data.astronaut(),
      'coffee': data.coffee(),
      'cat': data.chelsea(),
  }


def _portraits() -> dict[str, np.ndarray]:
  images = datasets.load('celeba', 'test').images
  return {f'{i}': np.asarray(image) for i, image in enumerate(images)}


def _characters() -> dict[str, np.ndarray]:
  images = (
      datasets.load('omniglot', 'test', size=105).spread(_COUNT.value).images
  )
  return {
      f'{i}': np.broadcast_to(image, (*image.shape[:2], 3)).copy()
      for i, image in enumerate(images)
  }


def _kanji() -> dict[str, np.ndarray]:
  found = {}
  for name, strokes in _KANJI.items():
    finer = 4
    page = Image.new('L', [_KANJI_SIZE * finer] * 2, 'white')
    draw = ImageDraw.Draw(page)
    radius = _KANJI_WIDTH * finer / 2
    for stroke in strokes.split('|'):
      points = [
          tuple(float(x) / 100 * _KANJI_SIZE * finer for x in pair.split(','))
          for pair in stroke.split()
      ]
      draw.line(points, fill=0, width=round(2 * radius), joint='curve')
      for x, y in points:
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=0)
    small = page.resize([_KANJI_SIZE] * 2, Image.Resampling.BOX)
    found[name] = np.asarray(small.convert('RGB'))
  return found


_KINDS = {
    'photographs': _photographs,
    'portraits': _portraits,
    'characters': _characters,
    'kanji': _kanji,
}


if __name__ == '__main__':
  cli.run(main)
