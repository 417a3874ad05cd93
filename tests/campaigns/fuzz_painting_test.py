"""Faults are noticed; fuzz_test.py runs the kinds."""

import pytest

from tests.campaigns import fuzz_painting


def test_refusals_of_many_lines_are_faults():
  def refuse():
    raise ValueError('a line\nand another')

  with pytest.raises(AssertionError, match='not one short line'):
    fuzz_painting._try(refuse)
