#include "conv.h"

#include <stdlib.h>
#include <string.h>

#include "sums.h"

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

/* An image with zeros around it. */
typedef struct {
  int64_t height, width, channels; /* Without them. */
  int64_t top, left;               /* Zeros. */
  int64_t row;                     /* Floats. */
  float *data;
} Padded;

/* Returns one of zeros alone; without memory `data` is null. */
static Padded new_padded(int64_t height, int64_t width, int64_t channels,
                         int64_t margin, int64_t all_height,
                         int64_t all_width) {
  return (Padded){
      .height = height,
      .width = width,
      .channels = channels,
      .top = margin,
      .left = margin,
      .row = all_width * channels,
      .data = new_zeros(all_height * all_width * channels),
  };
}

static void fill(const Padded *padded, const float *image) {
  const int64_t row = padded->width * padded->channels;
  for (int64_t y = 0; y < padded->height; ++y)
    memcpy(padded->data + (y + padded->top) * padded->row +
               padded->left * padded->channels,
           image + y * row, row * sizeof(float));
}

/* Returns room for images from which kernels take runs. */
static Padded new_images(const Shape *shape) {
  const int64_t zeros = shape->size - shape->stride;
  return new_padded(shape->height, shape->width, shape->in, before(shape),
                    shape->height + zeros, shape->width + zeros);
}

int conv(const Shape *shape, const float *images, const float *kernel,
         float *output) {
  const Sums *loops = sums();
  const int64_t in = shape->in, out = shape->out, stride = shape->stride;
  const int64_t height = shape->height / stride, width = shape->width / stride;
  const int64_t rows = shape->size * shape->size * in;
  Padded image = new_images(shape);
  float *blocks = new_zeros(num_blocks(out) * rows * kLanes);
  const int ok = image.data != NULL && blocks != NULL;
  for (int64_t lane = 0; ok && lane < out; lane += kLanes)
    for (int64_t row = 0; row < rows; ++row)
      memcpy(blocks + (lane / kLanes * rows + row) * kLanes,
             kernel + row * out + lane,
             min(kLanes, out - lane) * sizeof(float));
  for (int64_t n = 0; ok && n < shape->n; ++n) {
    fill(&image, images + n * shape->height * shape->width * in);
    for (int64_t lane = 0; lane < out; lane += kLanes)
      loops->sum_runs(&(Runs){
          .from = image.data,
          .from_row = stride * image.row,
          .from_column = stride * in,
          .to = output + n * height * width * out + lane,
          .to_row = width * out,
          .to_column = out,
          .height = height,
          .width = width,
          .runs = shape->size,
          .run = shape->size * in,
          .next_run = image.row,
          .kernel = blocks + lane * rows,
          .lanes = min(kLanes, out - lane),
      });
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
 * exchanged: [taps, taps, out, kLanes]. */
static void pack_phase(const Shape *shape, const float *kernel, int64_t y,
                       int64_t x, int64_t lane, float *block) {
  const int64_t in = shape->in, out = shape->out, stride = shape->stride;
  const int64_t lanes = min(kLanes, in - lane);
  for (int64_t ky = divide_up(shape->size - y, stride) - 1; ky >= 0; --ky)
    for (int64_t kx = divide_up(shape->size - x, stride) - 1; kx >= 0; --kx) {
      const float *tap =
          kernel + ((y + ky * stride) * shape->size + x + kx * stride) * in *
                       out;
      for (int64_t o = 0; o < out; ++o, block += kLanes)
        for (int64_t i = 0; i < lanes; ++i)
          block[i] = tap[(lane + i) * out + o];
    }
}

int conv_transpose(const Shape *shape, const float *gradient,
                   const float *kernel, float *images) {
  const Sums *loops = sums();
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
    fill(&padded, gradient + n * height * width * out);
    float *image = images + n * shape->height * shape->width * in;
    for (int64_t lane = 0; lane < in; lane += kLanes)
      for (int64_t phase = 0; phase < stride * stride; ++phase) {
        const Phase y = phase_of(shape, phase / stride, shape->height);
        const Phase x = phase_of(shape, phase % stride, shape->width);
        loops->sum_runs(&(Runs){
            .from = padded.data + (margin + y.from) * padded.row +
                    (margin + x.from) * out,
            .from_row = padded.row,
            .from_column = out,
            .to = image + (y.first * shape->width + x.first) * in + lane,
            .to_row = stride * shape->width * in,
            .to_column = stride * in,
            .height = y.count,
            .width = x.count,
            .runs = y.taps,
            .run = x.taps * out,
            .next_run = padded.row,
            .kernel = blocks + lane / kLanes * block_size + phase * phase_size,
            .lanes = min(kLanes, in - lane),
        });
      }
  }
  free(padded.data);
  free(blocks);
  return ok ? 0 : -1;
}

int conv_kernel_gradient(const Shape *shape, const float *images,
                         const float *gradient, float *kernel) {
  const Sums *loops = sums();
  const int64_t in = shape->in, out = shape->out, stride = shape->stride;
  const int64_t height = shape->height / stride, width = shape->width / stride;
  const int64_t run = shape->size * in, rows = shape->size * run;
  const int64_t band = min(height, divide_up(kPixels, width));
  Padded image = new_images(shape);
  float *blocks = new_zeros(num_blocks(out) * rows * kLanes);
  float *pixels = new_zeros(band * width * kLanes);
  const int ok = image.data != NULL && blocks != NULL && pixels != NULL;
  for (int64_t n = 0; ok && n < shape->n; ++n) {
    fill(&image, images + n * shape->height * shape->width * in);
    for (int64_t y = 0; y < height; y += band)
      for (int64_t lane = 0; lane < out; lane += kLanes) {
        const int64_t lanes = min(kLanes, out - lane);
        const int64_t y_count = min(band, height - y);
        const float *from = gradient + (n * height + y) * width * out + lane;
        for (int64_t i = 0; i < y_count * width; ++i)
          memcpy(pixels + i * kLanes, from + i * out, lanes * sizeof(float));
        for (int64_t k = 0; k < shape->size; ++k)
          loops->add_products(&(Products){
              .x = image.data + (y * stride + k) * image.row,
              .x_row = stride * image.row,
              .x_column = stride * in,
              .y = pixels,
              .height = y_count,
              .width = width,
              .rows = run,
              .matrix = blocks + (lane / kLanes * rows + k * run) * kLanes,
              .lanes = lanes,
          });
      }
  }
  for (int64_t row = 0; ok && row < rows; ++row)
    for (int64_t lane = 0; lane < out; lane += kLanes)
      memcpy(kernel + row * out + lane,
             blocks + (lane / kLanes * rows + row) * kLanes,
             min(kLanes, out - lane) * sizeof(float));
  free(image.data);
  free(blocks);
  free(pixels);
  return ok ? 0 : -1;
}
