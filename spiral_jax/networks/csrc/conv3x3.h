/* 3x3 convolutions over small feature maps, stride 1, zeros around the map.
 *
 * Arrays are dense floats: images [n, height, width, channels], kernels
 * [3, 3, in, out]. `in` and `out` are multiples of kLanes.
 */
#ifndef NETWORKS_CONV3X3_H_
#define NETWORKS_CONV3X3_H_

#include <stdint.h>

enum { kLanes = 32 };

typedef struct {
  int64_t n, height, width, in, out;
} Shape;

/* Both work in the calling thread and return 0, or -1 without memory. */

/* output [n, height, width, out]. */
int conv3x3(const Shape *shape, const float *images, const float *kernel,
            float *output);

/* The gradient of <conv3x3(images, kernel), gradient> by the kernel.
 * gradient [n, height, width, out]; output [3, 3, in, out]. */
int conv3x3_kernel_gradient(const Shape *shape, const float *images,
                            const float *gradient, float *output);

#endif  /* NETWORKS_CONV3X3_H_ */
