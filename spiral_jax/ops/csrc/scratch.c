#include "scratch.h"

#include <pthread.h>
#include <stdlib.h>

typedef struct {
  int64_t size;
  float data[];
} Room;

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t key;
static int has_key;

/* The room of a thread that ends is freed. */
static void make_key(void) { has_key = !pthread_key_create(&key, free); }

float *scratch(int64_t size) {
  pthread_once(&once, make_key);
  if (!has_key) return NULL;
  Room *room = pthread_getspecific(key);
  if (room != NULL && room->size >= size) return room->data;
  free(room);
  room = malloc(sizeof(Room) + size * sizeof(float));
  if (room != NULL) room->size = size;
  if (pthread_setspecific(key, room)) {
    free(room);
    room = NULL;
  }
  return room == NULL ? NULL : room->data;
}
