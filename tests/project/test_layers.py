"""Imports point down: the order of the groups is the architecture."""

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import schedsearch

PACKAGE = Path(schedsearch.__file__).parent

# From the ground up. A module imports only from the groups in front of its own, and from its own
# package; on the ground, and at the top, the modules of a group may import each other.
GROUPS = (
    (
        "errors",
        "horizon",
        "seeds",
        "imports",
        "named",
        "files",
        "objective",
        "compat",
        "config",
        "config_horizon",
        "config_space",
        "config_tables",
        "config_own",
        "interrupts",
    ),
    ("statistics",),
    ("schedules", "tasks"),
    ("training",),
    ("store",),
    ("search",),
    ("fidelity", "confirmation"),
    ("report", "export", "dashboard", "progress"),
    ("finish",),
    ("launch",),
    ("cost",),
    ("preflight",),
    ("cli", "__main__"),
)
LEVEL = {name: level for level, group in enumerate(GROUPS) for name in group}
# On the ground and at the top the modules of a group may import each other; and the dashboard and
# the exporters show what the report computes.
OPEN_GROUPS = (0, len(GROUPS) - 1)
BESIDE = {("dashboard", "report"), ("export", "report")}
MAY_IMPORT_OPTUNA = {"compat", "store", "search", "fidelity", "confirmation", "report"}
MAY_IMPORT_OPTUNA |= {"dashboard", "launch", "cli"}


def dotted(path: Path) -> str:
    parts = ("schedsearch", *path.relative_to(PACKAGE).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {dotted(path): path for path in sorted(PACKAGE.rglob("*.py"))}
INSIDE = [name for name in MODULES if name != "schedsearch"]  # all but the front door
each_module = pytest.mark.parametrize("module", INSIDE)


def imported(tree: ast.AST) -> Iterator[str]:
    """Yield every module that is imported: at the top, in functions, and for type checking."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            whole = node.module or ""
            for alias in node.names:
                deeper = f"{whole}.{alias.name}"
                yield deeper if deeper in MODULES else whole


def imported_at_once(tree: ast.AST) -> Iterator[str]:
    """Yield what is imported when a module is: not in functions, and not for type checking."""
    assert isinstance(tree, ast.Module)
    plain = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    for node in plain:
        yield from imported(ast.Module([node], []))


def tree_of(module: str) -> ast.AST:
    return ast.parse(MODULES[module].read_text(encoding="utf-8"))


def own_imports(module: str) -> set[str]:
    names = set(imported(tree_of(module)))
    return {name for name in names if name.partition(".")[0] == "schedsearch"}


def group(module: str) -> str:
    return module.split(".")[1]


def test_every_module_is_in_a_group() -> None:
    assert {group(module) for module in INSIDE} == set(LEVEL)


@each_module
def test_imports_point_down(module: str) -> None:
    own, level = group(module), LEVEL[group(module)]
    for name in own_imports(module):
        assert name in MODULES, f"{module} imports {name}, which is no module"
        assert name != "schedsearch", f"{module} imports the front door"
        other = group(name)
        beside = level == LEVEL[other] in OPEN_GROUPS or (own, other) in BESIDE
        allowed = other == own or LEVEL[other] < level or beside
        assert allowed, f"{module} imports {name}, which is not below it"


@each_module
def test_no_relative_imports(module: str) -> None:
    for node in ast.walk(tree_of(module)):
        assert not (isinstance(node, ast.ImportFrom) and node.level), module


@each_module
def test_no_module_is_imported_by_its_name_as_text(module: str) -> None:
    """Such an import would be hidden from these tests; only the front door has them."""
    texts = {node.value for node in ast.walk(tree_of(module)) if isinstance(node, ast.Constant)}
    assert not texts & set(INSIDE)


def test_no_import_cycles() -> None:
    graph = {module: own_imports(module) - {module} for module in INSIDE}
    assert sum(map(len, graph.values())) > len(graph)
    TopologicalSorter(graph).prepare()  # raises CycleError, which names the cycle


@each_module
def test_only_the_upper_groups_know_optuna(module: str) -> None:
    roots = {name.partition(".")[0] for name in imported(tree_of(module))}
    assert "optuna" not in roots or group(module) in MAY_IMPORT_OPTUNA


def test_the_ground_needs_no_torch() -> None:
    """What the command line imports before it knows the command must import at once."""
    for module in (module for module in INSIDE if LEVEL[group(module)] == 0):
        tree = tree_of(module)
        roots = {name.partition(".")[0] for name in imported_at_once(tree)}
        assert not roots & {"torch", "numpy", "pandas", "optuna", "sklearn"}, module
