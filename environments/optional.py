"""Late imports of libraries that only some functions need."""

import importlib
from typing import Any


def load(module: str, library: str, purpose: str) -> Any:
  """Returns a module of a library that comes with the extra `train`.

  Args:
    module: dotted name of the module.
    library: name of the library on PyPI.
    purpose: output that needs the library, such as 'a GIF', for the message.

  Raises:
    ImportError: if the library is missing; the message says how to install it.
  """
  try:
    return importlib.import_module(module)
  except ImportError as error:
    raise ImportError(
        f"{purpose} needs {library}, which is not installed ({error}); install"
        f" it with `pip install {library}` or `pip install 'spiral_jax[train]'`"
    ) from error
