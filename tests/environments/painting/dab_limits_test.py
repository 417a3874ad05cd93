"""Both backends keep to the same limits."""

import pathlib
import re

from environments.painting import dab_limits

SOURCE = pathlib.Path(dab_limits.__file__).with_name('csrc') / 'surface.c'


def test_limits_are_those_of_the_c_source():
  found = {
      name: eval(value.rstrip('f'))
      for name, value in re.findall(r'(k\w+) = ([^,;]+)', SOURCE.read_text())
      if re.fullmatch(r'[\d.e+-]+f?|1 << \d+', value)
  }
  expected = {
      'kLargestRadius': dab_limits.LARGEST_RADIUS,
      'kFarthest': dab_limits.FARTHEST,
      'kLargestRatio': dab_limits.LARGEST_RATIO,
      'kLargestAngle': dab_limits.LARGEST_ANGLE,
      'kSmallestHardness': dab_limits.SMALLEST_HARDNESS,
      'kDabWork': dab_limits.DAB_WORK,
  }
  assert {name: found[name] for name in expected} == expected


def test_a_dab_covers_what_lies_on_the_canvas():
  assert dab_limits.covered(10.0, 4.0, 64) == 8.0
  assert dab_limits.covered(1.0, 4.0, 64) == 5.0
  assert dab_limits.covered(62.0, 4.0, 64) == 6.0
  assert dab_limits.covered(-9.0, 4.0, 64) == 0.0
