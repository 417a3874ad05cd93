/* A canvas that libmypaint's brushes draw on: stamps each dab at once.
 *
 * Pixels are 15-bit fixed point (1.0 is 1 << 15), premultiplied by alpha, in
 * tiles of 64 x 64 with a plane for each channel. The arithmetic is that of
 * libmypaint's tiled surface to the last bit, its tiles included: dabs are
 * rasterized in coordinates relative to a tile, and `get_color` sums tile by
 * tile, both of which round differently elsewhere.
 */
#ifndef PAINTING_SURFACE_H_
#define PAINTING_SURFACE_H_

#include <stdint.h>

#include "libmypaint.h"

enum {
  kTileSize = 64,                       /* Pixels; libmypaint's constant. */
  kTilePixels = kTileSize * kTileSize,
  kOne = 1 << 15,                       /* 1.0 in fixed point. */
  kDabNumbers = 13,                     /* Arguments of `draw_dab`. */
};

typedef struct {
  uint16_t red[kTilePixels];
  uint16_t green[kTilePixels];
  uint16_t blue[kTilePixels];
  uint16_t alpha[kTilePixels];
} Tile;

typedef struct Surface Surface;

struct Surface {
  MyPaintSurface base;   /* First: brushes hold a pointer to it. */
  int size;              /* Height and width, pixels. */
  int tiles_across;      /* Tiles in a row and in a column. */
  uint16_t paper[4];     /* A clear canvas: red, green, blue and alpha. */
  /* Only gray so far: green and blue equal red, and their planes are stale. */
  int is_gray;
  /* Every alpha is 1.0: normal dabs leave it so, nothing needs dividing. */
  int is_opaque;
  Tile *tiles;           /* [tiles_across * tiles_across], row by row. */
  /* What dabs may still cost, in pixels; where it falls below 0, `exhausted`
   * is called at every dab. Brushes from outside may ask for dabs without
   * end. */
  double work_left;
  void (*exhausted)(Surface *surface);
  /* Where dabs are written down, kDabNumbers for each, or null; their number,
   * and for how many there is room. Further ones are counted alone. */
  float *record;
  int num_recorded, max_recorded;
};

/* Returns 0, or -1 where memory ran out. `paper` is a clear canvas's red,
 * green, blue and alpha, premultiplied. */
int surface_init(Surface *surface, int size, const uint16_t paper[4],
                 void (*exhausted)(Surface *surface));
void surface_free(Surface *surface);
void surface_clear(Surface *surface);

/* Gives `surface` the pixels of `source`, which has the same size. */
void surface_copy(Surface *surface, const Surface *source);

/* Writes the canvas, alpha divided out: uint8 [size, size, channels], with
 * red alone if `channels` is 1, or red, green, blue if it is 3. */
void surface_read(Surface *surface, int channels, uint8_t *pixels);

#endif  /* PAINTING_SURFACE_H_ */
