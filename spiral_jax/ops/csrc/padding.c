#include "padding.h"

#include <stdlib.h>
#include <string.h>

PaddedImage new_padded_image(int64_t height, int64_t width, int64_t channels,
                             int64_t margin, int64_t padded_height,
                             int64_t padded_width) {
  return (PaddedImage){
      .height = height,
      .width = width,
      .channels = channels,
      .top = margin,
      .left = margin,
      .row_stride = padded_width * channels,
      .data = calloc(padded_height * padded_width * channels, sizeof(float)),
  };
}

const float *pad(const PaddedImage *padded, const float *image, int rectify) {
  const int64_t row = padded->width * padded->channels;
  if (!rectify && padded->top == 0 && padded->row_stride == row) return image;
  for (int64_t y = 0; y < padded->height; ++y) {
    float *to = padded->data + (y + padded->top) * padded->row_stride +
                padded->left * padded->channels;
    const float *from = image + y * row;
    if (rectify) /* Compared this way around, a NaN remains a NaN. */
      for (int64_t x = 0; x < row; ++x) to[x] = from[x] < 0 ? 0 : from[x];
    else
      memcpy(to, from, row * sizeof(float));
  }
  return padded->data;
}
