#include "blend.h"

static inline uint32_t times(uint32_t a, uint32_t b) { return a * b / kOne; }

/* The sum is divided once: two products divided apart would round twice. */
static inline uint16_t mix(uint32_t cover, uint32_t value, uint32_t rest,
                           uint32_t pixel) {
  return (uint16_t)((cover * value + rest * pixel) / kOne);
}

VECTORIZED
void blend_over(uint16_t *restrict plane, const uint16_t *restrict mask,
                Box box, uint16_t value, uint16_t strength, uint16_t opacity) {
  for (int y = box.y; y < box.y + box.height; ++y) {
    uint16_t *restrict pixel = plane + y * kTileSize + box.x;
    const uint16_t *restrict dab = mask + y * kTileSize + box.x;
    for (int i = 0; i < box.width; ++i) {
      const uint32_t cover = times(dab[i], opacity);
      pixel[i] = mix(times(cover, strength), value, kOne - cover, pixel[i]);
    }
  }
}

VECTORIZED
void blend_lock_alpha(uint16_t *restrict plane,
                      const uint16_t *restrict alpha,
                      const uint16_t *restrict mask, Box box, uint16_t value,
                      uint16_t opacity) {
  for (int y = box.y; y < box.y + box.height; ++y) {
    const int start = y * kTileSize + box.x;
    for (int i = start; i < start + box.width; ++i) {
      const uint32_t cover = times(mask[i], opacity);
      plane[i] = mix(times(cover, alpha[i]), value, kOne - cover, plane[i]);
    }
  }
}

/* Luma in fixed point; rounds as libmypaint does, through floats. */
static float luma(int red, int green, int blue) {
  static const float kRed = 0.2126 * kOne, kGreen = 0.7152 * kOne,
                     kBlue = 0.0722 * kOne;
  return (red * kRed + green * kGreen + blue * kBlue) / kOne;
}

/* Gives `color` the luma of `pixel`, pulled back into range as in the PDF
 * specification's ClipColor, and writes it into `pixel`. */
static void set_keeping_luma(const uint16_t *color, uint16_t *pixel) {
  const uint16_t old_luma = (uint16_t)luma(pixel[0], pixel[1], pixel[2]);
  const uint16_t new_luma = (uint16_t)luma(color[0], color[1], color[2]);
  const int16_t shift = (int16_t)(old_luma - new_luma);
  int32_t shifted[3], low = INT32_MAX, high = INT32_MIN;
  for (int c = 0; c < 3; ++c) {
    shifted[c] = color[c] + shift;
    if (shifted[c] < low) low = shifted[c];
    if (shifted[c] > high) high = shifted[c];
  }
  const int32_t center = (int32_t)luma(shifted[0], shifted[1], shifted[2]);
  for (int c = 0; c < 3; ++c) {
    int32_t value = shifted[c];
    if (low < 0)
      value = center + (value - center) * center / (center - low);
    if (high > kOne)
      value = center + (value - center) * (kOne - center) / (high - center);
    pixel[c] = (uint16_t)value;
  }
}

void blend_colorize(Tile *tile, const uint16_t *mask, Box box,
                    const uint16_t *color, uint16_t opacity) {
  uint16_t *const planes[3] = {tile->red, tile->green, tile->blue};
  for (int y = box.y; y < box.y + box.height; ++y) {
    const int start = y * kTileSize + box.x;
    for (int i = start; i < start + box.width; ++i) {
      const uint32_t alpha = tile->alpha[i];
      uint16_t pixel[3] = {0, 0, 0};
      if (alpha != 0)
        for (int c = 0; c < 3; ++c)
          pixel[c] = (uint16_t)((uint32_t)kOne * planes[c][i] / alpha);
      set_keeping_luma(color, pixel);
      const uint32_t cover = times(mask[i], opacity);
      for (int c = 0; c < 3; ++c)
        planes[c][i] = mix(cover, (uint16_t)times(pixel[c], alpha),
                           kOne - cover, planes[c][i]);
    }
  }
}
