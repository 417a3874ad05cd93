/* Handlers that XLA calls: networks/native.py registers them. */
#include <stdatomic.h>
#include <stdlib.h>

#include "conv.h"
#include "parallel.h"
#include "xla_ffi.h"

/* The oldest interface that has all that is used here. */
enum { kMajor = 0, kMinor = 1 };

/* XLA asks each handler once for which interface it was built. Returns whether
 * it did. */
static int is_question(const XlaCall *call) {
  for (XlaExtension *extension = call->extensions; extension != NULL;
       extension = extension->next) {
    if (extension->type != kXlaMetadataExtension) continue;
    XlaMetadata *metadata = ((XlaMetadataExtension *)extension)->metadata;
    metadata->version.major = kMajor;
    /* Within a major version nothing that is used here may change. */
    metadata->version.minor = call->api->version.major == kMajor
                                  ? call->api->version.minor
                                  : kMinor;
    metadata->traits = 0;
    if (metadata->struct_size >= sizeof(XlaMetadata))
      metadata->state_type_id = 0;
    return 1;
  }
  return 0;
}

static XlaError *fail(const XlaCall *call, int code, const char *message) {
  XlaErrorArguments arguments = {
      .struct_size = sizeof(XlaErrorArguments),
      .message = message,
      .code = code,
  };
  return call->api->error_create(&arguments);
}

static int is_float4(const XlaBuffer *buffer) {
  return buffer->type == kXlaFloat32 && buffer->rank == 4;
}

/* The images of a call in pieces. How many depends on the number of images
 * alone: so the order of additions is the same on every machine. */
typedef struct {
  Shape shape;
  const float *first, *second;
  float *result;
  int count;
  atomic_int failed;
} Pieces;

enum { kMaxPieces = 16, kImagesPerPiece = 8 };

/* The arrays of a call. */
enum { kFirst, kSecond, kResult };

/* Divides a call into pieces; says which of its arrays are the images, what the
 * convolution makes of them, and the kernel. Returns an error or null. */
static XlaError *divide(const XlaCall *call, int images, int output, int kernel,
                        Pieces *pieces) {
  if (call->arguments.size != 2 || call->results.size != 1)
    return fail(call, kXlaInvalidArgument, "give two arrays, take one");
  const XlaBuffer *arrays[] = {call->arguments.buffers[0],
                               call->arguments.buffers[1],
                               call->results.buffers[0]};
  for (int i = 0; i < 3; ++i)
    if (!is_float4(arrays[i]))
      return fail(call, kXlaInvalidArgument,
                  "arrays must be float32 of rank 4");
  const int64_t *in = arrays[images]->dims, *out = arrays[output]->dims;
  const int64_t *taps = arrays[kernel]->dims;
  const int64_t stride = out[1] > 0 ? in[1] / out[1] : 0;
  if (stride < 1 || stride > taps[0] || in[1] != stride * out[1] ||
      in[2] != stride * out[2] || in[0] != out[0] || taps[1] != taps[0] ||
      taps[2] != in[3] || taps[3] != out[3])
    return fail(call, kXlaInvalidArgument, "shapes are not of a convolution");
  const int64_t count = in[0] / kImagesPerPiece;
  *pieces = (Pieces){
      .shape = {
          .n = in[0],
          .height = in[1],
          .width = in[2],
          .in = in[3],
          .out = out[3],
          .size = taps[0],
          .stride = stride,
      },
      .first = arrays[kFirst]->data,
      .second = arrays[kSecond]->data,
      .result = arrays[kResult]->data,
      .count = count < 1 ? 1 : count < kMaxPieces ? (int)count : kMaxPieces,
  };
  return NULL;
}

/* Returns the shape of piece i and sets how many floats of images and of
 * output are before it. */
static Shape piece(const Pieces *pieces, int i, int64_t *images,
                   int64_t *output) {
  Shape shape = pieces->shape;
  const int64_t begin = shape.n * i / pieces->count;
  *images = begin * shape.height * shape.width * shape.in;
  *output = begin * (shape.height / shape.stride) *
            (shape.width / shape.stride) * shape.out;
  shape.n = shape.n * (i + 1) / pieces->count - begin;
  return shape;
}

static void convolve_piece(void *argument, int i) {
  Pieces *p = argument;
  int64_t images, output;
  const Shape shape = piece(p, i, &images, &output);
  if (conv(&shape, p->first + images, p->second, p->result + output))
    atomic_store(&p->failed, 1);
}

static void transpose_piece(void *argument, int i) {
  Pieces *p = argument;
  int64_t images, output;
  const Shape shape = piece(p, i, &images, &output);
  if (conv_transpose(&shape, p->first + output, p->second, p->result + images))
    atomic_store(&p->failed, 1);
}

static int64_t kernel_floats(const Shape *shape) {
  return shape->size * shape->size * shape->in * shape->out;
}

static void kernel_gradient_piece(void *argument, int i) {
  Pieces *p = argument;
  int64_t images, output;
  const Shape shape = piece(p, i, &images, &output);
  if (conv_kernel_gradient(&shape, p->first + images, p->second + output,
                           p->result + i * kernel_floats(&shape)))
    atomic_store(&p->failed, 1);
}

static XlaError *out_of_memory(const XlaCall *call) {
  return fail(call, kXlaResourceExhausted, "a convolution is out of memory");
}

static XlaError *run(const XlaCall *call, Pieces *pieces,
                     void (*body)(void *argument, int i)) {
  parallel_for(call, pieces->count, body, pieces);
  return atomic_load(&pieces->failed) ? out_of_memory(call) : NULL;
}

/* (images, kernel) -> output; see conv. */
XlaError *handle_conv(const XlaCall *call) {
  Pieces pieces;
  if (is_question(call)) return NULL;
  XlaError *error = divide(call, kFirst, kResult, kSecond, &pieces);
  return error != NULL ? error : run(call, &pieces, convolve_piece);
}

/* (gradient, kernel) -> images; see conv_transpose. */
XlaError *handle_conv_transpose(const XlaCall *call) {
  Pieces pieces;
  if (is_question(call)) return NULL;
  XlaError *error = divide(call, kResult, kFirst, kSecond, &pieces);
  return error != NULL ? error : run(call, &pieces, transpose_piece);
}

/* (images, gradient) -> kernel; see conv_kernel_gradient. */
XlaError *handle_conv_kernel_gradient(const XlaCall *call) {
  Pieces pieces;
  if (is_question(call)) return NULL;
  XlaError *error = divide(call, kFirst, kSecond, kResult, &pieces);
  if (error != NULL) return error;
  float *total = pieces.result;
  const int64_t size = kernel_floats(&pieces.shape);
  pieces.result = malloc(pieces.count * size * sizeof(float));
  if (pieces.result == NULL) return out_of_memory(call);
  error = run(call, &pieces, kernel_gradient_piece);
  for (int64_t j = 0; j < size; ++j) total[j] = pieces.result[j];
  for (int i = 1; i < pieces.count; ++i)
    for (int64_t j = 0; j < size; ++j) total[j] += pieces.result[i * size + j];
  free(pieces.result);
  return error;
}
