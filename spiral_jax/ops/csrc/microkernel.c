#include "microkernel.h"

#include <stddef.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))

/* Writes one output's used channels, masked and added to, `offset` floats after
 * the first output. */
INLINE void write_channels(const PatchProduct *p, int64_t offset,
                           const float *values) {
  for (int64_t c = 0; c < p->channels; ++c) {
    float value = values[c];
    if (p->relu_mask != NULL && !(p->relu_mask[offset + c] > 0)) value = 0;
    if (p->add != NULL) value += p->add[offset + c];
    p->output[offset + c] = value;
  }
}

/* The same loops for vectors of 8 and of 16 floats. The registers hold
 * ACCUMULATORS vectors of sums next to the operands. */

#define WIDTH 8
#define ACCUMULATORS 12
#define NAME(name) name##_8
#include "microkernel_body.h"
#undef WIDTH
#undef ACCUMULATORS
#undef NAME

#define WIDTH 16
#define ACCUMULATORS 16
#define NAME(name) name##_16
#include "microkernel_body.h"
#undef WIDTH
#undef ACCUMULATORS
#undef NAME

#define DEFINE_LOOP(name, type, kind, width, target) \
  target static void name##_##kind(const type *a) { name##_##width(a); }

#define DEFINE(kind, width, target)                                            \
  DEFINE_LOOP(multiply_patches, PatchProduct, kind, width, target)             \
  DEFINE_LOOP(multiply_patches_few_channels, PatchProduct, kind, width,        \
              target)                                                          \
  DEFINE_LOOP(add_outer_products, OuterProducts, kind, width, target)          \
  DEFINE_LOOP(add_outer_products_one_channel, OuterProducts, kind, width,      \
              target)                                                          \
  static const Microkernels kind = {                                           \
      .multiply_patches = multiply_patches_##kind,                             \
      .multiply_patches_few_channels = multiply_patches_few_channels_##kind,   \
      .add_outer_products = add_outer_products_##kind,                         \
      .add_outer_products_one_channel = add_outer_products_one_channel_##kind, \
  };

DEFINE(plain, 8, )

#ifdef __x86_64__
DEFINE(avx2, 8, __attribute__((target("avx2,fma"))))
DEFINE(avx512, 16, __attribute__((target("avx512f"))))

const Microkernels *microkernels(void) {
  if (__builtin_cpu_supports("avx512f")) return &avx512;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
    return &avx2;
  return &plain;
}
#else
const Microkernels *microkernels(void) { return &plain; }
#endif
