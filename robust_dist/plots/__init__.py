"""Pictures of the family and of a fit: numbers or a DataTree in, matplotlib axes out.

Each function draws on the axes it is given, or on those of a new figure, which it makes without
pyplot: no backend is chosen and no global state touched. Colours are told apart by lightness too.
"""

from robust_dist.plots.alpha import plot_alpha
from robust_dist.plots.comparison import plot_comparison
from robust_dist.plots.effects import plot_comparisons, plot_predictions, plot_slopes
from robust_dist.plots.family import plot_family
from robust_dist.plots.fit import plot_fit
from robust_dist.plots.tails import plot_tails
from robust_dist.plots.weights import plot_weights

__all__ = [
    "plot_alpha",
    "plot_comparison",
    "plot_comparisons",
    "plot_family",
    "plot_fit",
    "plot_predictions",
    "plot_slopes",
    "plot_tails",
    "plot_weights",
]
