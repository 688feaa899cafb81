"""How far the axes of a picture reach: as far as the rows that count, and the fit."""

import numpy as np

Limits = tuple[float, float]

# quartile ranges beyond the quartiles from which a predictor's value is far from all others
_FAR = 8.0
# a row of less weight is one that the fit does not follow
_TRUSTED = 0.3
# times the usual robust sd, beyond which a row says little of where the rest lies
_VAGUE = 10.0
# robust sds beside the rows that count within which others are drawn where they are
_NEAR = 6.0
_MARGIN = 0.08


def predictor_limits(x: np.ndarray) -> Limits:
    """Return the ends of a predictor's values, but for those far from all others.

    Far is beyond 8 quartile ranges of the different values, whose quartiles differ also where most
    rows share one. If all values take no more than twice the room, none is left out.
    """
    low, high = np.quantile(np.unique(x), [0.25, 0.75])
    reach = _FAR * (high - low)
    inner = x[(x >= low - reach) & (x <= high + reach)]
    ends, near = (float(x.min()), float(x.max())), (float(inner.min()), float(inner.max()))
    return ends if ends[1] - ends[0] <= 2 * (near[1] - near[0]) else near


def trusted(weights: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """Return which rows the fit follows closely: those that have weight and no huge error."""
    return (weights >= _TRUSTED) & (spread <= _VAGUE * np.median(spread))


def response_limits(
    y: np.ndarray, counted: np.ndarray, spread: float, drawn: np.ndarray | None = None
) -> Limits:
    """Return the ends of what is to be seen of a response.

    These are the ends of the rows that count and of what is drawn of the fit, with all other rows
    up to as far again, or 6 robust sds.

    Parameters
    ----------
    y
        The rows' values; what is not finite is beyond any limits.
    counted
        Which rows the limits follow; all of them, if none.
    spread
        The robust sd.
    drawn
        Values of the fit that are to be seen whole.
    """
    finite = np.isfinite(y)
    counted = counted & finite
    core = y[counted] if counted.any() else y[finite]
    if drawn is not None:
        core = np.append(core, drawn[np.isfinite(drawn)])
    if not core.size:
        return -1.0, 1.0
    low, high = float(core.min()), float(core.max())
    reach = max(high - low, _NEAR * spread)
    near = np.append(core, y[(y >= low - reach) & (y <= high + reach)])
    return float(near.min()), float(near.max())


def with_margin(limits: Limits, share: float = _MARGIN) -> Limits:
    """Return limits with room on either side, by a share of what lies between them."""
    low, high = limits
    room = share * (high - low) or 0.05 * max(abs(low), abs(high)) or 0.5
    return low - room, high + room
