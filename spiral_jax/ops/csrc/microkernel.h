/* The inner loops in which convolutions spend their time: small matrix products
 * whose sums stay in registers. */
#ifndef SPIRAL_JAX_OPS_MICROKERNEL_H_
#define SPIRAL_JAX_OPS_MICROKERNEL_H_

#include <stdint.h>

#include "arithmetic.h"

/* Output channels are computed in blocks of kChannelBlock; the last block may
 * be partly used. With at most kFewChannels output channels in all, vectors run
 * along the sums instead of along the channels. */
enum { kChannelBlock = 32, kFewChannels = 4 };

static inline int64_t num_channel_blocks(int64_t channels) {
  return divide_up(channels, kChannelBlock);
}

/* An implicit matrix product: each output of a grid is a patch of the input
 * times a kernel. A patch is several segments of contiguous floats, such as the
 * rows of pixels under a convolution's kernel. Strides are in floats. */
typedef struct {
  const float *input; /* First segment of the first output's patch. */
  int64_t input_row_stride, input_column_stride; /* Between outputs. */
  float *output;
  int64_t output_row_stride, output_column_stride;
  int64_t height, width; /* Outputs in the grid. */
  int64_t num_segments, segment_size, segment_stride;
  const float *kernel;    /* [num_segments * segment_size, kChannelBlock]; zeros
                             in unused channels. */
  int64_t channels;       /* Used channels of the block. */
  const float *bias;      /* [kChannelBlock]. */
  const float *relu_mask; /* Laid out like `output`, or NULL. Where it is not
                             positive, the product becomes zero. */
  const float *add;       /* Laid out like `output`, or NULL. Added last. */
} PatchProduct;

/* A sum of outer products: matrix += sum over pixels of x y^T. */
typedef struct {
  const float *x;                        /* [rows] at each pixel. */
  int64_t x_row_stride, x_column_stride; /* Floats between pixels. */
  const float *y;                        /* [height * width, kChannelBlock]. */
  int64_t height, width;                 /* Pixels. */
  int64_t rows;
  float *matrix;    /* [rows, kChannelBlock]. */
  int64_t channels; /* Used channels of the block. */
} OuterProducts;

typedef struct {
  void (*multiply_patches)(const PatchProduct *);
  /* The same for a kernel [channels, num_segments * segment_size] with at most
   * kFewChannels channels. */
  void (*multiply_patches_few_channels)(const PatchProduct *);
  void (*add_outer_products)(const OuterProducts *);
  /* The same for the first channel of y only, with a matrix [rows]. */
  void (*add_outer_products_one_channel)(const OuterProducts *);
} Microkernels;

/* Returns the fastest version for this processor. All processors with fused
 * multiply-add get the same results bit for bit. */
const Microkernels *microkernels(void);

#endif /* SPIRAL_JAX_OPS_MICROKERNEL_H_ */
