"""The rooms of the house: few at the top, and imports that point down and never in a circle."""

import ast
import graphlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "robust_dist"

# from the ground up; a room may import what stands on a lower line, and its own
FLOORS = (
    ("_cache", "_tables", "_words"),
    ("_errors",),
    ("_arguments",),
    ("_csv", "_numerics", "constraints"),
    ("datasets", "distributions"),
    ("many_rows", "optimize", "transforms"),
    ("losses",),
    ("regression",),
    ("diagnostics",),
    ("effects", "sklearn"),
    ("plots",),
    ("cli",),
)
# not used at run time: makes the tables, and must agree with what reads them
GENERATORS = "_precompute"
FLOOR = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}


def module_of(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_of(path): path for path in PACKAGE.rglob("*.py")}


def room_of(module):
    return module.split(".")[1]


def imports_of(module):
    """Return the package's modules that one imports, inside of functions and for types too."""
    imported = set()
    for node in ast.walk(ast.parse(MODULES[module].read_text())):
        names = []
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("robust_dist"):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        for name in names:
            while name.startswith("robust_dist") and name not in MODULES:
                name = name.rpartition(".")[0]
            # names at the package's top are resolved on first use
            if name.startswith("robust_dist."):
                imported.add(name)
    return imported - {module}


def test_few_rooms_stand_at_the_top():
    assert {room_of(name) for name in MODULES if "." in name} == {*FLOOR, GENERATORS}
    flat = {path.stem for path in PACKAGE.glob("*.py")} - {"__init__"}
    assert len(flat) <= 8


@pytest.mark.parametrize("module", sorted(set(MODULES) - {"robust_dist"}))
def test_imports_point_down(module):
    room = room_of(module)
    if room == GENERATORS:
        return
    for imported in imports_of(module):
        other = room_of(imported)
        assert other == room or FLOOR[other] < FLOOR[room], f"{module} imports {imported}"


def test_no_module_imports_itself_by_way_of_others():
    graph = {module: imports_of(module) for module in MODULES if module != "robust_dist"}
    # a package's own file only says what it holds
    graphlib.TopologicalSorter(graph).prepare()
