"""Does the soak test notice what grows?"""

import subprocess
import sys

import pytest

from experiments.tools import soak

GROWS = """
import threading, time
held, files = [], []
for _ in range(40):
  held.append(bytearray(2**20))
  files.append(open('/dev/null'))
  threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
  time.sleep(.05)
"""
IS_FLAT = 'import time; time.sleep(2)'


@pytest.mark.parametrize('program, grows', [(GROWS, True), (IS_FLAT, False)])
def test_readings_are_of_the_process(program, grows):
  with subprocess.Popen([sys.executable, '-c', program]) as process:
    readings = soak.watch(process, 0.05)
  before, after = soak.compare(readings[5:])
  assert before.memory > 1
  assert before.threads >= 1 and before.files >= 3
  for name in soak.Reading._fields:
    assert (getattr(after, name) > getattr(before, name)) == grows, name


def test_quarters_are_compared_by_their_medians():
  readings = [soak.Reading(10.0 * i, 3, 7) for i in range(8)]
  before, after = soak.compare(readings)
  assert before == (25.0, 3.0, 7.0) and after == (65.0, 3.0, 7.0)
  with pytest.raises(ValueError, match='7 readings are too few.*--minutes'):
    soak.compare(readings[:7])
