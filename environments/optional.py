"""Libraries that only some functions need, imported where they are used."""

import importlib
from typing import Any


def load(module: str, library: str, purpose: str) -> Any:
  """Returns a module of a library that comes with the extra `train`.

  Args:
    module: dotted name.
    library: as it is called where one installs it.
    purpose: what is not possible without it, as 'a GIF'.

  Raises:
    ImportError: that says how to install the library.
  """
  try:
    return importlib.import_module(module)
  except ImportError as error:
    raise ImportError(
        f"{purpose} needs {library}, which is not installed ({error}); install"
        f" it with `pip install {library}` or `pip install 'spiral_jax[train]'`"
    ) from error
