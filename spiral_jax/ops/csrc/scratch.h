/* Scratch memory that each thread keeps from call to call: touching fresh pages
 * costs more than the arithmetic done in them. */
#ifndef SPIRAL_JAX_OPS_SCRATCH_H_
#define SPIRAL_JAX_OPS_SCRATCH_H_

#include <stdint.h>

/* Returns `size` uninitialized floats, valid until the calling thread's next
 * call; NULL if memory is exhausted. */
float *get_scratch(int64_t size);

#endif /* SPIRAL_JAX_OPS_SCRATCH_H_ */
