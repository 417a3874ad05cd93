"""SPIRAL in JAX: agents that write programs for a renderer."""
