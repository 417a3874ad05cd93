/* 'SAME' convolutions and their gradients.
 *
 * Arrays are dense floats: images [n, height, width, in_channels], outputs
 * [n, height / stride, width / stride, out_channels], kernels [kernel_size,
 * kernel_size, in_channels, out_channels]; kernel_size is at least stride.
 * Padding is divided equally between both sides of an image; if it is odd, the
 * side after the image has one more.
 *
 * Rectifier, bias and skip connection are fused into the convolutions: done
 * while the numbers are in registers they are free, done alone each is one more
 * pass through memory.
 */
#ifndef SPIRAL_JAX_OPS_CONV_H_
#define SPIRAL_JAX_OPS_CONV_H_

#include <stdint.h>

typedef struct {
  int64_t n, height, width, in_channels, out_channels;
  int64_t kernel_size, stride;
  int rectify; /* 1 applies a ReLU to the images first. */
} ConvShape;

/* All functions run in the calling thread. They return 0, or -1 if memory is
 * exhausted. */

/* Writes the convolution plus a bias plus `add`, which is shaped like the
 * output, or NULL to add nothing. Each image has a bias [out_channels],
 * `bias_stride` floats after that of the image before; 0 if all images share
 * one. */
int conv(const ConvShape *shape, const float *images, const float *kernel,
         const float *bias, int64_t bias_stride, const float *add,
         float *output);

/* Writes the gradient of <conv(images, kernel), gradient> with respect to the
 * images, which is the transposed convolution, plus `add`, which is shaped like
 * the images, or NULL to add nothing. `images` are read only if they are
 * rectified. */
int conv_transpose(const ConvShape *shape, const float *gradient,
                   const float *kernel, const float *images, const float *add,
                   float *images_gradient);

/* Writes the gradients of <conv(images, kernel), gradient> with respect to the
 * kernel, and to each image's bias, [n, out_channels]. */
int conv_gradients(const ConvShape *shape, const float *images,
                   const float *gradient, float *kernel_gradient,
                   float *bias_gradient);

#endif /* SPIRAL_JAX_OPS_CONV_H_ */
