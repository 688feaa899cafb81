"""README, pages and command line say the same, and what they show runs."""

import doctest
import importlib
import os
import re
import shlex
import tomllib
from pathlib import Path

import pytest

import robust_dist
from robust_dist.cli import _parser

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
REFERENCE = (ROOT / "docs/reference.md").read_text()
DOCS = ROOT / "docs"
# docs/conf.py copies the notebooks into docs/notebooks; their links count from there
PAGES = {
    **{path.relative_to(DOCS).as_posix(): path for path in DOCS.glob("*.md")},
    **{
        path.relative_to(DOCS).as_posix(): path
        for folder in ("howto", "coming_from")
        for path in (DOCS / folder).glob("*.md")
    },
    **{f"notebooks/{path.name}": path for path in (ROOT / "notebooks").glob("*.md")},
}
# need packages that are not installed for the pages, and say so
NOT_RUN = {"howto/bambi.md", "howto/other_samplers.md"}
HARD_WORDS = ["regression", "outliers", "read_alpha", "many_fits"]


def public_modules():
    """Return the names of the modules that declare what is public, none with an underscore."""
    for path in sorted((ROOT / "robust_dist").rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        parts = parts[:-1] if parts[-1] == "__init__" else parts
        private = any(part.startswith("_") for part in parts)
        if not private and re.search(r"^__all__ = ", path.read_text(), re.MULTILINE):
            yield ".".join(parts)


def blocks(language):
    """Return the README's fenced blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def test_quick_start_is_two_commands():
    """Whoever copies the first two blocks does the main job and runs the tests."""
    install = "python3 -m pip install uv && python3 -m uv run "
    assert blocks("sh")[:2] == [f"{install}robust-dist fit stackloss\n", f"{install}pytest\n"]


@pytest.mark.parametrize("block", range(len(blocks("python"))))
def test_readme_python_runs(block, capsys):
    namespace = {}
    exec(blocks("python")[block], namespace)
    lines = [line for line in blocks("python")[block].splitlines() if line]
    if "fit" in namespace:
        # two lines of imports, and the least that fits and predicts
        assert len(lines) <= 7
        low, middle, high = namespace["new"].quantile([0.025, 0.5, 0.975], ("chain", "draw")).values
        assert (low < middle).all()
        assert (middle < high).all()
    elif "mcmc" in namespace:
        rows = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines() if line)
        slope = float(rows["line[1]"].split()[0])
        # 2.24 is the slope of the inliers (Hogg, Bovy & Lang, figure 2); least squares gives 1.08
        assert 1.5 < slope < 2.8
        assert len(lines) <= 12


def test_commands_in_the_text_parse():
    """Every robust-dist command line of README and pages is one that the program accepts."""
    commands = set()
    for text in [README, *(path.read_text() for path in PAGES.values())]:
        flat = re.sub(r"`robust-dist [^`]+`", lambda match: match[0].replace("\n", " "), text)
        commands |= set(
            re.findall(r"robust-dist ((?:fit|compare|predict|plot|datasets)\b[^`\n]*)", flat)
        )
    assert len(commands) >= 4
    for command in commands:
        arguments = shlex.split(command)
        if "--help" not in arguments:
            _parser().parse_args(arguments)


@pytest.mark.parametrize("path", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"])
def test_links_lead_somewhere(path):
    for target in re.findall(r"\]\(([^)#]+)", (ROOT / path).read_text()):
        assert target.startswith("https://") or (ROOT / target).exists(), target


def test_ci_runs_what_the_readme_says():
    script = (ROOT / ".ci/run").read_text()
    assert "readme_block 1" in script
    assert "readme_block 2" in script
    assert blocks("sh")[-1].strip() in script


def test_versions_agree():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["version"] == robust_dist.__version__
    assert f"\nversion: {robust_dist.__version__}\n" in (ROOT / "CITATION.cff").read_text()
    assert f"## [{robust_dist.__version__}]" in (ROOT / "CHANGELOG.md").read_text()


@pytest.mark.parametrize("name", list(public_modules()))
def test_every_public_name_is_documented(name):
    """It has a docstring, and an entry in the reference."""
    module = importlib.import_module(name)
    assert module.__doc__
    whole = f".. automodule:: {module.__name__}\n   :members:" in REFERENCE
    for public in module.__all__:
        assert getattr(module, public).__doc__, public
        entry = rf"^\.\. (auto)?\w+:: ([\w.]+\.)?{public}$"
        assert whole or re.search(entry, REFERENCE, re.MULTILINE), public


def test_every_page_is_in_the_table_of_contents():
    index = PAGES["index.md"].read_text()
    trees = re.findall(r"^```{toctree}\n((?:[^`].*\n|\n)*)```$", index, re.MULTILINE)
    lines = [line for tree in trees for line in tree.split("\n")]
    listed = [f"{line}.md" for line in lines if line and line[0] != ":"]
    assert sorted(listed) == sorted(set(PAGES) - {"index.md"})


@pytest.mark.parametrize("page", PAGES)
def test_links_between_pages_lead_to_pages(page):
    """Each link of a page, bare or with a heading, is to a page that is built."""
    text = re.sub(r"^```.*?^```$", "", PAGES[page].read_text(), flags=re.MULTILINE | re.DOTALL)
    for target in re.findall(r"\]\(([^)#\s]+)", text):
        if not target.startswith("https://"):
            found = os.path.normpath(Path(page).parent / target)
            assert found in PAGES, f"{page} has a link to {target}"


@pytest.mark.parametrize("page", ["index", "tutorial", *(f"howto/{name}" for name in HARD_WORDS)])
def test_hard_words_lead_to_the_glossary(page):
    """A page that a newcomer reads first links a word that needs explaining to its line."""
    terms = re.findall(r"{term}`(?:[^`<]*<)?([^`<>]+)>?`", PAGES[f"{page}.md"].read_text())
    glossary = [line for line in PAGES["glossary.md"].read_text().splitlines() if line]
    assert terms
    assert set(terms) <= set(glossary)


@pytest.mark.parametrize("page", sorted(set(PAGES) - NOT_RUN))
def test_code_on_pages_runs_when_they_are_built(page):
    """No block is only coloured as Python: what is shown was run."""
    assert not re.search(r"^```py(thon)?$", PAGES[page].read_text(), re.MULTILINE)


@pytest.mark.parametrize("page", sorted(NOT_RUN))
def test_pages_say_what_they_do_not_run(page):
    assert "not run when this page is built" in " ".join(PAGES[page].read_text().split())


@pytest.mark.parametrize("page", sorted(name for name in PAGES if name.startswith("notebooks/")))
def test_notebooks_ask_first_and_answer_last(page):
    """A notebook states its question below the title, and its last section is what was learned."""
    text = PAGES[page].read_text()
    assert re.search(r"^# .+\n\n\*Question: ", text, re.MULTILINE)
    assert re.findall(r"^## (.+)$", text, re.MULTILINE)[-1] == "What was learned"


@pytest.mark.parametrize(
    "name",
    [
        f"robust_dist.{path.relative_to(ROOT / 'robust_dist').with_suffix('').as_posix()}"
        for path in sorted((ROOT / "robust_dist").rglob("*.py"))
        if ">>>" in path.read_text()
    ],
)
def test_examples_in_docstrings(name):
    module = importlib.import_module(name.replace("/", "."))
    result = doctest.testmod(module, optionflags=doctest.ELLIPSIS)
    assert result.attempted
    assert not result.failed
