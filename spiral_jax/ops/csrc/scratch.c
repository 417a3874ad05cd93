#include "scratch.h"

#include <pthread.h>
#include <stdlib.h>

typedef struct {
  int64_t size;
  float data[];
} Scratch;

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t key;
static int has_key;

/* The destructor frees a thread's scratch memory when the thread ends. */
static void make_key(void) { has_key = !pthread_key_create(&key, free); }

float *get_scratch(int64_t size) {
  pthread_once(&once, make_key);
  if (!has_key) return NULL;
  Scratch *scratch = pthread_getspecific(key);
  if (scratch != NULL && scratch->size >= size) return scratch->data;
  free(scratch);
  scratch = malloc(sizeof(Scratch) + size * sizeof(float));
  if (scratch != NULL) scratch->size = size;
  if (pthread_setspecific(key, scratch)) {
    free(scratch);
    scratch = NULL;
  }
  return scratch == NULL ? NULL : scratch->data;
}
