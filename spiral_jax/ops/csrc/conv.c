#include "conv.h"

#include <stdlib.h>
#include <string.h>

#include "arithmetic.h"
#include "microkernel.h"
#include "padding.h"
#include "winograd.h"

/* Pixels whose outer products are summed at once: they stay in the L1 cache. */
enum { kPixels = 128 };

/* Returns the rows of padding before an image, which are as many as the
 * columns. */
static int64_t padding_before(const ConvShape *shape) {
  return (shape->kernel_size - shape->stride) / 2;
}

static float *new_zeros(int64_t size) { return calloc(size, sizeof(float)); }

/* Returns a buffer for images padded such that each output's patch lies within.
 */
static PaddedImage new_padded_input(const ConvShape *shape) {
  const int64_t zeros = shape->kernel_size - shape->stride;
  return new_padded_image(shape->height, shape->width, shape->in_channels,
                          padding_before(shape), shape->height + zeros,
                          shape->width + zeros);
}

/* Returns a copy of a kernel [rows, out] as the microkernels read it: in blocks
 * of channels, [rows, kChannelBlock] each with zeros for unused channels; with
 * few channels, [out, rows]. NULL if memory is exhausted. */
static float *new_kernel_blocks(const float *kernel, int64_t rows,
                                int64_t out) {
  if (out <= kFewChannels) {
    float *columns = new_zeros(out * rows);
    for (int64_t row = 0; columns != NULL && row < rows; ++row)
      for (int64_t o = 0; o < out; ++o)
        columns[o * rows + row] = kernel[row * out + o];
    return columns;
  }
  float *blocks = new_zeros(num_channel_blocks(out) * rows * kChannelBlock);
  for (int64_t first = 0; blocks != NULL && first < out; first += kChannelBlock)
    for (int64_t row = 0; row < rows; ++row)
      memcpy(blocks + (first / kChannelBlock * rows + row) * kChannelBlock,
             kernel + row * out + first,
             min(kChannelBlock, out - first) * sizeof(float));
  return blocks;
}

int conv(const ConvShape *shape, const float *images, const float *kernel,
         const float *bias, int64_t bias_stride, const float *add,
         float *output) {
  if (winograd_fits(shape))
    return winograd_conv(shape, images, kernel, bias, bias_stride, add, output);
  const Microkernels *micro = microkernels();
  void (*multiply)(const PatchProduct *) =
      shape->out_channels <= kFewChannels ? micro->multiply_patches_few_channels
                                          : micro->multiply_patches;
  const int64_t in = shape->in_channels, out = shape->out_channels;
  const int64_t stride = shape->stride;
  const int64_t height = shape->height / stride, width = shape->width / stride;
  const int64_t rows = shape->kernel_size * shape->kernel_size * in;
  PaddedImage image = new_padded_input(shape);
  float *blocks = new_kernel_blocks(kernel, rows, out);
  const int ok = image.data != NULL && blocks != NULL;
  for (int64_t n = 0; ok && n < shape->n; ++n) {
    const float *data = pad(
        &image, images + n * shape->height * shape->width * in, shape->rectify);
    for (int64_t first = 0; first < out; first += kChannelBlock) {
      const int64_t channels = min(kChannelBlock, out - first);
      const int64_t offset = n * height * width * out + first;
      float biases[kChannelBlock] = {0};
      memcpy(biases, bias + n * bias_stride + first, channels * sizeof(float));
      multiply(&(PatchProduct){
          .input = data,
          .input_row_stride = stride * image.row_stride,
          .input_column_stride = stride * in,
          .output = output + offset,
          .output_row_stride = width * out,
          .output_column_stride = out,
          .height = height,
          .width = width,
          .num_segments = shape->kernel_size,
          .segment_size = shape->kernel_size * in,
          .segment_stride = image.row_stride,
          .kernel = blocks + first * rows,
          .channels = channels,
          .bias = biases,
          .add = offset_or_null(add, offset),
      });
    }
  }
  free(image.data);
  free(blocks);
  return ok ? 0 : -1;
}

/* Along one axis, the gradients of every `stride`-th pixel of an image are sums
 * over the same taps of the kernel: phase, phase + stride, ... */
typedef struct {
  int64_t num_taps;
  int64_t first_pixel, num_pixels;
  int64_t first_gradient; /* Of those that the first pixel sums; may be < 0. */
} Phase;

static Phase phase_of(const ConvShape *shape, int64_t phase, int64_t length) {
  const int64_t stride = shape->stride, zeros = padding_before(shape);
  const int64_t num_taps = divide_up(shape->kernel_size - phase, stride);
  /* Whole strides are added so that the dividend is not negative. */
  const int64_t first_pixel =
      (phase - zeros + divide_up(zeros, stride) * stride) % stride;
  return (Phase){
      .num_taps = num_taps,
      .first_pixel = first_pixel,
      .num_pixels = divide_up(length - first_pixel, stride),
      .first_gradient = (first_pixel + zeros - phase) / stride - (num_taps - 1),
  };
}

/* Copies a kernel's taps of phase y along rows and x along columns, flipped and
 * with input and output channels exchanged: [y taps, x taps, out,
 * kChannelBlock] for the input channels from `first` on; with few input
 * channels, [in, y taps, x taps, out]. */
static void pack_phase(const ConvShape *shape, const float *kernel, int64_t y,
                       int64_t x, int64_t first, float *block) {
  const int64_t in = shape->in_channels, out = shape->out_channels;
  const int64_t stride = shape->stride;
  const int64_t y_taps = divide_up(shape->kernel_size - y, stride);
  const int64_t x_taps = divide_up(shape->kernel_size - x, stride);
  const int64_t channels = min(kChannelBlock, in - first);
  const int64_t row_stride = in <= kFewChannels ? 1 : kChannelBlock;
  const int64_t channel_stride = in <= kFewChannels ? y_taps * x_taps * out : 1;
  for (int64_t ky = y_taps - 1; ky >= 0; --ky)
    for (int64_t kx = x_taps - 1; kx >= 0; --kx) {
      const float *tap =
          kernel +
          ((y + ky * stride) * shape->kernel_size + x + kx * stride) * in * out;
      for (int64_t o = 0; o < out; ++o, block += row_stride)
        for (int64_t i = 0; i < channels; ++i)
          block[i * channel_stride] = tap[(first + i) * out + o];
    }
}

int conv_transpose(const ConvShape *shape, const float *gradient,
                   const float *kernel, const float *images, const float *add,
                   float *images_gradient) {
  if (winograd_fits(shape))
    return winograd_conv_transpose(shape, gradient, kernel, images, add,
                                   images_gradient);
  static const float kNoBias[kChannelBlock] = {0};
  const Microkernels *micro = microkernels();
  void (*multiply)(const PatchProduct *) =
      shape->in_channels <= kFewChannels ? micro->multiply_patches_few_channels
                                         : micro->multiply_patches;
  const int64_t in = shape->in_channels, out = shape->out_channels;
  const int64_t stride = shape->stride;
  const int64_t height = shape->height / stride, width = shape->width / stride;
  const int64_t margin = divide_up(shape->kernel_size, stride) - 1;
  const int64_t phase_size = (margin + 1) * (margin + 1) * out * kChannelBlock;
  const int64_t block_size = stride * stride * phase_size;
  PaddedImage padded = new_padded_image(
      height, width, out, margin, height + 2 * margin, width + 2 * margin);
  float *blocks = new_zeros(num_channel_blocks(in) * block_size);
  const int ok = padded.data != NULL && blocks != NULL;
  for (int64_t first = 0; ok && first < in; first += kChannelBlock)
    for (int64_t y = 0; y < stride; ++y)
      for (int64_t x = 0; x < stride; ++x)
        pack_phase(shape, kernel, y, x, first,
                   blocks + first / kChannelBlock * block_size +
                       (y * stride + x) * phase_size);
  for (int64_t n = 0; ok && n < shape->n; ++n) {
    const float *data = pad(&padded, gradient + n * height * width * out, 0);
    for (int64_t first = 0; first < in; first += kChannelBlock)
      for (int64_t phase = 0; phase < stride * stride; ++phase) {
        const Phase y = phase_of(shape, phase / stride, shape->height);
        const Phase x = phase_of(shape, phase % stride, shape->width);
        const int64_t offset =
            ((n * shape->height + y.first_pixel) * shape->width +
             x.first_pixel) *
                in +
            first;
        multiply(&(PatchProduct){
            .input = data + (margin + y.first_gradient) * padded.row_stride +
                     (margin + x.first_gradient) * out,
            .input_row_stride = padded.row_stride,
            .input_column_stride = out,
            .output = images_gradient + offset,
            .output_row_stride = stride * shape->width * in,
            .output_column_stride = stride * in,
            .height = y.num_pixels,
            .width = x.num_pixels,
            .num_segments = y.num_taps,
            .segment_size = x.num_taps * out,
            .segment_stride = padded.row_stride,
            .kernel = blocks + first / kChannelBlock * block_size +
                      phase * phase_size,
            .channels = min(kChannelBlock, in - first),
            .bias = kNoBias,
            .relu_mask = shape->rectify ? images + offset : NULL,
            .add = offset_or_null(add, offset),
        });
      }
  }
  free(padded.data);
  free(blocks);
  return ok ? 0 : -1;
}

/* Adds the sums over `count` pixels [count, kChannelBlock] to `sums`
 * [channels]. */
static void add_pixels(const float *pixels, int64_t count, int64_t channels,
                       float *sums) {
  float block_sums[kChannelBlock] = {0};
  for (int64_t i = 0; i < count; ++i)
    for (int c = 0; c < kChannelBlock; ++c)
      block_sums[c] += pixels[i * kChannelBlock + c];
  for (int64_t c = 0; c < channels; ++c) sums[c] += block_sums[c];
}

/* Undoes `new_kernel_blocks`. */
static void unpack_kernel_blocks(const float *blocks, int64_t rows, int64_t out,
                                 float *kernel) {
  for (int64_t row = 0; row < rows; ++row) {
    if (out <= kFewChannels)
      for (int64_t o = 0; o < out; ++o)
        kernel[row * out + o] = blocks[o * rows + row];
    else
      for (int64_t first = 0; first < out; first += kChannelBlock)
        memcpy(kernel + row * out + first,
               blocks + (first / kChannelBlock * rows + row) * kChannelBlock,
               min(kChannelBlock, out - first) * sizeof(float));
  }
}

int conv_gradients(const ConvShape *shape, const float *images,
                   const float *gradient, float *kernel_gradient,
                   float *bias_gradient) {
  if (winograd_fits(shape))
    return winograd_conv_gradients(shape, images, gradient, kernel_gradient,
                                   bias_gradient);
  const Microkernels *micro = microkernels();
  const int64_t in = shape->in_channels, out = shape->out_channels;
  const int64_t stride = shape->stride;
  const int64_t height = shape->height / stride, width = shape->width / stride;
  const int64_t segment_size = shape->kernel_size * in,
                rows = shape->kernel_size * segment_size;
  const int64_t band = min(height, divide_up(kPixels, width));
  PaddedImage image = new_padded_input(shape);
  float *blocks = new_zeros(num_channel_blocks(out) * rows * kChannelBlock);
  float *pixels = new_zeros(band * width * kChannelBlock);
  const int ok = image.data != NULL && blocks != NULL && pixels != NULL;
  memset(bias_gradient, 0, shape->n * out * sizeof(float));
  for (int64_t n = 0; ok && n < shape->n; ++n) {
    const float *data = pad(
        &image, images + n * shape->height * shape->width * in, shape->rectify);
    for (int64_t y = 0; y < height; y += band)
      for (int64_t first = 0; first < out; first += kChannelBlock) {
        const int64_t channels = min(kChannelBlock, out - first);
        const int64_t num_rows = min(band, height - y);
        const float *from = gradient + (n * height + y) * width * out + first;
        for (int64_t i = 0; i < num_rows * width; ++i)
          memcpy(pixels + i * kChannelBlock, from + i * out,
                 channels * sizeof(float));
        add_pixels(pixels, num_rows * width, channels,
                   bias_gradient + n * out + first);
        OuterProducts products = {
            .x_row_stride = stride * image.row_stride,
            .x_column_stride = stride * in,
            .y = pixels,
            .height = num_rows,
            .width = width,
            .rows = segment_size,
            .channels = channels,
        };
        for (int64_t k = 0; k < shape->kernel_size; ++k) {
          products.x = data + (y * stride + k) * image.row_stride;
          products.matrix =
              blocks +
              (first / kChannelBlock * rows + k * segment_size) * kChannelBlock;
          if (out > kFewChannels) micro->add_outer_products(&products);
          for (int64_t o = 0; out <= kFewChannels && o < out; ++o) {
            products.y = pixels + o;
            products.matrix = blocks + o * rows + k * segment_size;
            micro->add_outer_products_one_channel(&products);
          }
        }
      }
  }
  if (ok) unpack_kernel_blocks(blocks, rows, out, kernel_gradient);
  free(image.data);
  free(blocks);
  free(pixels);
  return ok ? 0 : -1;
}
