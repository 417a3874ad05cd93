/* Included by sums.c, once for each WIDTH of vectors. */

typedef float NAME(Vector)
    __attribute__((vector_size(4 * WIDTH), aligned(4)));
#define LOAD(address) (*(const NAME(Vector) *)(address))
#define STORE(address, value) (*(NAME(Vector) *)(address) = (value))

/* Outputs are computed `together` at a time: they share what is loaded of the
 * kernel, `vectors` vectors wide. */
INLINE void NAME(sum_block)(const Runs *r, const int vectors) {
  enum { kMost = SUMS };
  const int together = SUMS / vectors;
  const int64_t run = r->run, count = r->height * r->width;
  int64_t y = 0, x = 0;
  for (int64_t i = 0; i < count; i += together) {
    const float *from[kMost];
    float *to[kMost];
    /* The last output is computed twice where they do not come out. */
#pragma GCC unroll 16
    for (int p = 0; p < together; ++p) {
      from[p] = r->from + y * r->from_row + x * r->from_column;
      to[p] = r->to + y * r->to_row + x * r->to_column;
      if (i + p + 1 < count && ++x == r->width) x = 0, ++y;
    }
    NAME(Vector) sums[kMost];
#pragma GCC unroll 16
    for (int s = 0; s < together * vectors; ++s)
      sums[s] = (NAME(Vector)){0};
    const float *kernel = r->kernel;
    for (int64_t k = 0; k < r->runs; ++k) {
      for (int64_t c = 0; c < run; ++c, kernel += kLanes) {
        NAME(Vector) weights[4];
#pragma GCC unroll 16
        for (int v = 0; v < vectors; ++v) weights[v] = LOAD(kernel + v * WIDTH);
#pragma GCC unroll 16
        for (int p = 0; p < together; ++p) {
          const float value = from[p][c];
#pragma GCC unroll 16
          for (int v = 0; v < vectors; ++v)
            sums[p * vectors + v] += value * weights[v];
        }
      }
#pragma GCC unroll 16
      for (int p = 0; p < together; ++p) from[p] += r->next_run;
    }
#pragma GCC unroll 16
    for (int p = 0; p < together; ++p) {
      if (r->lanes == vectors * WIDTH) {
#pragma GCC unroll 16
        for (int v = 0; v < vectors; ++v)
          STORE(to[p] + v * WIDTH, sums[p * vectors + v]);
      } else {
        float lanes[kLanes];
#pragma GCC unroll 16
        for (int v = 0; v < vectors; ++v)
          STORE(lanes + v * WIDTH, sums[p * vectors + v]);
        memcpy(to[p], lanes, r->lanes * sizeof(float));
      }
    }
  }
}

INLINE void NAME(sum_runs)(const Runs *runs) {
  if (runs->lanes > 2 * WIDTH)
    NAME(sum_block)(runs, kLanes / WIDTH);
  else if (runs->lanes > WIDTH)
    NAME(sum_block)(runs, 2);
  else
    NAME(sum_block)(runs, 1);
}

/* Adds to rows from `begin`, `together` at a time, while they come out; returns
 * the first that is left. The rows share what is loaded of y. */
INLINE int64_t NAME(add_rows)(const Products *p, int64_t begin,
                              const int together, const int vectors) {
  enum { kMost = SUMS };
  for (; begin + together <= p->rows; begin += together) {
    float *matrix = p->matrix + begin * kLanes;
    NAME(Vector) sums[kMost];
#pragma GCC unroll 16
    for (int r = 0; r < together; ++r)
#pragma GCC unroll 16
      for (int v = 0; v < vectors; ++v)
        sums[r * vectors + v] = LOAD(matrix + r * kLanes + v * WIDTH);
    const float *y = p->y;
    for (int64_t row = 0; row < p->height; ++row) {
      const float *x = p->x + begin + row * p->x_row;
      for (int64_t i = 0; i < p->width; ++i, x += p->x_column, y += kLanes) {
        NAME(Vector) values[4];
#pragma GCC unroll 16
        for (int v = 0; v < vectors; ++v) values[v] = LOAD(y + v * WIDTH);
#pragma GCC unroll 16
        for (int r = 0; r < together; ++r) {
          const float factor = x[r];
#pragma GCC unroll 16
          for (int v = 0; v < vectors; ++v)
            sums[r * vectors + v] += factor * values[v];
        }
      }
    }
#pragma GCC unroll 16
    for (int r = 0; r < together; ++r)
#pragma GCC unroll 16
      for (int v = 0; v < vectors; ++v)
        STORE(matrix + r * kLanes + v * WIDTH, sums[r * vectors + v]);
  }
  return begin;
}

INLINE void NAME(add_block)(const Products *p, const int vectors) {
  const int most = SUMS / vectors;
  int64_t row = NAME(add_rows)(p, 0, most, vectors);
  row = NAME(add_rows)(p, row, most / 2, vectors);
  if (most / 2 > 2) row = NAME(add_rows)(p, row, 2, vectors);
  NAME(add_rows)(p, row, 1, vectors);
}

INLINE void NAME(add_products)(const Products *products) {
  if (products->lanes > 2 * WIDTH)
    NAME(add_block)(products, kLanes / WIDTH);
  else if (products->lanes > WIDTH)
    NAME(add_block)(products, 2);
  else
    NAME(add_block)(products, 1);
}

#undef LOAD
#undef STORE
