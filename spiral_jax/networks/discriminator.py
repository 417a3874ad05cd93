"""The discriminator: scores the likeness of an image to the data.

Axes: N images, H height, W width, C channels.
"""

from collections.abc import Sequence

import chex
from flax import linen as nn

from spiral_jax.networks import layers


class Discriminator(nn.Module):
  """Strided convolutions to a score, as in DCGAN (arXiv:1511.06434).

  There is no batch normalization: with it, the score of an image would depend
  on the rest of the batch, and the gradient penalty would not be one of the
  score.

  Attributes:
    channels: output channels of each layer. The first layer sees patches of
      `patch_size` by `patch_size` pixels without overlap; each later one halves
      height and width.
    patch_size: pixels; 1 makes the first layer halve as well (DCGAN).
    spectral_norm: True divides each kernel by its spectral norm
      (arXiv:1802.05957).
  """

  channels: Sequence[int]
  patch_size: int = 1
  spectral_norm: bool = False

  @nn.compact
  def __call__(
      self, image: chex.Array, update_stats: bool = False
  ) -> chex.Array:
    """Maps images to scores `[N]`.

    Args:
      image: floats `[N, H, W, C]`; channels of the canvas, then those of the
        target, if any.
      update_stats: True runs one more power iteration of the spectral norms;
        the collection `batch_stats` must then be mutable.
    """

    def apply(layer, x):
      if self.spectral_norm:
        return nn.SpectralNorm(layer)(x, update_stats=update_stats)
      return layer(x)

    x = image - 0.5
    for index, channels in enumerate(self.channels):
      if index == 0 and self.patch_size > 1:
        x = layers.space_to_depth(x, self.patch_size)
        x = apply(layers.linear(channels), x)
      else:
        x = apply(layers.HalvingConv(channels), x)
      x = nn.leaky_relu(x, 0.2)
    return apply(layers.linear(1), x.reshape(x.shape[0], -1))[:, 0]
