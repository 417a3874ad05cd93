"""Tests of strokes.py."""

import hypothesis
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
import numpy as np
import pytest

from environments.painting import metrics


def _canvases(*values) -> np.ndarray:
  """Returns one episode, `[T+1, 1, 1, W, C]`, of rows of pixels."""
  array = np.array(values, np.uint8)
  return array.reshape(len(values), 1, 1, len(values[0]), -1)


def _use(canvases, flag=None, **kwargs):
  """Returns the figures of one episode as numbers."""
  flag = [1] * (len(canvases) - 1) if flag is None else flag
  use = metrics.stroke_use(
      canvases, {'flag': np.array(flag)[:, None]}, **kwargs
  )
  return [x.item() for x in use]


def test_one_stroke():
  canvases = _canvases([255, 255, 255], [255, 0, 0])
  assert _use(canvases) == [1, 1, 2, 0, 0]


def test_moves_are_no_strokes():
  canvases = _canvases([255, 255], [255, 255], [0, 255])
  assert _use(canvases, [0, 1]) == [1, 1, 1, 0, 0]
  assert _use(canvases, [1, 1]) == [2, 1, 1, 0, 0]
  assert _use(canvases, [0, 0]) == [0, 0, 0, 0, 0]


def test_ink_on_ink_does_not_show():
  canvases = _canvases([255, 255], [0, 255], [0, 255])
  assert _use(canvases) == [2, 1, 1, 0, 0]


def test_erased_ink_is_wasted_and_the_eraser_is_not():
  canvases = _canvases([255, 255], [0, 0], [0, 255])
  # Two pixels of ink and one of eraser; one pixel of ink is undone.
  assert _use(canvases) == [2, 2, 3, 1, 1]


def test_darker_ink_overdraws_but_wastes_nothing():
  canvases = _canvases([255], [255 - 51], [0])
  strokes, visible, ink, wasted, overdrawn = _use(canvases)
  assert (strokes, visible, wasted) == (2, 2, 0)
  assert ink == pytest.approx(1)
  assert overdrawn == pytest.approx(0.2)


def test_partly_undone():
  # Down by 1, up by 0.6, down by 0.2: of the first stroke the levels up to 0.6
  # are crossed back, of the second those down to 0.4.
  canvases = _canvases([255], [0], [153], [102])
  _, _, ink, wasted, overdrawn = _use(canvases)
  assert ink == pytest.approx(1.8)
  assert wasted == pytest.approx(0.6 + 0.2)
  assert overdrawn == pytest.approx(1.6)


def test_blue_over_red():
  white, red, blue = [255] * 3, [255, 0, 0], [0, 0, 255]
  _, _, ink, wasted, overdrawn = _use(_canvases([white], [red], [blue]))
  assert ink == pytest.approx((2 + 2) / 3)
  assert wasted == pytest.approx(1 / 3)  # Half of red's.
  assert overdrawn == pytest.approx(2 / 3)


def test_a_command_that_does_not_paint_can_undo():
  canvases = _canvases([255], [0], [255])
  assert _use(canvases, [1, 0]) == [1, 1, 1, 1, 1]


def test_least_visible_change():
  canvases = _canvases([255, 255], [254, 255], [254, 246])
  assert _use(canvases)[1] == 2
  assert _use(canvases, min_change=9)[1] == 1
  assert _use(canvases, min_change=10)[1] == 0


def test_episodes_are_apart():
  first = _canvases([255, 255], [0, 0], [0, 255])
  second = _canvases([255, 255], [255, 255], [0, 255])
  use = metrics.stroke_use(
      np.concatenate([first, second], 1), {'flag': np.array([[1, 0], [1, 1]])}
  )
  np.testing.assert_array_equal(
      np.stack(use), [[2, 1], [2, 1], [3, 1], [1, 0], [1, 0]]
  )
  summary = metrics.summarize(use)
  assert summary == (1.5, 1.0, 2.0, 0.25, 0.25)


def test_nothing_drawn():
  use = metrics.stroke_use(
      np.full((4, 2, 3, 3, 1), 255, np.uint8), {'flag': np.zeros((3, 2), int)}
  )
  summary = metrics.summarize(use)
  assert summary.strokes == summary.ink == 0
  assert np.isnan(summary[1]) and np.isnan(summary[3])


@hypothesis.settings(deadline=None, max_examples=100)
@hypothesis.given(values=hnp.arrays(np.uint8, (6,), elements=st.integers(0, 8)))
def test_against_single_levels(values):
  # Level by level: a crossing lasts if the level is never crossed again.
  lasting = overdrawn = 0
  for t in range(5):
    low, high = sorted((int(values[t]), int(values[t + 1])))
    for level in range(low, high):
      above = values[t + 1 :] > level
      lasting += bool(np.all(above == above[0]))
    if np.any(values[t + 1 : -1] != values[t + 2 :]):
      overdrawn += high - low
  ink = np.abs(np.diff(values.astype(int))).sum()
  np.testing.assert_allclose(
      _use(values.reshape(6, 1, 1, 1, 1))[2:],
      np.array([ink, ink - lasting, overdrawn]) / 255,
      atol=1e-12,
  )


def test_refuses_what_is_not_an_episode():
  canvases = np.zeros((3, 2, 4, 4, 1), np.uint8)
  flag = {'flag': np.ones((2, 2), int)}
  with pytest.raises(ValueError, match='float64'):
    metrics.stroke_use(canvases / 255, flag)
  with pytest.raises(ValueError, match="no part 'flag' but kind, size"):
    metrics.stroke_use(canvases, {'kind': 0, 'size': 0})
  with pytest.raises(ValueError, match=r'\(2, 2\).*\(4, 2, 4, 4, 1\)'):
    metrics.stroke_use(np.zeros((4, 2, 4, 4, 1), np.uint8), flag)
