"""Black-box renderers as environments; imports neither jax nor spiral_jax."""
