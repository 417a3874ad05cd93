"""Renderers that draw on the device: pure functions that JAX compiles.

For example, digits' worth of strokes without leaving an accelerator:

```python
import functools
import jax
from environments import painting
from environments.painting import library
from spiral_jax import renderers

settings = painting.PaintingSettings(grid_size=16)
strokes = renderers.make_strokes(settings, library.read_brush(settings.brush))
state, canvas = strokes.init(64)  # uint8 [64, 64, 64, 1].
step = jax.jit(strokes.step)  # (state, command) -> (state, canvas).
```

They read settings, brushes and sprites as data: nothing here imports
`environments`. A renderer of your own is two functions more, see
`types.Renderer`.
"""

from spiral_jax.renderers.scenes import make_scenes
from spiral_jax.renderers.strokes import make_strokes
from spiral_jax.renderers.types import Renderer

__all__ = ('Renderer', 'make_scenes', 'make_strokes')
