/* Integer and pointer arithmetic that the convolutions share. */
#ifndef SPIRAL_JAX_OPS_ARITHMETIC_H_
#define SPIRAL_JAX_OPS_ARITHMETIC_H_

#include <stddef.h>
#include <stdint.h>

static inline int64_t min(int64_t a, int64_t b) { return a < b ? a : b; }

/* Returns a / b rounded up, for a >= 0 and b > 0. */
static inline int64_t divide_up(int64_t a, int64_t b) {
  return (a + b - 1) / b;
}

/* Returns the address `offset` floats into an optional array, or NULL if it is
 * absent: NULL plus an offset is undefined. */
static inline const float *offset_or_null(const float *array, int64_t offset) {
  return array == NULL ? NULL : array + offset;
}

#endif /* SPIRAL_JAX_OPS_ARITHMETIC_H_ */
