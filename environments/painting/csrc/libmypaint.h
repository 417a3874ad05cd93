/* The part of libmypaint's interface that a painter uses.
 *
 * Declared here, and bound by dlopen when a painter is first made, so that
 * the extension builds without libmypaint's headers and needs its runtime
 * package alone. The layout is that of libmypaint 1.3 to 1.6 (soname
 * libmypaint-1.5.so.1 on Debian): see mypaint-brush.h and mypaint-surface.h.
 */
#ifndef PAINTING_LIBMYPAINT_H_
#define PAINTING_LIBMYPAINT_H_

typedef struct MyPaintBrush MyPaintBrush;
typedef struct MyPaintSurface MyPaintSurface;

/* The table of functions through which a brush reaches its canvas. Colors
 * and opacities are in [0, 1], lengths in pixels, angles in degrees. */
struct MyPaintSurface {
  /* Returns whether the dab could change the surface; brushes look at it. */
  int (*draw_dab)(MyPaintSurface *self, float x, float y, float radius,
                  float red, float green, float blue, float opaque,
                  float hardness, float alpha, float aspect_ratio, float angle,
                  float lock_alpha, float colorize);
  void (*get_color)(MyPaintSurface *self, float x, float y, float radius,
                    float *red, float *green, float *blue, float *alpha);
  /* A stroke calls none of these; they stay null. */
  void (*begin_atomic)(MyPaintSurface *self);
  void (*end_atomic)(MyPaintSurface *self, void *region);
  void (*destroy)(MyPaintSurface *self);
  void (*save_png)(MyPaintSurface *self, const char *path, int x, int y,
                   int width, int height);
  int refcount;
};

/* Indices of brush settings, from mypaint-brush-settings-gen.h. */
enum {
  kRadiusLogarithmic = 3,
  kDabsPerBasicRadius = 6,
  kDabsPerActualRadius = 7,
  kDabsPerSecond = 8,
  kColorH = 20,
  kColorS = 21,
  kColorV = 22,
};

/* Number of a brush's states, where `brush_get_state` is bound. */
enum { kNumStates = 44 };

/* The functions that a painter calls. */
typedef struct {
  MyPaintBrush *(*brush_new)(void);
  void (*brush_unref)(MyPaintBrush *self);
  int (*brush_from_string)(MyPaintBrush *self, const char *json);
  void (*brush_set_base_value)(MyPaintBrush *self, int setting, float value);
  void (*brush_reset)(MyPaintBrush *self);
  void (*brush_new_stroke)(MyPaintBrush *self);
  int (*brush_stroke_to)(MyPaintBrush *self, MyPaintSurface *surface, float x,
                         float y, float pressure, float xtilt, float ytilt,
                         double dtime);
  /* Null in libmypaint before 1.5, which has fewer states and no way to ask
   * for their number: it ends the process where there is no such state. */
  float (*brush_get_state)(MyPaintBrush *self, int state);
  void (*brush_set_state)(MyPaintBrush *self, int state, float value);
} LibMyPaint;

/* Binds `functions` to the library at `path` (a file or a soname).
 * Returns null, or what went wrong, valid until the next dlopen. */
const char *libmypaint_load(const char *path, LibMyPaint *functions);

#endif  /* PAINTING_LIBMYPAINT_H_ */
