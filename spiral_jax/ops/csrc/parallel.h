/* Parallel loops on XLA's own thread pool. */
#ifndef SPIRAL_JAX_OPS_PARALLEL_H_
#define SPIRAL_JAX_OPS_PARALLEL_H_

#include "xla_ffi.h"

/* Calls body(argument, i) for each i in [0, count), in this thread and in
 * others, and returns when all calls have returned. */
void parallel_for(const XlaCall *call, int count,
                  void (*body)(void *argument, int i), void *argument);

#endif /* SPIRAL_JAX_OPS_PARALLEL_H_ */
