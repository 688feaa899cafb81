"""What reads a fit refuses whatever is none, and one whose parts do not belong together."""

import numpy as np
import pandas as pd
import pytest
from fits import compared, made_up
from xarray import Dataset, DataTree

from robust_dist import datasets, diagnostics, plots
from robust_dist._errors import InputError
from robust_dist.regression import Regression, compare, predict

READERS = [
    diagnostics.divergences,
    diagnostics.explanation_problems,
    diagnostics.explanations,
    diagnostics.format_explanations,
    diagnostics.leverage,
    diagnostics.leverage_in_words,
    diagnostics.leverage_problems,
    diagnostics.loo_pit,
    diagnostics.misfit_problems,
    diagnostics.observation_weights,
    diagnostics.outliers,
    diagnostics.pit_residuals,
    diagnostics.prior_problems,
    diagnostics.problems,
    diagnostics.read_tails,
    diagnostics.sampling_problems,
    diagnostics.standardized_residuals,
    diagnostics.summary,
    diagnostics.tail_summary,
    plots.plot_alpha,
    plots.plot_fit,
    plots.plot_tails,
    plots.plot_weights,
    predict,
]


def refused(function, *arguments, **options):
    """Return the one line with which a call is refused."""
    with pytest.raises(InputError) as error:
        function(*arguments, **options)
    assert len(str(error.value).splitlines()) == 1
    return str(error.value)


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.__name__)
@pytest.mark.parametrize("value", [None, "x.nc", 5, pd.DataFrame(), DataTree()], ids=repr)
def test_what_is_no_fit_is_refused(reader, value):
    assert "fit" in refused(reader, value)


def change(group, **variables):
    """Return a change of a fit: variables of a group replaced, or dropped for None."""

    def changed(dt):
        dataset = dt[group].to_dataset()
        dropped = [name for name, value in variables.items() if value is None]
        dt[group] = dataset.drop_vars(dropped).assign(
            {name: value for name, value in variables.items() if value is not None}
        )

    return changed


DRAWS = ("chain", "draw")


def explained(names=("Intercept", "x"), **changed):
    """Return what puts other explanations into a fit, some of them changed."""
    both, numbers = ("explanation", "coefficient"), np.zeros((2, len(names)))
    table = dict.fromkeys(("mean", "sd", "shift"), (both, numbers))
    table |= {name: ("explanation", np.zeros(2)) for name in ("weight", "elsewhere")}
    kept = {name: value for name, value in (table | changed).items() if value is not None}
    coords = {"explanation": ["posterior", "downweighted"], "coefficient": list(names)}
    return lambda dt: dt.update({"explanations": DataTree(Dataset(kept, coords))})


TAMPERED = {
    "no posterior": lambda dt: dt.children["posterior"].orphan(),
    "no rows": lambda dt: dt.children["observed_data"].orphan(),
    "no constants": lambda dt: dt.children["constant_data"].orphan(),
    "no likelihood": lambda dt: dt.attrs.pop("likelihood"),
    "no response": lambda dt: dt.attrs.pop("response"),
    "unknown likelihood": lambda dt: dt.attrs.update(likelihood="os.system"),
    "likelihood of numbers": lambda dt: dt.attrs.update(likelihood=np.arange(3)),
    "another likelihood": lambda dt: dt.attrs.update(likelihood="student_t"),
    "fixed as text": lambda dt: (
        change("posterior", sigma=None)(dt),
        dt.attrs.update(sigma_fixed="__import__('os')"),
    ),
    "no coefficients": change("posterior", beta=None),
    "no shape": change("posterior", alpha=None),
    "no scale": change("posterior", sigma=None),
    "nameless coefficients": change("posterior", coefficient=None),
    "coefficients of text": change("posterior", beta=((*DRAWS, "k"), np.full((2, 500, 2), "a"))),
    "coefficients without draws": change("posterior", beta=("k", np.zeros(2))),
    "other dimensions": change("posterior", beta=((*DRAWS, "k"), np.zeros((2, 500, 2)))),
    "no responses": change("observed_data", y=None),
    "responses of text": change("observed_data", y=("row", ["a"] * 40)),
    "nameless rows": change("observed_data", row=None),
    "a matrix of responses": change("observed_data", y=(("row", "k"), np.zeros((40, 2)))),
    "a design of text": change("constant_data", x=(("row", "k"), np.full((40, 2), "a"))),
    "a design of other columns": change("constant_data", coefficient=["Intercept", "z"]),
    "a design of other width": change("constant_data", x=(("row", "k"), np.zeros((40, 3)))),
    "fewer rows": lambda dt: dt.update({"constant_data": dt["constant_data"].isel(row=slice(9))}),
    "levels that are none": change(
        "constant_data",
        **{"1|g_index": ("row", np.full(40, 9)), "1|g_x": ("row", np.ones(40))},
    ),
    "explanations of other coefficients": explained(("a", "b")),
    "explanations without means": explained(mean=None),
    "explanations of text": explained(sd=(("explanation", "coefficient"), np.full((2, 2), "a"))),
    "explanations by nobody": lambda dt: dt.update({"explanations": DataTree()}),
    "effects that are none": change("constant_data", **{"1|g_index": ("row", np.zeros(40, int))}),
}


@pytest.mark.parametrize("tamper", TAMPERED.values(), ids=TAMPERED)
@pytest.mark.parametrize(
    "reader",
    [
        *(diagnostics.outliers, diagnostics.summary, plots.plot_fit, predict),
        *(diagnostics.explanations, diagnostics.format_explanations),
        *(diagnostics.leverage_problems, diagnostics.leverage_in_words),
    ],
)
def test_a_fit_whose_parts_do_not_belong_together_is_refused(reader, tamper):
    """Nothing in it is computed with before."""
    dt = made_up()
    tamper(dt)
    refused(reader, dt)


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        (plots.plot_comparison, (5,)),
        (plots.plot_comparison, (pd.DataFrame(),)),
        (diagnostics.name_outliers, (5,)),
        (diagnostics.format_summary, ("x",)),
        (datasets.load, (5,)),
        (datasets.load, (["stackloss"],)),
    ],
)
def test_other_arguments_of_the_wrong_type_are_named(function, arguments):
    refused(function, *arguments)


def rows(n=20):
    rng = np.random.default_rng(0)
    x = rng.normal(size=n)
    return pd.DataFrame({"x": x, "y": x + rng.normal(size=n)})


@pytest.mark.parametrize(
    "formula",
    [
        *(None, 5, b"y ~ x", ["y ~ x"], ("y", "x"), {"y": None}, {"y": 5}, {1: "y ~ x"}, {}),
        *({"y": "y ~ x", "alpha": None}, np.array("y ~ x")),
    ],
    ids=repr,
)
def test_a_formula_that_is_no_text_is_refused(formula):
    assert "formula" in refused(Regression, formula, rows())


@pytest.mark.parametrize(
    ("option", "value"),
    [
        *(("likelihood", value) for value in (None, 5, "", ["normal"])),
        *(("priors", value) for value in (5, [], [1], "alpha")),
        *(("drop_missing", value) for value in (1, "yes", None)),
        *(("leverage", value) for value in (1, "weights", None, ["report"])),
        *(("resolution", value) for value in (0, -1.0, "1", True, np.nan, [1.0])),
        *(("functions", value) for value in (5, "f", ["f"])),
    ],
)
def test_an_option_of_a_regression_of_the_wrong_type_is_named(option, value):
    assert option in refused(Regression, "y ~ x", rows(), **{option: value})


def test_alpha_given_twice_is_refused():
    assert "alpha is given twice" in refused(
        Regression, "y ~ x", rows(), priors={"alpha": 1.0}, alpha=2.0
    )


COUNTS = (0, -1, 1.5, 3.0, "5", None, True, np.True_, [5], np.float64(3), np.array(3))
WRONG = {
    "draws": COUNTS,
    "warmup": COUNTS,
    "chains": COUNTS,
    "seed": (-1, 1.5, "a", None, True, 2**32, 2**70),
    "target_accept": (0, 1, -1, 2, "a", None, np.nan, True),
    "method": (None, 5, "NUTS", "", ["nuts"]),
    "progress": ("yes", 1),
    "stage": (5, "x"),
    "mesh": (5, "x"),
}


def unreachable(*arguments, **options):
    pytest.fail("the arguments have passed")


@pytest.mark.parametrize(
    ("option", "value"), [(name, value) for name, values in WRONG.items() for value in values]
)
def test_an_option_of_a_fit_of_the_wrong_type_is_named(option, value, monkeypatch):
    """Before anything is compiled."""
    monkeypatch.setattr("robust_dist.regression.fit.prepare", unreachable)
    regression = Regression("y ~ x", rows(), "normal")
    assert option in refused(regression.fit, **{option: value})


class PassedError(Exception):
    """The arguments have passed."""


@pytest.mark.parametrize("kind", [int, np.int64, np.int32, np.uint8])
def test_whole_numbers_of_numpy_are_whole_numbers(kind, monkeypatch):
    def prepare(model, data, sites, count, thin):
        assert (count, type(count)) == (6, int)
        raise PassedError

    monkeypatch.setattr("robust_dist.regression.fit.prepare", prepare)
    regression = Regression("y ~ x", rows(), "normal")
    with pytest.raises(PassedError):
        regression.fit(draws=kind(3), warmup=kind(4), chains=kind(2), seed=kind(1))


@pytest.mark.parametrize(
    ("likelihoods", "options"),
    [
        *((value, {}) for value in (5, "normal", ["normal"], [], ["normal", "zz"], [1, 2])),
        (["normal", "cauchy"], {"refits": -1}),
        (["normal", "cauchy"], {"refits": "a"}),
        (["normal", "cauchy"], {"priors": 5}),
        (["normal", "cauchy"], {"priors": {5: {}}}),
        (["normal", "cauchy"], {"priors": {"normal": 5}}),
        (["normal", "cauchy"], {"method": "map"}),
        (["normal", "cauchy"], {"method": None}),
        (["normal", "cauchy"], {"draws": "5"}),
        (["normal", "cauchy"], {"draws": 5, "chains": 1}),
    ],
)
def test_a_comparison_of_the_wrong_types_is_refused(likelihoods, options, monkeypatch):
    """Before the first is fitted."""
    monkeypatch.setattr(Regression, "fit", unreachable)
    refused(compare, "y ~ x", rows(), likelihoods, **options)


@pytest.mark.parametrize(
    "options",
    [{"kind": None}, {"kind": "foo"}, {"unseen": 5}, {"seed": -1}, {"seed": "a"}, {"functions": 5}],
)
def test_an_option_of_a_prediction_of_the_wrong_type_is_named(options):
    (option,) = options
    assert option in refused(predict, made_up(), {"x": [1.0]}, **options)


def test_a_comparison_is_drawn_from_its_table_too():
    comparison = compared(["normal", "cauchy"])
    assert plots.plot_comparison(comparison.table).get_yticklabels()
