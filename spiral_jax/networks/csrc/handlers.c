/* Handlers that XLA calls: networks/native.py registers them. */
#include <stdatomic.h>
#include <stdlib.h>

#include "conv3x3.h"
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

/* Reads the two arguments and the result; returns an error or null. */
static XlaError *read(const XlaCall *call, const XlaBuffer **first,
                      const XlaBuffer **second, const XlaBuffer **result) {
  if (call->arguments.size != 2 || call->results.size != 1)
    return fail(call, kXlaInvalidArgument, "give two arrays, take one");
  *first = call->arguments.buffers[0];
  *second = call->arguments.buffers[1];
  *result = call->results.buffers[0];
  if (!is_float4(*first) || !is_float4(*second) || !is_float4(*result))
    return fail(call, kXlaInvalidArgument, "arrays must be float32 of rank 4");
  return NULL;
}

/* The images of a call in pieces. How many depends on the number of images
 * alone: so the order of additions is the same on every machine. */
typedef struct {
  Shape shape;
  const float *images, *other;
  float *output;
  int count;
  atomic_int failed;
} Pieces;

enum { kMaxPieces = 16, kImagesPerPiece = 8 };

static int num_pieces(int64_t images) {
  const int64_t count = images / kImagesPerPiece;
  if (count < 1) return 1;
  return count < kMaxPieces ? (int)count : kMaxPieces;
}

static Pieces pieces_of(const XlaBuffer *images, const XlaBuffer *other,
                        float *output) {
  return (Pieces){
      .shape = {
          .n = images->dims[0],
          .height = images->dims[1],
          .width = images->dims[2],
          .in = images->dims[3],
          .out = other->dims[3],
      },
      .images = images->data,
      .other = other->data,
      .output = output,
      .count = num_pieces(images->dims[0]),
  };
}

/* Returns the shape of piece i and sets `pixels` to those before it. */
static Shape piece(const Pieces *pieces, int i, int64_t *pixels) {
  Shape shape = pieces->shape;
  const int64_t begin = shape.n * i / pieces->count;
  *pixels = begin * shape.height * shape.width;
  shape.n = shape.n * (i + 1) / pieces->count - begin;
  return shape;
}

static void convolve_piece(void *argument, int i) {
  Pieces *pieces = argument;
  int64_t pixels;
  const Shape shape = piece(pieces, i, &pixels);
  if (conv3x3(&shape, pieces->images + pixels * shape.in, pieces->other,
              pieces->output + pixels * shape.out) != 0)
    atomic_store(&pieces->failed, 1);
}

static void kernel_gradient_piece(void *argument, int i) {
  Pieces *pieces = argument;
  int64_t pixels;
  const Shape shape = piece(pieces, i, &pixels);
  if (conv3x3_kernel_gradient(&shape, pieces->images + pixels * shape.in,
                              pieces->other + pixels * shape.out,
                              pieces->output + i * 9 * shape.in * shape.out))
    atomic_store(&pieces->failed, 1);
}

static XlaError *out_of_memory(const XlaCall *call) {
  return fail(call, kXlaResourceExhausted, "a convolution is out of memory");
}

/* (images, kernel) -> output; see conv3x3. */
XlaError *handle_conv3x3(const XlaCall *call) {
  const XlaBuffer *images = NULL, *kernel = NULL, *output = NULL;
  if (is_question(call)) return NULL;
  XlaError *error = read(call, &images, &kernel, &output);
  if (error != NULL) return error;
  Pieces pieces = pieces_of(images, kernel, output->data);
  parallel_for(call, pieces.count, convolve_piece, &pieces);
  return atomic_load(&pieces.failed) ? out_of_memory(call) : NULL;
}

/* (images, gradient) -> kernel's gradient; see conv3x3_kernel_gradient. */
XlaError *handle_conv3x3_kernel_gradient(const XlaCall *call) {
  const XlaBuffer *images = NULL, *gradient = NULL, *output = NULL;
  if (is_question(call)) return NULL;
  XlaError *error = read(call, &images, &gradient, &output);
  if (error != NULL) return error;
  const int64_t size = 9 * images->dims[3] * gradient->dims[3];
  Pieces pieces = pieces_of(images, gradient, NULL);
  float *total = output->data;
  pieces.output = malloc(pieces.count * size * sizeof(float));
  if (pieces.output == NULL) return out_of_memory(call);
  parallel_for(call, pieces.count, kernel_gradient_piece, &pieces);
  for (int64_t j = 0; j < size; ++j) total[j] = pieces.output[j];
  for (int i = 1; i < pieces.count; ++i)
    for (int64_t j = 0; j < size; ++j) total[j] += pieces.output[i * size + j];
  free(pieces.output);
  return atomic_load(&pieces.failed) ? out_of_memory(call) : NULL;
}
