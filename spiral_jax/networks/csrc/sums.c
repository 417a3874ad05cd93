#include "sums.h"

#include <stddef.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))

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

#define DEFINE(kind, width, target)                                 \
  target static void sum_runs_##kind(const Runs *runs) {            \
    sum_runs_##width(runs);                                         \
  }                                                                 \
  target static void add_products_##kind(const Products *p) {       \
    add_products_##width(p);                                        \
  }                                                                 \
  static const Sums kind = {sum_runs_##kind, add_products_##kind};

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
