"""Search for programs at test time: the public API.

For example, the best of 16 samples of an agent for each image, improved for a
second an image:

```python
environment = task.make_batch(settings, 256, num_threads=2)
start = search.best_of(
    agent, params, environment, images, samples=16, key=jax.random.key(0)
)
found = search.improve(
    environment, start.programs, images, key=jax.random.key(1), seconds=1.0
)
```

`paint` finds strokes for a picture of any size, from the picture alone.

A search needs an environment of uint8 canvases, and knows the parts of its
commands from the action spec alone. Renderers whose canvases can be copied, or
that can say what a command covers, make it faster.
"""

from spiral_jax.search.agent_proposals import make_agent_proposals
from spiral_jax.search.covers import CoveringRenderer
from spiral_jax.search.covers import Covers
from spiral_jax.search.easel import StrokeRenderer
from spiral_jax.search.executor import Environment
from spiral_jax.search.executor import Executor
from spiral_jax.search.executor import canvases_needed
from spiral_jax.search.executor import make_executor
from spiral_jax.search.improvement import NUM_PROPOSALS
from spiral_jax.search.improvement import Found
from spiral_jax.search.improvement import improve
from spiral_jax.search.metropolis_hastings import Chains
from spiral_jax.search.metropolis_hastings import make_log_likelihood
from spiral_jax.search.metropolis_hastings import run_chains
from spiral_jax.search.painter import SCORES
from spiral_jax.search.painter import paint
from spiral_jax.search.proposals import Changes
from spiral_jax.search.proposals import Moves
from spiral_jax.search.proposals import Programs
from spiral_jax.search.proposals import Proposals
from spiral_jax.search.proposals import Propose
from spiral_jax.search.proposals import make_proposals
from spiral_jax.search.proposals import make_repeats
from spiral_jax.search.proposals import num_changes
from spiral_jax.search.proposals import single_changes
from spiral_jax.search.sampling import Samples
from spiral_jax.search.sampling import best_of
from spiral_jax.search.sampling import random_programs
from spiral_jax.search.sampling import sample
from spiral_jax.search.scores import Score
from spiral_jax.search.scores import negative_l2
from spiral_jax.search.stroke_search import PaintProgress

__all__ = [
    'NUM_PROPOSALS',
    'SCORES',
    'Chains',
    'Changes',
    'CoveringRenderer',
    'Covers',
    'Environment',
    'Executor',
    'Found',
    'Moves',
    'PaintProgress',
    'Programs',
    'Proposals',
    'Propose',
    'Samples',
    'Score',
    'StrokeRenderer',
    'best_of',
    'canvases_needed',
    'improve',
    'make_agent_proposals',
    'make_executor',
    'make_log_likelihood',
    'make_proposals',
    'make_repeats',
    'negative_l2',
    'num_changes',
    'paint',
    'random_programs',
    'run_chains',
    'sample',
    'single_changes',
]
