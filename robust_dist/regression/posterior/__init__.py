"""From a model to its posterior, and what follows from the draws."""
