"""Effects of predictors: what a fit predicts along them, and how that changes."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from xarray import DataTree

from robust_dist.diagnostics.row_statistics import row_statistics
from robust_dist.effects import Result, comparisons, predictions, slopes
from robust_dist.effects.grid import Conditional, shown
from robust_dist.effects.result import AverageBy
from robust_dist.plots._panels import Panels
from robust_dist.plots._style import as_label
from robust_dist.regression import training_data
from robust_dist.regression.fitted import check_fit


def plot_predictions(
    dt: DataTree,
    conditional: Conditional = None,
    average_by: AverageBy = None,
    ax: Axes | None = None,
    **options: Any,
) -> Axes:
    """Draw what the fit predicts along a predictor, with the rows behind.

    A line and a band for a number or a date, a point and an interval for each level of a
    category. A second predictor is told by colour, a third by panels. A row has the colour of
    the value that it is nearest to; it is filled as far as it counts, and hollow if it is ignored.
    The axes follow the predictions and the rows of weight above 1/2.

    Parameters
    ----------
    dt
        A fit of ``robust_dist.regression.Regression``.
    conditional, average_by
        As for ``effects.predictions``; one of them names one to three predictors.
    ax
        Where to draw; a new figure if None.
    options
        ``target``, ``pps``, ``groups``, ``prob``, ``use_hdi``, ``functions`` and ``seed``, as for
        ``effects.predictions``.

    Returns
    -------
    matplotlib.axes.Axes
        The axes; of several panels the first.

    Raises
    ------
    InputError
        As ``effects.predictions``, and if there is no predictor to draw along, or more than three.
    """
    check_fit(dt)
    variables = _variables(conditional, average_by)
    result = predictions(dt, conditional, average_by, **options)
    target = options.get("target", "mean")
    panels = Panels(result.summary, variables, ax, _interval(options))
    panels.draw_estimates()
    if target == "mean":
        response = dt["observed_data"].dataset["y"].values
        panels.draw_rows(_rows(dt), response, row_statistics(dt, "weight")["weight"].values)
    return panels.finish(as_label(dt.attrs["response"] if target == "mean" else target))


def plot_comparisons(
    dt: DataTree,
    contrast: str | Mapping[str, Any],
    conditional: Conditional = None,
    average_by: AverageBy = None,
    ax: Axes | None = None,
    **options: Any,
) -> Axes:
    """Draw how much the prediction changes between values of a predictor, along others.

    Several pairs are told apart as a further predictor would be. Without any other, each pair is
    drawn as it is on average over the rows. Ticks at the bottom are the rows.

    Parameters
    ----------
    dt
        A fit of ``robust_dist.regression.Regression``.
    contrast, conditional, average_by
        As for ``effects.comparisons``.
    ax
        Where to draw; a new figure if None.
    options
        ``comparison``, ``target``, ``groups``, ``prob``, ``use_hdi`` and ``functions``, as for
        ``effects.comparisons``.

    Returns
    -------
    matplotlib.axes.Axes
        The axes; of several panels the first.

    Raises
    ------
    InputError
        As ``effects.comparisons``, and if there are more than three predictors to draw along.
    """
    check_fit(dt)
    variables = _variables(conditional, average_by)
    result = comparisons(dt, contrast, conditional, average_by if variables else True, **options)
    pairs = result.summary["contrast"].unique()
    if not variables or len(pairs) > 1:
        variables = [*variables, "contrast"]
    name = result.summary["term"].iloc[0]
    what = f"{name}: {pairs[0]}" if len(pairs) == 1 else f"contrasts of {name}"
    reference = 1.0 if options.get("comparison") == "ratio" else 0.0
    return _draw_change(dt, result, variables, ax, what, reference, options)


def plot_slopes(
    dt: DataTree,
    wrt: str | Mapping[str, Any],
    conditional: Conditional = None,
    average_by: AverageBy = None,
    ax: Axes | None = None,
    **options: Any,
) -> Axes:
    """Draw how steeply the prediction rises with one predictor, along it or others.

    Parameters
    ----------
    dt
        A fit of ``robust_dist.regression.Regression``.
    wrt, conditional, average_by
        As for ``effects.slopes``; one of the last two names one to three predictors.
    ax
        Where to draw; a new figure if None.
    options
        ``slope``, ``target``, ``groups``, ``prob``, ``use_hdi`` and ``functions``, as for
        ``effects.slopes``.

    Returns
    -------
    matplotlib.axes.Axes
        The axes; of several panels the first.

    Raises
    ------
    InputError
        As ``effects.slopes``, and if there is no predictor to draw along, or more than three.
    """
    check_fit(dt)
    variables = _variables(conditional, average_by)
    result = slopes(dt, wrt, conditional, average_by, **options)
    name, kind = result.summary[["term", "contrast"]].iloc[0]
    return _draw_change(dt, result, variables, ax, f"slope in {name} ({kind})", 0.0, options)


def _draw_change(
    dt: DataTree,
    result: Result,
    variables: Sequence[str],
    ax: Axes | None,
    what: str,
    reference: float,
    options: Mapping[str, Any],
) -> Axes:
    """Draw estimates of a change against none, and where there are rows."""
    panels = Panels(result.summary, variables, ax, _interval(options))
    panels.draw_estimates()
    panels.draw_reference(reference)
    panels.draw_rug(_rows(dt))
    target = options.get("target", "mean")
    response = dt.attrs["response"] if target == "mean" else target
    return panels.finish(f"{as_label(response)}, {as_label(what)}")


def _interval(options: Mapping[str, Any]) -> str:
    """Return what the intervals are, in words."""
    new = " of new observations" if options.get("pps") else ""
    return f"{100 * options.get('prob', 0.95):g}% interval{new}"


def _rows(dt: DataTree) -> pd.DataFrame:
    """Return the columns of the formula of each row, dates as such."""
    _, frame = training_data.load(dt)
    return shown(frame, frame.attrs["since"])


def _variables(conditional: Conditional, average_by: AverageBy) -> list[str]:
    """Return the predictors to draw along, none for an average over all rows."""
    if average_by is True or average_by == "all":
        return []
    names = average_by or conditional
    return [names] if isinstance(names, str) else list(names or ())
