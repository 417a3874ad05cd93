"""Shapes of convolutions that several tests compute, and XLA as reference."""

import jax
import jax.numpy as jnp
import numpy as np

# (images, output channels, size of the kernel, stride): one piece and several,
# odd sizes, single pixels, channels that fill vectors and that do not; shapes
# for Winograd's algorithm, with one band of tiles at once and with several.
CASES = [
    ((5, 8, 8, 32), 32, 3, 1),
    ((17, 3, 5, 64), 32, 3, 1),
    ((33, 1, 1, 32), 64, 3, 1),
    ((300, 2, 2, 32), 32, 3, 1),
    ((2, 4, 4, 32), 1, 3, 1),
    ((3, 6, 4, 33), 70, 3, 1),
    ((9, 16, 24, 5), 32, 5, 1),
    ((3, 4, 4, 8), 17, 1, 1),
    ((20, 16, 16, 32), 32, 4, 2),
    ((9, 8, 12, 1), 7, 4, 2),
    ((2, 6, 6, 4), 9, 3, 2),
    ((3, 6, 6, 2), 10, 2, 2),
    ((3, 9, 6, 40), 2, 5, 3),
    ((1, 12, 4, 1), 1, 7, 4),
    ((3, 4, 8, 16), 48, 3, 1),
    ((19, 8, 8, 48), 16, 3, 1),
    ((1, 12, 160, 16), 16, 3, 1),
]


def random(seed, *shape):
  values = np.random.default_rng(seed).normal(size=shape)
  return jnp.asarray(values, jnp.float32)


def xla_conv(x, kernel, stride=1):
  return jax.lax.conv_general_dilated(
      x,
      kernel,
      (stride, stride),
      'SAME',
      dimension_numbers=('NHWC', 'HWIO', 'NHWC'),
  )


def assert_close(ours, theirs, atol=2e-5):
  for one, other in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs)):
    scale = np.max(np.abs(other)) + 1e-12
    np.testing.assert_allclose(one / scale, other / scale, atol=atol)
