/* The transforms of Winograd's algorithm F(4x4, 3x3): Lavin and Gray, "Fast
 * Algorithms for Convolutional Neural Networks" (arXiv:1509.09308).
 *
 * A 4x4 tile Y of the output is computed from a 6x6 tile d of the input and a
 * 3x3 filter g as
 *
 *   Y = A^T [(G g G^T) * (B^T d B)] A
 *
 * with 36 elementwise products for each pair of channels instead of 144. The
 * interpolation points are 0, +-sqrt(1/2), +-sqrt(2) and infinity, which round
 * less than the usual 0, +-1, +-2 and infinity.
 */
#ifndef SPIRAL_JAX_OPS_WINOGRAD_TRANSFORMS_H_
#define SPIRAL_JAX_OPS_WINOGRAD_TRANSFORMS_H_

#include <stdint.h>

enum {
  kOutputTile = 4,    /* Pixels along the side of a tile: the paper's m. */
  kFilterSize = 3,        /* The paper's r. */
  kInputTile = 6,     /* m + r - 1. Neighboring tiles overlap. */
  kElements = 36,     /* Of a transformed tile or filter. */
  kChannelGroup = 16, /* Channels that are transformed together. */
};

/* A row of tiles, of which `num_groups` groups of channels are transformed.
 * Strides are in floats. */
typedef struct {
  float *pixels; /* First pixel of the first tile. */
  int64_t row_stride, column_stride;
  float *transformed; /* First element of the first transformed tile. */
  int64_t tile_stride, element_stride;
  int64_t num_tiles, num_groups;
  /* Only for transform_output: */
  const float *bias;      /* One float for each channel. */
  const float *relu_mask; /* Laid out like `pixels`, or NULL. Where it is not
                             positive, the output becomes zero. */
  const float *add;       /* Laid out like `pixels`, or NULL. Added last. */
} TileRow;

/* The filters of one input channel and a group of output channels. Strides are
 * in floats. */
typedef struct {
  float *filters; /* [kFilterSize, kFilterSize] taps. */
  int64_t tap_stride;
  float *transformed; /* [kElements]. */
  int64_t element_stride;
} FilterGroup;

typedef struct {
  /* Pixels to transformed tiles: B^T d B. */
  void (*transform_input)(const TileRow *);
  /* Transformed tiles to pixels, A^T M A, then bias, mask and addition. */
  void (*transform_output)(const TileRow *);
  /* The adjoint of A^T M A, pixels to transformed tiles: A Y A^T. */
  void (*transform_output_transpose)(const TileRow *);
  /* Filters to transformed filters: G g G^T. */
  void (*transform_filter)(const FilterGroup *);
  /* Its adjoint, transformed filters to filters: G^T U G. */
  void (*transform_filter_transpose)(const FilterGroup *);
} Transforms;

/* Returns the fastest version for this processor. */
const Transforms *transforms(void);

#endif /* SPIRAL_JAX_OPS_WINOGRAD_TRANSFORMS_H_ */
