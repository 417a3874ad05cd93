/* Convolutions with zeros around the images, and their gradients.
 *
 * Arrays are dense floats: images [n, height, width, in], what a convolution
 * makes of them [n, height / stride, width / stride, out], kernels
 * [size, size, in, out]; size is not below stride. Zeros are divided between
 * both sides of an image, one more after it where their number is odd ('SAME').
 *
 * Networks rectify, add a bias or skip what lies between: done here, where the
 * numbers are at hand, this costs nothing.
 */
#ifndef NETWORKS_CONV_H_
#define NETWORKS_CONV_H_

#include <stdint.h>

typedef struct {
  int64_t n, height, width, in, out;
  int64_t size, stride;
  int rectify; /* Images first: what is below zero becomes zero. */
} Shape;

/* All work in the calling thread and return 0, or -1 without memory. */

/* Writes what the convolution makes of the images, plus a bias [out], which is
 * `next_bias` floats further for each image, plus `add` (or null), an array like
 * the output. */
int conv(const Shape *shape, const float *images, const float *kernel,
         const float *bias, int64_t next_bias, const float *add, float *output);

/* Writes the gradient of <conv(images, kernel), gradient> by the images, the
 * transposed convolution, plus `add` (or null), an array like the images. These
 * are needed if they are rectified. */
int conv_transpose(const Shape *shape, const float *gradient,
                   const float *kernel, const float *images, const float *add,
                   float *images_gradient);

/* Writes the gradients of the same by the kernel, and by the bias of each image,
 * [n, out]. */
int conv_gradients(const Shape *shape, const float *images,
                   const float *gradient, float *kernel, float *bias);

#endif  /* NETWORKS_CONV_H_ */
