#include "conv3x3.h"

#include <stdlib.h>
#include <string.h>

enum {
  kVector = 8,                 /* Floats; one AVX register. */
  kVectors = kLanes / kVector,
  kPixels = 3,                 /* kPixels * kVectors sums stay in registers. */
  kRows = 4,                   /* Of a kernel, likewise. */
};

typedef float Vector __attribute__((vector_size(32), aligned(4)));
#define LOAD(address) (*(const Vector *)(address))
#define STORE(address, value) (*(Vector *)(address) = (value))

#define INLINE static inline __attribute__((always_inline))

static int64_t min(int64_t a, int64_t b) { return a < b ? a : b; }

/* Returns room for [height + 2, width + 2, in], zeros, or null. */
static float *new_padded(const Shape *shape) {
  return calloc((shape->height + 2) * (shape->width + 2) * shape->in,
                sizeof(float));
}

/* Copies an image inside of the border. */
static void pad(const Shape *shape, const float *image, float *padded) {
  const int64_t row = shape->width * shape->in;
  for (int64_t y = 0; y < shape->height; ++y)
    memcpy(padded + ((y + 1) * (shape->width + 2) + 1) * shape->in,
           image + y * row, row * sizeof(float));
}

/* Each output pixel is a sum over three runs of the padded image, three pixels
 * long: kPixels of them at once share what is loaded of the kernel. */
INLINE int convolve(const Shape *shape, const float *images,
                    const float *kernels, float *output) {
  const int64_t in = shape->in, out = shape->out, width = shape->width;
  const int64_t pixels = shape->height * width;
  const int64_t stride = (width + 2) * in;
  float *padded = new_padded(shape);
  if (padded == NULL) return -1;
  for (int64_t n = 0; n < shape->n; ++n) {
    pad(shape, images + n * pixels * in, padded);
    for (int64_t lane = 0; lane < out; lane += kLanes)
      for (int64_t i = 0; i < pixels; i += kPixels) {
        /* The last pixels are computed twice where they do not come out. */
        int64_t pixel[kPixels];
        const float *runs[kPixels];
        for (int p = 0; p < kPixels; ++p) {
          pixel[p] = min(i + p, pixels - 1);
          runs[p] = padded + (pixel[p] / width) * stride +
                    (pixel[p] % width) * in;
        }
        Vector sums[kPixels][kVectors];
        memset(sums, 0, sizeof(sums));
        const float *kernel = kernels + lane;
        for (int row = 0; row < 3; ++row) {
          const float *run0 = runs[0] + row * stride;
          const float *run1 = runs[1] + row * stride;
          const float *run2 = runs[2] + row * stride;
          for (int64_t c = 0; c < 3 * in; ++c, kernel += out) {
            const float x0 = run0[c], x1 = run1[c], x2 = run2[c];
            for (int v = 0; v < kVectors; ++v) {
              const Vector weight = LOAD(kernel + v * kVector);
              sums[0][v] += x0 * weight;
              sums[1][v] += x1 * weight;
              sums[2][v] += x2 * weight;
            }
          }
        }
        for (int p = 0; p < kPixels; ++p)
          for (int v = 0; v < kVectors; ++v)
            STORE(output + (n * pixels + pixel[p]) * out + lane +
                      v * kVector, sums[p][v]);
      }
  }
  free(padded);
  return 0;
}

/* A row of the kernel's gradient is a sum over all pixels: kRows of them at
 * once share what is loaded of the output's gradient, half of kLanes wide. */
INLINE int kernel_gradient(const Shape *shape, const float *images,
                           const float *gradients, float *output) {
  const int64_t in = shape->in, out = shape->out;
  const int64_t height = shape->height, width = shape->width;
  const int64_t stride = (width + 2) * in;
  float *padded = new_padded(shape);
  if (padded == NULL) return -1;
  memset(output, 0, 9 * in * out * sizeof(float));
  for (int64_t n = 0; n < shape->n; ++n) {
    pad(shape, images + n * height * width * in, padded);
    const float *gradient = gradients + n * height * width * out;
    for (int64_t lane = 0; lane < out; lane += 2 * kVector)
      for (int tap = 0; tap < 9; ++tap)
        for (int64_t c = 0; c < in; c += kRows) {
          float *rows = output + (tap * in + c) * out + lane;
          Vector sums[kRows][2];
          for (int r = 0; r < kRows; ++r)
            for (int v = 0; v < 2; ++v)
              sums[r][v] = LOAD(rows + r * out + v * kVector);
          for (int64_t y = 0; y < height; ++y) {
            const float *x =
                padded + (y + tap / 3) * stride + (tap % 3) * in + c;
            const float *g = gradient + y * width * out + lane;
            for (int64_t i = 0; i < width; ++i, x += in, g += out) {
              const Vector g0 = LOAD(g), g1 = LOAD(g + kVector);
              for (int r = 0; r < kRows; ++r) {
                sums[r][0] += x[r] * g0;
                sums[r][1] += x[r] * g1;
              }
            }
          }
          for (int r = 0; r < kRows; ++r)
            for (int v = 0; v < 2; ++v)
              STORE(rows + r * out + v * kVector, sums[r][v]);
        }
  }
  free(padded);
  return 0;
}

/* The same code for two kinds of processor. */
#ifdef __x86_64__
#define FUSED __attribute__((target("avx2,fma")))

static int has_fused(void) {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}
#else
#define FUSED

static int has_fused(void) { return 0; }
#endif

FUSED static int convolve_fused(const Shape *shape, const float *images,
                                const float *kernel, float *output) {
  return convolve(shape, images, kernel, output);
}

FUSED static int kernel_gradient_fused(const Shape *shape, const float *images,
                                       const float *gradient, float *output) {
  return kernel_gradient(shape, images, gradient, output);
}

int conv3x3(const Shape *shape, const float *images, const float *kernel,
            float *output) {
  return has_fused() ? convolve_fused(shape, images, kernel, output)
                     : convolve(shape, images, kernel, output);
}

int conv3x3_kernel_gradient(const Shape *shape, const float *images,
                            const float *gradient, float *output) {
  return has_fused() ? kernel_gradient_fused(shape, images, gradient, output)
                     : kernel_gradient(shape, images, gradient, output);
}
