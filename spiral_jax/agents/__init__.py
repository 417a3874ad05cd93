"""Agents and learners: the public API, pure functions of arrays.

For example, an agent that draws, and one update of it:

```python
agent = agents.make_agent(environment.action_spec(), (64, 64, 1))
learner = agents.make_learner(agent, config=agents.LearnerConfig(reward='l2'))
state = learner.init(jax.random.key(0))
state, logs = learner.update(state, trajectory)
```

Nothing here starts a thread or reads a flag; `load`, `save` and `names` leave
files to `spiral_jax.weights`.
"""

import os
from typing import TYPE_CHECKING, Any

from flax import linen as nn

from spiral_jax.agents.agent import Agent
from spiral_jax.agents.agent import Step
from spiral_jax.agents.agent import Unroll
from spiral_jax.agents.agent import make_agent
from spiral_jax.agents.config import AgentConfig
from spiral_jax.agents.config import DiscriminatorConfig
from spiral_jax.agents.config import LearnerConfig
from spiral_jax.agents.discriminator import Discriminator
from spiral_jax.agents.discriminator import DiscriminatorLearner
from spiral_jax.agents.discriminator import DiscriminatorState
from spiral_jax.agents.discriminator import make_discriminator
from spiral_jax.agents.discriminator import make_discriminator_learner
from spiral_jax.agents.learner import Factors
from spiral_jax.agents.learner import Learner
from spiral_jax.agents.learner import LearnerState
from spiral_jax.agents.learner import make_learner
from spiral_jax.agents.reward_fn import RewardFn
from spiral_jax.agents.reward_fn import Score
from spiral_jax.agents.reward_fn import make_reward_fn
from spiral_jax.agents.sharding import make_mesh
from spiral_jax.agents.sharding import on_one_device
from spiral_jax.types import Action
from spiral_jax.types import ActionCost
from spiral_jax.types import ActionSpec
from spiral_jax.types import AgentState
from spiral_jax.types import Logs
from spiral_jax.types import Observation
from spiral_jax.types import Params
from spiral_jax.types import StepOutput
from spiral_jax.types import Trajectory
from spiral_jax.types import UnrollOutput

if TYPE_CHECKING:
  from spiral_jax import weights

__all__ = [
    'Action',
    'ActionCost',
    'ActionSpec',
    'Agent',
    'AgentConfig',
    'AgentState',
    'Discriminator',
    'DiscriminatorConfig',
    'DiscriminatorLearner',
    'DiscriminatorState',
    'Factors',
    'Learner',
    'LearnerConfig',
    'LearnerState',
    'Logs',
    'Observation',
    'Params',
    'RewardFn',
    'Score',
    'Step',
    'StepOutput',
    'Trajectory',
    'Unroll',
    'UnrollOutput',
    'load',
    'make_agent',
    'make_discriminator',
    'make_discriminator_learner',
    'make_learner',
    'make_mesh',
    'make_reward_fn',
    'names',
    'on_one_device',
    'save',
]


def load(
    name: str | os.PathLike[str], *, torso: nn.Module | None = None
) -> 'weights.Pretrained':
  """Returns a trained agent; see `spiral_jax.weights.load`."""
  from spiral_jax import weights  # Late: it opens files, this package does not.

  return weights.load(name, torso=torso)


def save(folder: str | os.PathLike[str], trained: Any) -> None:
  """Saves a trained agent for `load`; see `spiral_jax.weights.save`."""
  from spiral_jax import weights  # Late: see above.

  weights.save(folder, trained)


def names() -> list[str]:
  """Returns the names of the weights that come with the package."""
  from spiral_jax import weights  # Late: see above.

  return weights.names()
