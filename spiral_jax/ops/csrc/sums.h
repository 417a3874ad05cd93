/* The loops in which convolutions spend their time. */
#ifndef NETWORKS_SUMS_H_
#define NETWORKS_SUMS_H_

#include <stdint.h>

/* Channels of the output that are computed at once; fewer at its end. Where
 * there are no more than kFew in all, vectors go along the sums instead. */
enum { kLanes = 32, kFew = 4 };

/* A grid of outputs, each a sum over runs of floats times rows of a kernel.
 * Distances are in floats, from one output to the next. */
typedef struct {
  const float *from;           /* The first run of the first output. */
  int64_t from_row, from_column;
  float *to;
  int64_t to_row, to_column;
  int64_t height, width;       /* Outputs. */
  int64_t runs, run, next_run; /* How many, how long, how far apart. */
  const float *kernel;         /* [runs * run, kLanes]; zeros where unused. */
  int64_t lanes;               /* That are written. */
  const float *bias;           /* [kLanes], added to each. */
  const float *open;           /* Like `to` or null: zero unless it is above. */
  const float *add;            /* Like `to` or null: added at last. */
} Runs;

/* A grid of pixels, each of which adds x times y to a matrix. */
typedef struct {
  const float *x;              /* [rows] at each pixel. */
  int64_t x_row, x_column;
  const float *y;              /* [height * width, kLanes]. */
  int64_t height, width;       /* Pixels. */
  int64_t rows;
  float *matrix;               /* [rows, kLanes]. */
  int64_t lanes;               /* That are used. */
} Products;

typedef struct {
  void (*sum_runs)(const Runs *);
  /* The same with a kernel [lanes, runs * run], of no more than kFew lanes. */
  void (*sum_few)(const Runs *);
  void (*add_products)(const Products *);
  /* The same for one lane alone, the first of y: a matrix [rows]. */
  void (*add_to_one)(const Products *);
} Sums;

/* Returns those for this processor. On all that have fused multiply-adds the
 * results are the same, bit for bit. */
const Sums *sums(void);

#endif  /* NETWORKS_SUMS_H_ */
