"""Tokens, which Ray reads from the environment when it is imported."""

import os
import pathlib
import sys


def use_token() -> None:
  """Lets Ray give its token to a cluster, if this machine has one.

  `ray start` asks for a token where there is one, and `ray.init(address=...)`
  gives it only if the environment says so before Ray is imported. After that,
  the two would contradict each other, so then nothing changes.
  """
  if 'ray' in sys.modules:
    return
  path = os.environ.get('RAY_AUTH_TOKEN_PATH', '~/.ray/auth_token')
  has_token = pathlib.Path(path).expanduser().is_file()
  if has_token or 'RAY_AUTH_TOKEN' in os.environ:
    os.environ.setdefault('RAY_AUTH_MODE', 'token')
