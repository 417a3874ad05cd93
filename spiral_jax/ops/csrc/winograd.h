/* The convolutions of conv.h by Winograd's algorithm: a quarter of the
 * products, between transforms that cost about another tenth. See
 * winograd_transforms.h. */
#ifndef SPIRAL_JAX_OPS_WINOGRAD_H_
#define SPIRAL_JAX_OPS_WINOGRAD_H_

#include <stdint.h>

#include "conv.h"

/* Returns whether these functions support the shape: 3x3 kernels, stride 1,
 * whole tiles and whole groups of channels. */
int winograd_fits(const ConvShape *shape);

/* The functions of conv.h, for such shapes. */
int winograd_conv(const ConvShape *shape, const float *images,
                  const float *kernel, const float *bias, int64_t bias_stride,
                  const float *add, float *output);
int winograd_conv_transpose(const ConvShape *shape, const float *gradient,
                            const float *kernel, const float *images,
                            const float *add, float *images_gradient);
int winograd_conv_gradients(const ConvShape *shape, const float *images,
                            const float *gradient, float *kernel_gradient,
                            float *bias_gradient);

#endif /* SPIRAL_JAX_OPS_WINOGRAD_H_ */
