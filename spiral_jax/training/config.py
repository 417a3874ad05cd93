"""Configuration of a run and of its lessons; see `experiment.py`."""

import dataclasses
from typing import Literal

from spiral_jax.agents import config as config_lib
from spiral_jax.datasets import augmentation


@dataclasses.dataclass(frozen=True)
class RunConfig:
  """Folder, length and parallelism of a run.

  Attributes:
    run_dir: folder of the run's checkpoints, metrics and pictures.
    resume: continues the run in run_dir from its latest checkpoint. All other
      flags may be left out.
    init_from: weights to start from: a name, as portraits, or the folder of
      another run. Settings are those of this run.
    minutes: minutes of training, over all resumptions; 0 disables the limit.
    frames: commands to learn from; 0 disables the limit.
    decay_by_clock: lets the learner's decay last for decay_minutes instead of
      decay_frames, so that it ends with the run on a machine of any speed.
    decay_minutes: minutes of the decay by clock; 0 means minutes.
    batch_size: number of episodes in a batch of either learner.
    unroll_length: commands per trajectory; must divide episode_length. Partial
      trajectories bootstrap from the value function. 0 means whole episodes.
    devices: number of accelerators among which each learner's batch is divided;
      0 means all of this machine.
    num_actors: number of actors, each of which draws a batch at a time.
    launcher: 'threads' for actors in this process; 'ray' for actors in
      processes of their own, on all machines of a Ray cluster.
    ray_address: address of the Ray cluster's head; empty means this machine.
    on_device: draws in JAX, where the learner learns, in place of the
      environment's renderer; for tasks that offer this. Rollouts and lessons
      are one compiled program each, and canvases stay there, but for those that
      a discriminator replays. What is evaluated is drawn by the environment
      either way.
    max_lag: updates that an actor may run ahead of the policy learner; below 0,
      only the queue limits it.
    render_threads: number of threads of each actor that share its canvases.
    replay_batches: number of batches of final canvases kept for the
      discriminator.
    unfinished_share: share of the replay's canvases that are taken from within
      episodes. With rewards at every command, which are differences of scores,
      the discriminator should know such canvases.
    discriminator_updates: largest number of discriminator updates per batch of
      episodes.
    lockstep: runs all nodes in turn in one thread, reproducible bit for bit.
    seed: seed of all random numbers.
    data_seed: seed of the images that the task makes; -1 means seed.
    log_every: policy updates between two records of metrics.
    checkpoint_minutes: minutes between checkpoints.
    checkpoint_rounds: rounds between checkpoints with lockstep; 0 disables
      them.
    picture_seconds: seconds between pictures of the agent's canvases and, for a
      conditional agent, measurements of its held-out error; 0 disables them.
    data_dir: folder of the data set; empty means the data that comes with the
      package or that the task makes.
    download: fetches files of the data set that are missing.
    augment: random changes of training images that are targets: any of warp,
      mirror, colors. The images of the memory stay as they are.
  """

  run_dir: str = ''
  resume: bool = False
  init_from: str = ''
  minutes: float = 0.0
  frames: int = 0
  decay_by_clock: bool = False
  decay_minutes: float = 0.0
  batch_size: int = 64
  unroll_length: int = 0
  devices: int = 1
  num_actors: int = 1
  launcher: Literal['threads', 'ray'] = 'threads'
  ray_address: str = ''
  on_device: bool = False
  max_lag: int = -1
  render_threads: int = 1
  replay_batches: int = 20
  unfinished_share: float = 0.0
  discriminator_updates: float = 1.0
  lockstep: bool = False
  seed: int = 0
  data_seed: int = -1
  log_every: int = 10
  checkpoint_minutes: float = 5.0
  checkpoint_rounds: int = 0
  picture_seconds: float = 60.0
  data_dir: str = ''
  download: bool = False
  augment: tuple[str, ...] = ()

  def __post_init__(self) -> None:
    """Raises ValueError, naming the field and its value, if one is invalid."""
    config_lib.check_fields(
        self,
        minutes='0 or more',
        frames='a whole number from 0 on',
        decay_minutes='0 or more',
        batch_size='a whole number from 1 on',
        unroll_length='a whole number from 0 on',
        devices='a whole number from 0 on',
        num_actors='a whole number from 1 on',
        render_threads='a whole number from 1 on',
        replay_batches='a whole number from 1 on',
        unfinished_share='from 0 to 1',
        discriminator_updates='above 0',
        seed='a whole number from 0 on',
        data_seed='a whole number from -1 on',
        log_every='a whole number from 1 on',
        checkpoint_minutes='above 0',
        checkpoint_rounds='a whole number from 0 on',
        picture_seconds='0 or more',
    )
    augmentation.check(self.augment)
    if self.decay_by_clock and not (self.minutes or self.decay_minutes):
      raise ValueError(
          'decay_by_clock is set but minutes is 0; say how long the run is'
      )
    if self.lockstep and self.discriminator_updates % 1:
      raise ValueError(
          f'discriminator_updates is {self.discriminator_updates}, must be a '
          'whole number with lockstep'
      )
    if self.lockstep and self.decay_by_clock:
      raise ValueError(
          'decay_by_clock is set, which is not reproducible; leave it out with '
          'lockstep, and give decay_frames instead'
      )
    if self.lockstep and self.launcher == 'ray':
      raise ValueError("launcher is 'ray', must be 'threads' with lockstep")
    if self.lockstep and self.num_actors > 1:
      raise ValueError(
          f'num_actors is {self.num_actors}, must be 1 with lockstep'
      )
    if self.on_device and self.launcher == 'ray':
      raise ValueError(
          "on_device is set and launcher is 'ray'; leave one of them out: "
          'actors of other processes draw elsewhere'
      )
    if self.checkpoint_rounds and not self.lockstep:
      raise ValueError(
          f'checkpoint_rounds is {self.checkpoint_rounds}, must be 0 without '
          'lockstep; checkpoint_minutes holds there'
      )


@dataclasses.dataclass(frozen=True)
class LessonConfig:
  """Programs to imitate, if the learner gives them a weight.

  Attributes:
    dream_prior: programs that are dreamed of: 'task' for the task's own random
      programs, uniform ones if it has none; 'uniform' for commands of uniform
      values; 'memory' for remembered programs with some commands changed;
      'agent' for programs of the agent in training, which draws from noise, to
      teach the recognizer beside it.
    variation: share of a remembered program's commands that are changed for a
      dream.
    disturbance: share of a lesson's commands that are executed disturbed, and
      imitated undisturbed.
    memory_size: number of training images whose best programs are remembered.
    search_after: number of lessons of the memory before its first search. They
      are of the task's random programs: an agent that knows nothing yet finds
      programs that are worth little.
    search_images: number of these that are searched for each lesson.
    search_samples: number of programs that the agent samples for each of them.
    search_rounds: rounds of the local search that improves the best of these;
      a round renders 16 programs an image.
    part_cost: error that a remembered program may have for each part of its
      commands that keeps the value it had before: what chance left in a program
      is hard to learn.
    teacher: weights of a conditional agent whose redrawings of training images
      are imitated, if the learner gives them a weight: a name, as digits, or
      the folder of a run. Its environment must be that of the run.
    alternatives: number of other values of single parts of commands that are
      tried of each episode, if corrections have a weight. An actor draws them
      on as many canvases more, and on one for each command.
  """

  dream_prior: Literal['task', 'uniform', 'memory', 'agent'] = 'task'
  variation: float = 0.3
  disturbance: float = 0.6
  memory_size: int = 10_000
  search_after: int = 0
  search_images: int = 32
  search_samples: int = 4
  search_rounds: int = 4
  part_cost: float = 0.0
  teacher: str = ''
  alternatives: int = 8

  def __post_init__(self) -> None:
    """Raises ValueError, naming the field and its value, if one is invalid."""
    config_lib.check_fields(
        self,
        variation='from 0 to 1',
        disturbance='from 0 to 1',
        memory_size='a whole number from 1 on',
        search_after='a whole number from 0 on',
        search_images='a whole number from 1 on',
        search_samples='a whole number from 1 on',
        search_rounds='a whole number from 0 on',
        part_cost='0 or more',
        alternatives='a whole number from 1 on',
    )
