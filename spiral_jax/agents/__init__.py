"""Agents and learners: the public API, pure functions of arrays.

Nothing here starts a thread or reads a flag, and only `load`, of weights that
come with the package, opens files.
"""

from spiral_jax.agents.agent import Agent
from spiral_jax.agents.agent import make_agent
from spiral_jax.agents.config import AgentConfig
from spiral_jax.agents.config import DiscriminatorConfig
from spiral_jax.agents.config import LearnerConfig
from spiral_jax.agents.discriminator import Discriminator
from spiral_jax.agents.discriminator import DiscriminatorLearner
from spiral_jax.agents.discriminator import make_discriminator
from spiral_jax.agents.discriminator import make_discriminator_learner
from spiral_jax.agents.learner import Learner
from spiral_jax.agents.learner import LearnerState
from spiral_jax.agents.learner import make_learner
from spiral_jax.agents.pretrained import Pretrained
from spiral_jax.agents.pretrained import load
from spiral_jax.agents.sharding import make_mesh
from spiral_jax.agents.sharding import on_one_device
from spiral_jax.types import AgentState
from spiral_jax.types import Observation
from spiral_jax.types import StepOutput
from spiral_jax.types import Trajectory

__all__ = [
    'Agent',
    'AgentConfig',
    'AgentState',
    'Discriminator',
    'DiscriminatorConfig',
    'DiscriminatorLearner',
    'Learner',
    'LearnerConfig',
    'LearnerState',
    'Observation',
    'Pretrained',
    'StepOutput',
    'Trajectory',
    'load',
    'make_agent',
    'make_discriminator',
    'make_discriminator_learner',
    'make_learner',
    'make_mesh',
    'on_one_device',
]
