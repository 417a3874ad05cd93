"""Values in messages: short, on one line, whatever they are."""

import reprlib

_REPR = reprlib.Repr()
_REPR.maxstring = _REPR.maxother = _REPR.maxlong = 60
_LENGTH = 60


def short(value: object) -> str:
  """Returns a value's `repr`, cut where it is long or deep."""
  text = _REPR.repr(value)
  return text if len(text) <= _LENGTH else text[: _LENGTH - 3] + '...'
