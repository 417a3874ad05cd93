"""What a population may use: time and machines."""

import functools

import pytest

from spiral_jax.training.population import budget


def test_rounds_of_slices_end_with_the_time():
  plan = functools.partial(budget.plan, turns=4, slice_minutes=2.0)
  new = [0, 0, 0, 0]
  assert plan(40.0, done=new) == (5, 2.0)
  assert plan(36.4, done=new) == (5, pytest.approx(1.82))
  # Not shorter than half: that round ends late.
  assert plan(0.4, done=new) == (1, 1.0)
  # Fewer turns, as several train at once.
  assert budget.plan(40.0, 2, 2.0, new) == (10, 2.0)
  # Resumed: after three rounds, in the fourth, with longer slices.
  assert plan(16.0, done=[3, 3, 3, 3]) == (5, 2.0)
  assert plan(12.0, done=[4, 4, 3, 3]) == (5, 2.0)
  assert budget.plan(16.0, 4, 5.0, [3, 3, 3, 3]) == (4, 4.0)
  # Nothing is left but the end of a round, or not even that.
  assert plan(-0.1, done=[5, 5, 5, 4]) == (5, 1.0)
  assert plan(-0.1, done=[5, 5, 5, 5]) == (5, 2.0)


@pytest.mark.parametrize(
    'machines, devices, cpus, expected, at_once',
    [
        ([{'CPU': 8}], 1, 0, {'CPU': 8}, 1),
        ([{'CPU': 8}], 1, 3, {'CPU': 3}, 2),
        ([{'CPU': 8}, {'CPU': 4}], 1, 0, {'CPU': 4}, 3),
        ([{'memory': 9}, {'CPU': 8}], 1, 0, {'CPU': 8}, 1),
        ([{'CPU': 8, 'GPU': 2}, {'CPU': 4}], 1, 0, {'CPU': 1, 'GPU': 1}, 2),
        # All of a machine's.
        ([{'CPU': 8, 'GPU': 4}], 0, 0, {'CPU': 1, 'GPU': 4}, 1),
        ([{'CPU': 9, 'GPU': 8}], 1, 0, {'CPU': 1, 'GPU': 1}, 8),
        ([{'CPU': 9, 'GPU': 8}], 2, 4, {'CPU': 4, 'GPU': 2}, 2),
    ],
)
def test_members_share_machines(machines, devices, cpus, expected, at_once):
  resources = budget.member_resources(machines, devices, cpus)
  assert resources == expected
  assert budget.members_at_once(machines, resources) == at_once


def test_a_member_that_fits_no_machine_is_told():
  machines = [{'CPU': 2, 'GPU': 4}]
  resources = budget.member_resources(machines, 8, 0)
  with pytest.raises(ValueError, match='1 CPUs and 8 GPUs.*--devices'):
    budget.members_at_once(machines, resources)
