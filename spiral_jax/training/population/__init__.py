"""Population-based training: a search of learning rate and entropy cost.

As in appendix C of Ganin et al. (2018), by Jaderberg et al. (arXiv:1711.09846).
Members train in rounds, a slice of training each. After a round, members with a
low score are replaced by copies of those with a high one (exploit), with other
hyperparameters (explore).

The folder of a population is all of its state: one that was killed resumes in
the middle of a round.

  search.json     what it began with
  clock.json      seconds so far, over all resumptions
  round.json      slices of the current round, as planned
  history.jsonl   slices that have ended, a line each
  members/M/N     member M at the end of slice N: the folder of a run
  best            the same of the best member
  population.png  schedules, scores and lineage
"""

from spiral_jax.training.population.launch import train
from spiral_jax.training.population.search import Search

__all__ = ['Search', 'train']
