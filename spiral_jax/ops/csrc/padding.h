/* Images padded with zeros. */
#ifndef SPIRAL_JAX_OPS_PADDING_H_
#define SPIRAL_JAX_OPS_PADDING_H_

#include <stdint.h>

/* A buffer for one padded image at a time. */
typedef struct {
  int64_t height, width, channels; /* Of the image without padding. */
  int64_t top, left;               /* Rows and columns of padding before it. */
  int64_t row_stride;              /* Floats from one padded row to the next. */
  float *data;
} PaddedImage;

/* Returns a buffer of zeros with `margin` rows and columns of padding before
 * the image. `data` is NULL if memory is exhausted; the caller frees it. */
PaddedImage new_padded_image(int64_t height, int64_t width, int64_t channels,
                             int64_t margin, int64_t padded_height,
                             int64_t padded_width);

/* Returns the image padded, and rectified if so asked: a copy in `data`, or the
 * image itself if it needs neither. */
const float *pad(const PaddedImage *padded, const float *image, int rectify);

#endif /* SPIRAL_JAX_OPS_PADDING_H_ */
