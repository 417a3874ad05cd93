/* Included by sums.c, once for each WIDTH of vectors. */

typedef float NAME(Vector)
    __attribute__((vector_size(4 * WIDTH), aligned(4)));
typedef int32_t NAME(Bits) __attribute__((vector_size(4 * WIDTH)));
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
      sums[s] = LOAD(r->bias + s % vectors * WIDTH);
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
      const int64_t at = to[p] - r->to;
      if (r->lanes == vectors * WIDTH) {
#pragma GCC unroll 16
        for (int v = 0; v < vectors; ++v) {
          NAME(Vector) sum = sums[p * vectors + v];
          if (r->open != NULL)
            sum = (NAME(Vector))((NAME(Bits))sum &
                                 (LOAD(r->open + at + v * WIDTH) > 0));
          if (r->add != NULL) sum += LOAD(r->add + at + v * WIDTH);
          STORE(to[p] + v * WIDTH, sum);
        }
      } else {
        float lanes[kLanes];
#pragma GCC unroll 16
        for (int v = 0; v < vectors; ++v)
          STORE(lanes + v * WIDTH, sums[p * vectors + v]);
        write_lanes(r, at, lanes);
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

/* Outputs are computed `kTogether` at a time, lane by lane. */
INLINE void NAME(sum_few)(const Runs *r) {
  enum { kTogether = 4 };
  const int64_t run = r->run, count = r->height * r->width;
  const int64_t whole = run - run % WIDTH;
  int64_t y = 0, x = 0;
  for (int64_t i = 0; i < count; i += kTogether) {
    const float *first[kTogether];
    int64_t at[kTogether];
    float results[kTogether][kLanes];
    /* The last output is computed twice where they do not come out. */
    for (int p = 0; p < kTogether; ++p) {
      first[p] = r->from + y * r->from_row + x * r->from_column;
      at[p] = y * r->to_row + x * r->to_column;
      if (i + p + 1 < count && ++x == r->width) x = 0, ++y;
    }
    const float *kernel = r->kernel;
    for (int64_t lane = 0; lane < r->lanes; ++lane) {
      NAME(Vector) sums[kTogether];
      float rests[kTogether];
#pragma GCC unroll 16
      for (int p = 0; p < kTogether; ++p)
        sums[p] = (NAME(Vector)){0}, rests[p] = r->bias[lane];
      for (int64_t k = 0; k < r->runs; ++k, kernel += run) {
        for (int64_t c = 0; c < whole; c += WIDTH) {
          const NAME(Vector) weights = LOAD(kernel + c);
#pragma GCC unroll 16
          for (int p = 0; p < kTogether; ++p)
            sums[p] += weights * LOAD(first[p] + k * r->next_run + c);
        }
        for (int64_t c = whole; c < run; ++c)
#pragma GCC unroll 16
          for (int p = 0; p < kTogether; ++p)
            rests[p] += kernel[c] * first[p][k * r->next_run + c];
      }
#pragma GCC unroll 16
      for (int p = 0; p < kTogether; ++p) {
        float sum = rests[p];
#pragma GCC unroll 16
        for (int w = 0; w < WIDTH; ++w) sum += sums[p][w];
        results[p][lane] = sum;
      }
    }
    for (int p = 0; p < kTogether; ++p) write_lanes(r, at[p], results[p]);
  }
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

/* Adds to rows from `begin` as long as `vectors` vectors of them are left;
 * returns the first that is left. */
INLINE int64_t NAME(add_run)(const Products *p, int64_t begin,
                             const int vectors) {
  enum { kMost = SUMS / 2 };
  for (; begin + vectors * WIDTH <= p->rows; begin += vectors * WIDTH) {
    NAME(Vector) sums[kMost];
#pragma GCC unroll 16
    for (int v = 0; v < vectors; ++v)
      sums[v] = LOAD(p->matrix + begin + v * WIDTH);
    const float *y = p->y;
    for (int64_t row = 0; row < p->height; ++row) {
      const float *x = p->x + begin + row * p->x_row;
      for (int64_t i = 0; i < p->width; ++i, x += p->x_column, y += kLanes)
#pragma GCC unroll 16
        for (int v = 0; v < vectors; ++v) sums[v] += *y * LOAD(x + v * WIDTH);
    }
#pragma GCC unroll 16
    for (int v = 0; v < vectors; ++v)
      STORE(p->matrix + begin + v * WIDTH, sums[v]);
  }
  return begin;
}

INLINE void NAME(add_to_one)(const Products *p) {
  int64_t row = NAME(add_run)(p, 0, SUMS / 2);
  row = NAME(add_run)(p, row, 2);
  row = NAME(add_run)(p, row, 1);
  for (; row < p->rows; ++row) {
    float sum = p->matrix[row];
    const float *y = p->y;
    for (int64_t line = 0; line < p->height; ++line) {
      const float *x = p->x + row + line * p->x_row;
      for (int64_t i = 0; i < p->width; ++i, x += p->x_column, y += kLanes)
        sum += *y * *x;
    }
    p->matrix[row] = sum;
  }
}

#undef LOAD
#undef STORE
