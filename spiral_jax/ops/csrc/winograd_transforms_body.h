/* Included by winograd_transforms.c once for each WIDTH of vectors. */

typedef float NAME(Vector) __attribute__((vector_size(4 * WIDTH), aligned(4)));
typedef int32_t NAME(Bits) __attribute__((vector_size(4 * WIDTH)));
#define LOAD(address) (*(const NAME(Vector) *)(address))
#define STORE(address, value) (*(NAME(Vector) *)(address) = (value))

/* The transforms along one axis: B^T d, A^T m, A y, G g and G^T u. Each
 * computes its even and odd part at the points +-kNear and +-kFar once for
 * both. */

INLINE void NAME(transform_input_1d)(const NAME(Vector) *from,
                                     NAME(Vector) *to) {
  const NAME(Vector) near = from[4] - kFar2 * from[2];
  const NAME(Vector) near_odd = kNear * (from[3] - kFar2 * from[1]);
  const NAME(Vector) far = from[4] - kNear2 * from[2];
  const NAME(Vector) far_odd = kFar * (from[3] - kNear2 * from[1]);
  to[0] = from[0] + from[4] - (kNear2 + kFar2) * from[2];
  to[1] = near + near_odd;
  to[2] = near - near_odd;
  to[3] = far + far_odd;
  to[4] = far - far_odd;
  to[5] = from[1] + from[5] - (kNear2 + kFar2) * from[3];
}

INLINE void NAME(transform_output_1d)(const NAME(Vector) *from,
                                      NAME(Vector) *to) {
  const NAME(Vector) near = from[1] + from[2], far = from[3] + from[4];
  const NAME(Vector) near_odd = kNear * (from[1] - from[2]);
  const NAME(Vector) far_odd = kFar * (from[3] - from[4]);
  to[0] = from[0] + near + far;
  to[1] = near_odd + far_odd;
  to[2] = kNear2 * near + kFar2 * far;
  to[3] = from[5] + kNear2 * near_odd + kFar2 * far_odd;
}

INLINE void NAME(transform_output_transpose_1d)(const NAME(Vector) *from,
                                                NAME(Vector) *to) {
  const NAME(Vector) near = from[0] + kNear2 * from[2];
  const NAME(Vector) near_odd = kNear * (from[1] + kNear2 * from[3]);
  const NAME(Vector) far = from[0] + kFar2 * from[2];
  const NAME(Vector) far_odd = kFar * (from[1] + kFar2 * from[3]);
  to[0] = from[0];
  to[1] = near + near_odd;
  to[2] = near - near_odd;
  to[3] = far + far_odd;
  to[4] = far - far_odd;
  to[5] = from[3];
}

INLINE void NAME(transform_filter_1d)(const NAME(Vector) *from,
                                      NAME(Vector) *to) {
  const NAME(Vector) near = kNearScale * (from[0] + kNear2 * from[2]);
  const NAME(Vector) near_odd = kNearScale * kNear * from[1];
  const NAME(Vector) far = kFarScale * (from[0] + kFar2 * from[2]);
  const NAME(Vector) far_odd = kFarScale * kFar * from[1];
  to[0] = from[0];
  to[1] = near + near_odd;
  to[2] = near - near_odd;
  to[3] = far + far_odd;
  to[4] = far - far_odd;
  to[5] = from[2];
}

INLINE void NAME(transform_filter_transpose_1d)(const NAME(Vector) *from,
                                                NAME(Vector) *to) {
  const NAME(Vector) near = kNearScale * (from[1] + from[2]);
  const NAME(Vector) far = kFarScale * (from[3] + from[4]);
  to[0] = from[0] + near + far;
  to[1] = kNearScale * kNear * (from[1] - from[2]) +
          kFarScale * kFar * (from[3] - from[4]);
  to[2] = from[5] + kNear2 * near + kFar2 * far;
}

/* Defines the transform of a square of `in` by `in` vectors to one of `out` by
 * `out`: along the columns, then along the rows. The arguments after `from` and
 * `to` are the strides of their rows and columns. */
#define TRANSFORM(name, in, out)                                      \
  INLINE void NAME(name##_2d)(const float *from, int64_t row,         \
                              int64_t column, float *to,              \
                              int64_t to_row, int64_t to_column) {    \
    NAME(Vector) columns[out][in];                                    \
    for (int x = 0; x < in; ++x) {                                    \
      NAME(Vector) before[in], after[out];                            \
      _Pragma("GCC unroll 8") for (int y = 0; y < in; ++y)            \
          before[y] = LOAD(from + y * row + x * column);              \
      NAME(name##_1d)(before, after);                                 \
      _Pragma("GCC unroll 8") for (int y = 0; y < out; ++y)           \
          columns[y][x] = after[y];                                   \
    }                                                                 \
    for (int y = 0; y < out; ++y) {                                   \
      NAME(Vector) after[out];                                        \
      NAME(name##_1d)(columns[y], after);                             \
      _Pragma("GCC unroll 8") for (int x = 0; x < out; ++x)           \
          STORE(to + y * to_row + x * to_column, after[x]);           \
    }                                                                 \
  }

TRANSFORM(transform_input, kInputTile, kInputTile)
TRANSFORM(transform_output, kInputTile, kOutputTile)
TRANSFORM(transform_output_transpose, kOutputTile, kInputTile)
TRANSFORM(transform_filter, kFilterSize, kInputTile)
TRANSFORM(transform_filter_transpose, kInputTile, kFilterSize)
#undef TRANSFORM

INLINE void NAME(transform_input)(const TileRow *t) {
  for (int64_t tile = 0; tile < t->num_tiles; ++tile)
    for (int64_t c = 0; c < t->num_groups * kChannelGroup; c += WIDTH)
      NAME(transform_input_2d)(
          t->pixels + tile * kOutputTile * t->column_stride + c, t->row_stride,
          t->column_stride, t->transformed + tile * t->tile_stride + c,
          kInputTile * t->element_stride, t->element_stride);
}

INLINE void NAME(transform_output_transpose)(const TileRow *t) {
  for (int64_t tile = 0; tile < t->num_tiles; ++tile)
    for (int64_t c = 0; c < t->num_groups * kChannelGroup; c += WIDTH)
      NAME(transform_output_transpose_2d)(
          t->pixels + tile * kOutputTile * t->column_stride + c, t->row_stride,
          t->column_stride, t->transformed + tile * t->tile_stride + c,
          kInputTile * t->element_stride, t->element_stride);
}

INLINE void NAME(transform_output)(const TileRow *t) {
  for (int64_t tile = 0; tile < t->num_tiles; ++tile)
    for (int64_t c = 0; c < t->num_groups * kChannelGroup; c += WIDTH) {
      const NAME(Vector) bias = LOAD(t->bias + c);
      float square[kOutputTile * kOutputTile * WIDTH];
      NAME(transform_output_2d)(t->transformed + tile * t->tile_stride + c,
                                    kInputTile * t->element_stride,
                                    t->element_stride, square,
                                    kOutputTile * WIDTH, WIDTH);
      for (int y = 0; y < kOutputTile; ++y)
        for (int x = 0; x < kOutputTile; ++x) {
          const int64_t offset = y * t->row_stride +
                                 (tile * kOutputTile + x) * t->column_stride +
                                 c;
          NAME(Vector) sum =
              bias + LOAD(square + (y * kOutputTile + x) * WIDTH);
          if (t->relu_mask != NULL)
            sum = (NAME(Vector))((NAME(Bits))sum &
                                 (LOAD(t->relu_mask + offset) > 0));
          if (t->add != NULL) sum += LOAD(t->add + offset);
          STORE(t->pixels + offset, sum);
        }
    }
}

INLINE void NAME(transform_filter)(const FilterGroup *f) {
  for (int64_t c = 0; c < kChannelGroup; c += WIDTH)
    NAME(transform_filter_2d)(
        f->filters + c, kFilterSize * f->tap_stride, f->tap_stride,
        f->transformed + c, kInputTile * f->element_stride, f->element_stride);
}

INLINE void NAME(transform_filter_transpose)(const FilterGroup *f) {
  for (int64_t c = 0; c < kChannelGroup; c += WIDTH)
    NAME(transform_filter_transpose_2d)(
        f->transformed + c, kInputTile * f->element_stride, f->element_stride,
        f->filters + c, kFilterSize * f->tap_stride, f->tap_stride);
}

#undef LOAD
#undef STORE
