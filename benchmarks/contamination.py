"""Show in what limit the posterior of the contaminated law forgets outliers, and at what price.

    python benchmarks/contamination.py [--draws N] [--sets N]

**Limit.** Forty rows of a line with Normal noise; then the response of one of them, or of eight (a
fifth), is moved by 1e1 to 1e12 standard deviations of the noise. The theorem, of
docs/contamination.md, says what the posterior tends to: that of the other rows, with the prior of
the contamination, Beta(a, b), updated by k outliers to Beta(a + k, b). Priors and background are
held at those of the data before any row was moved, as the theorem has it. Printed are, for each law
and distance, how far the posterior mean of each parameter is from that limit, in its posterior sds;
the ratio of the posterior sds that is farthest from 1; and the share of draws that diverged. Bars,
for the contaminated law at 1e12: means within 0.05 sd, sds within 5 %, no divergence.

**Noise.** Fifty rows, three slopes of 2, under default priors; noise that is Normal, and noise of
which a tenth has ten times the sd. Printed are the mean squared error of the slopes' posterior
means over that of least squares (Normal) or of Student's t (contaminated), with the standard error
of the ratio over the same sets, and the coverage of 95 % intervals. Bars: 1.06 and 0.95, 93 to
97 %.

**Outlier probabilities.** Thirty rows of which a share of Beta(1, 9) follows the background, under
default priors but for the background, which is held at that which the outliers come from. Printed
are, for ten bins of the probabilities, how many rows have one of them, their mean, and the share of
outliers among them, with the 95 % band of that if the probabilities are right. Bar: all in their
bands, each of 99.5 % so that all ten together are of 95 %.

Exit status 1 if a bar is missed. Takes five minutes with 300 sets.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from typing import Any

import numpy as np
import numpyro.distributions as dist
import pandas as pd
from _report import header, table
from default_priors import simulate

from robust_dist.regression import Regression
from robust_dist.regression.datatree import parameters, posterior_alone
from robust_dist.regression.likelihoods import find_likelihood
from robust_dist.regression.posterior.run import Run
from robust_dist.regression.row_laws import row_parameters

ROWS, SHARE = 40, 5
DISTANCES = (1e1, 1e2, 1e3, 1e4, 1e6, 1e9, 1e12)
A, B = 1.0, 9.0
PRIORS: dict[str, Any] = {
    "Intercept": dist.Normal(0.0, 10.0),
    "x": dist.Normal(0.0, 10.0),
    "alpha": dist.Uniform(0.0, 2.0),
}
BACKGROUND = {"background_loc": 0.0, "background_scale": 10.0}
NAMES = ("Intercept", "x", "sigma", "alpha", "contamination")
SIGNS = 3
"""one outlier in so many lies below"""


def data() -> pd.DataFrame:
    """Return clean rows."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=ROWS)
    return pd.DataFrame({"x": x, "y": x + rng.normal(size=ROWS)})


def posterior(frame: pd.DataFrame, law: str, outliers: int, draws: int) -> tuple[Any, float]:
    """Return draws of each parameter, and the share that diverged, after so many outliers."""
    priors = {**PRIORS, "sigma": dist.InverseGamma(0.3, 0.1)}
    if law == "contaminated":
        priors |= {"contamination": dist.Beta(A + outliers, B), **BACKGROUND}
    regression = Regression("y ~ x", frame, law, priors)
    run = Run(draws, 1000, 4, 0.9, dense=False)
    sites, statistics, *_ = regression.draw((0, outliers), run, "nutpie")
    found = {name: values.ravel() for name, values in sites.items() if not name.endswith("_z")}
    for name, values in parameters(regression.setting, sites).items():
        if name == "beta":
            found |= {each: values[..., i].ravel() for i, each in enumerate(("Intercept", "x"))}
        else:
            found[name] = values.ravel()
    return found, float(statistics["diverging"].mean())


def compared(law: str, outliers: int, draws: int) -> tuple[list[tuple[str, ...]], bool]:
    """Return a line for each distance and parameter, and whether the bars are met at the last."""
    clean = data()
    moved = np.arange(outliers)
    limit, _ = posterior(clean.drop(index=moved), law, outliers, draws)
    lines = []
    good = True
    for distance in DISTANCES:
        frame = clean.copy()
        frame.loc[moved, "y"] += distance * np.where(moved % SIGNS, 1, -1)
        found, diverged = posterior(frame, law, 0, draws)
        shifts, ratios = {}, {}
        for name, values in limit.items():
            shifts[name] = abs(found[name].mean() - values.mean()) / values.std()
            ratios[name] = found[name].std() / values.std()
        names = [name for name in NAMES if name in limit]
        widest = max((ratios[name] for name in names), key=lambda ratio: abs(np.log(ratio)))
        lines.append(
            (
                f"{law}, {outliers} of {ROWS} at {distance:.0e}",
                *(f"{shifts[name]:.3f}" if name in limit else "-" for name in NAMES),
                f"{widest:.3f}",
                f"{100 * diverged:.2g} %",
            )
        )
        worst = max(shifts[name] for name in names)
        good = worst <= 0.05 and abs(widest - 1) <= 0.05 and diverged == 0
    return lines, good


def noise(sets: int) -> bool:
    """Print errors and coverage under two kinds of noise; return whether the bars are met."""
    slope, rows, run = 2.0, 50, Run(500, 500, 2, 0.8, dense=False)
    names = ("least squares", "student_t", "general_robust", "contaminated")
    met, lines = True, []
    for kind, against, bar in (("Normal", 0, 1.06), ("a tenth of sd 10", 1, 0.95)):
        errors, covered = np.zeros((sets, len(names))), np.zeros((sets, len(names)))
        for number in range(sets):
            rng = np.random.default_rng([number, 1])
            x, y = rng.normal(size=(rows, 3)), rng.normal(size=rows)
            if against:
                y *= np.where(rng.random(rows) < 0.1, 10.0, 1.0)
            y += x.sum(axis=1) * slope
            design = np.column_stack([np.ones(rows), x])
            fitted = np.linalg.lstsq(design, y, rcond=None)[0][1:]
            errors[number, 0] = np.sum((fitted - slope) ** 2)
            table_of_data = pd.DataFrame({"y": y, "a": x[:, 0], "b": x[:, 1], "c": x[:, 2]})
            for column, law in enumerate(names[1:], 1):
                regression = Regression("y ~ a + b + c", table_of_data, law)
                sites, *_ = regression.draw((number,), run, "nutpie")
                beta = parameters(regression.setting, sites)["beta"].reshape(-1, 4)[:, 1:]
                errors[number, column] = np.sum((beta.mean(axis=0) - slope) ** 2)
                low, high = np.quantile(beta, [0.025, 0.975], axis=0)
                covered[number, column] = np.mean((low < slope) & (slope < high))
        chosen = np.random.default_rng(0).integers(0, sets, (500, sets))
        for column, law in enumerate(names):
            ratio = errors[:, column].mean() / errors[:, against].mean()
            again = errors[chosen].mean(axis=1)
            error = np.std(again[:, column] / again[:, against])
            coverage = covered[:, column].mean()
            told = f"{100 * coverage:.1f} %" if column else "-"
            lines.append((f"{kind}: {law}", f"{ratio:.3f} ± {error:.3f}", told))
            if law == "contaminated":
                met &= ratio <= bar and abs(coverage - 0.95) <= 0.02
    print(table(["noise", f"MSE over {names[0]}, {names[1]}", "95 % covers"], lines))
    return met


def outliers(sets: int, as_default: bool = False) -> bool:
    """Print the reliability of outlier probabilities; return whether it is in its band.

    Of fits that know the background, but for its default.
    """
    truths, regressions = simulate("contaminated", 30, sets, 1)
    likelihood, bad, told = find_likelihood("contaminated"), truths["outliers"], []
    for number, by_default in enumerate(regressions):
        design = by_default.design
        columns = {"y": design.y, "x1": design.values[1], "x2": design.values[2]}
        held = dict(zip(BACKGROUND, truths["background"][:, number], strict=True))
        regression = Regression("y ~ x1 + x2", columns, "contaminated", held)
        if as_default:
            regression = by_default
        run = Run(250, 500, 4, 0.8, dense=False)
        sites, *_ = regression.draw((number,), run, "nutpie")
        dt = posterior_alone(regression.setting, sites)
        z, _, law = likelihood.reduced(regression.design.y, row_parameters(dt))
        told.append(likelihood.outlier_probability(z, law).astype(np.float32))
    probability = np.stack([each.mean(axis=0) for each in told])
    # what would be outliers if each data set came from one of its own posterior's draws
    rng = np.random.default_rng(0)
    draws = np.stack([each[rng.permutation(len(each))] for each in told], axis=1)
    right = rng.random(draws.shape, np.float32) < draws
    lines, met = [], True
    edges = np.linspace(0, 1, 11)
    for low, high in itertools.pairwise(edges):
        within = (probability >= low) & (probability <= high if high == 1 else probability < high)
        count = int(within.sum())
        if not count:
            continue
        shares = right[:, within].mean(axis=1)
        band = np.quantile(shares, [0.025, 0.975])
        observed = bad[within].mean()
        # ten bands together: each of 99.5 %
        wide = np.quantile(shares, [0.0025, 0.9975])
        met &= bool(wide[0] <= observed <= wide[1])
        lines.append(
            (
                f"{low:.1f} to {high:.1f}",
                str(count),
                f"{probability[within].mean():.3f}",
                f"{observed:.3f}",
                f"{band[0]:.3f} to {band[1]:.3f}",
            )
        )
    print(table(["probability", "rows", "mean", "outliers", "95 % band"], lines))
    return met


def main() -> int:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", type=int, default=300, help="of data, for noise and outliers")
    parser.add_argument("--draws", type=int, default=10_000, help="of each of four chains")
    arguments = parser.parse_args()
    print(header("Outliers that go to infinity"), flush=True)
    lines, met = [], True
    for law in ("contaminated", "general_robust"):
        for moved in (1, ROWS // SHARE):
            found, good = compared(law, moved, arguments.draws)
            lines += found
            met &= good or law != "contaminated"
    print(table(["means off the limit, in its sds", *NAMES, "sd ratio", "diverged"], lines))
    verdicts = {f"limit at {DISTANCES[-1]:.0e}": met}
    if arguments.sets:
        print()
        verdicts["noise"] = noise(arguments.sets)
        print()
        verdicts["outlier probabilities"] = outliers(arguments.sets)
    for name, good in verdicts.items():
        print(f"{name}: {'met' if good else 'MISSED'}")
    return int(not all(verdicts.values()))


if __name__ == "__main__":
    sys.exit(main())
