/* Included by microkernel.c once for each WIDTH of vectors. */

typedef float NAME(Vector) __attribute__((vector_size(4 * WIDTH), aligned(4)));
typedef int32_t NAME(Bits) __attribute__((vector_size(4 * WIDTH)));
#define LOAD(address) (*(const NAME(Vector) *)(address))
#define STORE(address, value) (*(NAME(Vector) *)(address) = (value))

/* Computes `num_outputs` outputs at a time, which share the loads of the
 * kernel, for `vectors` vectors of channels. */
INLINE void NAME(multiply_block)(const PatchProduct *p, const int vectors) {
  enum { kMaxSums = ACCUMULATORS };
  const int num_outputs = ACCUMULATORS / vectors;
  const int64_t segment_size = p->segment_size, count = p->height * p->width;
  int64_t y = 0, x = 0;
  for (int64_t i = 0; i < count; i += num_outputs) {
    const float *input[kMaxSums];
    float *output[kMaxSums];
    /* The last output is repeated where fewer than num_outputs are left. */
#pragma GCC unroll 16
    for (int o = 0; o < num_outputs; ++o) {
      input[o] =
          p->input + y * p->input_row_stride + x * p->input_column_stride;
      output[o] =
          p->output + y * p->output_row_stride + x * p->output_column_stride;
      if (i + o + 1 < count && ++x == p->width) x = 0, ++y;
    }
    NAME(Vector) sums[kMaxSums];
#pragma GCC unroll 16
    for (int s = 0; s < num_outputs * vectors; ++s)
      sums[s] = LOAD(p->bias + s % vectors * WIDTH);
    const float *kernel = p->kernel;
    for (int64_t k = 0; k < p->num_segments; ++k) {
      for (int64_t c = 0; c < segment_size; ++c, kernel += kChannelBlock) {
        NAME(Vector) weights[4];
#pragma GCC unroll 16
        for (int v = 0; v < vectors; ++v) weights[v] = LOAD(kernel + v * WIDTH);
#pragma GCC unroll 16
        for (int o = 0; o < num_outputs; ++o) {
          const float value = input[o][c];
#pragma GCC unroll 16
          for (int v = 0; v < vectors; ++v)
            sums[o * vectors + v] += value * weights[v];
        }
      }
#pragma GCC unroll 16
      for (int o = 0; o < num_outputs; ++o) input[o] += p->segment_stride;
    }
#pragma GCC unroll 16
    for (int o = 0; o < num_outputs; ++o) {
      const int64_t offset = output[o] - p->output;
      if (p->channels == vectors * WIDTH) {
#pragma GCC unroll 16
        for (int v = 0; v < vectors; ++v) {
          NAME(Vector) sum = sums[o * vectors + v];
          if (p->relu_mask != NULL)
            sum = (NAME(Vector))((NAME(Bits))sum &
                                 (LOAD(p->relu_mask + offset + v * WIDTH) > 0));
          if (p->add != NULL) sum += LOAD(p->add + offset + v * WIDTH);
          STORE(output[o] + v * WIDTH, sum);
        }
      } else {
        float values[kChannelBlock];
#pragma GCC unroll 16
        for (int v = 0; v < vectors; ++v)
          STORE(values + v * WIDTH, sums[o * vectors + v]);
        write_channels(p, offset, values);
      }
    }
  }
}

INLINE void NAME(multiply_patches)(const PatchProduct *p) {
  if (p->channels > 2 * WIDTH)
    NAME(multiply_block)(p, kChannelBlock / WIDTH);
  else if (p->channels > WIDTH)
    NAME(multiply_block)(p, 2);
  else
    NAME(multiply_block)(p, 1);
}

/* Computes kOutputs outputs at a time, one channel after the other. */
INLINE void NAME(multiply_patches_few_channels)(const PatchProduct *p) {
  enum { kOutputs = 4 };
  const int64_t segment_size = p->segment_size, count = p->height * p->width;
  const int64_t whole = segment_size - segment_size % WIDTH;
  int64_t y = 0, x = 0;
  for (int64_t i = 0; i < count; i += kOutputs) {
    const float *input[kOutputs];
    int64_t offset[kOutputs];
    float results[kOutputs][kChannelBlock];
    /* The last output is repeated where fewer than kOutputs are left. */
    for (int o = 0; o < kOutputs; ++o) {
      input[o] =
          p->input + y * p->input_row_stride + x * p->input_column_stride;
      offset[o] = y * p->output_row_stride + x * p->output_column_stride;
      if (i + o + 1 < count && ++x == p->width) x = 0, ++y;
    }
    const float *kernel = p->kernel;
    for (int64_t channel = 0; channel < p->channels; ++channel) {
      NAME(Vector) sums[kOutputs];
      float remainders[kOutputs];
#pragma GCC unroll 16
      for (int o = 0; o < kOutputs; ++o)
        sums[o] = (NAME(Vector)){0}, remainders[o] = p->bias[channel];
      for (int64_t k = 0; k < p->num_segments; ++k, kernel += segment_size) {
        for (int64_t c = 0; c < whole; c += WIDTH) {
          const NAME(Vector) weights = LOAD(kernel + c);
#pragma GCC unroll 16
          for (int o = 0; o < kOutputs; ++o)
            sums[o] += weights * LOAD(input[o] + k * p->segment_stride + c);
        }
        for (int64_t c = whole; c < segment_size; ++c)
#pragma GCC unroll 16
          for (int o = 0; o < kOutputs; ++o)
            remainders[o] += kernel[c] * input[o][k * p->segment_stride + c];
      }
#pragma GCC unroll 16
      for (int o = 0; o < kOutputs; ++o) {
        float sum = remainders[o];
#pragma GCC unroll 16
        for (int w = 0; w < WIDTH; ++w) sum += sums[o][w];
        results[o][channel] = sum;
      }
    }
    for (int o = 0; o < kOutputs; ++o) write_channels(p, offset[o], results[o]);
  }
}

/* Updates rows from `begin` on, `num_rows` at a time, which share the
 * loads of y. Returns the first of the rows left over. */
INLINE int64_t NAME(add_rows)(const OuterProducts *p, int64_t begin,
                              const int num_rows, const int vectors) {
  enum { kMaxSums = ACCUMULATORS };
  for (; begin + num_rows <= p->rows; begin += num_rows) {
    float *matrix = p->matrix + begin * kChannelBlock;
    NAME(Vector) sums[kMaxSums];
#pragma GCC unroll 16
    for (int r = 0; r < num_rows; ++r)
#pragma GCC unroll 16
      for (int v = 0; v < vectors; ++v)
        sums[r * vectors + v] = LOAD(matrix + r * kChannelBlock + v * WIDTH);
    const float *y = p->y;
    for (int64_t row = 0; row < p->height; ++row) {
      const float *x = p->x + begin + row * p->x_row_stride;
      for (int64_t i = 0; i < p->width;
           ++i, x += p->x_column_stride, y += kChannelBlock) {
        NAME(Vector) values[4];
#pragma GCC unroll 16
        for (int v = 0; v < vectors; ++v) values[v] = LOAD(y + v * WIDTH);
#pragma GCC unroll 16
        for (int r = 0; r < num_rows; ++r) {
          const float factor = x[r];
#pragma GCC unroll 16
          for (int v = 0; v < vectors; ++v)
            sums[r * vectors + v] += factor * values[v];
        }
      }
    }
#pragma GCC unroll 16
    for (int r = 0; r < num_rows; ++r)
#pragma GCC unroll 16
      for (int v = 0; v < vectors; ++v)
        STORE(matrix + r * kChannelBlock + v * WIDTH, sums[r * vectors + v]);
  }
  return begin;
}

INLINE void NAME(add_block)(const OuterProducts *p, const int vectors) {
  const int most = ACCUMULATORS / vectors;
  int64_t row = NAME(add_rows)(p, 0, most, vectors);
  row = NAME(add_rows)(p, row, most / 2, vectors);
  if (most / 2 > 2) row = NAME(add_rows)(p, row, 2, vectors);
  NAME(add_rows)(p, row, 1, vectors);
}

INLINE void NAME(add_outer_products)(const OuterProducts *p) {
  if (p->channels > 2 * WIDTH)
    NAME(add_block)(p, kChannelBlock / WIDTH);
  else if (p->channels > WIDTH)
    NAME(add_block)(p, 2);
  else
    NAME(add_block)(p, 1);
}

/* Updates rows from `begin` on, `vectors` vectors of rows at a time. Returns
 * the first of the rows left over. */
INLINE int64_t NAME(add_vectors)(const OuterProducts *p, int64_t begin,
                                 const int vectors) {
  enum { kMaxSums = ACCUMULATORS / 2 };
  for (; begin + vectors * WIDTH <= p->rows; begin += vectors * WIDTH) {
    NAME(Vector) sums[kMaxSums];
#pragma GCC unroll 16
    for (int v = 0; v < vectors; ++v)
      sums[v] = LOAD(p->matrix + begin + v * WIDTH);
    const float *y = p->y;
    for (int64_t row = 0; row < p->height; ++row) {
      const float *x = p->x + begin + row * p->x_row_stride;
      for (int64_t i = 0; i < p->width;
           ++i, x += p->x_column_stride, y += kChannelBlock)
#pragma GCC unroll 16
        for (int v = 0; v < vectors; ++v) sums[v] += *y * LOAD(x + v * WIDTH);
    }
#pragma GCC unroll 16
    for (int v = 0; v < vectors; ++v)
      STORE(p->matrix + begin + v * WIDTH, sums[v]);
  }
  return begin;
}

INLINE void NAME(add_outer_products_one_channel)(const OuterProducts *p) {
  int64_t row = NAME(add_vectors)(p, 0, ACCUMULATORS / 2);
  row = NAME(add_vectors)(p, row, 2);
  row = NAME(add_vectors)(p, row, 1);
  for (; row < p->rows; ++row) {
    float sum = p->matrix[row];
    const float *y = p->y;
    for (int64_t line = 0; line < p->height; ++line) {
      const float *x = p->x + row + line * p->x_row_stride;
      for (int64_t i = 0; i < p->width;
           ++i, x += p->x_column_stride, y += kChannelBlock)
        sum += *y * *x;
    }
    p->matrix[row] = sum;
  }
}

#undef LOAD
#undef STORE
