/* Winograd's transforms: a 3x3 kernel takes 4x4 pixels of its output from 6x6
 * pixels of an image by 36 products instead of 144, between what these make of
 * pixels and kernel.
 *
 * It is F(4x4, 3x3) of Lavin and Gray, "Fast Algorithms for Convolutional Neural
 * Networks" (2016), at the points 0, +-sqrt(1/2), +-sqrt(2) and infinity, where
 * fewer digits are lost than at 0, +-1, +-2.
 */
#ifndef NETWORKS_TILES_H_
#define NETWORKS_TILES_H_

#include <stdint.h>

/* Pixels along the sides of a tile's output, and of what it is made of; their
 * products; channels at a time. */
enum { kTile = 4, kPatch = 6, kPoints = 36, kGroup = 16 };

/* A row of tiles and `groups` times kGroup of their channels. Distances are in
 * floats. */
typedef struct {
  float *pixels; /* At the first tile. */
  int64_t row, column;
  float *points; /* kPoints times at each tile. */
  int64_t next_tile, next_point;
  int64_t tiles, groups;
  const float *bias; /* For each channel. */
  const float *open; /* Like pixels or null: zero unless it is above. */
  const float *add;  /* Like pixels or null: added at last. */
} Tiles;

/* Kernels, [3, 3] of kGroup floats each: distances in floats. */
typedef struct {
  float *taps;
  int64_t next_tap;
  float *points;
  int64_t next_point;
} Taps;

typedef struct {
  /* Patches of 6x6 pixels to points. */
  void (*split)(const Tiles *);
  /* Points to tiles of 4x4 pixels, plus bias, and so on. */
  void (*join)(const Tiles *);
  /* The transpose of it: tiles of 4x4 pixels to points. */
  void (*spread)(const Tiles *);
  /* A kernel to points, and the transpose of it. */
  void (*widen)(const Taps *);
  void (*narrow)(const Taps *);
} Transforms;

/* Returns those for this processor. */
const Transforms *transforms(void);

#endif  /* NETWORKS_TILES_H_ */
