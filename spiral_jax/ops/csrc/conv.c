#include "conv.h"

#include <stdlib.h>
#include <string.h>

#include "padded.h"
#include "sums.h"
#include "winograd.h"

enum { kPixels = 128 }; /* Of products at once: they stay in the L1 cache. */

static int64_t min(int64_t a, int64_t b) { return a < b ? a : b; }

static int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

static int64_t num_blocks(int64_t channels) {
  return divide_up(channels, kLanes);
}

/* Zeros before an image, in rows or columns. */
static int64_t before(const Shape *shape) {
  return (shape->size - shape->stride) / 2;
}

static float *new_zeros(int64_t size) { return calloc(size, sizeof(float)); }

/* Returns room for images from which kernels take runs. */
static Padded new_images(const Shape *shape) {
  const int64_t zeros = shape->size - shape->stride;
  return new_padded(shape->height, shape->width, shape->in, before(shape),
                    shape->height + zeros, shape->width + zeros);
}

static const float *plus(const float *array, int64_t offset) {
  return array == NULL ? NULL : array + offset;
}

/* Returns a kernel [rows, out] in blocks of lanes, [rows, kLanes] each with
 * zeros where lanes are unused; or [out, rows] where there are few. Null without
 * memory. */
static float *new_blocks(const float *kernel, int64_t rows, int64_t out) {
  if (out <= kFew) {
    float *columns = new_zeros(out * rows);
    for (int64_t row = 0; columns != NULL && row < rows; ++row)
      for (int64_t o = 0; o < out; ++o)
        columns[o * rows + row] = kernel[row * out + o];
    return columns;
  }
  float *blocks = new_zeros(num_blocks(out) * rows * kLanes);
  for (int64_t lane = 0; blocks != NULL && lane < out; lane += kLanes)
    for (int64_t row = 0; row < rows; ++row)
      memcpy(blocks + (lane / kLanes * rows + row) * kLanes,
             kernel + row * out + lane,
             min(kLanes, out - lane) * sizeof(float));
  return blocks;
}

int conv(const Shape *shape, const float *images, const float *kernel,
         const float *bias, int64_t next_bias, const float *add,
         float *output) {
  if (winograd_fits(shape))
    return winograd_conv(shape, images, kernel, bias, next_bias, add, output);
  const Sums *loops = sums();
  void (*sum)(const Runs *) =
      shape->out <= kFew ? loops->sum_few : loops->sum_runs;
  const int64_t in = shape->in, out = shape->out, stride = shape->stride;
  const int64_t height = shape->height / stride, width = shape->width / stride;
  const int64_t rows = shape->size * shape->size * in;
  Padded image = new_images(shape);
  float *blocks = new_blocks(kernel, rows, out);
  const int ok = image.data != NULL && blocks != NULL;
  for (int64_t n = 0; ok && n < shape->n; ++n) {
    const float *data =
        pad(&image, images + n * shape->height * shape->width * in,
            shape->rectify);
    for (int64_t lane = 0; lane < out; lane += kLanes) {
      const int64_t lanes = min(kLanes, out - lane);
      const int64_t at = n * height * width * out + lane;
      float biases[kLanes] = {0};
      memcpy(biases, bias + n * next_bias + lane, lanes * sizeof(float));
      sum(&(Runs){
          .from = data,
          .from_row = stride * image.row,
          .from_column = stride * in,
          .to = output + at,
          .to_row = width * out,
          .to_column = out,
          .height = height,
          .width = width,
          .runs = shape->size,
          .run = shape->size * in,
          .next_run = image.row,
          .kernel = blocks + lane * rows,
          .lanes = lanes,
          .bias = biases,
          .add = plus(add, at),
      });
    }
  }
  free(image.data);
  free(blocks);
  return ok ? 0 : -1;
}

/* Along one axis, every `stride`-th pixel of an image is a sum over the same
 * taps of the kernel: phase, phase + stride, ... */
typedef struct {
  int64_t taps;         /* How many. */
  int64_t first, count; /* Pixels. */
  int64_t from;         /* The first of the gradients that the first one sums. */
} Phase;

static Phase phase_of(const Shape *shape, int64_t phase, int64_t length) {
  const int64_t stride = shape->stride, zeros = before(shape);
  const int64_t taps = divide_up(shape->size - phase, stride);
  /* Not negative: zeros < size, and both are rounded up to whole strides. */
  const int64_t first =
      (phase - zeros + divide_up(zeros, stride) * stride) % stride;
  return (Phase){
      .taps = taps,
      .first = first,
      .count = divide_up(length - first, stride),
      .from = (first + zeros - phase) / stride - (taps - 1),
  };
}

/* Copies a kernel's taps of two phases, last ones first, channels in and out
 * exchanged: [taps, taps, out, kLanes]; or, where there are few channels in,
 * [in, taps, taps, out]. */
static void pack_phase(const Shape *shape, const float *kernel, int64_t y,
                       int64_t x, int64_t lane, float *block) {
  const int64_t in = shape->in, out = shape->out, stride = shape->stride;
  const int64_t y_taps = divide_up(shape->size - y, stride);
  const int64_t x_taps = divide_up(shape->size - x, stride);
  const int64_t lanes = min(kLanes, in - lane);
  const int64_t next_row = in <= kFew ? 1 : kLanes;
  const int64_t next_lane = in <= kFew ? y_taps * x_taps * out : 1;
  for (int64_t ky = y_taps - 1; ky >= 0; --ky)
    for (int64_t kx = x_taps - 1; kx >= 0; --kx) {
      const float *tap =
          kernel + ((y + ky * stride) * shape->size + x + kx * stride) * in *
                       out;
      for (int64_t o = 0; o < out; ++o, block += next_row)
        for (int64_t i = 0; i < lanes; ++i)
          block[i * next_lane] = tap[(lane + i) * out + o];
    }
}

int conv_transpose(const Shape *shape, const float *gradient,
                   const float *kernel, const float *images, const float *add,
                   float *images_gradient) {
  if (winograd_fits(shape))
    return winograd_transpose(shape, gradient, kernel, images, add,
                              images_gradient);
  static const float kNoBias[kLanes] = {0};
  const Sums *loops = sums();
  void (*sum)(const Runs *) =
      shape->in <= kFew ? loops->sum_few : loops->sum_runs;
  const int64_t in = shape->in, out = shape->out, stride = shape->stride;
  const int64_t height = shape->height / stride, width = shape->width / stride;
  const int64_t margin = divide_up(shape->size, stride) - 1;
  const int64_t phase_size = (margin + 1) * (margin + 1) * out * kLanes;
  const int64_t block_size = stride * stride * phase_size;
  Padded padded = new_padded(height, width, out, margin, height + 2 * margin,
                             width + 2 * margin);
  float *blocks = new_zeros(num_blocks(in) * block_size);
  const int ok = padded.data != NULL && blocks != NULL;
  for (int64_t lane = 0; ok && lane < in; lane += kLanes)
    for (int64_t y = 0; y < stride; ++y)
      for (int64_t x = 0; x < stride; ++x)
        pack_phase(shape, kernel, y, x, lane,
                   blocks + lane / kLanes * block_size +
                       (y * stride + x) * phase_size);
  for (int64_t n = 0; ok && n < shape->n; ++n) {
    const float *data =
        pad(&padded, gradient + n * height * width * out, 0);
    for (int64_t lane = 0; lane < in; lane += kLanes)
      for (int64_t phase = 0; phase < stride * stride; ++phase) {
        const Phase y = phase_of(shape, phase / stride, shape->height);
        const Phase x = phase_of(shape, phase % stride, shape->width);
        const int64_t at =
            ((n * shape->height + y.first) * shape->width + x.first) * in +
            lane;
        sum(&(Runs){
            .from = data + (margin + y.from) * padded.row +
                    (margin + x.from) * out,
            .from_row = padded.row,
            .from_column = out,
            .to = images_gradient + at,
            .to_row = stride * shape->width * in,
            .to_column = stride * in,
            .height = y.count,
            .width = x.count,
            .runs = y.taps,
            .run = x.taps * out,
            .next_run = padded.row,
            .kernel = blocks + lane / kLanes * block_size + phase * phase_size,
            .lanes = min(kLanes, in - lane),
            .bias = kNoBias,
            .open = shape->rectify ? images + at : NULL,
            .add = plus(add, at),
        });
      }
  }
  free(padded.data);
  free(blocks);
  return ok ? 0 : -1;
}

/* Adds pixels [count, kLanes] to sums [lanes]. */
static void add_pixels(const float *pixels, int64_t count, int64_t lanes,
                       float *sums) {
  float all[kLanes] = {0};
  for (int64_t i = 0; i < count; ++i)
    for (int l = 0; l < kLanes; ++l) all[l] += pixels[i * kLanes + l];
  for (int64_t l = 0; l < lanes; ++l) sums[l] += all[l];
}

/* Undoes `new_blocks`. */
static void unblock(const float *blocks, int64_t rows, int64_t out,
                    float *kernel) {
  for (int64_t row = 0; row < rows; ++row) {
    if (out <= kFew)
      for (int64_t o = 0; o < out; ++o)
        kernel[row * out + o] = blocks[o * rows + row];
    else
      for (int64_t lane = 0; lane < out; lane += kLanes)
        memcpy(kernel + row * out + lane,
               blocks + (lane / kLanes * rows + row) * kLanes,
               min(kLanes, out - lane) * sizeof(float));
  }
}

int conv_gradients(const Shape *shape, const float *images,
                   const float *gradient, float *kernel, float *bias) {
  if (winograd_fits(shape))
    return winograd_gradients(shape, images, gradient, kernel, bias);
  const Sums *loops = sums();
  const int64_t in = shape->in, out = shape->out, stride = shape->stride;
  const int64_t height = shape->height / stride, width = shape->width / stride;
  const int64_t run = shape->size * in, rows = shape->size * run;
  const int64_t band = min(height, divide_up(kPixels, width));
  Padded image = new_images(shape);
  float *blocks = new_zeros(num_blocks(out) * rows * kLanes);
  float *pixels = new_zeros(band * width * kLanes);
  const int ok = image.data != NULL && blocks != NULL && pixels != NULL;
  memset(bias, 0, shape->n * out * sizeof(float));
  for (int64_t n = 0; ok && n < shape->n; ++n) {
    const float *data =
        pad(&image, images + n * shape->height * shape->width * in,
            shape->rectify);
    for (int64_t y = 0; y < height; y += band)
      for (int64_t lane = 0; lane < out; lane += kLanes) {
        const int64_t lanes = min(kLanes, out - lane);
        const int64_t y_count = min(band, height - y);
        const float *from = gradient + (n * height + y) * width * out + lane;
        for (int64_t i = 0; i < y_count * width; ++i)
          memcpy(pixels + i * kLanes, from + i * out, lanes * sizeof(float));
        add_pixels(pixels, y_count * width, lanes, bias + n * out + lane);
        Products products = {
            .x_row = stride * image.row,
            .x_column = stride * in,
            .y = pixels,
            .height = y_count,
            .width = width,
            .rows = run,
            .lanes = lanes,
        };
        for (int64_t k = 0; k < shape->size; ++k) {
          products.x = data + (y * stride + k) * image.row;
          products.matrix = blocks + (lane / kLanes * rows + k * run) * kLanes;
          if (out > kFew) loops->add_products(&products);
          for (int64_t o = 0; out <= kFew && o < out; ++o) {
            products.y = pixels + o;
            products.matrix = blocks + o * rows + k * run;
            loops->add_to_one(&products);
          }
        }
      }
  }
  if (ok) unblock(blocks, rows, out, kernel);
  free(image.data);
  free(blocks);
  free(pixels);
  return ok ? 0 : -1;
}
