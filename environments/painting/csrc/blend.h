/* Ways to lay a color on pixels through a mask, in 15-bit fixed point.
 *
 * Each treats the pixels of `box` in planes [kTilePixels]; `mask` has an
 * opacity for each, which `opacity` scales. Colors are not premultiplied.
 */
#ifndef PAINTING_BLEND_H_
#define PAINTING_BLEND_H_

#include <stdint.h>

#include "dab.h"
#include "surface.h"

/* One plane under "over" and "erase": plane = cover * value + rest * plane,
 * where cover is the mask times `strength`. With strength 1.0 the color is
 * opaque; alpha blends like a color whose value is 1.0. */
void blend_over(uint16_t *plane, const uint16_t *mask, Box box, uint16_t value,
                uint16_t strength, uint16_t opacity);

/* One color plane, where alpha stays what it is. */
void blend_lock_alpha(uint16_t *plane, const uint16_t *alpha,
                      const uint16_t *mask, Box box, uint16_t value,
                      uint16_t opacity);

/* All three color planes take the hue and saturation of `color` [3] and keep
 * their luma. No classic brush uses it, so it is plain scalar code. */
void blend_colorize(Tile *tile, const uint16_t *mask, Box box,
                    const uint16_t *color, uint16_t opacity);

#endif  /* PAINTING_BLEND_H_ */
