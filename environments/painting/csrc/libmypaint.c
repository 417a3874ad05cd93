#include "libmypaint.h"

#include <dlfcn.h>
#include <stddef.h>

const char *libmypaint_load(const char *path, LibMyPaint *functions) {
  /* Never closed: brushes may outlive any painter, and loading again is a
   * matter of a reference count. */
  void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (library == NULL) return dlerror();

  const struct {
    const char *name;
    void *function;  /* Where its address goes. */
  } symbols[] = {
      {"mypaint_brush_new", &functions->brush_new},
      {"mypaint_brush_unref", &functions->brush_unref},
      {"mypaint_brush_from_string", &functions->brush_from_string},
      {"mypaint_brush_set_base_value", &functions->brush_set_base_value},
      {"mypaint_brush_reset", &functions->brush_reset},
      {"mypaint_brush_new_stroke", &functions->brush_new_stroke},
      {"mypaint_brush_stroke_to", &functions->brush_stroke_to},
  };
  for (size_t i = 0; i < sizeof symbols / sizeof symbols[0]; ++i) {
    void *address = dlsym(library, symbols[i].name);
    if (address == NULL) return dlerror();
    /* POSIX's way from an object pointer to a function pointer. */
    *(void **)symbols[i].function = address;
  }
  /* In 1.5 states became 44, and this function came with them. */
  const int has_states = dlsym(library, "mypaint_brush_new_with_buckets") != 0;
  *(void **)&functions->brush_get_state =
      has_states ? dlsym(library, "mypaint_brush_get_state") : NULL;
  *(void **)&functions->brush_set_state =
      has_states ? dlsym(library, "mypaint_brush_set_state") : NULL;
  return NULL;
}
