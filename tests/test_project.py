"""The project itself: one set of versions, house rules of the code, notebooks without outputs."""

import ast
import itertools
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import networkx as nx
import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parent.parent
SOURCES = sorted((ROOT / "workbench").rglob("*.py"))
NOTEBOOKS = sorted((ROOT / "notebooks").rglob("*.ipynb"))

SCREEN = {"IPython", "ipywidgets", "plotly", "matplotlib", "anywidget", "papermill", "nbconvert"}
"""What the numbers ring never imports."""


def _pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    pins = [line.split("==") for line in lines if line and not line.startswith("#")]
    return {str(canonicalize_name(name)): version for name, version in pins}


def _project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]


def _direct() -> list[Requirement]:
    project = _project()
    return [Requirement(text) for text in project["dependencies"] + project["optional-dependencies"]["test"]]


def _for_the_site() -> list[Requirement]:
    return [Requirement(text) for text in _project()["optional-dependencies"]["docs"]]


def test_constraints_are_exact_and_hold_nothing_local() -> None:
    for name, version in _pins().items():
        assert re.fullmatch(r"[0-9A-Za-z.]+", version), f"{name}: {version} is no plain version"
    assert _pins()["torch"] == "2.13.0"


def test_every_direct_dependency_is_pinned_within_its_range() -> None:
    pins = _pins()
    for requirement in _direct() + _for_the_site():
        assert Version(pins[canonicalize_name(requirement.name)]) in requirement.specifier, requirement.name


def test_every_dependency_says_why_it_is_there() -> None:
    lines = (ROOT / "pyproject.toml").read_text("utf-8").splitlines()
    needed = {str(requirement) for requirement in _direct() + _for_the_site()}
    for above, line in itertools.pairwise(lines):
        text = line.strip().strip('",')
        if line.startswith('    "') and text and text[0].isalpha() and str(_requirement(text)) in needed:
            assert above.strip().startswith("#"), f"{line.strip()} has no comment above"


def _requirement(text: str) -> Requirement | None:
    try:
        return Requirement(text)
    except ValueError:
        return None


def test_conda_environment_holds_the_same_set() -> None:
    environment = yaml.safe_load((ROOT / "environment.yml").read_text("utf-8"))
    (pip,) = [entry["pip"] for entry in environment["dependencies"] if isinstance(entry, dict)]
    wanted = {}
    for line in pip:
        if not line.startswith("-"):
            requirement = Requirement(line)
            wanted[canonicalize_name(requirement.name), frozenset(requirement.extras)] = str(requirement.specifier)
    pins = _pins()
    assert wanted == {
        (canonicalize_name(one.name), frozenset(one.extras)): f"=={pins[canonicalize_name(one.name)]}"
        for one in _direct()
    }
    (python,) = [entry for entry in environment["dependencies"] if str(entry).startswith("python=")]
    assert Version(python.split("=")[1]) in Requirement(f"python{_project()['requires-python']}").specifier


def test_constraints_agree_with_what_is_installed() -> None:
    from importlib import metadata

    pins = _pins()
    for requirement in _direct():
        installed = Version(metadata.version(requirement.name)).public
        assert installed == pins[canonicalize_name(requirement.name)], f"{requirement.name}: run make install again"


def _check(*command: str) -> None:
    done = subprocess.run([sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout[-8000:]}\n{done.stderr[-4000:]}"


def test_ruff_finds_nothing() -> None:
    _check("ruff", "check", ".")


def test_mypy_finds_nothing() -> None:
    _check("mypy")


def test_notebooks_hold_no_outputs() -> None:
    _check("nbstripout", "--verify", "--keep-id", *map(str, NOTEBOOKS))


def _imported(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute here, so that the rings can be read from them"
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _ring(parts: tuple[str, ...]) -> int:
    """0 numbers, 1 pictures, 2 hands."""
    first = parts[0].removesuffix(".py") if parts else "__init__"
    return {"hands": 2, "__main__": 2, "figures": 1}.get(first, 0)


def test_a_stranger_finds_at_most_fifteen_rooms() -> None:
    rooms = [place.parent.name for place in (ROOT / "workbench").glob("*/__init__.py")]
    assert len(rooms) <= 15, sorted(rooms)


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.relative_to(ROOT / "workbench").as_posix())
def test_imports_point_downwards(source: Path) -> None:
    ring = _ring(source.relative_to(ROOT / "workbench").parts)
    for name in _imported(ast.parse(source.read_text("utf-8"))):
        parts = tuple(name.split("."))
        if parts[0] == "workbench" and len(parts) > 1:
            assert _ring(parts[1:]) <= ring, f"{source.name} is below {name}"
        elif ring == 0:
            assert parts[0] not in SCREEN, f"{source.name} is of the numbers ring and imports {name}"
        elif ring == 1:
            assert parts[0] not in {"IPython", "ipywidgets"}, f"{source.name} draws and imports {name}"
            assert name != "matplotlib.pyplot", f"{source.name}: pyplot keeps global state; use Figure"


def test_no_modules_import_one_another_in_a_circle() -> None:
    """Imports inside functions, and those for types alone, count as well: each says what a module must know of."""
    dotted = {path: ".".join(path.relative_to(ROOT).with_suffix("").parts) for path in SOURCES}
    modules = {name.removesuffix(".__init__"): path for path, name in dotted.items()}
    graph = nx.DiGraph()
    for module, path in modules.items():
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ImportFrom):
                # of `from package import module` the module alone is meant, not what the package gathers from it
                full = (f"{node.module}.{alias.name}" for alias in node.names)
                graph.add_edges_from((module, name if name in modules else node.module) for name in full)
            elif isinstance(node, ast.Import):
                graph.add_edges_from((module, alias.name) for alias in node.names)
    found = {tuple(sorted(circle)) for circle in nx.strongly_connected_components(graph) if len(circle) > 1}
    assert not found, f"each of these circles is to be cut: {sorted(found)}"


PICKLERS = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
FORBIDDEN_CALLS = {"torch.load", "torch.save", "pd.read_pickle", "pandas.read_pickle", "eval", "exec"}
FORBIDDEN_FLAGS = {"trust_remote_code", "allow_pickle"}


def _code(path: Path) -> str:
    if path.suffix == ".py":
        return path.read_text("utf-8")
    import nbformat

    cells = [cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    return "\n".join(re.sub(r"(?m)^(\s*)[%!].*$", r"\1pass", cell) for cell in cells)


@pytest.mark.parametrize("path", SOURCES + NOTEBOOKS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_nothing_that_could_run_foreign_code(path: Path) -> None:
    tree = ast.parse(_code(path))
    for name in _imported(tree):
        assert name.split(".")[0] not in PICKLERS, f"{path.name} imports {name}"
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            assert ast.unparse(node.func) not in FORBIDDEN_CALLS, f"{path.name}:{node.lineno} {ast.unparse(node)}"
            for keyword in node.keywords:
                allowed = isinstance(keyword.value, ast.Constant) and keyword.value.value is False
                assert keyword.arg not in FORBIDDEN_FLAGS or allowed, f"{path.name}:{node.lineno} {keyword.arg}"
