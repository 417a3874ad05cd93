#include "sums.h"

#include <stddef.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))

/* Writes the first lanes of a sum to the output that is `at` floats further. */
INLINE void write_lanes(const Runs *r, int64_t at, const float *lanes) {
  for (int64_t lane = 0; lane < r->lanes; ++lane) {
    float value = lanes[lane];
    if (r->open != NULL && !(r->open[at + lane] > 0)) value = 0;
    if (r->add != NULL) value += r->add[at + lane];
    r->to[at + lane] = value;
  }
}

/* The same loops for vectors of 8 floats, and of 16. There is room in registers
 * for SUMS vectors of sums, beside what is added to them. */

#define WIDTH 8
#define SUMS 12
#define NAME(name) name##_8
#include "sums_body.h"
#undef WIDTH
#undef SUMS
#undef NAME

#define WIDTH 16
#define SUMS 16
#define NAME(name) name##_16
#include "sums_body.h"
#undef WIDTH
#undef SUMS
#undef NAME

#define DEFINE_LOOP(name, type, kind, width, target) \
  target static void name##_##kind(const type *a) { name##_##width(a); }

#define DEFINE(kind, width, target)                                   \
  DEFINE_LOOP(sum_runs, Runs, kind, width, target)                    \
  DEFINE_LOOP(sum_few, Runs, kind, width, target)                     \
  DEFINE_LOOP(add_products, Products, kind, width, target)            \
  DEFINE_LOOP(add_to_one, Products, kind, width, target)              \
  static const Sums kind = {sum_runs_##kind, sum_few_##kind,          \
                            add_products_##kind, add_to_one_##kind};

DEFINE(plain, 8, )

#ifdef __x86_64__
DEFINE(avx2, 8, __attribute__((target("avx2,fma"))))
DEFINE(avx512, 16, __attribute__((target("avx512f"))))

const Sums *sums(void) {
  if (__builtin_cpu_supports("avx512f")) return &avx512;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
    return &avx2;
  return &plain;
}
#else
const Sums *sums(void) { return &plain; }
#endif
