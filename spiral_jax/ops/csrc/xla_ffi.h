/* Declarations of the part of XLA's foreign function interface, version 0.x,
 * that the handlers use.
 *
 * The binary interface is stable (xla/ffi/api/c_api.h): fields are only added
 * at the end of a struct, and each struct holds its own size. It is declared
 * here so that a build does not need jaxlib's headers.
 */
#ifndef SPIRAL_JAX_OPS_XLA_FFI_H_
#define SPIRAL_JAX_OPS_XLA_FFI_H_

#include <stddef.h>
#include <stdint.h>

typedef struct XlaExtension {
  size_t struct_size;
  int type;
  struct XlaExtension *next;
} XlaExtension;

enum { kXlaMetadataExtension = 1 };

typedef struct {
  size_t struct_size;
  XlaExtension *extensions;
  int major, minor;
} XlaVersion;

typedef struct {
  size_t struct_size;
  XlaVersion version;
  uint32_t traits;
  int64_t state_type_id;  /* Absent from older versions: see struct_size. */
} XlaMetadata;

typedef struct {
  XlaExtension base;
  XlaMetadata *metadata;
} XlaMetadataExtension;

typedef struct XlaError XlaError;

typedef struct {
  size_t struct_size;
  XlaExtension *extensions;
  const char *message;
  int code;
} XlaErrorArguments;

enum { kXlaInvalidArgument = 3, kXlaResourceExhausted = 8 };

typedef struct {
  size_t struct_size;
  XlaExtension *extensions;
  XlaError *error;
} XlaErrorDestroyArguments;

typedef struct {
  size_t struct_size;
  XlaExtension *extensions;
  void *context;
  void (*task)(void *data);
  void *data;
} XlaScheduleArguments;

typedef struct {
  size_t struct_size;
  XlaExtension *extensions;
  void *context;
  int64_t *num_threads; /* Set by the call. */
} XlaNumThreadsArguments;

typedef struct {
  size_t struct_size;
  XlaExtension *extensions;
  XlaVersion version;
  const void *internal;
  XlaError *(*error_create)(XlaErrorArguments *arguments);
  void *error_get_message;
  void (*error_destroy)(XlaErrorDestroyArguments *arguments);
  void *handler_register;
  void *stream_get;
  void *type_register;
  void *execution_context_get;
  void *state_set;
  void *state_get;
  void *device_memory_allocate;
  void *device_memory_free;
  XlaError *(*thread_pool_schedule)(XlaScheduleArguments *arguments);
  XlaError *(*thread_pool_num_threads)(XlaNumThreadsArguments *arguments);
} XlaApi;

enum { kXlaFloat32 = 11 };

typedef struct {
  size_t struct_size;
  XlaExtension *extensions;
  int type;
  void *data;
  int64_t rank;
  int64_t *dims;
} XlaBuffer;

/* The arguments or the results of a call: both have the same layout. */
typedef struct {
  size_t struct_size;
  XlaExtension *extensions;
  int64_t size;
  int *types;
  XlaBuffer **buffers;
} XlaBuffers;

typedef struct {
  size_t struct_size;
  XlaExtension *extensions;
  const XlaApi *api;
  void *context;
  int stage;
  XlaBuffers arguments;
  XlaBuffers results;
} XlaCall;

#endif  /* SPIRAL_JAX_OPS_XLA_FFI_H_ */
