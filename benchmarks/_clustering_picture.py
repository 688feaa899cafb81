"""The picture of the clustering benchmark: the measure against alpha, and clusters of digits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from _continuous_clustering import Clusters, alpha_falls, cluster, join, scale_falls
from _labelled_rows import labelled
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from sklearn.decomposition import PCA
from sklearn.metrics import adjusted_mutual_info_score

# of Okabe and Ito
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#666666")
_MARKERS = "osv^D<>"
_SHOWN = (
    "digits",
    "digits 0 to 4",
    "digits, noise columns",
    "wine",
    "breast cancer",
    "iris",
)


def draw(found: dict[str, dict[str, np.ndarray]], file: Path) -> None:
    """Draw both."""
    figure = Figure(figsize=(10, 8.6), layout="constrained")
    panels = figure.subplots(2, 2).ravel()
    _curves(panels[0], found)
    rows, classes = labelled("digits 0 to 4", None)
    graph, plane = join(rows), PCA(2).fit_transform(rows)
    for panel, title, schedule in (
        (panels[1], "fixed loss, alpha = −2", scale_falls(graph, -2.0)),
        (panels[2], "alpha annealed to −2", alpha_falls(graph, -2.0)),
        (panels[3], "alpha = 1", scale_falls(graph, 1.0)),
    ):
        _map(panel, title, plane, classes, cluster(graph, schedule))
    figure.savefig(file, dpi=90)


def _curves(panel: Axes, found: dict[str, dict[str, np.ndarray]]) -> None:
    """Draw the measure of each fixed alpha, and of the annealed one as a ring."""
    for i, name in enumerate(set_ for set_ in _SHOWN if set_ in found):
        fixed = {m: v.mean() for m, v in found[name].items() if m.startswith("alpha")}
        place = list(fixed).index("alpha = -2")
        style = {"color": _COLOURS[i], "marker": _MARKERS[i]}
        panel.plot(list(fixed.values()), ms=4, lw=1.3, label=name, **style)
        # beside the fixed loss's own, which it would hide
        ring = found[name]["annealed to -2"].mean()
        panel.plot(place + 0.25, ring, ms=8, mfc="none", ls="", **style)
        ticks = [m.removeprefix("alpha = ").replace("-", "−").replace("inf", "∞") for m in fixed]
        panel.set_xticks(range(len(ticks)), ticks)
    panel.set_title("AMI by alpha\n(open: annealed to −2)", fontsize=10)
    panel.set_xlabel("alpha")
    panel.set_ylabel("adjusted mutual information (AMI), mean over seeds")
    panel.set_ylim(0, 1)
    panel.spines[["top", "right"]].set_visible(False)
    panel.legend(fontsize=8, frameon=False, loc="lower right")


def _map(panel: Axes, title: str, plane: np.ndarray, classes: np.ndarray, got: Clusters) -> None:
    """Draw rows in two dimensions: the colour of their cluster's commonest digit, its own shade."""
    used: dict[int, int] = {}
    sizes = np.bincount(got.labels)
    for label in np.argsort(-sizes):
        inside = got.labels == label
        digit = int(np.bincount(classes[inside]).argmax())
        rank = used.setdefault(digit, 0)
        used[digit] += 1
        colour, marker = np.array(to_rgb(_COLOURS[digit])), _MARKERS[rank % len(_MARKERS)]
        # each further cluster of a digit is paler, in other markers, and with a dark rim
        shade = 1 - (1 - colour) * 0.65 ** min(rank, 3)
        rim = "none" if rank == 0 else "black"
        panel.scatter(
            *plane[inside].T, s=14, color=[shade], marker=marker, edgecolors=rim, linewidths=0.4
        )
    score = adjusted_mutual_info_score(classes, got.labels)
    panel.set_title(f"{title}: {len(sizes)} clusters of 5 digits\nAMI {score:.3f}", fontsize=10)
    panel.set_xticks([])
    panel.set_yticks([])
    panel.spines[:].set_visible(False)
    for digit in np.unique(classes):
        middle = np.median(plane[classes == digit], axis=0)
        box = {"boxstyle": "circle,pad=0.15", "fc": "white", "ec": _COLOURS[digit], "alpha": 0.85}
        panel.text(*middle, str(digit), ha="center", va="center", fontsize=10, bbox=box)
