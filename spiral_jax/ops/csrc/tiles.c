#include "tiles.h"

#include <stddef.h>

#define INLINE static inline __attribute__((always_inline))

/* The points but 0 and infinity are +-kNear and +-kFar; their squares. */
static const float kNear = 0.70710678f, kFar = 1.41421356f;
static const float kNear2 = 0.5f, kFar2 = 2.0f;
/* One divided by the product of their distances from the other points. */
static const float kByNear = -1 / 1.5f, kByFar = 1 / 6.0f;

#define WIDTH 8
#define NAME(name) name##_8
#include "tiles_body.h"
#undef WIDTH
#undef NAME

#define WIDTH 16
#define NAME(name) name##_16
#include "tiles_body.h"
#undef WIDTH
#undef NAME

#define DEFINE_LOOP(name, type, kind, width, target) \
  target static void name##_##kind(const type *a) { name##_##width(a); }

#define DEFINE(kind, width, target)                             \
  DEFINE_LOOP(split, Tiles, kind, width, target)                \
  DEFINE_LOOP(join, Tiles, kind, width, target)                 \
  DEFINE_LOOP(spread, Tiles, kind, width, target)               \
  DEFINE_LOOP(widen, Taps, kind, width, target)                 \
  DEFINE_LOOP(narrow, Taps, kind, width, target)                \
  static const Transforms kind = {split_##kind, join_##kind,    \
                                  spread_##kind, widen_##kind,  \
                                  narrow_##kind};

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
