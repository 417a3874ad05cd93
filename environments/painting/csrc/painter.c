/* N canvases, each with a brush: one call draws one command on each.
 *
 * The functions without `static` are what environments/painting/native.py
 * calls through ctypes, which releases Python's lock meanwhile. What a
 * command means (its curve, pressures and settings) is computed there.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "libmypaint.h"
#include "surface.h"

enum { kMaxThreads = 64 };

/* Why a batch failed: a brush asked for too much, or libmypaint does not take
 * it. */
enum { kExhausted = -1, kNotTaken = -2 };

typedef struct Painter Painter;

typedef struct {
  Surface surface;      /* First: it is what `stop` is handed. */
  MyPaintBrush *brush;  /* Null before the first episode. */
  const Painter *painter;
  int is_exhausted;     /* The brush asked for too much in this episode. */
} Canvas;

struct Painter {
  LibMyPaint library;
  int count;
  int channels;         /* 1 or 3. */
  /* A brush's states are all that it remembers: it draws no random numbers. */
  int is_copyable;
  double seconds_per_point;
  double max_work;      /* Of a command on a canvas, in pixels. */
  char *brush_json;
  Canvas canvases[];    /* [count] */
};

/* M commands, each for one canvas; `num_points` points are a stroke. */
typedef struct {
  const uint8_t *is_paint;      /* [M]; 0 is a move without ink. */
  const uint8_t *is_jump;       /* [M]; 1 where no stroke came before. */
  const float *log_radius;      /* [M] */
  const float *hsv;             /* [M, 3], or null to keep the color. */
  const float *points;          /* [M, num_points, 3]: x, y, pressure. */
  int num_points;
  int num_moves;                /* To the first point, before a stroke. */
} Commands;

/* A batch's work on M canvases, shared out canvas by canvas. */
typedef struct {
  Painter *painter;
  int size;                     /* M. */
  const int32_t *which;         /* [M], or null for the first M canvases. */
  const Commands *commands;     /* Null to draw nothing. */
  int starts_episode;
  int keeps_brush;              /* Brushes of before start the episode. */
  float initial_log_radius;
  uint8_t *pixels;              /* [M, size, size, channels], or null. */
  atomic_int next;
  atomic_int failed;
} Batch;

/* Ends the loop over dabs in libmypaint, which ends where none is due. */
static void stop(Surface *surface) {
  Canvas *canvas = (Canvas *)surface;
  const LibMyPaint *library = &canvas->painter->library;
  library->brush_set_base_value(canvas->brush, kDabsPerBasicRadius, 0.0f);
  library->brush_set_base_value(canvas->brush, kDabsPerActualRadius, 0.0f);
  library->brush_set_base_value(canvas->brush, kDabsPerSecond, 0.0f);
  canvas->is_exhausted = 1;
}

static void stroke_to(const Painter *painter, Canvas *canvas,
                      const float *point) {
  painter->library.brush_stroke_to(canvas->brush, &canvas->surface.base,
                                   point[0], point[1], point[2], 0.0f, 0.0f,
                                   painter->seconds_per_point);
}

static void lift_to(const Painter *painter, Canvas *canvas, float x, float y) {
  const float point[3] = {x, y, 0.0f};
  painter->library.brush_reset(canvas->brush);
  painter->library.brush_new_stroke(canvas->brush);
  stroke_to(painter, canvas, point);
}

static void set_brush(const Painter *painter, Canvas *canvas, float log_radius,
                      const float *hsv) {
  MyPaintBrush *brush = canvas->brush;
  const LibMyPaint *library = &painter->library;
  library->brush_set_base_value(brush, kRadiusLogarithmic, log_radius);
  if (hsv == NULL) return;
  library->brush_set_base_value(brush, kColorH, hsv[0]);
  library->brush_set_base_value(brush, kColorS, hsv[1]);
  library->brush_set_base_value(brush, kColorV, hsv[2]);
}

/* A brush's random generator and its slow tracking outlive its reset. Without
 * random numbers, a brush whose states are 0 is as good as a new one, and takes
 * a thousandth of the time. */
static int renew_brush(const Painter *painter, Canvas *canvas, int keeps_brush) {
  const LibMyPaint *library = &painter->library;
  const int has_states = library->brush_set_state != NULL;
  if (canvas->brush != NULL && !canvas->is_exhausted &&
      (painter->is_copyable || (keeps_brush && has_states))) {
    for (int i = 0; i < kNumStates; ++i)
      library->brush_set_state(canvas->brush, i, 0.0f);
    return 0;
  }
  if (canvas->brush != NULL) library->brush_unref(canvas->brush);
  canvas->brush = library->brush_new();
  return canvas->brush != NULL &&
      library->brush_from_string(canvas->brush, painter->brush_json) ? 0 : -1;
}

static int start_episode(const Painter *painter, Canvas *canvas,
                         float log_radius, int keeps_brush) {
  static const float kBlack[3] = {0.0f, 0.0f, 0.0f};
  if (renew_brush(painter, canvas, keeps_brush) != 0) return -1;
  surface_clear(&canvas->surface);
  canvas->surface.work_left = painter->max_work;
  canvas->is_exhausted = 0;
  lift_to(painter, canvas, 0.0f, 0.0f);
  set_brush(painter, canvas, log_radius, kBlack);
  return 0;
}

static void draw(const Painter *painter, Canvas *canvas,
                 const Commands *commands, int index) {
  const int num_points = commands->num_points;
  const float *points = commands->points + (size_t)index * num_points * 3;
  canvas->surface.work_left = painter->max_work;
  for (int i = 0; i < commands->num_moves; ++i)
    lift_to(painter, canvas, points[0], points[1]);
  if (!commands->is_paint[index]) {
    const float *end = points + (num_points - 1) * 3;
    lift_to(painter, canvas, end[0], end[1]);
    return;
  }
  set_brush(painter, canvas, commands->log_radius[index],
            commands->hsv == NULL ? NULL : commands->hsv + index * 3);
  /* After a jump the start point is drawn to as well, so that libmypaint
   * takes the stroke's first pressure from there. */
  for (int i = commands->is_jump[index] ? 0 : 1; i < num_points; ++i)
    stroke_to(painter, canvas, points + i * 3);
}

static void *work(void *argument) {
  Batch *batch = argument;
  Painter *painter = batch->painter;
  for (;;) {
    const int index = atomic_fetch_add(&batch->next, 1);
    if (index >= batch->size) return NULL;
    Canvas *canvas =
        painter->canvases + (batch->which ? batch->which[index] : index);
    if (batch->starts_episode &&
        start_episode(painter, canvas, batch->initial_log_radius,
                      batch->keeps_brush) != 0) {
      atomic_store(&batch->failed, kNotTaken);
      continue;
    }
    if (batch->commands != NULL)
      draw(painter, canvas, batch->commands, index);
    if (canvas->is_exhausted) atomic_store(&batch->failed, kExhausted);
    if (batch->pixels == NULL) continue;
    const int size = canvas->surface.size;
    surface_read(&canvas->surface, painter->channels,
                 batch->pixels +
                     (size_t)index * size * size * painter->channels);
  }
}

/* Works in the calling thread and up to `num_threads - 1` others. */
static void run(Batch *batch, int num_threads) {
  pthread_t threads[kMaxThreads];
  int started = 0;
  if (num_threads > kMaxThreads) num_threads = kMaxThreads;
  if (num_threads > batch->size) num_threads = batch->size;
  while (started < num_threads - 1 &&
         pthread_create(threads + started, NULL, work, batch) == 0)
    ++started;
  work(batch);
  for (int i = 0; i < started; ++i) pthread_join(threads[i], NULL);
}

void painter_free(Painter *painter) {
  for (int i = 0; i < painter->count; ++i) {
    Canvas *canvas = painter->canvases + i;
    if (canvas->brush != NULL) painter->library.brush_unref(canvas->brush);
    surface_free(&canvas->surface);
  }
  free(painter->brush_json);
  free(painter);
}

/* Returns null and sets `error` where the library does not load or memory
 * runs out. `paper` is a clear canvas's red, green, blue and alpha. The pixels
 * are undefined until the first `painter_reset`. Brushes that are deterministic
 * draw no random numbers. */
Painter *painter_new(const char *library_path, const char *brush_json,
                     int count, int size, int channels,
                     const uint16_t *paper, double seconds_per_point, double max_work,
                     int is_deterministic, const char **error) {
  *error = "out of memory";
  Painter *painter =
      calloc(1, sizeof(Painter) + (size_t)count * sizeof(Canvas));
  if (painter == NULL) return NULL;
  const char *load_error = libmypaint_load(library_path, &painter->library);
  if (load_error != NULL) {
    *error = load_error;
    free(painter);
    return NULL;
  }
  painter->channels = channels;
  painter->is_copyable =
      is_deterministic && painter->library.brush_get_state != NULL &&
      painter->library.brush_set_state != NULL;
  painter->seconds_per_point = seconds_per_point;
  painter->max_work = max_work;
  painter->brush_json = malloc(strlen(brush_json) + 1);
  if (painter->brush_json != NULL) strcpy(painter->brush_json, brush_json);
  int failed = painter->brush_json == NULL;
  for (; painter->count < count && !failed; ++painter->count) {
    Canvas *canvas = painter->canvases + painter->count;
    canvas->painter = painter;
    failed = surface_init(&canvas->surface, size, paper, stop) != 0;
  }
  if (failed) {
    painter_free(painter);
    return NULL;
  }
  return painter;
}

/* Returns 1 if `painter_copy` may be called. */
int painter_can_copy(const Painter *painter) { return painter->is_copyable; }

/* Makes canvas `target[i]` a copy of canvas `source[i]`, with its brush: later
 * commands draw the same on both. Or, if it `clears`, copies the brush alone,
 * and clears the target. No target may be a source. */
void painter_copy(Painter *painter, const int32_t *source,
                  const int32_t *target, int size, int clears) {
  const LibMyPaint *library = &painter->library;
  for (int i = 0; i < size; ++i) {
    const Canvas *from = painter->canvases + source[i];
    Canvas *to = painter->canvases + target[i];
    if (clears)
      surface_clear(&to->surface);
    else
      surface_copy(&to->surface, &from->surface);
    to->is_exhausted |= from->is_exhausted;
    for (int state = 0; state < kNumStates; ++state)
      library->brush_set_state(to->brush, state,
                               library->brush_get_state(from->brush, state));
  }
}

/* Clears canvases; their brushes stay as they are. */
void painter_clear(Painter *painter, const int32_t *which, int size) {
  for (int i = 0; i < size; ++i)
    surface_clear(&painter->canvases[which[i]].surface);
}

/* Starts an episode on every canvas. Returns 0, or -1 where libmypaint does
 * not take the brush. */
int painter_reset(Painter *painter, float log_radius, int num_threads,
                  uint8_t *pixels) {
  Batch batch = {
      .painter = painter,
      .size = painter->count,
      .starts_episode = 1,
      .initial_log_radius = log_radius,
      .pixels = pixels,
  };
  run(&batch, num_threads);
  return atomic_load(&batch.failed) ? -1 : 0;
}

/* Draws one command on each of `size` canvases, all of them different; see
 * Commands for the arrays. `which` may be null for the first ones, `pixels` to
 * leave the canvases unread. Returns 0, or -1 where a brush asked for more than
 * `max_work` in this episode. */
int painter_draw(Painter *painter, int size, const int32_t *which,
                 const uint8_t *is_paint, const uint8_t *is_jump,
                 const float *log_radius, const float *hsv,
                 const float *points, int num_points, int num_threads,
                 uint8_t *pixels) {
  const Commands commands = {
      .is_paint = is_paint,
      .is_jump = is_jump,
      .log_radius = log_radius,
      .hsv = hsv,
      .points = points,
      .num_points = num_points,
  };
  Batch batch = {
      .painter = painter,
      .size = size,
      .which = which,
      .commands = &commands,
      .pixels = pixels,
  };
  run(&batch, num_threads);
  return atomic_load(&batch.failed) ? -1 : 0;
}

/* Clears the first `size` canvases and draws a black stroke on each, after
 * moving to where it begins; see Commands for the arrays. Brushes are new, or
 * with `keeps_brush` as good as new but for their random numbers, which go on.
 * Returns 0, kExhausted or kNotTaken. */
int painter_draw_alone(Painter *painter, int size, int num_moves,
                       const uint8_t *are_ones, const float *log_radius,
                       const float *points, int num_points, int keeps_brush,
                       int num_threads, uint8_t *pixels) {
  const Commands commands = {
      .is_paint = are_ones,
      .is_jump = are_ones,
      .log_radius = log_radius,
      .points = points,
      .num_points = num_points,
      .num_moves = num_moves,
  };
  Batch batch = {
      .painter = painter,
      .size = size,
      .commands = &commands,
      .starts_episode = 1,
      .keeps_brush = keeps_brush,
      .pixels = pixels,
  };
  run(&batch, num_threads);
  return atomic_load(&batch.failed);
}

/* Writes down the dabs of the next commands on the first canvas, as many as
 * there is room for; `record` is `[max_dabs, 13]`, or null to stop. Returns how
 * many dabs there were since the last call. */
int painter_record(Painter *painter, float *record, int max_dabs) {
  Surface *surface = &painter->canvases[0].surface;
  const int count = surface->num_recorded;
  surface->record = record;
  surface->num_recorded = 0;
  surface->max_recorded = max_dabs;
  return count;
}

/* Reads `size` canvases. */
void painter_read(Painter *painter, int size, const int32_t *which,
                  int num_threads, uint8_t *pixels) {
  Batch batch = {
      .painter = painter,
      .size = size,
      .which = which,
      .pixels = pixels,
  };
  run(&batch, num_threads);
}
