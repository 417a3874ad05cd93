#include "parallel.h"

#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>

/* Lives until the last helper has seen that nothing is left to do, which may
 * be after the loop's end: so the caller never waits for a helper to start,
 * when all of XLA's threads may be busy with callers. */
typedef struct {
  void (*body)(void *argument, int i);
  void *argument;
  int count;
  atomic_int next, done, owners;
} Loop;

static void take_part(Loop *loop) {
  for (;;) {
    const int i = atomic_fetch_add(&loop->next, 1);
    if (i >= loop->count) return;
    loop->body(loop->argument, i);
    atomic_fetch_add(&loop->done, 1);
  }
}

static void release(Loop *loop) {
  if (atomic_fetch_sub(&loop->owners, 1) == 1) free(loop);
}

static void help(void *data) {
  take_part(data);
  release(data);
}

/* Returns whether a call had no error; destroys it. */
static int succeeded(const XlaCall *call, XlaError *error) {
  if (error == NULL) return 1;
  XlaErrorDestroyArguments arguments = {
      .struct_size = sizeof(XlaErrorDestroyArguments),
      .error = error,
  };
  call->api->error_destroy(&arguments);
  return 0;
}

/* Returns how many threads XLA has for such loops. */
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

/* Returns whether XLA will call `help`. */
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
  /* The caller takes the place of one of them. To wake more than can work
   * costs more than a small piece does. */
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
  atomic_init(&loop->owners, 1);
  for (int i = 0; i < helpers; ++i) {
    atomic_fetch_add(&loop->owners, 1);
    if (!schedule(call, loop)) {
      atomic_fetch_sub(&loop->owners, 1);
      break;
    }
  }
  take_part(loop);
  while (atomic_load(&loop->done) < count) sched_yield();
  release(loop);
}
