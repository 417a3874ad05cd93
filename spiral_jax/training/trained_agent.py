"""Loads a trained agent from a run or from weights, and samples episodes.

Axes: N images, T time (commands), B batch, H height, W width, C channels.
"""

from collections.abc import Callable, Iterator
import functools
import math
import os
import pathlib
from typing import Any, NamedTuple

from flax import linen as nn
import jax
import numpy as np

from spiral_jax import agents
from spiral_jax import types
from spiral_jax import weights
from spiral_jax.agents import fit
from spiral_jax.driver import checkpoints
from spiral_jax.driver import device_rollout
from spiral_jax.driver import rollout
from spiral_jax.driver import serialization
from spiral_jax.training import experiment as experiment_lib
from spiral_jax.training import task as task_lib

# Limits on the canvases that are drawn at once, in number and in bytes: an
# episode keeps those after each command.
_BATCH = 250
_BYTES = 1 << 30


class TrainedAgent(NamedTuple):
  """An agent of a run or of saved weights.

  Attributes:
    experiment: configuration of the run.
    agent: pure functions of `params`.
    params: parameters of the policy.
    step: number of updates made.
    state: what the checkpoint holds besides; empty for saved weights.
  """

  experiment: experiment_lib.Experiment
  agent: agents.Agent
  params: types.Params
  step: int
  state: dict[str, Any]

  def recognizer(self, torso: nn.Module | None = None) -> 'TrainedAgent':
    """Returns the agent that learned beside this one to redraw images.

    Args:
      torso: the torso that the run was trained with, if it was given one.

    Raises:
      ValueError: if there is none.
    """
    if 'recognizer' not in self.state:
      raise ValueError(
          'there is no recognizer; name a run of an agent that draws from '
          'noise, which was trained with --memory_weight'
      )
    experiment = self.experiment.as_recognizer()
    agent = experiment.make_agent(torso)
    state = {**self.state, 'policy': self.state['recognizer']}
    params = serialization.from_plain(
        jax.eval_shape(agent.init, jax.random.key(0)),
        state['policy']['learner']['params'],
    )
    return TrainedAgent(experiment, agent, params, self.step, state)

  def pretrained(self) -> weights.Pretrained:
    """Returns the agent as `agents.load` does; `agents.save` takes it."""
    experiment = self.experiment
    config = experiment.to_json()
    environment: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in config['environment'].items()
    }
    return weights.Pretrained(
        self.agent,
        self.params,
        experiment.agent,
        experiment.environment.action_spec(),
        experiment.canvas_shape,
        environment=environment,
        experiment=config,
        figures={'step': self.step},
    )


def restore(
    name: str | os.PathLike[str],
    step: int | None = None,
    *,
    task: 'str | task_lib.Task | None' = None,
    torso: nn.Module | None = None,
) -> TrainedAgent:
  """Returns a trained agent.

  Args:
    name: folder of a run; or what `agents.load` takes.
    step: step of the run's checkpoint; None means the latest.
    task: the run's task, where it is not in the module that was saved.
    torso: the torso that the run was trained with, if it was given one.

  Raises:
    FileNotFoundError: if there is no such checkpoint.
    ValueError: if it is damaged, or not one of a training run.
  """
  run_dir = pathlib.Path(name).expanduser()
  if (run_dir / 'checkpoints').is_dir():
    return _restore_run(run_dir, step, task, torso)
  if len(run_dir.parts) > 1 and not (run_dir / 'weights.npz').is_file():
    raise FileNotFoundError(
        f'{run_dir} holds no checkpoint; name the folder of a run'
    )
  if step is not None:
    raise ValueError(
        f'--step={step} is of a run, and {name} is none; leave it out'
    )
  loaded = weights.load(name, torso=torso)
  if not loaded.experiment:
    raise ValueError(
        f'{name} says nothing of its environment; save it with the experiment '
        'of its run'
    )
  return _from_pretrained(loaded, name, task)


def _from_pretrained(
    loaded: weights.Pretrained,
    name: str | os.PathLike[str],
    task: 'str | task_lib.Task | None' = None,
) -> TrainedAgent:
  """Returns what `agents.load(name)` returned, with its experiment."""
  experiment = experiment_lib.from_file(name, loaded.experiment, task)
  step = loaded.figures.get('step', 0)
  return TrainedAgent(experiment, loaded.agent, loaded.params, step, {})


def _restore_run(
    run_dir: pathlib.Path,
    step: int | None,
    task: 'str | task_lib.Task | None',
    torso: nn.Module | None,
) -> TrainedAgent:
  """Returns the agent of a checkpoint."""
  checkpoint = checkpoints.load(run_dir / 'checkpoints', step)
  experiment = experiment_lib.from_file(run_dir, checkpoint.config, task)
  agent = experiment.make_agent(torso)
  template = jax.eval_shape(agent.init, jax.random.key(0))
  try:
    params = serialization.from_plain(
        template, checkpoint.state['policy']['learner']['params']
    )
  except (KeyError, TypeError, ValueError) as error:
    raise ValueError(
        f'the checkpoint in {run_dir} is of another action space or network '
        'than its settings, or of another version of this package; name '
        f'another run, or train it again ({error})'
    ) from error
  return TrainedAgent(
      experiment, agent, params, checkpoint.step, checkpoint.state
  )


def initial_params(
    experiment: experiment_lib.Experiment, torso: nn.Module | None = None
) -> types.Params:
  """Returns the parameters that `run.init_from` names.

  Raises:
    FileNotFoundError, ValueError: as `restore`; or if they are of another
      network than the experiment's.
  """
  name = experiment.run.init_from
  params = weights.load(name, torso=torso).params
  agent = experiment.make_agent(torso)
  template = jax.eval_shape(agent.init, jax.random.key(0))
  try:
    fit.check_params(fit.shapes(template), params)
  except ValueError as error:
    raise ValueError(
        f'--init_from={name} is of another action space or network: {error}'
    ) from None
  return params


def check_conditional(trained: TrainedAgent) -> None:
  """Raises ValueError if an agent takes no targets."""
  if not trained.experiment.agent.conditional:
    raise ValueError(
        'this agent draws from noise, not from images; name a run that was '
        'trained with --conditional, or other weights'
    )


def make_score(
    trained: TrainedAgent,
) -> Callable[[np.ndarray, np.ndarray], np.ndarray] | None:
  """Returns the score of the run's discriminator, None if there is none.

  It takes canvases and targets, uint8 `[B, H, W, C]`, and returns scores
  `[B]`, float32, higher for images closer to the data.
  """
  if 'discriminator' not in trained.state:
    return None
  discriminator = trained.experiment.make_discriminator()
  template = jax.eval_shape(discriminator.init, jax.random.key(0))
  params = serialization.from_plain(
      template, trained.state['discriminator']['learner']['params']
  )
  score = jax.jit(discriminator.score)
  return lambda canvas, target: np.asarray(score(params, canvas, target))


def episodes(
    trained: TrainedAgent | weights.Pretrained,
    count: int,
    targets: np.ndarray | None = None,
    *,
    seed: int | None = None,
    greedy: bool = False,
    temperature: float = 1.0,
    on_device: bool = False,
) -> Iterator[agents.Trajectory]:
  """Yields trajectories of equally many episodes until there are `count`.

  Args:
    trained: the agent, as `restore` or `agents.load` returned it.
    count: number of episodes; the last trajectory may have more, which are to
      be left out.
    targets: uint8 `[N, H, W, C]`, one an episode, in turn; the first follows
      the last. None if the agent takes none.
    seed: seed of sampled commands and noise; None for one that belongs to the
      run.
    greedy: decides for the likeliest value of each part instead of sampling.
    temperature: divisor of the logits of each part, for sampling.
    on_device: draws with the task's renderer in JAX; canvases may stay on the
      device.

  Raises:
    ValueError: if the targets do not have the shape of the canvas, a
      conditional agent has none, or another agent has some; if the temperature
      is not above 0; or as `Experiment.make_device_renderer`.
  """
  if isinstance(trained, weights.Pretrained):
    trained = _from_pretrained(trained, 'the weights')
  experiment = trained.experiment
  _check_targets(experiment, targets)
  if not temperature > 0:
    raise ValueError(f'temperature is {temperature}, must be above 0, as 0.8')
  pixels = math.prod(experiment.canvas_shape)
  length = experiment.environment.episode_length + 1
  batch = min(_BATCH, count, max(1, _BYTES // (length * pixels)))
  stream = None
  if targets is not None:
    order = np.arange(-(-count // batch) * batch) % len(targets)
    stream = map(targets.__getitem__, order.reshape(-1, batch)).__next__
  if seed is None:
    seed = experiment.run.seed + 1_000_003
  # As actors call it, so that JAX traces it once for all.
  step = jax.jit(trained.agent.step, static_argnames='greedy')
  options: dict[str, Any] = {'greedy': True} if greedy else {}
  if temperature != 1.0 and not greedy:
    options['temperature'] = temperature
  decide = functools.partial(step, **options) if options else step
  state = trained.agent.initial_state(batch)
  begins: dict[str, Any] = dict(
      noise_size=experiment.agent.noise_size, targets=stream, seed=seed
  )
  act: rollout.Rollout | device_rollout.DeviceRollout
  if on_device:
    act = device_rollout.DeviceRollout(
        experiment.make_device_renderer(),
        decide,
        state,
        length=experiment.environment.episode_length,
        **begins,
    )
  else:
    act = rollout.Rollout(
        experiment.make_environment(batch), decide, state, **begins
    )
  for _ in range(-(-count // batch)):
    yield act(trained.params, 0)


def _check_targets(
    experiment: experiment_lib.Experiment, targets: np.ndarray | None
) -> None:
  """Raises ValueError if targets are not those that the agent needs."""
  size, shape = experiment.environment.canvas_size, experiment.canvas_shape
  if targets is None:
    if experiment.agent.conditional:
      raise ValueError(
          'the agent redraws targets, and there are none; give uint8 images '
          f'{["N", *shape]}'
      )
    return
  if not experiment.agent.conditional:
    raise ValueError(
        f'targets are {list(targets.shape)}, but the agent draws from noise; '
        'leave them out'
    )
  if targets.shape[1:] != shape or not len(targets):
    raise ValueError(
        f'targets are {list(targets.shape)}, must be {["N", *shape]} as the '
        f'canvas, one at least; load them with size={size}'
    )
