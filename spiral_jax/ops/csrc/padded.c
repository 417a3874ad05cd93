#include "padded.h"

#include <stdlib.h>
#include <string.h>

Padded new_padded(int64_t height, int64_t width, int64_t channels,
                  int64_t margin, int64_t all_height, int64_t all_width) {
  return (Padded){
      .height = height,
      .width = width,
      .channels = channels,
      .top = margin,
      .left = margin,
      .row = all_width * channels,
      .data = calloc(all_height * all_width * channels, sizeof(float)),
  };
}

const float *pad(const Padded *padded, const float *image, int rectify) {
  const int64_t row = padded->width * padded->channels;
  if (!rectify && padded->top == 0 && padded->row == row) return image;
  for (int64_t y = 0; y < padded->height; ++y) {
    float *to = padded->data + (y + padded->top) * padded->row +
                padded->left * padded->channels;
    const float *from = image + y * row;
    if (rectify) /* What is no number remains so. */
      for (int64_t x = 0; x < row; ++x) to[x] = from[x] < 0 ? 0 : from[x];
    else
      memcpy(to, from, row * sizeof(float));
  }
  return padded->data;
}
