/* Loops whose iterations XLA's own threads share. */
#ifndef NETWORKS_PARALLEL_H_
#define NETWORKS_PARALLEL_H_

#include "xla_ffi.h"

/* Calls body(argument, i) for each i below `count`, some of them in other
 * threads, and returns when all are done. */
void parallel_for(const XlaCall *call, int count,
                  void (*body)(void *argument, int i), void *argument);

#endif  /* NETWORKS_PARALLEL_H_ */
