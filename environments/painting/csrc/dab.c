/* Each float expression below keeps the order and the precision that
 * libmypaint 1.6 has (mypaint-tiled-surface.c); a rearrangement would change
 * the last bit of some opacity, and with it pixels. */
#include "dab.h"

#include <math.h>

/* Rows are widened to whole vectors of eight floats, so that no row of a
 * small dab falls to scalar code. */
enum { kLanes = 8 };

/* Pixels this far beyond the radius have opacity 0, whatever was rounded.
 * libmypaint looks a whole pixel farther, and finds nothing there. */
static const float kFringe = 0.01f;

static const double kPi = 3.14159265358979323846;

/* Constants of a dab's ellipse. */
typedef struct {
  float x, y, sine, cosine, aspect_ratio;
  float one_over_radius2;
  float solid_r;  /* Below it (squared pixels) a pixel is not antialiased. */
} Ellipse;

/* Opacity falls linearly in rr, the squared distance from the center as a
 * share of the radius, in two segments that meet at rr = hardness. */
typedef struct {
  float hardness, inner_slope, outer_slope, outer_offset;
} Falloff;

static inline float clamp(float value, float low, float high) {
  const float raised = value < low ? low : value;
  return value > high ? high : raised;
}

static inline float squared_distance(const Ellipse *e, float x, float y) {
  const float across = (y * e->cosine - x * e->sine) * e->aspect_ratio;
  const float along = y * e->sine + x * e->cosine;
  return across * across + along * along;
}

/* rr at the center of a pixel: for dabs of 3 pixels' radius or more. */
static inline float rr_at_center(const Ellipse *e, int x, int y) {
  return squared_distance(e, x + 0.5f - e->x, y + 0.5f - e->y) *
         e->one_over_radius2;
}

/* rr between a pixel's nearest and farthest points: for smaller dabs.
 *
 * Without branches, so that it vectorizes: all cases are computed, then one
 * is selected.
 */
static inline float rr_antialiased(const Ellipse *e, int x, int y) {
  /* The pixel, with the dab's center at the origin and axes reversed. */
  const float right = e->x - (float)x;
  const float bottom = e->y - (float)y;
  const float center_x = right - 0.5f;
  const float center_y = bottom - 0.5f;
  const float left = right - 1.0f;
  const float top = bottom - 1.0f;

  /* The point of the pixel that is nearest to the ellipse's long axis. */
  const float axis2 = e->cosine * e->cosine + e->sine * e->sine;
  const float t = (center_x * e->cosine + center_y * e->sine) / axis2;
  const int holds_origin =
      (left < 0.0f) & (right > 0.0f) & (top < 0.0f) & (bottom > 0.0f);
  const float clamped_x = clamp(e->cosine * t, left, right);
  const float clamped_y = clamp(e->sine * t, top, bottom);
  const float near_x = holds_origin ? 0.0f : clamped_x;
  const float near_y = holds_origin ? 0.0f : clamped_y;
  const float rr_near = squared_distance(e, near_x, near_y) *
                        e->one_over_radius2;

  /* A point farther from the axis, by the radius of a circle of area 1. */
  const float unit_radius = sqrtf((float)(1.0f / kPi));
  const float side = (center_x - e->cosine) * e->sine -
                     e->cosine * (center_y + e->sine);
  const float away_x = e->sine * unit_radius;
  const float away_y = e->cosine * unit_radius;
  const float far_x = side < 0.0f ? near_x - away_x : near_x + away_x;
  const float far_y = side < 0.0f ? near_y + away_y : near_y - away_y;
  const float r_far = squared_distance(e, far_x, far_y);
  const float rr_far = r_far * e->one_over_radius2;

  const float mean = (rr_far + rr_near) * 0.5f;
  const float visible = (1.0f - rr_near) / (1.0f + (rr_far - rr_near));
  const float inside = r_far < e->solid_r ? mean : 1.0f - visible;
  return rr_near > 1.0f ? rr_near : inside;
}

static inline uint16_t opacity_at(const Falloff *falloff, float rr) {
  const int is_inner = rr <= falloff->hardness;
  const float slope = is_inner ? falloff->inner_slope : falloff->outer_slope;
  const float offset = is_inner ? 1.0f : falloff->outer_offset;
  const float opacity = offset + rr * slope;
  return (uint16_t)(int32_t)((rr > 1.0f ? 0.0f : opacity) * kOne);
}

static Box bounding_box(const DabShape *dab) {
  const float fringe = dab->radius + kFringe;
  int x0 = (int)floorf(dab->x - fringe);
  int y0 = (int)floorf(dab->y - fringe);
  int x1 = (int)floorf(dab->x + fringe);
  int y1 = (int)floorf(dab->y + fringe);
  if (x0 < 0) x0 = 0;
  if (y0 < 0) y0 = 0;
  if (x1 > kTileSize - 1) x1 = kTileSize - 1;
  if (y1 > kTileSize - 1) y1 = kTileSize - 1;
  if (x1 < x0 || y1 < y0) return (Box){0, 0, 0, 0};
  const int width = (x1 - x0 + kLanes) / kLanes * kLanes;
  if (x0 > kTileSize - width) x0 = kTileSize - width;
  return (Box){x0, y0, width, y1 - y0 + 1};
}

VECTORIZED
static void fill_small(Ellipse e, Falloff falloff, Box box, uint16_t *mask) {
  for (int y = box.y; y < box.y + box.height; ++y) {
    uint16_t *row = mask + y * kTileSize + box.x;
    for (int i = 0; i < box.width; ++i)
      row[i] = opacity_at(&falloff, rr_antialiased(&e, box.x + i, y));
  }
}

VECTORIZED
static void fill_large(Ellipse e, Falloff falloff, Box box, uint16_t *mask) {
  for (int y = box.y; y < box.y + box.height; ++y) {
    uint16_t *row = mask + y * kTileSize + box.x;
    for (int i = 0; i < box.width; ++i)
      row[i] = opacity_at(&falloff, rr_at_center(&e, box.x + i, y));
  }
}

Box dab_mask(const DabShape *dab, uint16_t *mask) {
  const float turn = (float)(dab->angle / 360 * 2 * kPi);
  const float radius = dab->radius, hardness = dab->hardness;
  const float solid_radius = radius > 1.0f ? radius - 1.0f : 0.0f;
  const Ellipse ellipse = {
      .x = dab->x,
      .y = dab->y,
      .sine = (float)sin(turn),
      .cosine = (float)cos(turn),
      .aspect_ratio = dab->aspect_ratio,
      .one_over_radius2 = 1.0f / (radius * radius),
      .solid_r = solid_radius * (solid_radius / dab->aspect_ratio),
  };
  /* At hardness 1 the outer segment is infinite, and never selected. */
  const Falloff falloff = {
      .hardness = hardness,
      .inner_slope = -(1.0f / hardness - 1.0f),
      .outer_slope = -hardness / (1.0f - hardness),
      .outer_offset = hardness / (1.0f - hardness),
  };
  const Box box = bounding_box(dab);
  if (radius < 3.0f)
    fill_small(ellipse, falloff, box, mask);
  else
    fill_large(ellipse, falloff, box, mask);
  return box;
}
