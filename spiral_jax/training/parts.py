"""Parts that the nodes of a run are made from; mistakes show here first."""

from typing import Any, NamedTuple

from flax import linen as nn
import jax
import optax

from spiral_jax import agents
from spiral_jax import datasets
from spiral_jax import types
from spiral_jax.training import experiment as experiment_lib
from spiral_jax.training import teachers as teachers_lib
from spiral_jax.training import trained_agent as trained_agent_lib


class Parts(NamedTuple):
  """Everything that the nodes of a run are made from."""

  experiment: experiment_lib.Experiment
  agent: agents.Agent
  learner: agents.Learner
  discriminator_learner: agents.DiscriminatorLearner | None
  recognizer: teachers_lib.Recognizer | None
  teacher: trained_agent_lib.TrainedAgent | None
  train: datasets.ImageDataset
  held_out: datasets.ImageDataset
  spare: Any  # A batched environment that no actor owns.
  device_renderer: Any  # In JAX; None if the environment draws.
  initial_params: types.Params | None
  torso: nn.Module | None
  mesh: jax.sharding.Mesh | None


def make_parts(
    experiment: experiment_lib.Experiment,
    *,
    optimizer: optax.GradientTransformation | None = None,
    torso: nn.Module | None = None,
    initial_params: types.Params | None = None,
) -> Parts:
  """Makes what may fail for a user's mistake; starts and writes nothing.

  Args:
    experiment: configuration of the run.
    optimizer: the policy's, as for `agents.make_learner`.
    torso: the policy's, as for `agents.make_agent`.
    initial_params: parameters that the policy begins with; None for random
      ones.

  Raises:
    ValueError: if parts, data or the teacher do not fit each other.
    OSError: if data, the teacher or the renderer's library are missing.
  """
  agent = experiment.make_agent(torso)
  mesh = agents.make_mesh(experiment.run.devices)
  score = discriminator_learner = None
  if experiment.has_discriminator:
    discriminator = experiment.make_discriminator()
    score = discriminator.score
    discriminator_learner = agents.make_discriminator_learner(
        discriminator, experiment.discriminator, mesh=mesh
    )
  device_renderer = None
  if experiment.run.on_device:
    device_renderer = experiment.make_device_renderer()
  spare = experiment.make_environment(experiment.run.batch_size)
  learner = agents.make_learner(
      agent,
      score,
      experiment.learner,
      blank_page=spare.reset().observation['canvas'][0],
      action_costs=experiment.action_costs(),
      colors=experiment.colors(),
      optimizer=optimizer,
      mesh=mesh,
  )
  held_out = experiment.load_images('test')
  return Parts(
      experiment=experiment,
      agent=agent,
      learner=learner,
      discriminator_learner=discriminator_learner,
      recognizer=teachers_lib.make_recognizer(experiment, torso, mesh),
      teacher=teachers_lib.load_teacher(experiment),
      train=experiment.load_images('train'),
      held_out=held_out,
      spare=spare,
      device_renderer=device_renderer,
      initial_params=initial_params,
      torso=torso,
      mesh=mesh,
  )
