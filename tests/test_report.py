"""The report holds everything, asks for nothing, and takes no word of the data for markup."""

import re
from html.parser import HTMLParser

from fits import compared, made_up

from robust_dist import diagnostics
from robust_dist.cli._report import comparison_picture, comparison_report, fit_pictures, fit_report


class Page(HTMLParser):
    """What a browser would find."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.open = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        """Note an element."""
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in {"meta", "img", "br"}:
            self.open.append(tag)

    def handle_endtag(self, tag):
        """Close the last one."""
        assert self.open.pop() == tag  # every element is closed where it should be


def report(dt, **options):
    table = diagnostics.outliers(dt)
    arguments = {"comparison": None, "problems": (), "priors": "alpha  Uniform(0, 2)", **options}
    return fit_report(dt, dt.attrs["formula"], fit_pictures(dt), table, **arguments)


def fit(**options):
    dt = made_up(**options)
    dt.attrs.update(seed=17, warmup=10)
    return dt


def test_everything_is_inside():
    page = Page(text := report(fit(), comparison=compared(["laplace", "normal"])))
    assert page.open == []
    sources = [value for name, value in page.attributes if name in {"src", "href"}]
    assert len(sources) == 5  # alpha, fit, weights, tails, comparison
    assert all(source.startswith("data:image/png;base64,") for source in sources)
    assert not {"script", "link", "iframe"} & set(page.tags)
    assert not re.search(r"url\(|@import", text)
    for words in (
        "seed</th><td>17",
        "numpyro",
        "Uniform(0, 2)",
        "Pareto-k",
        "beyond 3 robust sd",
        "observed",
    ):
        assert words in text
    # the row that lies off the line leads the table of outliers
    assert re.search(r"pit.*?<tbody>\s*<tr>\s*<th>40</th>", text, re.DOTALL)
    assert "normal predicts worse than laplace" in text
    assert text.count('alt="') == 5


def test_words_of_the_data_are_no_markup():
    dt = fit(coefficients=("Intercept", "<script>x</script>"))
    dt.attrs["formula"] = "<b>y</b> ~ x"
    text = report(dt, problems=("a <i>warning</i>",), priors="<u>alpha</u>")
    assert not {"script", "b", "i", "u"} & set(Page(text).tags)
    assert "&lt;script&gt;" in text
    assert "a &lt;i&gt;warning" in text


def test_several_predictors_are_drawn_one_by_one():
    pictures = fit_pictures(fit(coefficients=("Intercept", "x", "z")))
    assert {"partial x", "partial z"} <= set(pictures)


def test_a_comparison_has_a_page_of_its_own():
    comparison = compared(["laplace", "normal"])
    text = comparison_report(comparison, comparison_picture(comparison), ["chains disagree"])
    page = Page(text)
    assert page.open == []
    assert page.tags.count("img") == 1
    for words in ("chains disagree", "Pareto k was high in row 3", "laplace", "0.90"):
        assert words in text
