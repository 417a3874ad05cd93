/* Images with zeros around them. */
#ifndef NETWORKS_PADDED_H_
#define NETWORKS_PADDED_H_

#include <stdint.h>

typedef struct {
  int64_t height, width, channels; /* Without zeros. */
  int64_t top, left;               /* Zeros. */
  int64_t row;                     /* Floats. */
  float *data;
} Padded;

/* Returns one of zeros alone, `margin` rows and columns of them before an image;
 * without memory `data` is null. Free it. */
Padded new_padded(int64_t height, int64_t width, int64_t channels,
                  int64_t margin, int64_t all_height, int64_t all_width);

/* Returns an image with zeros around: a copy in `data`, in which, rectified, what
 * is below zero becomes zero; or the image itself if that is the same. */
const float *pad(const Padded *padded, const float *image, int rectify);

#endif  /* NETWORKS_PADDED_H_ */
