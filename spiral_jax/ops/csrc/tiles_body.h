/* Included by tiles.c, once for each WIDTH of vectors. */

typedef float NAME(Vector)
    __attribute__((vector_size(4 * WIDTH), aligned(4)));
typedef int32_t NAME(Bits) __attribute__((vector_size(4 * WIDTH)));
#define LOAD(address) (*(const NAME(Vector) *)(address))
#define STORE(address, value) (*(NAME(Vector) *)(address) = (value))

/* Transforms along one axis. */

INLINE void NAME(split_line)(const NAME(Vector) *from, NAME(Vector) *to) {
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

INLINE void NAME(join_line)(const NAME(Vector) *from, NAME(Vector) *to) {
  const NAME(Vector) near = from[1] + from[2], far = from[3] + from[4];
  const NAME(Vector) near_odd = kNear * (from[1] - from[2]);
  const NAME(Vector) far_odd = kFar * (from[3] - from[4]);
  to[0] = from[0] + near + far;
  to[1] = near_odd + far_odd;
  to[2] = kNear2 * near + kFar2 * far;
  to[3] = from[5] + kNear2 * near_odd + kFar2 * far_odd;
}

INLINE void NAME(spread_line)(const NAME(Vector) *from, NAME(Vector) *to) {
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

INLINE void NAME(widen_line)(const NAME(Vector) *from, NAME(Vector) *to) {
  const NAME(Vector) near = kByNear * (from[0] + kNear2 * from[2]);
  const NAME(Vector) near_odd = kByNear * kNear * from[1];
  const NAME(Vector) far = kByFar * (from[0] + kFar2 * from[2]);
  const NAME(Vector) far_odd = kByFar * kFar * from[1];
  to[0] = from[0];
  to[1] = near + near_odd;
  to[2] = near - near_odd;
  to[3] = far + far_odd;
  to[4] = far - far_odd;
  to[5] = from[2];
}

INLINE void NAME(narrow_line)(const NAME(Vector) *from, NAME(Vector) *to) {
  const NAME(Vector) near = kByNear * (from[1] + from[2]);
  const NAME(Vector) far = kByFar * (from[3] + from[4]);
  to[0] = from[0] + near + far;
  to[1] = kByNear * kNear * (from[1] - from[2]) +
          kByFar * kFar * (from[3] - from[4]);
  to[2] = from[5] + kNear2 * near + kFar2 * far;
}

/* Applies one to the columns and then to the rows of a square, of `in` vectors
 * on each side, to one of `out`. */
#define TRANSFORM(line, in, out)                                       \
  INLINE void NAME(line##_square)(const float *from, int64_t row,      \
                                  int64_t column, float *to,           \
                                  int64_t to_row, int64_t to_column) { \
    NAME(Vector) columns[out][in];                                     \
    for (int x = 0; x < in; ++x) {                                     \
      NAME(Vector) one[in], other[out];                                \
      _Pragma("GCC unroll 8") for (int y = 0; y < in; ++y)             \
          one[y] = LOAD(from + y * row + x * column);                  \
      NAME(line##_line)(one, other);                                   \
      _Pragma("GCC unroll 8") for (int y = 0; y < out; ++y)            \
          columns[y][x] = other[y];                                    \
    }                                                                  \
    for (int y = 0; y < out; ++y) {                                    \
      NAME(Vector) other[out];                                         \
      NAME(line##_line)(columns[y], other);                            \
      _Pragma("GCC unroll 8") for (int x = 0; x < out; ++x)            \
          STORE(to + y * to_row + x * to_column, other[x]);            \
    }                                                                  \
  }

TRANSFORM(split, kPatch, kPatch)
TRANSFORM(join, kPatch, kTile)
TRANSFORM(spread, kTile, kPatch)
TRANSFORM(widen, 3, kPatch)
TRANSFORM(narrow, kPatch, 3)
#undef TRANSFORM

INLINE void NAME(split)(const Tiles *t) {
  for (int64_t tile = 0; tile < t->tiles; ++tile)
    for (int64_t c = 0; c < t->groups * kGroup; c += WIDTH)
      NAME(split_square)(t->pixels + tile * kTile * t->column + c, t->row,
                         t->column, t->points + tile * t->next_tile + c,
                         kPatch * t->next_point, t->next_point);
}

INLINE void NAME(spread)(const Tiles *t) {
  for (int64_t tile = 0; tile < t->tiles; ++tile)
    for (int64_t c = 0; c < t->groups * kGroup; c += WIDTH)
      NAME(spread_square)(t->pixels + tile * kTile * t->column + c, t->row,
                          t->column, t->points + tile * t->next_tile + c,
                          kPatch * t->next_point, t->next_point);
}

INLINE void NAME(join)(const Tiles *t) {
  for (int64_t tile = 0; tile < t->tiles; ++tile)
    for (int64_t c = 0; c < t->groups * kGroup; c += WIDTH) {
      const NAME(Vector) bias = LOAD(t->bias + c);
      float square[kTile * kTile * WIDTH];
      NAME(join_square)(t->points + tile * t->next_tile + c,
                        kPatch * t->next_point, t->next_point, square,
                        kTile * WIDTH, WIDTH);
      for (int y = 0; y < kTile; ++y)
        for (int x = 0; x < kTile; ++x) {
          const int64_t at =
              y * t->row + (tile * kTile + x) * t->column + c;
          NAME(Vector) sum = bias + LOAD(square + (y * kTile + x) * WIDTH);
          if (t->open != NULL)
            sum = (NAME(Vector))((NAME(Bits))sum & (LOAD(t->open + at) > 0));
          if (t->add != NULL) sum += LOAD(t->add + at);
          STORE(t->pixels + at, sum);
        }
    }
}

INLINE void NAME(widen)(const Taps *t) {
  for (int64_t c = 0; c < kGroup; c += WIDTH)
    NAME(widen_square)(t->taps + c, 3 * t->next_tap, t->next_tap,
                       t->points + c, kPatch * t->next_point, t->next_point);
}

INLINE void NAME(narrow)(const Taps *t) {
  for (int64_t c = 0; c < kGroup; c += WIDTH)
    NAME(narrow_square)(t->points + c, kPatch * t->next_point, t->next_point,
                        t->taps + c, 3 * t->next_tap, t->next_tap);
}

#undef LOAD
#undef STORE
