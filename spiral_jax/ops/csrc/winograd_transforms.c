#include "winograd_transforms.h"

#include <stddef.h>

#define INLINE static inline __attribute__((always_inline))

/* The finite interpolation points other than 0 are +-kNear and +-kFar, with
 * these squares. */
static const float kNear = 0.70710678f, kFar = 1.41421356f;
static const float kNear2 = 0.5f, kFar2 = 2.0f;
/* Row scales of G: 1 / product of a point's distances to the other finite
 * points. */
static const float kNearScale = -1 / 1.5f, kFarScale = 1 / 6.0f;

/* The same transforms for vectors of 8 and of 16 floats. */

#define WIDTH 8
#define NAME(name) name##_8
#include "winograd_transforms_body.h"
#undef WIDTH
#undef NAME

#define WIDTH 16
#define NAME(name) name##_16
#include "winograd_transforms_body.h"
#undef WIDTH
#undef NAME

#define DEFINE_LOOP(name, type, kind, width, target) \
  target static void name##_##kind(const type *a) { name##_##width(a); }

#define DEFINE(kind, width, target)                                         \
  DEFINE_LOOP(transform_input, TileRow, kind, width, target)                \
  DEFINE_LOOP(transform_output, TileRow, kind, width, target)               \
  DEFINE_LOOP(transform_output_transpose, TileRow, kind, width, target)     \
  DEFINE_LOOP(transform_filter, FilterGroup, kind, width, target)           \
  DEFINE_LOOP(transform_filter_transpose, FilterGroup, kind, width, target) \
  static const Transforms kind = {                                          \
      .transform_input = transform_input_##kind,                            \
      .transform_output = transform_output_##kind,                          \
      .transform_output_transpose = transform_output_transpose_##kind,      \
      .transform_filter = transform_filter_##kind,                          \
      .transform_filter_transpose = transform_filter_transpose_##kind,      \
  };

DEFINE(plain, 8, )

#ifdef __x86_64__
DEFINE(avx2, 8, __attribute__((target("avx2,fma"))))
DEFINE(avx512, 16, __attribute__((target("avx512f"))))

const Transforms *transforms(void) {
  if (__builtin_cpu_supports("avx512f")) return &avx512;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
    return &avx2;
  return &plain;
}
#else
const Transforms *transforms(void) { return &plain; }
#endif
