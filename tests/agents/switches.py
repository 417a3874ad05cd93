"""A tiny run of everything that learns; prints what it computed, as JSON.

python -m tests.agents.switches
"""

import json
from typing import Any

import jax
import numpy as np

from spiral_jax import agents
from spiral_jax.driver import rollout as rollout_lib
from tests.agents import toys

SPEC = toys.painting_spec()
SHAPE = (toys.SIZE, toys.SIZE, 1)


def compute(key: Any) -> dict[str, Any]:
  """Returns arrays by name; `key` makes all parameters."""
  config = agents.AgentConfig(
      **toys.NETWORK, **toys.PATCHES, conditional=True, noise_size=2
  )
  agent = agents.make_agent(SPEC, SHAPE, config)
  discriminator_config = agents.DiscriminatorConfig(channels=(4, 4))
  discriminator = agents.make_discriminator(SHAPE, True, discriminator_config)
  learners = (
      agents.make_learner(
          agent,
          discriminator.score,
          agents.LearnerConfig(
              algorithm='clipped',
              minibatches=3,
              decay_frames=100,
              scale_rewards=True,
              color_cost=0.1,
              blank_page_cost=0.1,
              reward_at='step',
          ),
      ),
      agents.make_discriminator_learner(discriminator, discriminator_config),
  )
  policy, judge = (learner.init(key) for learner in learners)
  targets = np.random.default_rng(0).integers(256, size=(toys.B, *SHAPE))
  rollout = rollout_lib.Rollout(
      toys.environment(toys.B, SPEC, SHAPE, toys.T),
      jax.jit(agent.step),
      agent.initial_state(toys.B),
      noise_size=2,
      targets=lambda: targets.astype(np.uint8),
      unroll_length=2,
  )
  logs = {}
  for _ in range(2):
    trajectory = rollout(policy.params, 0)
    policy, policy_logs = learners[0].update(policy, trajectory, judge.params)
  judge, judge_logs = learners[1].update(
      judge, trajectory.target, trajectory.canvas[-1], trajectory.target
  )
  logs |= policy_logs | judge_logs
  arrays = {
      'trajectory': trajectory,
      'policy': policy._replace(key=jax.random.key_data(policy.key)),
      'judge': judge._replace(key=jax.random.key_data(judge.key)),
      'logs': logs,
  }
  return {
      jax.tree_util.keystr(path): np.asarray(leaf)
      for path, leaf in jax.tree_util.tree_flatten_with_path(arrays)[0]
  }


def main() -> None:
  """Computes with a key of the old kind, which is an array."""
  found = compute(jax.random.PRNGKey(3))
  print(
      json.dumps(
          {name: (str(x.dtype), x.tolist()) for name, x in found.items()}
      )
  )


if __name__ == '__main__':
  main()
