import jax
import jax.numpy as jnp
import numpy as np
import pytest

from spiral_jax.losses import rewards

T, B = 4, 3


def last_at(*times):
  """Returns `is_last` `[T, B]` of canvases that end there; None: do not."""
  is_last = np.zeros((T, B), bool)
  for column, time in enumerate(times):
    if time is not None:
      is_last[time, column] = True
  return is_last


def test_final_rewards_come_with_the_last_command_of_each_canvas():
  is_last = last_at(3, 3, None)
  earned = rewards.final_rewards(np.array([5.0, -6.0, 7.0]), is_last)
  expected = np.zeros((T, B))
  expected[3, :2] = 5.0, -6.0
  np.testing.assert_array_equal(earned, expected)


def test_final_rewards_refuse_scores_of_another_batch():
  with pytest.raises(AssertionError):
    rewards.final_rewards(np.zeros(1), last_at(3, 3, 3))


def test_difference_rewards_are_what_each_command_added():
  scores = np.array([[1.0, 0.0], [4.0, -1.0], [2.0, 5.0]])
  np.testing.assert_array_equal(
      rewards.difference_rewards(scores), [[3.0, -1.0], [-2.0, 6.0]]
  )


def test_difference_rewards_add_up_to_final_less_blank():
  scores = np.random.default_rng(0).normal(size=(T + 1, B))
  earned = rewards.difference_rewards(jnp.asarray(scores))
  assert earned.shape == (T, B)
  np.testing.assert_allclose(
      np.sum(earned, axis=0), scores[-1] - scores[0], atol=1e-6
  )


def test_negative_l2_by_hand():
  canvas = np.zeros((2, 2, 2, 1))
  target = np.zeros((2, 2, 2, 1))
  target[0, 0, 1] = 0.5
  target[1] = 1.0
  np.testing.assert_allclose(
      rewards.negative_l2(canvas, target), [-0.25 / 4, -1.0]
  )


def test_negative_euclidean_by_hand():
  canvas = np.zeros((2, 2, 2, 1))
  target = np.zeros((2, 2, 2, 1))
  target[0, 0, 1], target[0, 1, 1] = 0.3, 0.4
  np.testing.assert_allclose(
      rewards.negative_euclidean(canvas, target), [-0.5, 0.0], atol=1e-7
  )


def test_negative_multiscale_l2_by_hand():
  target = np.zeros((2, 4, 4, 1))
  canvas = target.copy()
  canvas[0, 0, 0] = 1.0
  canvas[1, :2, :2] = 0.5
  np.testing.assert_allclose(
      rewards.negative_multiscale_l2(canvas, target),
      [
          -1 / 16 - (1 / 4) ** 2 / 4 - (1 / 16) ** 2,
          -4 * 0.25 / 16 - 0.25 / 4 - (1 / 8) ** 2,
      ],
      rtol=1e-6,
  )
  np.testing.assert_allclose(
      rewards.negative_multiscale_l2(canvas, target, scales=1),
      rewards.negative_l2(canvas, target),
  )


def test_a_line_beside_its_target_is_better_than_none_at_lower_resolution():
  blank = np.ones((32, 32, 1))
  target, beside = blank.copy(), blank.copy()
  target[:, 16] = beside[:, 17] = 0.0
  canvas = np.stack([beside, blank])
  at_full_resolution = rewards.negative_l2(canvas, target)
  at_all = rewards.negative_multiscale_l2(canvas, target)
  assert at_full_resolution[0] < at_full_resolution[1]
  at_lower = at_all - at_full_resolution
  assert at_lower[0] > at_lower[1]


def test_at_lower_resolution_odd_sides_repeat_what_is_left_over():
  canvas = np.zeros((3, 1, 1))
  canvas[2] = 1.0
  assert rewards.negative_multiscale_l2(
      canvas, np.zeros_like(canvas), scales=2
  ) == pytest.approx(-1 / 3 - 1 / 2)


def test_negative_log_l2_by_hand():
  target = np.zeros((4, 2, 2, 1))
  errors = np.array([0.4, 0.2, 0.1, 0.0])[:, None, None, None]
  canvas = np.broadcast_to(np.sqrt(errors), target.shape)
  scores = rewards.negative_log_l2(canvas, target, minimum=1e-6)
  # Half the error removed is worth as much, whatever the error was.
  np.testing.assert_allclose(np.diff(scores[:3]), np.log([2, 2]), rtol=1e-4)
  np.testing.assert_allclose(scores[-1], -np.log(1e-6), rtol=1e-4)
  assert rewards.negative_log_l2(canvas[3], target[3]) == pytest.approx(
      -np.log(1e-4), rel=1e-4
  )


def test_negative_l2_pairs_each_canvas_with_its_own_target():
  rng = np.random.default_rng(0)
  target = rng.uniform(0.0, 0.5, size=(B, 4, 4, 3)).astype(np.float32)
  canvas = np.stack([target] * T)  # [T, B, ...], every one perfect.
  np.testing.assert_array_equal(
      rewards.negative_l2(canvas, target), np.zeros((T, B))
  )
  canvas[2, 1] += 0.5  # Only this one is not.
  expected = np.zeros((T, B))
  expected[2, 1] = -0.25
  np.testing.assert_allclose(
      rewards.negative_l2(canvas, target), expected, atol=1e-6
  )
  swapped = rewards.negative_l2(canvas, target[[1, 0, 2]])
  assert np.all(swapped[:, :2] < -0.01)


def test_starts_cost_once():
  paints = np.array([[1, 1, 0], [1, 1, 1], [0, 0, 1], [1, 1, 0]], bool)
  was_painting = np.array([False, True, False])
  np.testing.assert_array_equal(
      rewards.start_penalties(paints, was_painting),
      [[-1, 0, 0], [0, 0, -1], [0, 0, 0], [-1, -1, 0]],
  )


def test_blank_pages_cost_at_the_end_of_their_episode():
  canvas = np.full((B, 2, 2, 1), 255, np.uint8)
  canvas[1, 1, 0] = 254  # The faintest stroke is a stroke.
  penalties = rewards.blank_page_penalties(canvas, 255, last_at(3, 3, None))
  expected = np.zeros((T, B))
  expected[3, 0] = -1.0
  np.testing.assert_array_equal(penalties, expected)


def test_blank_pages_of_another_color():
  background = np.array([10, 20, 30], np.uint8)
  canvas = np.broadcast_to(background, (B, 2, 2, 3)).copy()
  canvas[2, 0, 0, 1] = 21
  penalties = rewards.blank_page_penalties(canvas, background, last_at(0, 0, 0))
  np.testing.assert_array_equal(penalties[0], [-1, -1, 0])


def test_running_deviation_is_that_of_weighted_batches():
  rng = np.random.default_rng(0)
  batches = [rng.normal(5.0, 1.0 + i, size=64) for i in range(6)]
  running = rewards.RunningDeviation.init()
  for batch in batches:
    running = running.update(jnp.asarray(batch), decay=0.8)
  weights = 0.8 ** np.arange(6)[::-1]
  weights = np.repeat(weights / weights.sum() / 64, 64)
  values = np.concatenate(batches)
  mean = np.sum(weights * values)
  variance = np.sum(weights * (values - mean) ** 2)
  assert running.deviation() == pytest.approx(np.sqrt(variance), rel=1e-4)


def test_running_deviation_is_right_after_one_batch():
  values = np.array([1.0, 3.0])
  running = rewards.RunningDeviation.init().update(values)
  assert running.deviation() == pytest.approx(1.0, rel=1e-3)


def test_running_deviation_forgets():
  running = rewards.RunningDeviation.init().update(np.array([-9.0, 9.0]))
  update = jax.jit(rewards.RunningDeviation.update)
  for _ in range(1500):
    running = update(running, np.array([-1.0, 1.0]))
  assert running.deviation() == pytest.approx(1.0, rel=1e-3)


def test_running_deviation_never_divides_by_zero():
  nothing = rewards.RunningDeviation.init()
  assert nothing.deviation(minimum=0.1) == pytest.approx(0.1)
  constant = nothing.update(np.full(8, 2.0))
  assert constant.deviation(minimum=0.1) == pytest.approx(0.1)
