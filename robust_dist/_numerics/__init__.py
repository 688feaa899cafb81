"""The mathematics of the family, in pure ``jax.numpy``; knows nothing of distributions."""
