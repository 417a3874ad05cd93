/* Memory that a thread uses again from call to call: fresh pages cost more than
 * what is computed in them. */
#ifndef NETWORKS_SCRATCH_H_
#define NETWORKS_SCRATCH_H_

#include <stdint.h>

/* Returns room for floats, of any values, until the thread's next call; or
 * null. */
float *scratch(int64_t size);

#endif  /* NETWORKS_SCRATCH_H_ */
