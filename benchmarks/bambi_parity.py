"""Parity with Bambi: six analyses under the same priors, differences in Monte Carlo errors.

    python3 -m uv run python benchmarks/bambi_parity.py --peers-python PATH
        [--draws N] [--analyses NAME ...] [--seed N] [--largest]

Each analysis has the same data, likelihood and priors in both packages: Student's t or Normal
noise, every prior given by name. Compared are posterior means and sds of all shared parameters,
``predict`` at new rows (the mean, and quantiles of new responses), and what ``effects`` and Bambi's
``interpret`` say by the same names: predictions, comparisons, slopes. A difference is divided by
its Monte Carlo standard error, the root of the sum of both packages' squares by ArviZ. Where both
are right, these are standard Normal but for errors of the errors; those of one analysis are
correlated, as many are functions of the same few parameters. The bars: none beyond 4, and a root
mean square over all of them of 1.3 at most. Exit status 1 if a bar is missed.

The packages sample by themselves, nutpie on a density of its own here and PyMC's NUTS there. Bambi
cannot be installed beside the ``regression`` extra, which needs a newer formulae, so
``--peers-python`` names another Python for it, such as that of

    python3 -m uv venv peers && python3 -m uv pip install --python peers/bin/python bambi

What differs by convention is made the same first; the conventions are printed below the table.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import combinations, product
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from _report import Row, against, header, table

CHAINS = 4
LARGEST_BAR, RMS_BAR = 4.0, 1.3
QUANTILES = (0.1, 0.5, 0.9)
# the same laws by the names and arguments of either library
LAWS = {
    "Normal": ("mu", "sigma"),
    "HalfNormal": ("sigma",),
    "Gamma": ("alpha", "beta"),
    "InverseGamma": ("alpha", "beta"),
}
CONVENTIONS = """\
Made the same first, since the packages differ by convention:
- the intercept's prior is that at zero here, and at the predictors' means in Bambi, unless
  center_predictors=False, as in this table;
- (x | g) are correlated effects here and independent ones in Bambi: (x || g) here;
- 1|g_sigma, the sd of groups' values, is that at the median of x here and that at x = 0 in Bambi:
  the median of x is 0;
- bs(x, df=5) has columns here that sum to zero over the rows, and in Bambi, which needs an older
  formulae, others of the same span: the basis that is the same in both;
- the scale of t and of Normal noise is 'scale' here and 'sigma' in Bambi;
- a whole-numbered predictor that an effect does not name is at its mean here and at its mode in
  Bambi, and a group is none here and the most frequent one in Bambi: all are floats or named;
- the interval of an average is that of averaged draws here, and in Bambi the average of intervals'
  ends: its draws are averaged."""
# the quantities, as the table has them
PARAMETERS, PREDICT, RESPONSES = "parameters", "predict, mean", "predict, response"
EFFECTS = ("predictions", "comparisons", "slopes")

Draws = dict[str, dict[str, np.ndarray]]
"""by quantity and label, of shape (chains, draws)"""
Estimates = dict[str, dict[str, list[float]]]
"""by quantity and label: mean, its Monte Carlo error, sd, its Monte Carlo error"""


class Parameter(NamedTuple):
    """Parameters with one prior, and what they are called."""

    bambi: str
    """a variable of Bambi's posterior"""
    names: tuple[str, ...]
    """its elements' names here"""
    law: str
    """one of ``LAWS``"""
    arguments: tuple[float, ...]


class Effect(NamedTuple):
    """A call of one of ``EFFECTS``."""

    kind: str
    values: Mapping[str, Sequence[Any]] = {}
    """of the predictor that is contrasted, or at which the slope is"""
    conditional: Mapping[str, Sequence[Any]] | None = None
    average_by: str | None = None
    target: str = "mean"


@dataclass(frozen=True)
class Analysis:
    """What both fit, and what both are asked."""

    data: Callable[[], pd.DataFrame]
    formula: str
    likelihood: str
    parameters: tuple[Parameter, ...]
    new: Mapping[str, Sequence[Any]]
    effects: tuple[Effect, ...]
    formula_there: str = ""
    """if it is written otherwise"""
    sigma: str = ""
    """the formula of the scale"""
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """the names of group-specific effects, by the term"""

    @property
    def response(self) -> str:
        """The column that is explained."""
        return self.formula.partition(" ~")[0]


FAMILIES = {"student_t": "t", "normal": "gaussian"}
NU = Parameter("nu", ("nu",), "Gamma", (2.0, 0.1))


def _coefficient(name: str, sd: float, mean: float = 0.0) -> Parameter:
    return Parameter(name, (name,), "Normal", (mean, sd))


def _scale(beta: float) -> Parameter:
    return Parameter("sigma", ("scale",), "InverseGamma", (2.0, beta))


# --- the data


def _stackloss() -> pd.DataFrame:
    from robust_dist import datasets

    return datasets.load("stackloss").astype(float)


def _tyres() -> pd.DataFrame:
    rng = np.random.default_rng(2)
    brands = ["Aster", "Borea", "Corvo"]
    frame = pd.DataFrame({"load": rng.uniform(2, 8, 150), "brand": np.tile(brands, 50)})
    slope = frame["brand"].map(dict(zip(brands, (-2.0, -1.0, -2.0), strict=True)))
    frame["distance"] = 50 + slope * frame["load"] + rng.standard_t(3, 150)
    return frame


def _grouped() -> pd.DataFrame:
    rng = np.random.default_rng(3)
    index = np.repeat(np.arange(10), 15)
    x = rng.normal(size=150)
    x -= np.median(x)
    y = 1 + rng.normal(0, 1, 10)[index] + (2 + rng.normal(0, 0.5, 10)[index]) * x
    groups = np.array(list("ABCDEFGHIJ"))[index]
    return pd.DataFrame({"y": y + 0.7 * rng.standard_t(3, 150), "x": x, "g": groups})


def _engel() -> pd.DataFrame:
    from robust_dist import datasets

    # in thousands of francs
    frame = datasets.load("engel") / 1000
    return frame.rename(columns={"food_expenditure": "food"})


def _wave() -> pd.DataFrame:
    rng = np.random.default_rng(5)
    x = np.sort(rng.uniform(0, 6, 120))
    return pd.DataFrame({"x": x, "y": 2 * np.sin(x) + 0.4 * rng.standard_t(3, 120)})


def _censored() -> pd.DataFrame:
    rng = np.random.default_rng(6)
    x = rng.normal(size=120)
    y = 1 + 2 * x + 0.7 * rng.normal(size=120)
    status = np.where(y > 2.5, "right", np.where(y < -1.5, "left", "none"))
    return pd.DataFrame({"y": np.clip(y, -1.5, 2.5), "x": x, "status": status})


# --- the analyses

ANALYSES = {
    "multiple": Analysis(
        _stackloss,
        "stack_loss ~ air_flow + water_temp + acid_conc",
        "student_t",
        (
            _coefficient("Intercept", 20.0, -40.0),
            *(_coefficient(name, 2.0) for name in ("air_flow", "water_temp", "acid_conc")),
            _scale(5.0),
            NU,
        ),
        {
            "air_flow": [50.0, 60.0, 80.0],
            "water_temp": [18.0, 20.0, 27.0],
            "acid_conc": [80.0, 87.0, 90.0],
        },
        (
            Effect("predictions", conditional={"air_flow": [55.0, 70.0]}),
            Effect("comparisons", {"air_flow": [50.0, 60.0]}, {"water_temp": [18.0, 24.0]}),
            Effect("comparisons", {"air_flow": [50.0, 60.0]}, average_by="all"),
            Effect("slopes", {"water_temp": [20.0]}, {"air_flow": [60.0]}),
        ),
    ),
    "interaction": Analysis(
        _tyres,
        "distance ~ load * brand",
        "student_t",
        (
            _coefficient("Intercept", 20.0, 50.0),
            _coefficient("load", 5.0),
            Parameter("brand", ("brand[Borea]", "brand[Corvo]"), "Normal", (0.0, 10.0)),
            Parameter(
                "load:brand", ("load:brand[Borea]", "load:brand[Corvo]"), "Normal", (0.0, 3.0)
            ),
            _scale(2.0),
            NU,
        ),
        {"load": [2.0, 5.0, 8.0], "brand": ["Aster", "Borea", "Corvo"]},
        (
            Effect("predictions", conditional={"load": [3.0, 6.0], "brand": ["Aster", "Corvo"]}),
            Effect("predictions", average_by="brand"),
            Effect(
                "comparisons", {"brand": ["Aster", "Borea", "Corvo"]}, {"load": [3.0, 5.0, 7.0]}
            ),
            Effect("slopes", {"load": [5.0]}, {"brand": ["Aster", "Borea", "Corvo"]}),
        ),
    ),
    "groups": Analysis(
        _grouped,
        "y ~ x + (x || g)",
        "student_t",
        (
            _coefficient("Intercept", 5.0),
            _coefficient("x", 5.0),
            Parameter("1|g_sigma", ("1|g_sigma",), "HalfNormal", (2.0,)),
            Parameter("x|g_sigma", ("x|g_sigma",), "HalfNormal", (1.0,)),
            _scale(2.0),
            NU,
        ),
        {"x": [-1.0, 0.0, 2.0], "g": ["A", "D", "J"]},
        (
            Effect("predictions", conditional={"x": [-1.0, 1.0], "g": ["B", "F"]}),
            Effect("comparisons", {"g": ["A", "E", "J"]}, {"x": [-1.0, 1.0]}),
            Effect("slopes", {"x": [0.5]}, {"g": ["C", "H"]}),
        ),
        formula_there="y ~ x + (x | g)",
        groups={
            term: tuple(f"{term}[{level}]" for level in "ABCDEFGHIJ") for term in ("1|g", "x|g")
        },
    ),
    "distributional": Analysis(
        _engel,
        "food ~ income",
        "normal",
        (
            _coefficient("Intercept", 0.5),
            _coefficient("income", 1.0),
            Parameter("sigma_Intercept", ("beta_sigma[Intercept]",), "Normal", (-2.0, 2.0)),
            Parameter("sigma_income", ("beta_sigma[income]",), "Normal", (0.0, 1.0)),
        ),
        {"income": [0.5, 1.0, 3.0]},
        (
            Effect("predictions", conditional={"income": [0.7, 1.5]}),
            Effect("predictions", conditional={"income": [0.7, 1.5]}, target="sigma"),
            Effect("comparisons", {"income": [0.5, 1.0]}, average_by="all"),
            Effect("comparisons", {"income": [0.5, 1.0]}, average_by="all", target="sigma"),
            Effect("slopes", {"income": [1.0]}, average_by="all"),
        ),
        sigma="income",
    ),
    "spline": Analysis(
        _wave,
        "y ~ 0 + bs(x, df=6, center=False)",
        "student_t",
        (
            Parameter(
                "bs(x, df=6, intercept=True)",
                tuple(f"bs(x, df=6, center=False)[{i}]" for i in range(6)),
                "Normal",
                (0.0, 5.0),
            ),
            _scale(1.0),
            NU,
        ),
        {"x": [0.5, 2.0, 3.5, 5.0]},
        (
            Effect("predictions", conditional={"x": [1.0, 3.0, 4.5]}),
            Effect("comparisons", {"x": [1.5, 4.5]}, average_by="all"),
            Effect("slopes", {"x": [3.0]}, average_by="all"),
        ),
        formula_there="y ~ 0 + bs(x, df=6, intercept=True)",
    ),
    "censored": Analysis(
        _censored,
        "censored(y, status) ~ x",
        "normal",
        (_coefficient("Intercept", 5.0), _coefficient("x", 5.0), _scale(2.0)),
        {"x": [-1.0, 0.0, 2.0]},
        (
            Effect("predictions", conditional={"x": [-1.0, 1.0]}),
            Effect("comparisons", {"x": [-1.0, 1.0]}, average_by="all"),
            Effect("slopes", {"x": [0.0]}, average_by="all"),
        ),
    ),
}


# --- either package: a fit, and the draws of what is compared


def fit_here(analysis: Analysis, frame: pd.DataFrame, draws: int, seed: int) -> tuple[Draws, int]:
    """Return what this package draws, and how many divergences there were."""
    from numpyro import distributions

    from robust_dist import effects
    from robust_dist.regression import Regression, predict

    formulas: Any = analysis.formula
    if analysis.sigma:
        formulas = {analysis.response: analysis.formula, "sigma": f"~ {analysis.sigma}"}
    priors = {
        name: getattr(distributions, parameter.law)(*parameter.arguments)
        for parameter in analysis.parameters
        for name in parameter.names
    }
    dt = Regression(formulas, frame, analysis.likelihood, priors).fit(
        draws=draws, warmup=1000, chains=CHAINS, seed=seed, progress=False
    )
    found: Draws = {PARAMETERS: dict(_parameters_here(analysis, dt["posterior"].dataset))}
    new = pd.DataFrame(analysis.new)
    means = predict(dt, new).transpose("chain", "draw", "row").values
    responses = predict(dt, new, kind="response", seed=seed)
    found[PREDICT] = _by_row(means)
    found[RESPONSES] = _by_row(responses.transpose("chain", "draw", "row").values)
    for effect in analysis.effects:
        arguments = [dict(effect.values)] if effect.values else []
        result = getattr(effects, effect.kind)(
            dt,
            *arguments,
            conditional=effect.conditional,
            average_by=effect.average_by,
            target=effect.target,
        )
        values = result.draws.transpose("chain", "draw", "row").values
        summary = result.summary.reset_index(drop=True)
        for place, line in summary.iterrows():
            label = _label(effect, str(line.get("contrast", "")), line)
            found.setdefault(effect.kind, {})[label] = values[..., place]
    return found, int(dt["sample_stats"]["diverging"].sum())


def _parameters_here(analysis: Analysis, posterior: Any) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the draws of each shared parameter by its name here."""
    for name in (name for parameter in analysis.parameters for name in parameter.names):
        if name in posterior:
            yield name, posterior[name].values.reshape(CHAINS, -1)
            continue
        part, _, element = name.partition("[")
        site, coefficient = (part, element[:-1]) if part.startswith("beta_") else ("beta", name)
        dimension = next(d for d in posterior[site].dims if d not in ("chain", "draw"))
        yield name, posterior[site].sel({dimension: coefficient}).values
    for term, names in analysis.groups.items():
        values = posterior[term].values
        yield from zip(names, np.moveaxis(values, -1, 0), strict=True)


def fit_there(analysis: Analysis, frame: pd.DataFrame, draws: int, seed: int) -> tuple[Draws, int]:
    """Return what Bambi draws, and how many divergences there were."""
    import bambi as bmb

    formulas = [analysis.formula_there or analysis.formula]
    priors: dict[str, Any] = {}
    for parameter in analysis.parameters:
        law = bmb.Prior(
            parameter.law, **dict(zip(LAWS[parameter.law], parameter.arguments, strict=True))
        )
        if parameter.bambi.endswith("|g_sigma"):
            effect = parameter.bambi.removesuffix("_sigma")
            priors[effect] = bmb.Prior("Normal", mu=0, sigma=law)
        elif analysis.sigma and parameter.bambi.startswith("sigma_"):
            priors.setdefault("sigma", {})[parameter.bambi.removeprefix("sigma_")] = law
        else:
            priors[parameter.bambi] = law
    if analysis.sigma:
        formulas.append(f"sigma ~ {analysis.sigma}")
    model = bmb.Model(
        bmb.Formula(*formulas),
        frame,
        family=FAMILIES[analysis.likelihood],
        priors=priors,
        center_predictors=False,
    )
    idata = model.fit(
        draws=draws,
        tune=1000,
        chains=CHAINS,
        cores=2,
        target_accept=0.95,
        random_seed=seed,
        progressbar=False,
    )
    posterior = idata["posterior"].dataset
    found: Draws = {PARAMETERS: {}}
    elements = {parameter.bambi: parameter.names for parameter in analysis.parameters}
    for variable, names in {**elements, **analysis.groups}.items():
        values = posterior[variable].values.reshape(CHAINS, draws, -1)
        found[PARAMETERS] |= dict(zip(names, np.moveaxis(values, -1, 0), strict=True))
    predicted = model.predict(
        idata, "response", pd.DataFrame(analysis.new), inplace=False, random_seed=seed
    )
    found[PREDICT] = _by_row(predicted["posterior"]["mu"].values)
    found[RESPONSES] = _by_row(predicted["posterior_predictive"][analysis.response].values)
    for effect in analysis.effects:
        found.setdefault(effect.kind, {}).update(_effect_there(effect, model, idata, frame))
    return found, int(idata["sample_stats"]["diverging"].sum())


def _effect_there(
    effect: Effect, model: Any, idata: Any, data: pd.DataFrame
) -> dict[str, np.ndarray]:
    """Return the draws of what Bambi's ``interpret`` estimates, and see that it is their mean.

    Its draws are those of the predictions that it compares.
    """
    from bambi import interpret

    arguments: list[Any] = []
    for name, values in effect.values.items():
        arguments = [{name: values[0] if effect.kind == "slopes" else values}]
    result = getattr(interpret, effect.kind)(
        model,
        idata,
        *arguments,
        conditional=effect.conditional and {k: list(v) for k, v in effect.conditional.items()},
        average_by=effect.average_by,
        target=effect.target,
    )
    variable = "mu" if effect.target == "mean" else effect.target
    every = result.draws["posterior"][variable].transpose("chain", "draw", ...).values
    if effect.conditional is None:
        rows = data
    else:
        names = list(effect.conditional)
        rows = pd.DataFrame(product(*effect.conditional.values()), columns=names)
    if effect.kind == "predictions":
        kinds = {"": every}
    else:
        # the predictor that changes varies slowest
        parts = np.split(every, every.shape[-1] // len(rows), axis=-1)
        if effect.kind == "slopes":
            kinds = {"dydx": (parts[1] - parts[0]) / 1e-4}
        else:
            ((_, values),) = effect.values.items()
            kinds = {
                f"{_written(values[high])} - {_written(values[low])}": parts[high] - parts[low]
                for low, high in combinations(range(len(values)), 2)
            }
    found = {}
    for contrast, draws in kinds.items():
        for line, members in _averaged(rows, effect.average_by):
            found[_label(effect, contrast, line)] = draws[..., members].mean(-1)
    estimates = sorted(result.summary["estimate"])
    np.testing.assert_allclose(sorted(map(np.mean, found.values())), estimates, rtol=1e-6)
    return found


def _averaged(
    rows: pd.DataFrame, average_by: str | None
) -> Iterator[tuple[Mapping[str, Any], np.ndarray]]:
    """Yield what tells a line of the summary, and the rows of the grid that it averages."""
    if average_by == "all":
        yield {}, np.arange(len(rows))
    elif average_by is not None:
        for level in sorted(rows[average_by].unique()):
            yield {average_by: level}, np.flatnonzero(rows[average_by] == level)
    else:
        for place, line in enumerate(rows.to_dict("records")):
            yield line, np.array([place])


def _label(effect: Effect, contrast: str, line: Mapping[str, Any]) -> str:
    """Return the name of an estimate, the same from either package."""
    names = [] if effect.average_by == "all" else [*(effect.conditional or [effect.average_by])]
    parts = [effect.target, *effect.values, contrast]
    parts += [f"{name}={_written(line[name])}" for name in names]
    return " ".join(part for part in (*parts, "averaged" if effect.average_by else "") if part)


def _written(value: Any) -> str:
    return str(value) if isinstance(value, str) else f"{value:g}"


def _by_row(draws: np.ndarray) -> dict[str, np.ndarray]:
    return {f"row {row}": draws[..., row] for row in range(draws.shape[-1])}


# --- the comparison


def estimate(draws: Draws) -> Estimates:
    """Return means and sds with their Monte Carlo errors; of new responses quantiles."""
    from arviz_stats import mcse

    error = partial(mcse, chain_axis=0, draw_axis=1)
    found: Estimates = {}
    for quantity, values in draws.items():
        found[quantity] = {}
        for label, each in values.items():
            if quantity == RESPONSES:
                # heavy tails may have no mean
                for q in QUANTILES:
                    one = [np.quantile(each, q), error(each, method="quantile", prob=q)]
                    found[quantity][f"{label}, quantile {q:g}"] = [*map(float, one)]
                continue
            four = [each.mean(), error(each, method="mean"), each.std(), error(each, method="sd")]
            found[quantity][label] = [*map(float, four)]
    return found


def differences(here: Estimates, there: Estimates) -> dict[str, dict[str, np.ndarray]]:
    """Return the difference of each estimate in Monte Carlo errors: of the mean, and of the sd."""
    found: dict[str, dict[str, np.ndarray]] = {}
    for quantity, values in here.items():
        if values.keys() != there[quantity].keys():
            odd = values.keys() ^ there[quantity].keys()
            raise ValueError(f"only one package has, of {quantity}: {', '.join(sorted(odd))}")
        found[quantity] = {}
        for label, ours in values.items():
            a, b = (np.array(four).reshape(-1, 2) for four in (ours, there[quantity][label]))
            found[quantity][label] = (a[:, 0] - b[:, 0]) / np.hypot(a[:, 1], b[:, 1])
    return found


def ask_there(name: str, frame: pd.DataFrame, options: argparse.Namespace) -> Estimates:
    """Return what a process of Bambi's Python finds."""
    task = {"data": frame.to_dict("list"), "draws": options.draws, "seed": options.seed}
    done = subprocess.run(
        [options.peers_python, __file__, "there", name],
        input=json.dumps(task),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        # PyMC's order of variables, and with it the draws of a seed, follows the order of sets
        env=os.environ | {"PYTHONHASHSEED": "0"},
    )
    answer = json.loads(done.stdout.splitlines()[-1])
    print(f"{name}: {answer['divergences']} divergences in Bambi", file=sys.stderr, flush=True)
    return answer["estimates"]


def answer_there(name: str) -> None:
    """Be that process."""
    task = json.load(sys.stdin)
    frame = pd.DataFrame(task["data"])
    # what they print on the way is no answer
    with contextlib.redirect_stdout(sys.stderr):
        draws, divergences = fit_there(ANALYSES[name], frame, task["draws"], task["seed"])
        answer = {"estimates": estimate(draws), "divergences": divergences}
    print(json.dumps(answer))


def _rows(name: str, found: Mapping[str, Mapping[str, np.ndarray]]) -> Iterator[Row]:
    """Yield a line of the table for each quantity."""
    for quantity, values in found.items():
        means, *sds = np.array([*values.values()]).T
        largest = float(np.abs([means, *sds]).max())
        cells = [
            text
            for z in (means, *sds)
            for text in (f"{np.abs(z).max():.2f}", f"{np.sqrt(np.mean(z**2)):.2f}")
        ]
        cells += ["-"] * (4 - len(cells))
        yield f"{name}, {quantity}", str(len(values)), *cells, *against(largest, LARGEST_BAR)


def main() -> int:
    """Print the table; return 1 if a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--analyses", nargs="+", choices=ANALYSES, default=list(ANALYSES))
    parser.add_argument("--draws", type=int, default=4000, help="of each of 4 chains")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--peers-python", default=sys.executable, help="a Python with Bambi")
    parser.add_argument("--largest", action="store_true", help="name the largest differences")
    options = parser.parse_args()
    print(header(f"Parity with Bambi, 4 chains of {options.draws} draws"), flush=True)
    lines: list[Row] = []
    every: list[np.ndarray] = []
    named: list[tuple[float, str]] = []
    for name in options.analyses:
        analysis = ANALYSES[name]
        frame = analysis.data()
        there = ask_there(name, frame, options)
        draws, divergences = fit_here(analysis, frame, options.draws, options.seed)
        print(f"{name}: {divergences} divergences here", file=sys.stderr)
        found = differences(estimate(draws), there)
        lines += _rows(name, found)
        for quantity, values in found.items():
            every += values.values()
            named += [
                (float(np.abs(z).max()), f"{name}, {quantity}: {label}, {z.round(2)}")
                for label, z in values.items()
            ]
    whole = np.concatenate(every)
    rms = float(np.sqrt(np.mean(whole**2)))
    columns = (
        "analysis, quantity",
        "estimates",
        "largest of means",
        "rms",
        "largest of sds",
        "rms",
        "bar",
        "verdict",
    )
    print(table(columns, lines))
    bar, verdict = against(rms, RMS_BAR)
    print(
        f"\nroot mean square of all {whole.size}: {rms:.2f}, bar {bar}: {verdict}\n\n{CONVENTIONS}"
    )
    if options.largest:
        print("\n".join(text for _, text in sorted(named, reverse=True)[:10]))
    return int(rms > RMS_BAR or float(np.abs(whole).max()) > LARGEST_BAR)


if __name__ == "__main__":
    if sys.argv[1:2] == ["there"]:
        answer_there(sys.argv[2])
    else:
        sys.exit(main())
