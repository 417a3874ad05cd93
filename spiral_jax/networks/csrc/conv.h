/* Convolutions with zeros around the images, and their gradients.
 *
 * Arrays are dense floats: images [n, height, width, in], what a convolution
 * makes of them [n, height / stride, width / stride, out], kernels
 * [size, size, in, out]; size is not below stride. Zeros are divided between
 * both sides of an image, one more after it where their number is odd ('SAME').
 */
#ifndef NETWORKS_CONV_H_
#define NETWORKS_CONV_H_

#include <stdint.h>

typedef struct {
  int64_t n, height, width, in, out;
  int64_t size, stride;
} Shape;

/* All work in the calling thread and return 0, or -1 without memory. */

/* Writes what the convolution makes of the images. */
int conv(const Shape *shape, const float *images, const float *kernel,
         float *output);

/* Writes the gradient of <conv(images, kernel), gradient> by the images: the
 * transposed convolution. */
int conv_transpose(const Shape *shape, const float *gradient,
                   const float *kernel, float *images);

/* Writes the gradient of the same by the kernel. */
int conv_kernel_gradient(const Shape *shape, const float *images,
                         const float *gradient, float *kernel);

#endif  /* NETWORKS_CONV_H_ */
