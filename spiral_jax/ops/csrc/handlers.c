/* The functions that XLA calls; ops/native.py registers them. */
#include <stdatomic.h>
#include <stdlib.h>

#include "arithmetic.h"
#include "conv.h"
#include "parallel.h"
#include "xla_ffi.h"

/* The oldest version of the interface with everything that is used here. */
enum { kMajor = 0, kMinor = 1 };

/* XLA calls each handler once to ask which version of the interface it was
 * built for. Returns 1, with the answer written, if this is such a call. */
static int is_metadata_query(const XlaCall *xla) {
  for (XlaExtension *extension = xla->extensions; extension != NULL;
       extension = extension->next) {
    if (extension->type != kXlaMetadataExtension) continue;
    XlaMetadata *metadata = ((XlaMetadataExtension *)extension)->metadata;
    metadata->version.major = kMajor;
    /* Within a major version the parts that are used here may not change. */
    metadata->version.minor =
        xla->api->version.major == kMajor ? xla->api->version.minor : kMinor;
    metadata->traits = 0;
    if (metadata->struct_size >= sizeof(XlaMetadata))
      metadata->state_type_id = 0;
    return 1;
  }
  return 0;
}

static XlaError *fail(const XlaCall *xla, int code, const char *message) {
  XlaErrorArguments arguments = {
      .struct_size = sizeof(XlaErrorArguments),
      .message = message,
      .code = code,
  };
  return xla->api->error_create(&arguments);
}

static XlaError *out_of_memory(const XlaCall *xla) {
  return fail(xla, kXlaResourceExhausted, "out of memory in a convolution");
}

/* A call whose images are divided into pieces for the threads. The number of
 * pieces depends on the number of images only, so the order of additions is the
 * same on every machine. */
typedef struct {
  ConvShape shape;
  /* NULL if a handler does not take it. */
  const float *images, *gradient, *kernel, *bias, *add;
  int64_t bias_stride;
  float *result, *bias_result;
  int num_pieces;
  atomic_int failed;
} ConvCall;

enum { kMaxPieces = 16, kImagesPerPiece = 8 };

static int is_float(const XlaBuffer *buffer, int64_t rank) {
  return buffer->type == kXlaFloat32 && buffer->rank == rank;
}

/* Returns NULL for an absent optional input (an empty buffer). */
static const float *optional(const XlaBuffer *buffer) {
  return buffer->dims[0] == 0 ? NULL : buffer->data;
}

static int has_shape(const XlaBuffer *buffer, const XlaBuffer *other) {
  for (int i = 0; i < 4; ++i)
    if (buffer->dims[i] != other->dims[i]) return 0;
  return 1;
}

/* Sets the shape and the number of pieces from the buffers; the rest is zeros.
 * Returns NULL, or an error if the shapes do not match. */
static XlaError *set_shape(const XlaCall *xla, int rectify,
                           const XlaBuffer *images, const XlaBuffer *output,
                           const XlaBuffer *kernel, ConvCall *call) {
  if (!is_float(images, 4) || !is_float(output, 4) || !is_float(kernel, 4))
    return fail(xla, kXlaInvalidArgument, "arrays must be float32 of rank 4");
  const int64_t *in = images->dims, *out = output->dims, *taps = kernel->dims;
  const int64_t stride = out[1] > 0 ? in[1] / out[1] : 0;
  if (stride < 1 || stride > taps[0] || in[1] != stride * out[1] ||
      in[2] != stride * out[2] || in[0] != out[0] || taps[1] != taps[0] ||
      taps[2] != in[3] || taps[3] != out[3])
    return fail(xla, kXlaInvalidArgument, "shapes do not form a convolution");
  const int64_t count = in[0] / kImagesPerPiece;
  *call = (ConvCall){
      .shape = {
          .n = in[0],
          .height = in[1],
          .width = in[2],
          .in_channels = in[3],
          .out_channels = out[3],
          .kernel_size = taps[0],
          .stride = stride,
          .rectify = rectify,
      },
      .num_pieces = min(count < 1 ? 1 : count, kMaxPieces),
  };
  return NULL;
}

/* Returns NULL, or an error if an optional input is present and not shaped like
 * another. */
static XlaError *check_optional(const XlaCall *xla, const XlaBuffer *array,
                                const XlaBuffer *like) {
  if (is_float(array, 4) && (array->dims[0] == 0 || has_shape(array, like)))
    return NULL;
  return fail(xla, kXlaInvalidArgument, "an optional array has a wrong shape");
}

/* Sets the stride of a bias [1, out_channels] or [n, out_channels]. Returns
 * NULL, or an error if it has another shape. */
static XlaError *check_bias(const XlaCall *xla, const XlaBuffer *bias,
                            ConvCall *call) {
  const ConvShape *shape = &call->shape;
  if (!is_float(bias, 2) || bias->dims[1] != shape->out_channels ||
      (bias->dims[0] != 1 && bias->dims[0] != shape->n))
    return fail(xla, kXlaInvalidArgument, "the bias has a wrong shape");
  call->bias_stride = bias->dims[0] == 1 ? 0 : shape->out_channels;
  return NULL;
}

/* A piece of a call, and its beginning in the arrays of the whole call. */
typedef struct {
  ConvShape shape;
  int64_t first_image;
  int64_t image_offset, output_offset; /* In floats. */
} Piece;

static Piece get_piece(const ConvCall *call, int i) {
  Piece p = {.shape = call->shape};
  const ConvShape *all = &call->shape;
  p.first_image = all->n * i / call->num_pieces;
  p.shape.n = all->n * (i + 1) / call->num_pieces - p.first_image;
  p.image_offset = p.first_image * all->height * all->width * all->in_channels;
  p.output_offset = p.first_image * (all->height / all->stride) *
                    (all->width / all->stride) * all->out_channels;
  return p;
}

static void convolve_piece(void *argument, int i) {
  ConvCall *call = argument;
  const Piece p = get_piece(call, i);
  if (conv(&p.shape, call->images + p.image_offset, call->kernel,
           call->bias + p.first_image * call->bias_stride, call->bias_stride,
           offset_or_null(call->add, p.output_offset),
           call->result + p.output_offset))
    atomic_store(&call->failed, 1);
}

static void transpose_piece(void *argument, int i) {
  ConvCall *call = argument;
  const Piece p = get_piece(call, i);
  if (conv_transpose(&p.shape, call->gradient + p.output_offset, call->kernel,
                     offset_or_null(call->images, p.image_offset),
                     offset_or_null(call->add, p.image_offset),
                     call->result + p.image_offset))
    atomic_store(&call->failed, 1);
}

static int64_t num_weights(const ConvShape *shape) {
  return shape->kernel_size * shape->kernel_size * shape->in_channels *
         shape->out_channels;
}

static void gradients_piece(void *argument, int i) {
  ConvCall *call = argument;
  const Piece p = get_piece(call, i);
  if (conv_gradients(&p.shape, call->images + p.image_offset,
                     call->gradient + p.output_offset,
                     call->result + i * num_weights(&p.shape),
                     call->bias_result + p.first_image * p.shape.out_channels))
    atomic_store(&call->failed, 1);
}

static XlaError *run_pieces(const XlaCall *xla, ConvCall *call,
                            void (*body)(void *argument, int i)) {
  parallel_for(xla, call->num_pieces, body, call);
  return atomic_load(&call->failed) ? out_of_memory(xla) : NULL;
}

/* Returns NULL, or an error if the call has another number of arrays. */
static XlaError *check_count(const XlaCall *xla, int arguments, int results) {
  if (xla->arguments.size == arguments && xla->results.size == results)
    return NULL;
  return fail(xla, kXlaInvalidArgument, "wrong number of arrays");
}

/* (images, kernel, bias, add) -> output; see conv. */
static XlaError *call_conv(const XlaCall *xla, int rectify) {
  ConvCall call;
  if (is_metadata_query(xla)) return NULL;
  XlaBuffer **in = xla->arguments.buffers, *out = xla->results.buffers[0];
  XlaError *error = check_count(xla, 4, 1);
  if (!error) error = set_shape(xla, rectify, in[0], out, in[1], &call);
  if (!error) error = check_bias(xla, in[2], &call);
  if (!error) error = check_optional(xla, in[3], out);
  if (error) return error;
  call.images = in[0]->data;
  call.kernel = in[1]->data;
  call.bias = in[2]->data;
  call.add = optional(in[3]);
  call.result = out->data;
  return run_pieces(xla, &call, convolve_piece);
}

XlaError *handle_conv(const XlaCall *xla) { return call_conv(xla, 0); }

XlaError *handle_relu_conv(const XlaCall *xla) { return call_conv(xla, 1); }

/* (gradient, kernel, images, add) -> gradient of the images; see
 * conv_transpose. Present images were rectified. */
XlaError *handle_conv_transpose(const XlaCall *xla) {
  ConvCall call;
  if (is_metadata_query(xla)) return NULL;
  XlaBuffer **in = xla->arguments.buffers, *out = xla->results.buffers[0];
  XlaError *error = check_count(xla, 4, 1);
  if (!error) error = check_optional(xla, in[2], out);
  if (!error) error = check_optional(xla, in[3], out);
  if (!error)
    error = set_shape(xla, optional(in[2]) != NULL, out, in[0], in[1], &call);
  if (error) return error;
  call.gradient = in[0]->data;
  call.kernel = in[1]->data;
  call.images = optional(in[2]);
  call.add = optional(in[3]);
  call.result = out->data;
  return run_pieces(xla, &call, transpose_piece);
}

/* Writes the sum of rows [count, size]. */
static void add_rows(const float *rows, int64_t count, int64_t size,
                     float *sum) {
  for (int64_t j = 0; j < size; ++j) sum[j] = rows[j];
  for (int64_t i = 1; i < count; ++i)
    for (int64_t j = 0; j < size; ++j) sum[j] += rows[i * size + j];
}

/* (images, gradient) -> gradients of kernel and bias; see conv_gradients. */
static XlaError *call_conv_gradients(const XlaCall *xla, int rectify) {
  ConvCall call;
  if (is_metadata_query(xla)) return NULL;
  XlaBuffer **in = xla->arguments.buffers, **out = xla->results.buffers;
  XlaError *error = check_count(xla, 2, 2);
  if (!error) error = set_shape(xla, rectify, in[0], in[1], out[0], &call);
  if (!error) error = check_bias(xla, out[1], &call);
  if (error) return error;
  const ConvShape *shape = &call.shape;
  const int64_t size = num_weights(shape);
  float *kernels = malloc(call.num_pieces * size * sizeof(float));
  float *biases = malloc(shape->n * shape->out_channels * sizeof(float));
  if (kernels != NULL && biases != NULL) {
    call.images = in[0]->data;
    call.gradient = in[1]->data;
    call.result = kernels;
    call.bias_result = call.bias_stride ? out[1]->data : biases;
    error = run_pieces(xla, &call, gradients_piece);
    add_rows(kernels, call.num_pieces, size, out[0]->data);
    if (!call.bias_stride)
      add_rows(biases, shape->n, shape->out_channels, out[1]->data);
  } else {
    error = out_of_memory(xla);
  }
  free(kernels);
  free(biases);
  return error;
}

XlaError *handle_conv_gradients(const XlaCall *xla) {
  return call_conv_gradients(xla, 0);
}

XlaError *handle_relu_conv_gradients(const XlaCall *xla) {
  return call_conv_gradients(xla, 1);
}
