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

static XlaError *out_of_memory(const XlaCall *call) {
  return fail(call, kXlaResourceExhausted, "a convolution is out of memory");
}

/* The images of a call in pieces. How many depends on the number of images
 * alone: so the order of additions is the same on every machine. */
typedef struct {
  Shape shape;
  const float *images, *output, *kernel, *bias, *add; /* Some of them. */
  int64_t next_bias;
  float *result, *bias_result;
  int count;
  atomic_int failed;
} Pieces;

enum { kMaxPieces = 16, kImagesPerPiece = 8 };

static int is_float(const XlaBuffer *buffer, int64_t rank) {
  return buffer->type == kXlaFloat32 && buffer->rank == rank;
}

/* Returns the array, or null if it is there for none: it has no elements. */
static const float *optional(const XlaBuffer *buffer) {
  return buffer->dims[0] == 0 ? NULL : buffer->data;
}

static int has_shape(const XlaBuffer *buffer, const XlaBuffer *other) {
  for (int i = 0; i < 4; ++i)
    if (buffer->dims[i] != other->dims[i]) return 0;
  return 1;
}

/* Divides a call into pieces, of which only shapes are set. Returns an error or
 * null. */
static XlaError *divide(const XlaCall *call, int rectify,
                        const XlaBuffer *images, const XlaBuffer *output,
                        const XlaBuffer *kernel, Pieces *pieces) {
  if (!is_float(images, 4) || !is_float(output, 4) || !is_float(kernel, 4))
    return fail(call, kXlaInvalidArgument, "arrays must be float32 of rank 4");
  const int64_t *in = images->dims, *out = output->dims, *taps = kernel->dims;
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
          .rectify = rectify,
      },
      .count = count < 1 ? 1 : count < kMaxPieces ? (int)count : kMaxPieces,
  };
  return NULL;
}

/* Returns an error or null; `like` is what an array must be like, if it is
 * there. */
static XlaError *check(const XlaCall *call, const XlaBuffer *array,
                       const XlaBuffer *like) {
  if (is_float(array, 4) &&
      (array->dims[0] == 0 || has_shape(array, like)))
    return NULL;
  return fail(call, kXlaInvalidArgument, "what is added has another shape");
}

/* Returns an error or null; a bias is [1, out], or [n, out]. */
static XlaError *check_bias(const XlaCall *call, const XlaBuffer *bias,
                            Pieces *pieces) {
  const Shape *shape = &pieces->shape;
  if (!is_float(bias, 2) || bias->dims[1] != shape->out ||
      (bias->dims[0] != 1 && bias->dims[0] != shape->n))
    return fail(call, kXlaInvalidArgument, "a bias has another shape");
  pieces->next_bias = bias->dims[0] == 1 ? 0 : shape->out;
  return NULL;
}

/* Where a piece begins: images before it, and floats. */
typedef struct {
  Shape shape;
  int64_t n, images, output;
} Piece;

static Piece piece(const Pieces *pieces, int i) {
  Piece p = {.shape = pieces->shape};
  const Shape *all = &pieces->shape;
  p.n = all->n * i / pieces->count;
  p.shape.n = all->n * (i + 1) / pieces->count - p.n;
  p.images = p.n * all->height * all->width * all->in;
  p.output = p.n * (all->height / all->stride) * (all->width / all->stride) *
             all->out;
  return p;
}

static const float *from(const float *array, int64_t offset) {
  return array == NULL ? NULL : array + offset;
}

static void convolve_piece(void *argument, int i) {
  Pieces *all = argument;
  const Piece p = piece(all, i);
  if (conv(&p.shape, all->images + p.images, all->kernel,
           all->bias + p.n * all->next_bias, all->next_bias,
           from(all->add, p.output), all->result + p.output))
    atomic_store(&all->failed, 1);
}

static void transpose_piece(void *argument, int i) {
  Pieces *all = argument;
  const Piece p = piece(all, i);
  if (conv_transpose(&p.shape, all->output + p.output, all->kernel,
                     from(all->images, p.images), from(all->add, p.images),
                     all->result + p.images))
    atomic_store(&all->failed, 1);
}

static int64_t kernel_floats(const Shape *shape) {
  return shape->size * shape->size * shape->in * shape->out;
}

static void gradients_piece(void *argument, int i) {
  Pieces *all = argument;
  const Piece p = piece(all, i);
  if (conv_gradients(&p.shape, all->images + p.images, all->output + p.output,
                     all->result + i * kernel_floats(&p.shape),
                     all->bias_result + p.n * p.shape.out))
    atomic_store(&all->failed, 1);
}

static XlaError *run(const XlaCall *call, Pieces *pieces,
                     void (*body)(void *argument, int i)) {
  parallel_for(call, pieces->count, body, pieces);
  return atomic_load(&pieces->failed) ? out_of_memory(call) : NULL;
}

/* Returns an error unless a call has so many arrays. */
static XlaError *check_count(const XlaCall *call, int arguments, int results) {
  if (call->arguments.size == arguments && call->results.size == results)
    return NULL;
  return fail(call, kXlaInvalidArgument, "a wrong number of arrays");
}

/* (images, kernel, bias, add) -> output; see conv. */
static XlaError *convolve(const XlaCall *call, int rectify) {
  Pieces pieces;
  if (is_question(call)) return NULL;
  XlaBuffer **in = call->arguments.buffers, *out = call->results.buffers[0];
  XlaError *error = check_count(call, 4, 1);
  if (!error) error = divide(call, rectify, in[0], out, in[1], &pieces);
  if (!error) error = check_bias(call, in[2], &pieces);
  if (!error) error = check(call, in[3], out);
  if (error) return error;
  pieces.images = in[0]->data;
  pieces.kernel = in[1]->data;
  pieces.bias = in[2]->data;
  pieces.add = optional(in[3]);
  pieces.result = out->data;
  return run(call, &pieces, convolve_piece);
}

XlaError *handle_conv(const XlaCall *call) { return convolve(call, 0); }

XlaError *handle_relu_conv(const XlaCall *call) { return convolve(call, 1); }

/* (gradient, kernel, images, add) -> gradient of the images; see conv_transpose.
 * Where there are images, they were rectified. */
XlaError *handle_conv_transpose(const XlaCall *call) {
  Pieces pieces;
  if (is_question(call)) return NULL;
  XlaBuffer **in = call->arguments.buffers, *out = call->results.buffers[0];
  XlaError *error = check_count(call, 4, 1);
  if (!error) error = check(call, in[2], out);
  if (!error) error = check(call, in[3], out);
  if (!error)
    error = divide(call, optional(in[2]) != NULL, out, in[0], in[1], &pieces);
  if (error) return error;
  pieces.output = in[0]->data;
  pieces.kernel = in[1]->data;
  pieces.images = optional(in[2]);
  pieces.add = optional(in[3]);
  pieces.result = out->data;
  return run(call, &pieces, transpose_piece);
}

/* Writes the sum of rows [count, size]. */
static void add_rows(const float *rows, int64_t count, int64_t size,
                     float *sum) {
  for (int64_t j = 0; j < size; ++j) sum[j] = rows[j];
  for (int64_t i = 1; i < count; ++i)
    for (int64_t j = 0; j < size; ++j) sum[j] += rows[i * size + j];
}

/* (images, gradient) -> gradients of kernel and bias; see conv_gradients. */
static XlaError *differentiate(const XlaCall *call, int rectify) {
  Pieces pieces;
  if (is_question(call)) return NULL;
  XlaBuffer **in = call->arguments.buffers, **out = call->results.buffers;
  XlaError *error = check_count(call, 2, 2);
  if (!error) error = divide(call, rectify, in[0], in[1], out[0], &pieces);
  if (!error) error = check_bias(call, out[1], &pieces);
  if (error) return error;
  const Shape *shape = &pieces.shape;
  const int64_t size = kernel_floats(shape);
  float *kernels = malloc(pieces.count * size * sizeof(float));
  float *biases = malloc(shape->n * shape->out * sizeof(float));
  if (kernels != NULL && biases != NULL) {
    pieces.images = in[0]->data;
    pieces.output = in[1]->data;
    pieces.result = kernels;
    pieces.bias_result = pieces.next_bias ? out[1]->data : biases;
    error = run(call, &pieces, gradients_piece);
    add_rows(kernels, pieces.count, size, out[0]->data);
    if (!pieces.next_bias)
      add_rows(biases, shape->n, shape->out, out[1]->data);
  } else {
    error = out_of_memory(call);
  }
  free(kernels);
  free(biases);
  return error;
}

XlaError *handle_conv_gradients(const XlaCall *call) {
  return differentiate(call, 0);
}

XlaError *handle_relu_conv_gradients(const XlaCall *call) {
  return differentiate(call, 1);
}
