/* The convolutions of conv.h by Winograd's transforms: a quarter of the products,
 * between transforms that cost as much as another tenth. See tiles.h. */
#ifndef NETWORKS_WINOGRAD_H_
#define NETWORKS_WINOGRAD_H_

#include <stdint.h>

#include "conv.h"

/* Returns whether they take such a convolution: 3x3, of whole tiles and groups
 * of channels. */
int winograd_fits(const Shape *shape);

/* For those, what the functions of conv.h do. */
int winograd_conv(const Shape *shape, const float *images, const float *kernel,
                  const float *bias, int64_t next_bias, const float *add,
                  float *output);
int winograd_transpose(const Shape *shape, const float *gradient,
                       const float *kernel, const float *images,
                       const float *add, float *images_gradient);
int winograd_gradients(const Shape *shape, const float *images,
                       const float *gradient, float *kernel, float *bias);

#endif  /* NETWORKS_WINOGRAD_H_ */
