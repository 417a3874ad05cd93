"""Search for strokes that paint an image, from the coarse to the fine.

Strokes are added one by one where the picture is wrong: each is the best of
many proposals, which come from the image, are tried on a window in a resolution
that fits them, and are changed step by step while that helps. Then strokes are
changed, or taken from where they do little to where more is to be gained, until
the time is over.

Axes: K strokes, H = W pixels of a window, C channels.
"""

from collections.abc import Callable
import dataclasses
import math
from typing import NamedTuple

import numpy as np

from spiral_jax.search import clock as clock_lib
from spiral_jax.search import easel as easel_lib
from spiral_jax.search import layers as layers_lib
from spiral_jax.search import stroke_fit
from spiral_jax.search import stroke_proposals

_NUM_PROPOSALS = 64  # In a round.
_NUM_PARENTS = 6  # Best strokes that are changed further.
_NUM_WINDOWS = 3  # In which a stroke is looked for.
_BUILDING = 0.5  # Share of the time until all strokes are there.
_EXPLORED = 0.1  # Share of the windows at any level.
_MOVED = 0.3  # Share of the refinements that take a stroke elsewhere.
_LEAST_GAIN = 1e-6  # Sums of squares.
_PATIENCE = 4  # Rounds without success.
_PROGRESS = 0.002  # Share of a gain by which a round must raise it.
_HOPELESS = 20  # Strokes in a row that did not help.

# Radii of strokes, pixels of their level. The coarsest level has all larger
# ones, the finest all smaller ones.
_RADII = 2.5, 5.0
_LEAST_RADIUS = 0.6


class PaintProgress(NamedTuple):
  """State of a painting in progress."""

  num_strokes: int
  error: float  # Mean squared error on the search's canvas.
  share_done: float  # Of the time.
  picture: Callable[[], np.ndarray]  # Returns the picture, uint8 [H, W, C].


@dataclasses.dataclass
class _Trial:
  """A window in which strokes are tried, and the best so far, best first."""

  level: int
  box: layers_lib.Box
  region: stroke_fit.Region
  scale: stroke_proposals.Scale
  strokes: stroke_proposals.Strokes
  fit: stroke_fit.Fit

  @property
  def gain(self) -> float:
    """The largest gain, in sums of squares at the finest level."""
    if not len(self.fit.gains):
      return -math.inf
    return float(self.fit.gains[0]) * 4**self.level


class Search:
  """The state of a search.

  Attributes:
    easel: the painting so far.
  """

  def __init__(
      self,
      image: np.ndarray,
      renderer: easel_lib.StrokeRenderer,
      num_strokes: int,
      colors: stroke_fit.Colors,
      score: stroke_fit.Score,
      rng: np.random.Generator,
      clock: clock_lib.Clock,
  ):
    """Initializes a search with no stroke; see `painter.paint`.

    Args:
      image: uint8 `[h, w, C]`.
      renderer: a brush.
      num_strokes: largest number of strokes.
      colors: colors to choose from.
      score: error to minimize.
      rng: source of all random numbers.
      clock: time that may pass.
    """
    self.easel = easel_lib.Easel(image, renderer, num_strokes, score)
    self._renderer = renderer
    self._num_strokes = num_strokes
    self._colors = colors
    self._score = score
    self._rng = rng
    self._clock = clock
    # Gain of a stroke at each level, as far as is known.
    self._gains = np.full(self.easel.num_levels, np.inf)
    self._sizes = [self._sizes_of(n) for n in range(self.easel.num_levels)]

  def run(
      self, on_progress: Callable[[PaintProgress], bool | None] | None
  ) -> None:
    """Searches until the time is over, or `on_progress` returns true."""
    easel, clock = self.easel, self._clock
    built = _BUILDING * clock.end
    failures = 0
    while clock.now() < clock.end:
      missing = self._num_strokes - len(easel.layers)
      if missing and failures < _HOPELESS:
        now = clock.now()
        has_added = self._add(now + max(built - now, 0.0) / missing)
        failures = 0 if has_added else failures + 1
      elif not len(easel.layers):
        return
      elif self._rng.random() < _MOVED:
        self._move_elsewhere()
      else:
        self._refine()
      if on_progress is not None:
        if on_progress(
            PaintProgress(
                len(easel.layers),
                easel.error,
                clock.share_done,
                easel.picture,
            )
        ):
          return

  def _add(self, until: float) -> bool:
    """Adds a stroke on top; returns true if one helps."""
    layer = self._find_on_top(until)
    if layer is None:
      return False
    self.easel.layers.insert(len(self.easel.layers), layer)
    self.easel.measure(layer.box)
    return True

  def _refine(self) -> None:
    """Changes a stroke, where it is in the stack."""
    easel = self.easel
    index = int(self._rng.integers(len(easel.layers)))
    layer = easel.layers.stack[index]
    names = (*stroke_proposals.POINTS, *self._renderer.num_values)
    one = {name: np.array([layer.stroke[name]]) for name in names}
    level = self._level_of(layer.stroke)
    trial = self._trial(index, level, self._middle(layer.stroke, level))
    self._try(trial, one)
    before = trial.gain
    self._climb(trial, math.inf, rounds=3)
    if trial.gain <= before:
      return
    new = self._confirmed(index, trial)
    if new is None:
      return
    easel.layers.replace(index, new)
    easel.measure(layer.box.union(new.box))

  def _move_elsewhere(self) -> None:
    """Takes a stroke that does little away, and adds one on top."""
    easel = self.easel
    tried = self._rng.integers(len(easel.layers), size=4).tolist()
    index = min(tried, key=self._gain_of)
    new = self._find_on_top(math.inf, rounds=3)
    if new is None:
      return
    box = easel.layers.stack[index].box.union(new.box)
    before = easel.loss(box)
    old = easel.layers.remove(index)
    easel.layers.insert(len(easel.layers), new)
    if easel.loss(box) < before - _LEAST_GAIN:
      easel.measure(box)
    else:  # All as it was.
      easel.layers.remove(len(easel.layers) - 1)
      easel.layers.insert(index, old)

  def _find_on_top(
      self, until: float, rounds: int = 100
  ) -> layers_lib.Layer | None:
    """Returns a stroke that helps on top of all others, if one is found."""
    easel = self.easel
    trials = []
    for _ in range(_NUM_WINDOWS):
      level = self._pick_level()
      trial = self._trial(
          len(easel.layers), level, easel.wrong_place(level, self._rng)
      )
      proposed = stroke_proposals.from_image(
          (trial.region.residual**2).sum(axis=-1),
          easel.angles(trial.box, level),
          trial.scale,
          self._renderer.num_values,
          _NUM_PROPOSALS,
          self._rng,
      )
      self._try(trial, proposed)
      trials.append(trial)
      gain = max(trial.gain, 0.0)
      known = self._gains[level]
      self._gains[level] = (
          0.9 * known + 0.1 * gain if np.isfinite(known) else gain
      )
      if self._clock.now() > until:
        break
    best = max(trials, key=lambda trial: trial.gain)
    self._climb(best, until, rounds)
    if best.gain <= 0:
      return None
    return self._confirmed(len(easel.layers), best)

  def _pick_level(self) -> int:
    """Returns a level of which much is expected; unknown ones come first."""
    unknown = np.flatnonzero(np.isinf(self._gains))
    if len(unknown):
      return int(unknown[-1])
    total = self._gains.sum()
    if self._rng.random() < _EXPLORED or not total > 0:
      return int(self._rng.integers(len(self._gains)))
    return int(self._rng.choice(len(self._gains), p=self._gains / total))

  def _trial(self, index: int, level: int, center: np.ndarray) -> _Trial:
    """Returns a window in which nothing has been tried."""
    size = self.easel.size >> level
    box = self.easel.window(level, center)
    scale = stroke_proposals.Scale(
        self._renderer.grid_size,
        self._renderer.grid_size / size,
        np.array([box.top, box.left]),
        self._sizes[level],
        self._renderer.radii * size,
    )
    return _Trial(
        level,
        box,
        self.easel.region(index, box, level),
        scale,
        {},
        stroke_fit.Fit(np.zeros(0), np.zeros(0)),
    )

  def _try(self, trial: _Trial, strokes: stroke_proposals.Strokes) -> None:
    """Tries strokes, and keeps the best of them and of those before."""
    self._clock.count_round()
    cover = self._renderer.cover(
        strokes,
        trial.scale.corner,
        size=self.easel.size >> trial.level,
        window=easel_lib.WINDOW,
    )
    fit = stroke_fit.fit(
        cover * np.float32(1 / 255), trial.region, self._colors, self._score
    )
    if trial.strokes:
      strokes = {
          name: np.concatenate([values, strokes[name]])
          for name, values in trial.strokes.items()
      }
      fit = stroke_fit.Fit(*map(np.concatenate, zip(trial.fit, fit)))
    best = np.argsort(-fit.gains, kind='stable')[:_NUM_PARENTS]
    trial.strokes = {name: values[best] for name, values in strokes.items()}
    trial.fit = stroke_fit.Fit(*(values[best] for values in fit))

  def _climb(self, trial: _Trial, until: float, rounds: int) -> None:
    """Changes the best strokes while that helps and there is time."""
    failures = 0
    for done in range(rounds):
      if failures == _PATIENCE or (done and self._clock.now() > until):
        break
      before = trial.gain
      parents = self._rng.geometric(0.4, _NUM_PROPOSALS) - 1
      parents = np.minimum(parents, len(trial.fit.gains) - 1)
      changed = stroke_proposals.changed(
          {name: values[parents] for name, values in trial.strokes.items()},
          trial.scale,
          self._renderer.num_values,
          self._rng,
      )
      self._try(trial, changed)
      least = before + _PROGRESS * abs(before)
      failures = failures + 1 if trial.gain <= least else 0

  def _confirmed(self, index: int, trial: _Trial) -> layers_lib.Layer | None:
    """Returns the best stroke of a trial, if it helps at the finest level.

    Args:
      index: place in the stack, of the stroke that it replaces; N for the top.
      trial: a window in which strokes were tried.
    """
    easel = self.easel
    stroke = {name: int(values[0]) for name, values in trial.strokes.items()}
    found = easel.cover(stroke)
    if found is None:
      return None
    box, cover = found
    is_new = index == len(easel.layers)
    old = None if is_new else easel.layers.stack[index]
    whole = easel.widened(box if old is None else box.union(old.box))
    region = easel.region(index, whole, 0)
    fit = stroke_fit.fit(
        _placed(cover, box, whole), region, self._colors, self._score
    )
    gain = float(fit.gains[0])
    if old is not None:
      gain -= self._gain(_placed(old.covers[0], old.box, whole), region, old)
    if gain <= _LEAST_GAIN:
      return None
    shades = fit.shades[0]
    if not self._colors.is_black:
      stroke |= dict(zip(('red', 'green', 'blue'), shades.tolist()))
    return layers_lib.Layer(
        stroke, box, self._colors.shades[shades], {0: cover}
    )

  def _gain_of(self, index: int) -> float:
    """Returns what a stroke of the stack gains."""
    layer = self.easel.layers.stack[index]
    box = self.easel.widened(layer.box)
    region = self.easel.region(index, box, 0)
    return self._gain(_placed(layer.covers[0], layer.box, box), region, layer)

  def _gain(self, cover, region, layer) -> float:
    change = (cover[0] * region.seen)[..., np.newaxis]
    change = change * (layer.color - region.below)
    residual = region.residual
    return stroke_fit.loss(residual, self._score) - stroke_fit.loss(
        residual + change, self._score
    )

  def _sizes_of(self, level: int) -> np.ndarray:
    """Returns the sizes that are tried at a level."""
    radii = self._renderer.radii * (self.easel.size >> level)
    least, most = _RADII
    if level == 0:
      least = _LEAST_RADIUS
    if level == self.easel.num_levels - 1:
      most = math.inf
    fitting = np.flatnonzero((radii >= least) & (radii < most))
    if len(fitting):
      return fitting
    return np.array([np.abs(np.log(radii / least)).argmin()])

  def _level_of(self, stroke: layers_lib.Stroke) -> int:
    size = stroke.get('size', 0)
    return next((n for n, s in enumerate(self._sizes) if size in s), 0)

  def _middle(self, stroke: layers_lib.Stroke, level: int) -> np.ndarray:
    """Returns the middle of a stroke, pixels (y, x) of a level."""
    grid_size = self._renderer.grid_size
    ends = [divmod(stroke[name], grid_size) for name in ('start', 'end')]
    return np.mean(ends, axis=0) * ((self.easel.size >> level) / grid_size)


def _placed(
    cover: np.ndarray, box: layers_lib.Box, whole: layers_lib.Box
) -> np.ndarray:
  """Returns a cover in a larger box, float32 `[1, h, w]`."""
  placed = np.zeros(
      (1, whole.bottom - whole.top, whole.right - whole.left), np.float32
  )
  placed[
      0,
      box.top - whole.top : box.bottom - whole.top,
      box.left - whole.left : box.right - whole.left,
  ] = cover * np.float32(1 / 255)
  return placed
