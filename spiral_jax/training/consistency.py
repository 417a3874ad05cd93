"""Checks that the parts of an experiment fit each other."""

import jax

from spiral_jax.training import experiment as experiment_lib


def check(experiment: experiment_lib.Experiment) -> None:
  """Raises ValueError where parts of an experiment do not fit each other."""
  run, learner = experiment.run, experiment.learner
  batch_size, minibatches = run.batch_size, learner.minibatches
  if batch_size % minibatches:
    raise ValueError(
        f'--batch_size={batch_size} does not divide into --minibatches='
        f'{minibatches}; change one of them'
    )
  if learner.normalize_advantages and batch_size == 1:
    raise ValueError(
        '--normalize_advantages of --batch_size=1 makes all advantages zero; '
        'leave it out, or change --batch_size'
    )
  devices = run.devices or jax.local_device_count()
  if batch_size // minibatches % devices:
    raise ValueError(
        f'--batch_size={batch_size} in --minibatches={minibatches} does not '
        f'divide among --devices={devices}; change one of them'
    )
  episode_length = experiment.environment.episode_length
  if run.unroll_length and episode_length % run.unroll_length:
    raise ValueError(
        f'--unroll_length={run.unroll_length} does not divide '
        f'--episode_length={episode_length}; change one of them'
    )
  if experiment.num_pieces > 1 and run.unfinished_share:
    raise ValueError(
        f'--unfinished_share={run.unfinished_share} needs whole episodes; add '
        f'--unfinished_share=0, or leave out --unroll_length='
        f'{run.unroll_length}'
    )
  has_episodes = learner.reward_weight or learner.hindsight_weight
  has_targets = has_episodes and experiment.agent.conditional
  if run.augment and not (has_targets or learner.teacher_weight):
    raise ValueError(
        f'--augment={",".join(run.augment)} changes targets of episodes, and '
        'this run has none; leave it out'
    )
  teacher = experiment.lessons.teacher
  if learner.teacher_weight and not teacher:
    raise ValueError(
        f'--teacher_weight={learner.teacher_weight} imitates another agent, '
        'and none is named; add --teacher, as --teacher=digits'
    )
  if teacher and not learner.teacher_weight:
    raise ValueError(
        f'--teacher={teacher} teaches nothing, as --teacher_weight is 0; add '
        '--teacher_weight=1, or leave the teacher out'
    )
  is_remembering = learner.memory_weight > 0
  if experiment.lessons.dream_prior == 'memory' and not is_remembering:
    raise ValueError(
        '--dream_prior=memory needs a memory; add --memory_weight, or take '
        '--dream_prior=task'
    )
  if experiment.lessons.dream_prior == 'agent' and not (
      experiment.has_recognizer
  ):
    raise ValueError(
        '--dream_prior=agent is of an agent that draws from noise, to teach '
        'another that redraws; leave out --conditional and add '
        '--memory_weight, or take --dream_prior=task'
    )
  if experiment.lessons.dream_prior == 'agent' and learner.dreams_weight:
    raise ValueError(
        f'--dreams_weight={learner.dreams_weight} would have the agent imitate '
        'its own dreams of --dream_prior=agent; leave the weight out: the '
        'recognizer learns from them anyway'
    )
  if learner.hindsight_weight and experiment.num_pieces > 1:
    raise ValueError(
        f'--hindsight_weight={learner.hindsight_weight} learns from whole '
        f'episodes, and --unroll_length={run.unroll_length} divides them; '
        'leave one out'
    )
  for name in ('best_colors_weight', 'corrections_weight'):
    weight = getattr(learner, name)
    if weight and not learner.reward_weight:
      raise ValueError(
          f'--{name}={weight} is of episodes that are rewarded, and '
          '--reward_weight is 0; leave one of them out'
      )
    if weight and experiment.num_pieces > 1:
      raise ValueError(
          f'--{name}={weight} looks at whole episodes, and '
          f'--unroll_length={run.unroll_length} divides them; leave one out'
      )
  costs = [name for name, weight in experiment.costs.items() if weight]
  if learner.corrections_weight and costs:
    raise ValueError(
        f'--corrections_weight={learner.corrections_weight} compares results, '
        f'and the cost of {", ".join(costs)} is of commands; leave one out'
    )
  if learner.corrections_weight and run.on_device:
    raise ValueError(
        f'--corrections_weight={learner.corrections_weight} tries alternatives '
        'in the environment of the host; leave out --on_device, or the weight'
    )
  if not experiment.agent.conditional:
    if learner.best_colors_weight:
      raise ValueError(
          f'--best_colors_weight={learner.best_colors_weight} compares with a '
          'target and the agent has none; add --conditional, or leave it out'
      )
    if learner.hindsight_weight:
      raise ValueError(
          f'--hindsight_weight={learner.hindsight_weight} takes results for '
          'targets and the agent has none; add --conditional, or leave it out'
      )
    if learner.reward_weight and learner.reward != 'discriminator':
      raise ValueError(
          f'--reward={learner.reward} compares with a target and the agent has '
          'none; add --conditional, or take --reward=discriminator'
      )
    if learner.color_cost:
      raise ValueError(
          f'--color_cost={learner.color_cost} compares with a target and the '
          'agent has none; add --conditional, or leave it out'
      )
  if run.decay_by_clock and learner.decay_frames:
    raise ValueError(
        f'--decay_frames={learner.decay_frames} and --decay_by_clock are two '
        'ways of the same; leave one out'
    )
