#include "winograd.h"

#include <stdlib.h>
#include <string.h>

#include "padded.h"
#include "scratch.h"
#include "sums.h"
#include "tiles.h"

enum { kTaps = 9 };
enum { kTiles = 32 }; /* At once: their points stay in the L2 cache. */

static int64_t min(int64_t a, int64_t b) { return a < b ? a : b; }

static int64_t num_blocks(int64_t channels) {
  return (channels + kLanes - 1) / kLanes;
}

int winograd_fits(const Shape *shape) {
  return shape->size == 3 && shape->stride == 1 &&
         shape->height % kTile == 0 && shape->width % kTile == 0 &&
         shape->in % kGroup == 0 && shape->out % kGroup == 0;
}

/* Images are taken in bands, a row of tiles each, and some bands at once. */
typedef struct {
  int64_t in_image; /* Bands. */
  int64_t tiles;    /* In a band. */
  int64_t at_once;  /* Bands. */
} Bands;

static Bands bands_of(const Shape *shape) {
  const int64_t tiles = shape->width / kTile;
  return (Bands){
      .in_image = shape->height / kTile,
      .tiles = tiles,
      .at_once = tiles < kTiles ? kTiles / tiles : 1,
  };
}

/* What a call works in. */
typedef struct {
  Padded image;
  float *from, *to; /* Points of images, and of what is made of them. */
  float *points;    /* [kPoints, blocks, in, kLanes], of the kernel. */
  float *kernel;    /* A copy of the kernel. */
} Room;

/* Returns how far one point of all tiles is from the next: not a whole number of
 * pages, since these would get in each other's way in the cache. */
static int64_t next_point(int64_t tiles, int64_t channels) {
  return tiles * channels + kGroup;
}

/* The same for the points of a kernel. */
static int64_t next_in_kernel(const Shape *shape) {
  return num_blocks(shape->out) * shape->in * kLanes + kGroup;
}

/* Returns whether there is memory for it. */
static int make_room(const Shape *shape, Room *room) {
  const Bands bands = bands_of(shape);
  const int64_t tiles = bands.at_once * bands.tiles;
  const int64_t height = shape->height + 2, width = shape->width + 2;
  const int64_t sizes[] = {
      height * width * shape->in,
      kPoints * next_point(tiles, shape->in),
      kPoints * next_point(tiles, num_blocks(shape->out) * kLanes),
      kPoints * next_in_kernel(shape),
      kTaps * shape->in * shape->out,
  };
  float **arrays[] = {&room->image.data, &room->from, &room->to, &room->points,
                      &room->kernel};
  enum { kArrays = sizeof(sizes) / sizeof(*sizes) };
  int64_t size = 0;
  for (int i = 0; i < kArrays; ++i) size += sizes[i];
  float *data = scratch(size);
  if (data == NULL) return 0;
  room->image = (Padded){
      .height = shape->height,
      .width = shape->width,
      .channels = shape->in,
      .top = 1,
      .left = 1,
      .row = width * shape->in,
  };
  for (int i = 0; i < kArrays; data += sizes[i++]) *arrays[i] = data;
  memset(room->image.data, 0, sizes[0] * sizeof(float));
  return 1;
}

/* Calls a transform for each kGroup of a kernel [3, 3, in, out]. */
static void for_taps(const Shape *shape, void (*transform)(const Taps *),
                     float *kernel, float *points) {
  const int64_t in = shape->in, out = shape->out, block = in * kLanes;
  for (int64_t i = 0; i < in; ++i)
    for (int64_t o = 0; o < out; o += kGroup)
      transform(&(Taps){
          .taps = kernel + i * out + o,
          .next_tap = in * out,
          .points = points + o / kLanes * block + i * kLanes + o % kLanes,
          .next_point = next_in_kernel(shape),
      });
}

/* Writes the points of bands from `first` on, [kPoints, tiles, in]. */
static void split(const Shape *shape, const Bands *bands, const Room *room,
                  const float *images, int64_t first, int64_t count) {
  const Padded *image = &room->image;
  const int64_t size = shape->height * shape->width * shape->in;
  for (int64_t b = first; b < first + count; ++b) {
    const int64_t y = b % bands->in_image;
    if (y == 0 || b == first)
      pad(image, images + b / bands->in_image * size, shape->rectify);
    transforms()->split(&(Tiles){
        .pixels = image->data + y * kTile * image->row,
        .row = image->row,
        .column = shape->in,
        .points = room->from + (b - first) * bands->tiles * shape->in,
        .next_tile = shape->in,
        .next_point = next_point(count * bands->tiles, shape->in),
        .tiles = bands->tiles,
        .groups = shape->in / kGroup,
    });
  }
}

static float *plus(const float *array, int64_t offset) {
  return array == NULL ? NULL : (float *)array + offset;
}

/* Does what `conv` does; `open` is as in Tiles. */
static void convolve(const Shape *shape, const Room *room, const float *images,
                     const float *kernel, const float *bias, int64_t next_bias,
                     const float *open, const float *add, float *output) {
  static const float kNoBias[kLanes] = {0};
  const Bands bands = bands_of(shape);
  const int64_t in = shape->in, out = shape->out, blocks = num_blocks(out);
  const int64_t all = shape->n * bands.in_image;
  for_taps(shape, transforms()->widen, (float *)kernel, room->points);
  for (int64_t first = 0; first < all; first += bands.at_once) {
    const int64_t count = min(bands.at_once, all - first);
    const int64_t tiles = count * bands.tiles;
    split(shape, &bands, room, images, first, count);
    for (int64_t point = 0; point < kPoints; ++point)
      for (int64_t block = 0; block < blocks; ++block)
        sums()->sum_runs(&(Runs){
            .from = room->from + point * next_point(tiles, in),
            .from_column = in,
            .to = room->to + point * next_point(tiles, out) + block * kLanes,
            .to_column = out,
            .height = 1,
            .width = tiles,
            .runs = 1,
            .run = in,
            .kernel = room->points + point * next_in_kernel(shape) +
                      block * in * kLanes,
            .lanes = min(kLanes, out - block * kLanes),
            .bias = kNoBias,
        });
    for (int64_t b = first; b < first + count; ++b) {
      const int64_t at = b * kTile * shape->width * out;
      transforms()->join(&(Tiles){
          .pixels = output + at,
          .row = shape->width * out,
          .column = out,
          .points = room->to + (b - first) * bands.tiles * out,
          .next_tile = out,
          .next_point = next_point(tiles, out),
          .tiles = bands.tiles,
          .groups = out / kGroup,
          .bias = bias + b / bands.in_image * next_bias,
          .open = plus(open, at),
          .add = plus(add, at),
      });
    }
  }
}

int winograd_conv(const Shape *shape, const float *images, const float *kernel,
                  const float *bias, int64_t next_bias, const float *add,
                  float *output) {
  Room room;
  if (!make_room(shape, &room)) return -1;
  convolve(shape, &room, images, kernel, bias, next_bias, NULL, add, output);
  return 0;
}

int winograd_transpose(const Shape *shape, const float *gradient,
                       const float *kernel, const float *images,
                       const float *add, float *images_gradient) {
  const int64_t in = shape->in, out = shape->out;
  Shape turned = *shape;
  turned.in = out, turned.out = in, turned.rectify = 0;
  Room room;
  float *no_bias = calloc(in, sizeof(float));
  const int ok = no_bias != NULL && make_room(&turned, &room);
  if (ok) {
    /* It is a convolution with the kernel turned around. */
    for (int64_t tap = 0; tap < kTaps; ++tap)
      for (int64_t i = 0; i < in; ++i)
        for (int64_t o = 0; o < out; ++o)
          room.kernel[((kTaps - 1 - tap) * out + o) * in + i] =
              kernel[(tap * in + i) * out + o];
    convolve(&turned, &room, gradient, room.kernel, no_bias, 0,
             shape->rectify ? images : NULL, add, images_gradient);
  }
  free(no_bias);
  return ok ? 0 : -1;
}

/* Writes the sums of images' pixels, [n, channels]. */
static void add_pixels(const float *images, int64_t n, int64_t pixels,
                       int64_t channels, float *sums) {
  memset(sums, 0, n * channels * sizeof(float));
  for (int64_t i = 0; i < n; ++i, sums += channels)
    for (int64_t p = 0; p < pixels; ++p, images += channels)
      for (int64_t c = 0; c < channels; ++c) sums[c] += images[c];
}

int winograd_gradients(const Shape *shape, const float *images,
                       const float *gradient, float *kernel, float *bias) {
  const Bands bands = bands_of(shape);
  const int64_t in = shape->in, out = shape->out, blocks = num_blocks(out);
  const int64_t all = shape->n * bands.in_image;
  Room room;
  if (!make_room(shape, &room)) return -1;
  memset(room.points, 0, kPoints * next_in_kernel(shape) * sizeof(float));
  for (int64_t first = 0; first < all; first += bands.at_once) {
    const int64_t count = min(bands.at_once, all - first);
    const int64_t tiles = count * bands.tiles;
    split(shape, &bands, &room, images, first, count);
    for (int64_t b = first; b < first + count; ++b)
      for (int64_t block = 0; block < blocks; ++block)
        transforms()->spread(&(Tiles){
            .pixels = (float *)gradient + b * kTile * shape->width * out +
                      block * kLanes,
            .row = shape->width * out,
            .column = out,
            .points = room.to + (block * tiles + (b - first) * bands.tiles) *
                                    kLanes,
            .next_tile = kLanes,
            .next_point = next_point(tiles, blocks * kLanes),
            .tiles = bands.tiles,
            .groups = min(kLanes, out - block * kLanes) / kGroup,
        });
    for (int64_t point = 0; point < kPoints; ++point)
      for (int64_t block = 0; block < blocks; ++block)
        sums()->add_products(&(Products){
            .x = room.from + point * next_point(tiles, in),
            .x_column = in,
            .y = room.to + point * next_point(tiles, blocks * kLanes) +
                 block * tiles * kLanes,
            .height = 1,
            .width = tiles,
            .rows = in,
            .matrix = room.points + point * next_in_kernel(shape) +
                      block * in * kLanes,
            .lanes = min(kLanes, out - block * kLanes),
        });
  }
  for_taps(shape, transforms()->narrow, kernel, room.points);
  add_pixels(gradient, shape->n, shape->height * shape->width, out, bias);
  return 0;
}
