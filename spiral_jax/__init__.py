"""SPIRAL in JAX: agents that write programs for a renderer.

The public API is in the packages: `agents` (pure functions), `training` (whole
runs), `losses`, `networks`, `datasets`, `evaluation`, `driver`, `weights`.
"""

__version__ = '0.2.0'
