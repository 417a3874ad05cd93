"""Tasks: what training needs of an environment, found by a dotted name."""

from collections.abc import Callable, Mapping
import difflib
import importlib
import importlib.util
from typing import Any, Protocol


class Task(Protocol):
  """All that training needs of an environment; `environments.core.Task` is one.

  The attributes are described there.
  """

  @property
  def name(self) -> str:
    """Dotted name of the module that offers the task."""

  @property
  def settings(self) -> type[Any]:
    """Class of the settings of the environment."""

  @property
  def make_images(self) -> Callable[[Any, Any, str, int], Any] | None:
    """(settings, data, split, seed) -> images, or None."""

  @property
  def dataset(self) -> str:
    """Name of the data set that `make_images` stands for."""

  @property
  def data(self) -> type[Any] | None:
    """Class of the configuration of `make_images`, or None."""

  @property
  def read_programs(self) -> Callable[[Any, Mapping[str, Any]], Any] | None:
    """(canvas, action) -> a NamedTuple of arrays `[B, ...]`, or None."""

  @property
  def summarize_programs(
      self,
  ) -> Callable[[Any, Any, Any], dict[str, dict[str, Any]]] | None:
    """(settings, programs, true programs or None) -> figures, or None."""

  @property
  def colors(self) -> tuple[str, ...]:
    """Names of the parts that are a command's color."""

  @property
  def costs(self) -> Mapping[str, Any]:
    """Commands that may cost something, by name."""

  @property
  def sample_programs(self) -> Callable[..., Mapping[str, Any]] | None:
    """(settings, data, rng, count) -> random programs, or None."""

  @property
  def device_renderer(self) -> Callable[[Any], tuple[Any, ...]] | None:
    """(settings) -> name of a function and its arguments, or None."""

  def make_batch(self, settings: Any, count: int, num_threads: int = 1) -> Any:
    """Returns a batched environment that observes uint8 canvases."""


def find_task(task: str | Task) -> Task:
  """Returns a task by the dotted name of the module that offers it.

  Args:
    task: 'environments.painting', for example: a module that can be imported
      and has a `TASK`; or a task, which is returned.

  Raises:
    ValueError: if there is no such module, or it offers no task.
  """
  if not isinstance(task, str):
    return task
  try:
    if not all(part.isidentifier() for part in task.split('.')):
      raise ModuleNotFoundError('that is no dotted name', name=task)
    module = importlib.import_module(task)
  except ModuleNotFoundError as error:
    if error.name is None or not _is_inside(task, error.name):
      raise  # The module is there, and lacks a library.
    known = ('environments.painting', 'environments.scene')
    close = difflib.get_close_matches(task, known, cutoff=0.5) or known
    raise ValueError(
        f'task {task!r} is no module that can be imported ({error}); give a '
        f'dotted name, as {" or ".join(close)}, and start Python where the '
        'module can be imported, or install it'
    ) from error
  try:
    return module.TASK
  except AttributeError:
    raise ValueError(
        f'module {task} offers no task; give it TASK = '
        'environments.core.Task(...)'
    ) from None


def _is_inside(name: str, package: str) -> bool:
  return name == package or name.startswith(package + '.')
