import jax
import jax.numpy as jnp
import numpy as np
import pytest

from spiral_jax.losses import policy_gradient

T, B = 5, 3

# One program each: op by op, XLA compiles for longer than it computes.
vtrace_targets = jax.jit(
    policy_gradient.vtrace_targets, static_argnames=('lambda_', 'clip_rho')
)
lambda_targets = jax.jit(
    policy_gradient.lambda_targets, static_argnames='lambda_'
)


def random(seed, *shape, scale=1.0):
  values = np.random.default_rng(seed).normal(size=shape) * scale
  return values.astype(np.float32)


def episode(seed=0, ends=(T - 1,), discount=0.9):
  """Returns (rewards, discounts, values, bootstrap) with ends of episodes."""
  discounts = np.full((T, B), discount, np.float32)
  discounts[list(ends)] = 0.0
  return (
      random(seed, T, B),
      discounts,
      random(seed + 1, T, B),
      random(seed + 2, B),
  )


def monte_carlo(rewards, discounts, bootstrap):
  """Returns what is left to earn after each command, by hand."""
  returns = np.zeros_like(rewards)
  after = bootstrap
  for t in reversed(range(len(rewards))):
    returns[t] = after = rewards[t] + discounts[t] * after
  return returns


def slow_vtrace(rewards, discounts, values, bootstrap, rhos, lambda_, clip):
  """Sums eq. 1 of arXiv:1802.01561 term by term: (advantages, returns)."""
  clipped = np.minimum(rhos, clip)
  cs = lambda_ * np.minimum(rhos, 1.0)
  next_values = np.append(values[1:], bootstrap[None], axis=0)
  deltas = clipped * (rewards + discounts * next_values - values)
  returns = values.copy()
  for s in range(T):
    for t in range(s, T):
      weight = np.prod(discounts[s:t] * cs[s:t], axis=0)
      returns[s] += weight * deltas[t]
  next_returns = np.append(returns[1:], bootstrap[None], axis=0)
  mixed = lambda_ * next_returns + (1 - lambda_) * next_values
  mixed[-1] = bootstrap
  return clipped * (rewards + discounts * mixed - values), returns


@pytest.mark.parametrize('ends', [(T - 1,), (1, T - 1), ()])
def test_vtrace_at_zero_lag_is_monte_carlo(ends):
  rewards, discounts, values, bootstrap = episode(ends=ends)
  targets = vtrace_targets(
      rewards, discounts, values, bootstrap, np.zeros_like(rewards)
  )
  returns = monte_carlo(rewards, discounts, bootstrap)
  np.testing.assert_allclose(targets.returns, returns, atol=1e-5)
  np.testing.assert_allclose(targets.advantages, returns - values, atol=1e-5)


def test_vtrace_of_two_commands_by_hand():
  rewards = np.array([[1.0], [2.0]], np.float32)
  discounts = np.array([[0.5], [0.0]], np.float32)
  values = np.array([[10.0], [20.0]], np.float32)
  targets = vtrace_targets(
      rewards, discounts, values, np.array([7.0]), np.zeros((2, 1))
  )
  np.testing.assert_allclose(targets.returns, [[2.0], [2.0]])
  np.testing.assert_allclose(targets.advantages, [[-8.0], [-18.0]])


@pytest.mark.parametrize('lambda_', [1.0, 0.6, 0.0])
@pytest.mark.parametrize('clip_rho', [1.0, 0.7, 2.0])
def test_vtrace_off_policy_is_the_sum_of_the_paper(lambda_, clip_rho):
  rewards, discounts, values, bootstrap = episode(seed=5, ends=(2,))
  log_ratios = random(9, T, B)
  assert np.exp(log_ratios).min() < 0.7 and np.exp(log_ratios).max() > 2.0
  targets = vtrace_targets(
      rewards,
      discounts,
      values,
      bootstrap,
      log_ratios,
      lambda_=lambda_,
      clip_rho=clip_rho,
  )
  advantages, returns = slow_vtrace(
      rewards,
      discounts,
      values,
      bootstrap,
      np.exp(log_ratios),
      lambda_,
      clip_rho,
  )
  np.testing.assert_allclose(targets.returns, returns, atol=1e-5)
  np.testing.assert_allclose(targets.advantages, advantages, atol=1e-5)


@pytest.mark.parametrize('lambda_', [1.0, 0.8, 0.0])
def test_generalized_advantages_are_sums_of_differences(lambda_):
  rewards, discounts, values, bootstrap = episode(seed=3, ends=(1, T - 1))
  targets = lambda_targets(
      rewards, discounts, values, bootstrap, lambda_=lambda_
  )
  next_values = np.append(values[1:], bootstrap[None], axis=0)
  deltas = rewards + discounts * next_values - values
  expected = np.zeros_like(rewards)
  for s in range(T):
    for t in range(s, T):
      expected[s] += np.prod(lambda_ * discounts[s:t], axis=0) * deltas[t]
  np.testing.assert_allclose(targets.advantages, expected, atol=1e-5)
  np.testing.assert_allclose(targets.returns, expected + values, atol=1e-5)


def vtrace(rewards, discounts, values, bootstrap):
  log_ratios = random(8, T, B)
  return vtrace_targets(rewards, discounts, values, bootstrap, log_ratios)


@pytest.mark.parametrize('targets', [vtrace, lambda_targets])
def test_nothing_leaks_across_the_end_of_an_episode(targets):
  rewards, discounts, values, bootstrap = episode(ends=(2,))
  before = targets(rewards, discounts, values, bootstrap)
  rewards[3:] += 100.0
  values[3:] -= 50.0
  after = targets(rewards, discounts, values, bootstrap - 9.0)
  for one, other in zip(before, after):
    np.testing.assert_array_equal(one[:3], other[:3])
    assert np.all(np.abs(one[3:] - other[3:]) > 1.0)


@pytest.mark.parametrize('targets', [vtrace, lambda_targets])
def test_canvases_do_not_mix(targets):
  data = episode()
  all_targets = targets(*data)
  data[0][:, 1] += 1.0
  others = targets(*data)
  for one, other in zip(all_targets, others):
    np.testing.assert_array_equal(one[:, [0, 2]], other[:, [0, 2]])
    assert np.all(one[:, 1] != other[:, 1])


def test_no_gradient_flows_through_targets():
  data = episode()
  zeros = np.zeros((T, B), np.float32)

  def total(values, log_ratios):
    first = policy_gradient.vtrace_targets(
        *data[:2], values, data[3], log_ratios
    )
    second = policy_gradient.lambda_targets(*data[:2], values, data[3])
    return sum(jnp.sum(x) for x in (*first, *second))

  gradients = jax.jit(jax.grad(total, argnums=(0, 1)))(data[2], zeros)
  for gradient in gradients:
    np.testing.assert_array_equal(gradient, zeros)


def test_shapes_that_differ_are_refused():
  rewards, discounts, values, bootstrap = episode()
  with pytest.raises(AssertionError):
    policy_gradient.vtrace_targets(
        rewards, discounts, values, bootstrap, np.zeros((T, 1))
    )
  with pytest.raises(AssertionError):
    policy_gradient.lambda_targets(rewards[:, 0], discounts, values, bootstrap)
  with pytest.raises(AssertionError):
    policy_gradient.policy_gradient_loss(rewards, rewards[0])
  with pytest.raises(AssertionError):
    policy_gradient.value_loss(rewards, rewards[0])


def test_normalize():
  drift = 50.0 * np.arange(T, dtype=np.float32)[:, None]  # Of the scores.
  values = drift + 3.0 * random(0, T, B)
  normal = np.asarray(policy_gradient.normalize(values))
  np.testing.assert_allclose(normal.mean(axis=1), np.zeros(T), atol=1e-5)
  assert normal.std() == pytest.approx(1.0, abs=1e-5)
  centered = values - values.mean(axis=1, keepdims=True)
  np.testing.assert_allclose(normal, centered / centered.std(), atol=1e-4)
  none = policy_gradient.normalize(np.zeros((T, B), np.float32))
  np.testing.assert_array_equal(none, np.zeros((T, B)))
  # Rounding of the mean is not blown up to more than one deviation.
  same = policy_gradient.normalize(np.full((T, B), 3.0, np.float32))
  assert np.all(np.abs(same) < 1.0)


def test_normalize_each_time():
  shrinking = 0.5 ** np.arange(T, dtype=np.float32)[:, None]  # What is left.
  values = shrinking * random(0, T, B) + 7.0
  normal = np.asarray(policy_gradient.normalize(values, each_time=True))
  np.testing.assert_allclose(normal.mean(axis=1), np.zeros(T), atol=1e-5)
  np.testing.assert_allclose(normal.std(axis=1), np.ones(T), atol=1e-4)
  assert policy_gradient.normalize(values)[-1].std() < normal[-1].std()
  none = policy_gradient.normalize(np.zeros((T, B)), each_time=True)
  np.testing.assert_array_equal(none, np.zeros((T, B)))


def test_policy_gradient_is_minus_mean_of_advantage_times_log_prob():
  log_probs, advantages = random(0, T, B), random(1, T, B)
  loss, gradient = jax.value_and_grad(policy_gradient.policy_gradient_loss)(
      log_probs, advantages
  )
  assert loss == pytest.approx(-np.mean(log_probs * advantages), abs=1e-6)
  np.testing.assert_allclose(gradient, -advantages / (T * B), atol=1e-7)
  other = jax.grad(policy_gradient.policy_gradient_loss, argnums=1)
  np.testing.assert_array_equal(other(log_probs, advantages), np.zeros((T, B)))


def test_clipped_surrogate_starts_as_the_policy_gradient():
  advantages = random(1, T, B)
  zeros = np.zeros((T, B), np.float32)
  surrogate = jax.grad(policy_gradient.clipped_surrogate_loss)
  plain = jax.grad(policy_gradient.policy_gradient_loss)
  np.testing.assert_allclose(
      surrogate(zeros, advantages), plain(zeros, advantages), atol=1e-8
  )


@pytest.mark.parametrize(
    'ratio, advantage, loss, slope',
    [
        (1.5, 2.0, -2.4, 0.0),  # Pushed far enough.
        (0.5, -2.0, 1.6, 0.0),
        (1.5, -2.0, 3.0, 3.0),  # The wrong way: still pulled back.
        (0.5, 2.0, -1.0, -1.0),
        (1.1, 2.0, -2.2, -2.2),  # Within the bounds.
        (0.9, -2.0, 1.8, 1.8),
    ],
)
def test_clipped_surrogate_by_hand(ratio, advantage, loss, slope):
  log_ratio = np.log(np.full((1, 1), ratio, np.float32))
  value, gradient = jax.value_and_grad(policy_gradient.clipped_surrogate_loss)(
      log_ratio, np.full((1, 1), advantage, np.float32), clip=0.2
  )
  assert value == pytest.approx(loss, abs=1e-5)
  assert gradient[0, 0] == pytest.approx(slope, abs=1e-5)


def test_value_loss_is_half_the_mean_square():
  values, returns = random(0, T, B), random(1, T, B)
  loss, gradient = jax.value_and_grad(policy_gradient.value_loss)(
      values, returns
  )
  assert loss == pytest.approx(np.mean((values - returns) ** 2) / 2, abs=1e-6)
  np.testing.assert_allclose(gradient, (values - returns) / (T * B), atol=1e-7)
  other = jax.grad(policy_gradient.value_loss, argnums=1)(values, returns)
  np.testing.assert_array_equal(other, np.zeros((T, B)))


def test_entropy_of_a_command_sums_the_parts_that_count():
  entropies = np.array([[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]])  # [1, 2, 3].
  counts = np.array([[[1.0, 1.0, 1.0], [1.0, 0.0, 1.0]]])
  assert policy_gradient.mean_entropy(entropies, counts) == 8.0  # (6 + 10) / 2
  shares = policy_gradient.mean_entropy(
      entropies, counts, np.array([2.0, 4.0, 6.0])
  )
  assert shares == pytest.approx((0.5 + 0.5 + 0.5 + 2.0 + 1.0) / 2)
