"""A page with all of a fit or a comparison, pictures included, that opens without a network."""

import base64
import html
import io
import json
import platform
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from xarray import DataTree

from robust_dist import diagnostics, plots
from robust_dist._words.numbers import decimal
from robust_dist._words.text import printable, printable_lines
from robust_dist.diagnostics.explanations import explanation_texts
from robust_dist.diagnostics.sampling import summary_texts
from robust_dist.diagnostics.tails import tails_in_words
from robust_dist.plots.alpha import drawn_shape
from robust_dist.plots.fit import drawn_predictors
from robust_dist.regression import Comparison
from robust_dist.regression.comparison import coefficient_texts, comparison_texts

# of very many predictors the first stand for all
_PARTIAL = 8
_OUTLIERS = 20
_PROBABILITY = "probability is that of being an outlier, which follows the background; "
_DPI = 150

_STYLE = """
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 0 auto; padding: 1rem; }
h1 { font-size: 1.5rem; overflow-wrap: anywhere; }
h2 { font-size: 1.2rem; margin-top: 2.2rem; border-bottom: 1px solid #8886; }
.wide {
  overflow-x: auto;
  /* A shadow where there is more: the covers of the shadows move with the table. */
  background:
    linear-gradient(to right, Canvas 40%, transparent) left / 2rem 100% local,
    linear-gradient(to left, Canvas 40%, transparent) right / 2rem 100% local,
    linear-gradient(to right, #8888, transparent) left / .8rem 100%,
    linear-gradient(to left, #8888, transparent) right / .8rem 100%;
  background-repeat: no-repeat;
}
.wide::-webkit-scrollbar { height: .4rem; }
.wide::-webkit-scrollbar-thumb { background: #8888; border-radius: .2rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; white-space: nowrap; }
th, td { padding: .25rem .7rem; text-align: right; border-bottom: 1px solid #8884; }
thead th { border-bottom: 2px solid #8888; }
tbody th { text-align: left; position: sticky; left: 0; background: Canvas; }
tbody th { white-space: normal; overflow-wrap: break-word; max-width: min(20rem, 40vw); }
@media (max-width: 40rem) {
  body { padding: .6rem; }
  table { font-size: .75rem; }
  th, td { padding: .25rem .2rem; }
  thead th { white-space: normal; }
}
figure { margin: 1rem 0; }
.grid { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 24rem), 1fr)); }
.grid { column-gap: 1rem; }
img { max-width: 100%; height: auto; background: white; }
figcaption { font-size: .9rem; opacity: .8; }
.warning { border-left: .3rem solid #D55E00; padding: .3rem .8rem; margin: .8rem 0; }
pre { overflow-x: auto; padding: .6rem; background: #8882; }
"""


@dataclass(frozen=True)
class Picture:
    """A picture and what it shows."""

    png: bytes
    caption: str


def fit_pictures(dt: DataTree) -> dict[str, Picture]:
    """Return the pictures of a fit by name, those that the fit has."""
    pictures = {}
    shape = drawn_shape(dt)
    if shape is not None:
        figure = _figure()
        plots.plot_alpha(dt, figure.add_subplot())
        pictures["alpha"] = _picture(figure, f"The posterior of {shape.name} against its prior.")
    figure = _figure()
    plots.plot_fit(dt, figure.add_subplot())
    pictures["fit"] = _picture(figure, "The data and the fit, each row coloured by its weight.")
    for name, plot, caption in (
        (
            "weights",
            plots.plot_weights,
            "How much each row counts, by how far it lies off the fit.",
        ),
        (
            "tails",
            plots.plot_tails,
            "Rows against the fitted law: on the diagonal, and within the band, the law fits.",
        ),
    ):
        figure = _figure()
        plot(dt, figure.add_subplot())
        pictures[name] = _picture(figure, caption)
    predictors = drawn_predictors(dt)
    if len(predictors) > 1:
        for name in predictors[:_PARTIAL]:
            figure = _figure()
            # their colours are those of the picture above
            plots.plot_fit(dt, figure.add_subplot(), predictor=name, colorbar=False)
            pictures[f"partial {name}"] = _picture(
                figure, f"Partial residuals of {name}, coloured as in the picture above."
            )
    return pictures


def fit_report(
    dt: DataTree,
    heading: str,
    pictures: Mapping[str, Picture],
    outliers: pd.DataFrame,
    comparison: Comparison | None,
    problems: Sequence[str],
    priors: str,
) -> str:
    """Return the page of a fit.

    Parameters
    ----------
    dt
        The fit.
    heading
        The formula, and what was fitted to how much.
    pictures
        What ``fit_pictures`` drew.
    outliers
        What ``diagnostics.outliers`` found.
    comparison
        With other likelihoods, if there is one.
    problems
        What the user is warned of.
    priors
        The priors in words.
    """
    partial = [name for name in pictures if name.startswith("partial ")]
    tails = diagnostics.tail_summary(dt)
    sections = [
        _warnings(problems),
        _notes(dt),
        _section(
            "Posterior",
            _table(summary_texts(diagnostics.summary(dt))),
            _divergences(dt),
            _paragraph(f"{diagnostics.r2_in_words(dt)}."),
        ),
        _explanations(dt),
        _section("Data and fit", _image(pictures["fit"])),
        _section(
            "Predictors one by one",
            f'<div class="grid">{"".join(_image(pictures[name]) for name in partial)}</div>',
        )
        if partial
        else "",
        _section(
            "Tails",
            _paragraph(tails_in_words(dt, tails)),
            _image(pictures["alpha"]) if "alpha" in pictures else "",
            _table(tails.map(_share)),
            _paragraph(
                "A proportion is that which the law expects of rows to come; observed is that of "
                "the rows of the data. The robust sd is the standard deviation of the Normal law "
                "with the quartiles of the noise, about 1.48 times the median absolute residual."
            ),
            _image(pictures["tails"]),
        ),
        _section(
            "Outliers",
            _paragraph(diagnostics.name_outliers(outliers)),
            _table(_outlier_text(outliers)),
            _paragraph(
                f"The {min(_OUTLIERS, len(outliers))} rows farthest off the fit, of "
                f"{len(outliers)}; rows.csv has all of them. The residual is in robust sd; "
                f"{_PROBABILITY if 'probability' in outliers else ''}the weight runs from 0 "
                "(ignored) to 1 (counted in full); pit is the probability of a smaller response; "
                "a row of Pareto-k above 0.7 is one without which the posterior may lie elsewhere."
            ),
            _image(pictures["weights"]),
        ),
        _compared(comparison) if comparison is not None else "",
        _section("Priors", f"<pre>{html.escape(printable_lines(priors))}</pre>"),
        _run(dt, ("likelihood", dt.attrs["likelihood"])),
    ]
    return _page(heading, sections)


def _explanations(dt: DataTree) -> str:
    """Return what fits that trust rows less say, beside what the fit says."""
    texts = explanation_texts(dt)
    if len(texts.columns) < 2:
        return ""
    return _section(
        "Other explanations",
        _paragraph(diagnostics.leverage_in_words(dt)),
        _table(texts),
        _paragraph(
            "Mean ± sd of each coefficient under the fit and under others: downweighted, with less "
            "weight for rows far out in the predictors; contaminated, by a law that expects some "
            "rows to be from elsewhere. Where a warning says so, they differ by more than they are "
            "wide."
        ),
    )


def comparison_picture(comparison: Comparison) -> Picture:
    """Return the picture of a comparison."""
    figure = _figure()
    plots.plot_comparison(comparison, figure.add_subplot())
    return _picture(figure, "How much worse each model predicts than the best.")


def comparison_report(comparison: Comparison, picture: Picture, problems: Sequence[str]) -> str:
    """Return the page of a comparison."""
    first = next(iter(comparison.fits.values()))
    rows = first["observed_data"].sizes["row"]
    sections = [_warnings(problems), _notes(first), _compared(comparison, picture), _run(first)]
    formulas = dict.fromkeys(dt.attrs["formula"] for dt in comparison.fits.values())
    return _page(f"{'; '.join(formulas)}   ({rows} rows)", sections)


def _figure() -> Figure:
    return Figure(figsize=(7.0, 4.6), dpi=_DPI, layout="constrained")


def _picture(figure: Figure, caption: str) -> Picture:
    layout = figure.get_layout_engine()
    assert layout is not None
    # by itself: matplotlib would draw all of the figure twice, once only to lay it out
    layout.execute(figure)
    figure.set_layout_engine("none")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=_DPI)
    return Picture(buffer.getvalue(), caption)


def _page(title: str, sections: Iterable[str]) -> str:
    """Return a page with everything inside it."""
    text = _escaped(title)
    body = "\n".join(filter(None, sections))
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        # nothing is to be fetched, whatever a column may be called
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
        "img-src data:; style-src 'unsafe-inline'\">\n"
        f"<title>{text}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        f"<h1>{text}</h1>\n{body}\n</body>\n</html>\n"
    )


def _escaped(text: object) -> str:
    """Return a text that neither HTML nor the screen takes for anything else."""
    return html.escape(printable(text), quote=True)


def _section(heading: str, *parts: str) -> str:
    body = "\n".join(filter(None, parts))
    return f"<section>\n<h2>{_escaped(heading)}</h2>\n{body}\n</section>"


def _paragraph(text: str) -> str:
    return f"<p>{_escaped(text)}</p>"


def _warnings(problems: Sequence[str]) -> str:
    return "\n".join(
        f'<p class="warning"><strong>Warning:</strong> {_escaped(problem)}</p>'
        for problem in problems
    )


def _notes(dt: DataTree) -> str:
    """Return what was guessed of the file, and done to columns."""
    return "\n".join(_paragraph(f"Note: {note}.") for note in _noted(dt))


def _noted(dt: DataTree) -> list[str]:
    return list(json.loads(dt.attrs.get("notes", "[]")))


def _image(picture: Picture) -> str:
    data = base64.b64encode(picture.png).decode("ascii")
    caption = _escaped(picture.caption)
    return (
        f'<figure><img alt="{caption}" src="data:image/png;base64,{data}">'
        f"<figcaption>{caption}</figcaption></figure>"
    )


def _table(table: pd.DataFrame) -> str:
    """Return a table of texts, which scrolls by itself where the screen is narrow."""
    return _wide(table.rename_axis(None).to_html(border=0, na_rep=""))


def _wide(table: str) -> str:
    """Return a table in a box that scrolls, also by the keys of a keyboard."""
    return f'<div class="wide" tabindex="0">{table}</div>'


def _share(value: float) -> str:
    """Return a proportion to three digits."""
    return "" if np.isnan(value) else f"{value:.3g}"


def _outlier_text(outliers: pd.DataFrame) -> pd.DataFrame:
    """Return the first rows of the table of outliers as text."""
    top = outliers.head(_OUTLIERS).drop(columns="outlier")
    formats: dict[str, Callable[[float], str]] = {
        "observed": "{:.5g}".format,
        "residual": lambda value: decimal(value, 1, "+"),
        "probability": "{:.2g}".format,
        "weight": "{:.2g}".format,
        "pit": "{:.3g}".format,
        "leverage": "{:.2g}".format,
        "pareto_k": "{:.2f}".format,
    }
    text = pd.DataFrame(index=top.index.map(printable))
    for name in top.columns:
        text[name] = ["" if np.isnan(value) else formats[name](value) for value in top[name]]
    return text.rename(columns={"pareto_k": "Pareto-k"})


def _divergences(dt: DataTree) -> str:
    if "sample_stats" not in dt.children:
        return _paragraph(f"Not sampled, but approximated ({dt.attrs['method']}).")
    return _paragraph(f"Divergences: {diagnostics.divergences(dt)}.")


def _compared(comparison: Comparison, picture: Picture | None = None) -> str:
    """Return the section of a comparison."""
    said = _noted(next(iter(comparison.fits.values())))
    return _section(
        "Models compared",
        _paragraph(comparison.verdict),
        _image(picture or comparison_picture(comparison)),
        _table(comparison_texts(comparison)),
        _paragraph(
            "elpd is the expected log density of new rows, by leave-one-out cross-validation; dse "
            "the standard error of its difference from the best; weight that of stacking."
        ),
        _table(coefficient_texts(comparison)),
        *(_paragraph(note) for note in comparison.notes if note not in said),
    )


def _run(dt: DataTree, *facts: tuple[str, object]) -> str:
    """Return what is needed to repeat the run."""
    sizes = dt["posterior"].sizes
    rows = {
        "data": dt.attrs.get("data", ""),
        **dict(facts),
        "formula": dt.attrs["formula"],
        **{
            name.removesuffix("_column").replace("_", " "): value
            for name, value in ((str(key), value) for key, value in dt.attrs.items())
            if name == "formulas" or name.endswith("_column")
        },
        **{name: dt.attrs[name] for name in ("resolution",) if name in dt.attrs},
        "method": dt.attrs["method"],
        "chains": sizes["chain"],
        "draws per chain": sizes["draw"],
        "warm-up": dt.attrs["warmup"],
        "seed": dt.attrs["seed"],
        "Python": platform.python_version(),
        **{name: version(name) for name in ("robust-dist", "numpyro", "jax", "arviz", "numpy")},
    }
    lines = "".join(
        f"<tr><th>{_escaped(name)}</th><td>{_escaped(str(value))}</td></tr>"
        for name, value in rows.items()
    )
    return _section("Run", _wide(f"<table><tbody>{lines}</tbody></table>"))
