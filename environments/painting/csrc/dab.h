/* The shape of a dab on one tile: an opacity for each pixel. */
#ifndef PAINTING_DAB_H_
#define PAINTING_DAB_H_

#include <stdint.h>

#include "surface.h"

/* GCC builds these functions twice and the loader picks, so that no -march
 * flag is needed for AVX2. The arithmetic is the same either way, because
 * contraction to fused multiply-adds is off. Vectors also need
 * -fno-trapping-math: without it GCC keeps selections scalar. */
#if defined(__x86_64__) && defined(__gnu_linux__) && defined(__GNUC__) && \
    !defined(__clang__)
#define VECTORIZED __attribute__((target_clones("avx2", "default")))
#else
#define VECTORIZED
#endif

/* Pixels whose opacity may differ from 0, in a tile. */
typedef struct {
  int x, y;           /* Top left. */
  int width, height;  /* 0 where the dab misses the tile. */
} Box;

typedef struct {
  float x, y;         /* Center, pixels from the tile's corner. */
  float radius;       /* Pixels. */
  float hardness;     /* In (0, 1]. */
  float aspect_ratio; /* 1 or more. */
  float angle;        /* Degrees. */
} DabShape;

/* Writes opacities, 0 to kOne, into `mask` [kTilePixels] within the box that
 * it returns; what lies outside the box is not touched. */
Box dab_mask(const DabShape *dab, uint16_t *mask);

#endif  /* PAINTING_DAB_H_ */
