#include "surface.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "blend.h"
#include "dab.h"

/* Limits to what is drawn, which no sound brush reaches; dab_limits.py has the
 * same ones. */
static const float kLargestRadius = 1 << 14;  /* Pixels. */
static const float kFarthest = 1 << 20;       /* Pixels from the top left. */
static const float kLargestRatio = 1e6f, kLargestAngle = 1e6f;
static const float kSmallestHardness = 1e-30f;
static const double kDabWork = 8192.0;  /* Cost of a dab of no pixels. */

/* False where nothing can be drawn: C would convert what is not finite to
 * integers, which is undefined. */
static int is_placed(float x, float y, float radius) {
  return fabsf(x) <= kFarthest && fabsf(y) <= kFarthest &&
         radius <= kLargestRadius;
}

static void spend(Surface *surface, double pixels) {
  surface->work_left -= kDabWork + pixels;
  if (surface->work_left < 0.0) surface->exhausted(surface);
}

/* The length, in pixels, of what a dab covers of the canvas in one direction. */
static double covered(const Surface *surface, double center, double radius) {
  const double length = fmin(center + radius, surface->size) -
                        fmax(center - radius, 0.0);
  return fmax(length, 0.0);
}

static inline float clamp01(float value) {
  return value > 1.0f ? 1.0f : value < 0.0f ? 0.0f : value;
}

/* Of a length in pixels; tiles left of and above the canvas are negative. */
static inline int tile_at(float position) {
  return (int)floorf(floorf(position) / kTileSize);
}

static inline int smaller(int a, int b) { return a < b ? a : b; }
static inline int larger(int a, int b) { return a > b ? a : b; }

static Tile *find_tile(Surface *surface, int across, int down) {
  const int count = surface->tiles_across;
  if (across < 0 || down < 0 || across >= count || down >= count) return NULL;
  return surface->tiles + down * count + across;
}

static void fill(uint16_t *plane, uint16_t value) {
  for (int i = 0; i < kTilePixels; ++i) plane[i] = value;
}

/* From now on green and blue have planes of their own. */
static void end_gray(Surface *surface) {
  if (!surface->is_gray) return;
  surface->is_gray = 0;
  const int count = surface->tiles_across * surface->tiles_across;
  for (Tile *tile = surface->tiles; tile < surface->tiles + count; ++tile) {
    memcpy(tile->green, tile->red, sizeof tile->red);
    memcpy(tile->blue, tile->red, sizeof tile->red);
  }
}

/* A dab's color and the strength of each way to blend it. */
typedef struct {
  uint16_t color[3];
  uint16_t alpha;      /* Below 1.0 where the brush erases or smudges. */
  uint16_t over, lock_alpha, colorize;
} Paint;

static void stamp(Surface *surface, Tile *tile, const DabShape *dab,
                  const Paint *paint) {
  uint16_t mask[kTilePixels];
  const Box box = dab_mask(dab, mask);
  uint16_t *const planes[3] = {tile->red, tile->green, tile->blue};
  const int num_planes = surface->is_gray ? 1 : 3;
  if (paint->over) {
    for (int c = 0; c < num_planes; ++c)
      blend_over(planes[c], mask, box, paint->color[c], paint->alpha,
                 paint->over);
    if (!surface->is_opaque)
      blend_over(tile->alpha, mask, box, kOne, paint->alpha, paint->over);
  }
  if (paint->lock_alpha)
    for (int c = 0; c < num_planes; ++c)
      blend_lock_alpha(planes[c], tile->alpha, mask, box, paint->color[c],
                       paint->lock_alpha);
  if (paint->colorize)
    blend_colorize(tile, mask, box, paint->color, paint->colorize);
}

static int draw_dab(MyPaintSurface *self, float x, float y, float radius,
                    float red, float green, float blue, float opaque,
                    float hardness, float alpha, float aspect_ratio,
                    float angle, float lock_alpha, float colorize) {
  Surface *surface = (Surface *)self;
  if (!is_placed(x, y, radius) || !(fabsf(aspect_ratio) <= kLargestRatio) ||
      !(fabsf(angle) <= kLargestAngle) || !(hardness >= kSmallestHardness) ||
      isnan(red) || isnan(green) || isnan(blue) || isnan(opaque) ||
      isnan(alpha) || isnan(lock_alpha) || isnan(colorize)) {
    spend(surface, 0.0);
    return 0;
  }
  spend(surface, covered(surface, x, radius) * covered(surface, y, radius));
  opaque = clamp01(opaque);
  hardness = clamp01(hardness);
  lock_alpha = clamp01(lock_alpha);
  colorize = clamp01(colorize);
  alpha = clamp01(alpha);
  /* Too small or too faint: libmypaint's limits. */
  if (radius < 0.1f || hardness == 0.0f || opaque == 0.0f) return 0;
  if (surface->record != NULL) {
    const float numbers[kDabNumbers] = {
        x,        y,     radius,       red,   green,      blue,    opaque,
        hardness, alpha, aspect_ratio, angle, lock_alpha, colorize};
    if (surface->num_recorded < surface->max_recorded)
      memcpy(surface->record + (size_t)surface->num_recorded * kDabNumbers,
             numbers, sizeof numbers);
    ++surface->num_recorded;
  }

  const float normal = (1.0f - lock_alpha) * (1.0f - colorize);
  Paint paint = {
      .color = {(uint16_t)(clamp01(red) * kOne),
                (uint16_t)(clamp01(green) * kOne),
                (uint16_t)(clamp01(blue) * kOne)},
      .alpha = (uint16_t)(alpha * kOne),
      .over = (uint16_t)(normal * opaque * kOne),
      .lock_alpha = alpha == 0.0f
          ? 0
          : (uint16_t)(lock_alpha * opaque * (1.0f - colorize) * kOne),
      .colorize = (uint16_t)(colorize * opaque * kOne),
  };
  /* libmypaint divides by 0, which ends the process, where it colorizes with
   * an exact gray: it is moved by the smallest step. */
  if (paint.colorize && paint.color[0] == paint.color[1] &&
      paint.color[0] == paint.color[2])
    paint.color[2] = paint.color[2] ? paint.color[2] - 1 : 1;
  if (paint.color[0] != paint.color[1] || paint.color[0] != paint.color[2] ||
      paint.colorize)
    end_gray(surface);
  if (paint.alpha != kOne && paint.over) surface->is_opaque = 0;

  const float fringe = radius + 1.0f;
  const int x1 = smaller(tile_at(x + fringe), surface->tiles_across - 1);
  const int y1 = smaller(tile_at(y + fringe), surface->tiles_across - 1);
  for (int down = larger(tile_at(y - fringe), 0); down <= y1; ++down) {
    for (int across = larger(tile_at(x - fringe), 0); across <= x1; ++across) {
      Tile *tile = find_tile(surface, across, down);
      const DabShape dab = {
          .x = x - across * kTileSize,
          .y = y - down * kTileSize,
          .radius = radius,
          .hardness = hardness,
          .aspect_ratio = aspect_ratio < 1.0f ? 1.0f : aspect_ratio,
          .angle = angle,
      };
      stamp(surface, tile, &dab, &paint);
    }
  }
  return 1;
}

static uint32_t masked_sum(const uint16_t *plane, const uint16_t *mask,
                           Box box) {
  uint32_t sum = 0;
  for (int y = box.y; y < box.y + box.height; ++y) {
    const int start = y * kTileSize + box.x;
    for (int i = start; i < start + box.width; ++i)
      sum += (uint32_t)mask[i] * plane[i] / kOne;
  }
  return sum;
}

/* As `masked_sum` of a plane that has one value. */
static uint32_t mask_sum(const uint16_t *mask, Box box, uint16_t value) {
  uint32_t sum = 0;
  for (int y = box.y; y < box.y + box.height; ++y) {
    const int start = y * kTileSize + box.x;
    for (int i = start; i < start + box.width; ++i)
      sum += (uint32_t)mask[i] * value / kOne;
  }
  return sum;
}

/* The mean color under a soft round dab, for brushes that smudge. Sums are
 * integers within a tile and floats across tiles, as in libmypaint; beyond
 * the canvas everything has the paper's color. */
static void get_color(MyPaintSurface *self, float x, float y, float radius,
                      float *red, float *green, float *blue, float *alpha) {
  Surface *surface = (Surface *)self;
  if (!is_placed(x, y, radius)) {
    spend(surface, 0.0);
    *red = (float)surface->paper[0] / kOne;
    *green = (float)surface->paper[1] / kOne;
    *blue = (float)surface->paper[2] / kOne;
    *alpha = (float)surface->paper[3] / kOne;
    return;
  }
  spend(surface, 4.0 * radius * radius);
  if (radius < 1.0f) radius = 1.0f;
  float weight = 0.0f, sums[4] = {0.0f, 0.0f, 0.0f, 0.0f};
  const float fringe = radius + 1.0f;
  const int x1 = tile_at(x + fringe), y1 = tile_at(y + fringe);
  uint16_t mask[kTilePixels];
  for (int down = tile_at(y - fringe); down <= y1; ++down) {
    for (int across = tile_at(x - fringe); across <= x1; ++across) {
      const DabShape dab = {
          .x = x - across * kTileSize,
          .y = y - down * kTileSize,
          .radius = radius,
          .hardness = 0.5f,
          .aspect_ratio = 1.0f,
          .angle = 0.0f,
      };
      const Box box = dab_mask(&dab, mask);
      weight += mask_sum(mask, box, kOne);
      const Tile *tile = find_tile(surface, across, down);
      if (tile == NULL) {
        for (int c = 0; c < 4; ++c)
          sums[c] += mask_sum(mask, box, surface->paper[c]);
        continue;
      }
      const uint16_t *const planes[4] = {
          tile->red,
          surface->is_gray ? tile->red : tile->green,
          surface->is_gray ? tile->red : tile->blue,
          tile->alpha,
      };
      for (int c = 0; c < 4; ++c) sums[c] += masked_sum(planes[c], mask, box);
    }
  }
  const float mean_alpha = sums[3] / weight;
  *alpha = clamp01(mean_alpha);
  if (mean_alpha > 0.0f) {
    *red = clamp01(sums[0] / weight / mean_alpha);
    *green = clamp01(sums[1] / weight / mean_alpha);
    *blue = clamp01(sums[2] / weight / mean_alpha);
  } else {
    /* What libmypaint answers where nothing has been painted. */
    *red = 0.0f;
    *green = 1.0f;
    *blue = 0.0f;
  }
}

int surface_init(Surface *surface, int size, const uint16_t paper[4],
                 void (*exhausted)(Surface *surface)) {
  const int across = (size + kTileSize - 1) / kTileSize;
  *surface = (Surface){
      .base = {.draw_dab = draw_dab, .get_color = get_color, .refcount = 1},
      .size = size,
      .tiles_across = across,
      .paper = {paper[0], paper[1], paper[2], paper[3]},
      .tiles = malloc((size_t)across * across * sizeof(Tile)),
      .work_left = 0.0,
      .exhausted = exhausted,
  };
  if (surface->tiles == NULL) return -1;
  surface_clear(surface);
  return 0;
}

void surface_free(Surface *surface) {
  free(surface->tiles);
  surface->tiles = NULL;
}

void surface_clear(Surface *surface) {
  const uint16_t *paper = surface->paper;
  const int is_gray = paper[0] == paper[1] && paper[0] == paper[2];
  const int count = surface->tiles_across * surface->tiles_across;
  for (Tile *tile = surface->tiles; tile < surface->tiles + count; ++tile) {
    fill(tile->red, paper[0]);
    if (!is_gray) {
      fill(tile->green, paper[1]);
      fill(tile->blue, paper[2]);
    }
    fill(tile->alpha, paper[3]);
  }
  surface->is_gray = is_gray;
  surface->is_opaque = paper[3] == kOne;
}

void surface_copy(Surface *surface, const Surface *source) {
  /* Alpha planes of two opaque canvases are equal already. */
  const int has_alpha = !surface->is_opaque || !source->is_opaque;
  const int count = surface->tiles_across * surface->tiles_across;
  for (int i = 0; i < count; ++i) {
    const Tile *from = source->tiles + i;
    Tile *to = surface->tiles + i;
    memcpy(to->red, from->red, sizeof to->red);
    if (!source->is_gray) {
      memcpy(to->green, from->green, sizeof to->green);
      memcpy(to->blue, from->blue, sizeof to->blue);
    }
    if (has_alpha) memcpy(to->alpha, from->alpha, sizeof to->alpha);
  }
  surface->is_gray = source->is_gray;
  surface->is_opaque = source->is_opaque;
}

static inline uint8_t to_byte(uint32_t value) {
  return (uint8_t)((255 * value + kOne / 2) / kOne);
}

/* The part of a tile that lies on the canvas, and where its pixels go. */
typedef struct {
  int width, height;
  int step;    /* Bytes from a pixel to the next, which is the channels. */
  int stride;  /* Bytes from a row to the next. */
  uint8_t *pixels;
} Output;

VECTORIZED
static void read_opaque(const uint16_t *plane, Output out) {
  for (int y = 0; y < out.height; ++y) {
    const uint16_t *restrict row = plane + y * kTileSize;
    uint8_t *restrict pixels = out.pixels + y * out.stride;
    if (out.step == 1)
      for (int x = 0; x < out.width; ++x) pixels[x] = to_byte(row[x]);
    else
      for (int x = 0; x < out.width; ++x) pixels[x * 3] = to_byte(row[x]);
  }
}

static void read_transparent(const uint16_t *plane, const uint16_t *alpha,
                             Output out) {
  for (int y = 0; y < out.height; ++y) {
    for (int x = 0; x < out.width; ++x) {
      const uint32_t a = alpha[y * kTileSize + x];
      const uint32_t value = plane[y * kTileSize + x];
      out.pixels[y * out.stride + x * out.step] =
          a == 0 ? 0 : to_byte((value * kOne + a / 2) / a);
    }
  }
}

void surface_read(Surface *surface, int channels, uint8_t *pixels) {
  const int size = surface->size;
  for (int y = 0; y < size; y += kTileSize) {
    for (int x = 0; x < size; x += kTileSize) {
      const Tile *tile = find_tile(surface, x / kTileSize, y / kTileSize);
      const uint16_t *const planes[3] = {
          tile->red,
          surface->is_gray ? tile->red : tile->green,
          surface->is_gray ? tile->red : tile->blue,
      };
      for (int c = 0; c < channels; ++c) {
        const Output out = {
            .width = smaller(size - x, kTileSize),
            .height = smaller(size - y, kTileSize),
            .step = channels,
            .stride = size * channels,
            .pixels = pixels + ((size_t)y * size + x) * channels + c,
        };
        if (surface->is_opaque)
          read_opaque(planes[c], out);
        else
          read_transparent(planes[c], tile->alpha, out);
      }
    }
  }
}
