"""The terminal: text that comes from outside is text, and output may be lost.

Names of folders and files may look like rich's markup or emoji (`[old]`,
`:car:`), and a terminal or a pipe may be closed under a program that has more
to do than to print.
"""

from typing import Any

import rich.console


class Console(rich.console.Console):
  """Prints strings as they are; falls silent when its output is lost."""

  def __init__(self, *, stderr: bool = False, **options: Any):
    """Takes rich's options, of which markup, emoji and highlight are off."""
    super().__init__(
        stderr=stderr, markup=False, emoji=False, highlight=False, **options
    )

  def print(self, *objects: Any, **options: Any) -> None:
    """Prints as rich does, unless the output is lost."""
    try:
      super().print(*objects, **options)
    except OSError:
      self.quiet = True

  def on_broken_pipe(self) -> None:
    """Falls silent; rich would end the program."""
    self.quiet = True


def say(text: str) -> None:
  """Prints a text as it is, without breaking its lines."""
  Console().print(text, soft_wrap=True)
