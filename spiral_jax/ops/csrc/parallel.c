#include "parallel.h"

#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>

/* Reference counted, since a helper may start after the loop has ended, and
 * then must still find out that no iteration is left. The caller therefore
 * never waits for a helper to start: all of XLA's threads may be busy with
 * callers. */
typedef struct {
  void (*body)(void *argument, int i);
  void *argument;
  int count;
  atomic_int next, done, references;
} Loop;

static void run_iterations(Loop *loop) {
  for (;;) {
    const int i = atomic_fetch_add(&loop->next, 1);
    if (i >= loop->count) return;
    loop->body(loop->argument, i);
    atomic_fetch_add(&loop->done, 1);
  }
}

static void release(Loop *loop) {
  if (atomic_fetch_sub(&loop->references, 1) == 1) free(loop);
}

static void help(void *data) {
  run_iterations(data);
  release(data);
}

/* Returns 1 if there is no error; otherwise destroys it and returns 0. */
static int succeeded(const XlaCall *call, XlaError *error) {
  if (error == NULL) return 1;
  XlaErrorDestroyArguments arguments = {
      .struct_size = sizeof(XlaErrorDestroyArguments),
      .error = error,
  };
  call->api->error_destroy(&arguments);
  return 0;
}

/* Returns the number of threads in XLA's pool, or 1 if it is unknown. */
static int64_t num_threads(const XlaCall *call) {
  int64_t count = 1;
  XlaNumThreadsArguments arguments = {
      .struct_size = sizeof(XlaNumThreadsArguments),
      .context = call->context,
      .num_threads = &count,
  };
  XlaError *error = call->api->thread_pool_num_threads(&arguments);
  return succeeded(call, error) ? count : 1;
}

/* Asks XLA to call `help`; returns 1 on success. */
static int schedule(const XlaCall *call, Loop *loop) {
  XlaScheduleArguments arguments = {
      .struct_size = sizeof(XlaScheduleArguments),
      .context = call->context,
      .task = help,
      .data = loop,
  };
  return succeeded(call, call->api->thread_pool_schedule(&arguments));
}

void parallel_for(const XlaCall *call, int count,
                  void (*body)(void *argument, int i), void *argument) {
  /* The caller takes the place of one thread. Waking more threads than can run
   * costs more than a short iteration. */
  const int64_t most = num_threads(call) - 1;
  const int helpers = count - 1 < most ? count - 1 : (int)most;
  Loop *loop = helpers > 0 ? malloc(sizeof(Loop)) : NULL;
  if (loop == NULL) {
    for (int i = 0; i < count; ++i) body(argument, i);
    return;
  }
  loop->body = body;
  loop->argument = argument;
  loop->count = count;
  atomic_init(&loop->next, 0);
  atomic_init(&loop->done, 0);
  atomic_init(&loop->references, 1);
  for (int i = 0; i < helpers; ++i) {
    atomic_fetch_add(&loop->references, 1);
    if (!schedule(call, loop)) {
      atomic_fetch_sub(&loop->references, 1);
      break;
    }
  }
  run_iterations(loop);
  while (atomic_load(&loop->done) < count) sched_yield();
  release(loop);
}
