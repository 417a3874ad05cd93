"""Training: the layer above agents and driver, for any renderer.

For example, digits drawn from noise, for ten minutes:

```python
from spiral_jax import agents
from spiral_jax import training

experiment = training.Experiment(
    task='environments.painting',
    dataset='mnist',
    run=training.RunConfig(run_dir='runs/mine', minutes=10),
    agent=agents.AgentConfig(noise_size=10, torso='patches'),
)
run_dir = training.train(experiment, on_update=lambda u: print(u.step))
figures = training.evaluate(run_dir)
```

A `Task` is all that is needed of an environment: `environments.core.Task`.
Nothing here defines a flag on import; `define_flags` does so when it is called.
"""

from spiral_jax.driver.nodes import PolicyUpdate
from spiral_jax.driver.program import StopProgram
from spiral_jax.training.config import LessonConfig
from spiral_jax.training.config import RunConfig
from spiral_jax.training.evaluator import evaluate
from spiral_jax.training.evaluator import evaluate_agent
from spiral_jax.training.experiment import Experiment
from spiral_jax.training.flags import define_flags
from spiral_jax.training.on_device import Train
from spiral_jax.training.on_device import TrainState
from spiral_jax.training.on_device import make_train
from spiral_jax.training.parts import make_parts
from spiral_jax.training.program_search import find_programs
from spiral_jax.training.runner import train
from spiral_jax.training.task import Task
from spiral_jax.training.task import find_task
from spiral_jax.training.trained_agent import TrainedAgent
from spiral_jax.training.trained_agent import check_conditional
from spiral_jax.training.trained_agent import episodes
from spiral_jax.training.trained_agent import make_score
from spiral_jax.training.trained_agent import restore
from spiral_jax.training.wiring import build_program

__all__ = [
    'Experiment',
    'LessonConfig',
    'PolicyUpdate',
    'RunConfig',
    'StopProgram',
    'Task',
    'Train',
    'TrainState',
    'TrainedAgent',
    'build_program',
    'check_conditional',
    'define_flags',
    'episodes',
    'evaluate',
    'evaluate_agent',
    'find_programs',
    'find_task',
    'make_parts',
    'make_score',
    'make_train',
    'restore',
    'train',
]
