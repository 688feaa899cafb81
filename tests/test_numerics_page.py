"""The page of derivations names functions that exist, and the map in CONTRIBUTING files that do."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "robust_dist"
PAGE = " ".join((ROOT / "docs/numerics.md").read_text().split())
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text()
# `_numerics/tails.py: function`, or a class and its method
CITED = sorted(set(re.findall(r"`(_numerics/[\w/]+\.py): ([\w.]+)`", PAGE)))


def names_of(path):
    """Return what a module defines, and the methods of its classes as ``Class.method``."""
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name
        if isinstance(node, ast.ClassDef):
            yield from (f"{node.name}.{part.name}" for part in node.body if hasattr(part, "name"))


@pytest.mark.parametrize("module", sorted({module for module, _ in CITED}))
def test_cited_functions_exist(module):
    cited = {name for of, name in CITED if of == module}
    assert cited <= set(names_of(PACKAGE / module))


def test_every_module_of_the_mathematics_is_cited():
    modules = {
        path.relative_to(PACKAGE).as_posix() for path in (PACKAGE / "_numerics").rglob("*.py")
    }
    assert {module for module, _ in CITED} == {m for m in modules if not m.endswith("__init__.py")}


def test_files_named_on_the_page_exist():
    for path in re.findall(r"`((?:_precompute|tests|benchmarks|robust_dist)/[\w/.]+)`", PAGE):
        assert (PACKAGE / path).exists() or (ROOT / path).exists(), path


def test_files_on_the_map_exist():
    drawings = re.findall(r"^```text\n(.*?)^```$", CONTRIBUTING, re.MULTILINE | re.DOTALL)
    house, trips = (re.sub(r"\(.*?\)", "", drawing) for drawing in drawings)
    rooms = re.findall(r"\b[\w/]+/(?=\s)", house)
    files = re.findall(r"\b\w+(?:/\w+)+(?=\s)", trips)
    assert len(rooms) > 12
    assert len(files) > 20
    for path in [*rooms, *files]:
        assert (PACKAGE / path).is_dir() or (PACKAGE / f"{path}.py").is_file(), path


def test_every_room_is_on_the_map():
    drawing = re.search(r"^```text\n(.*?)^```$", CONTRIBUTING, re.MULTILINE | re.DOTALL)[1]
    rooms = [path.parent for path in PACKAGE.rglob("__init__.py")] + [PACKAGE / "data"]
    for room in set(rooms) - {PACKAGE}:
        assert f"{room.relative_to(PACKAGE)}/" in drawing


def test_paths_in_the_text_exist():
    for path in re.findall(r"`([\w./-]+/[\w./-]*)`", CONTRIBUTING):
        path = path.replace("*", "")
        assert any((root / path).exists() for root in (ROOT, PACKAGE)), path
