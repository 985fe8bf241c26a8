"""The project itself: one set of versions, house rules of the code, notebooks without outputs, what a code host reads.

Optional packages come with this checkout, or are named themselves: never by a name that others own."""

import ast
import itertools
import re
import shlex
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import nbformat
import networkx as nx
import pytest
import yaml
from killed_runs import SMALL, known
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version
from processes import ROOT

import workbench
from workbench.artifacts import start
from workbench.artifacts.parameters import parse_value
from workbench.artifacts.steps import find_notebooks

SOURCES = sorted((ROOT / "workbench").rglob("*.py"))
NOTEBOOKS = sorted((ROOT / "notebooks").rglob("*.ipynb"))

SCREEN = {"IPython", "ipywidgets", "plotly", "matplotlib", "anywidget", "papermill", "nbconvert"}
"""What the numbers ring never imports."""


PINNED = [line.split("==") for line in (ROOT / "constraints.txt").read_text("utf-8").split("\n") if line.strip("# ")[:1]
          and not line.startswith("#")]  # fmt: skip
PINS = {str(canonicalize_name(name)): version for name, version in PINNED}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
NEEDED = PROJECT["dependencies"] + PROJECT["optional-dependencies"]["test"]
FOR_THE_SITE = PROJECT["optional-dependencies"]["docs"]
DIRECT = list(map(Requirement, NEEDED))


def test_constraints_are_exact_and_hold_nothing_local() -> None:
    for name, version in PINS.items():
        assert re.fullmatch(r"[0-9A-Za-z.]+", version), f"{name}: {version} is no plain version"
    assert PINS["torch"] == "2.13.0"


def test_every_direct_dependency_is_pinned_within_its_range() -> None:
    for requirement in map(Requirement, NEEDED + FOR_THE_SITE):
        assert Version(PINS[canonicalize_name(requirement.name)]) in requirement.specifier, requirement.name


def test_every_dependency_says_why_it_is_there() -> None:
    lines = (ROOT / "pyproject.toml").read_text("utf-8").splitlines()
    listed = [(above, line) for above, line in itertools.pairwise(lines) if line[5:-2] in NEEDED + FOR_THE_SITE]
    assert len(listed) >= len(set(NEEDED + FOR_THE_SITE))
    for above, line in listed:
        assert above.strip().startswith("#"), f"{line.strip()} has no comment above"


def test_conda_environment_holds_the_same_set() -> None:
    environment = yaml.safe_load((ROOT / "environment.yml").read_text("utf-8"))
    (pip,) = [entry["pip"] for entry in environment["dependencies"] if isinstance(entry, dict)]
    wanted = {}
    for line in pip:
        if not line.startswith("-"):
            requirement = Requirement(line)
            wanted[canonicalize_name(requirement.name), frozenset(requirement.extras)] = str(requirement.specifier)
    assert wanted == {
        (canonicalize_name(one.name), frozenset(one.extras)): f"=={PINS[canonicalize_name(one.name)]}" for one in DIRECT
    }
    (python,) = [entry for entry in environment["dependencies"] if str(entry).startswith("python=")]
    assert Version(python.split("=")[1]) in Requirement(f"python{PROJECT['requires-python']}").specifier


def test_constraints_agree_with_what_is_installed() -> None:
    for requirement in DIRECT:
        installed = Version(metadata.version(requirement.name)).public
        assert installed == PINS[canonicalize_name(requirement.name)], f"{requirement.name}: run make install again"


CHECKS = [
    *("ruff check .", "mypy", "nbstripout --verify --keep-id"),
    "check_jsonschema --builtin-schema vendor.github-workflows .github/workflows/ci.yml",
    "check_jsonschema --builtin-schema vendor.citation-file-format CITATION.cff",
]


@pytest.mark.parametrize("words", CHECKS)
def test_what_looks_at_files_of_the_project_finds_nothing(words: str) -> None:
    files = map(str, NOTEBOOKS if words.startswith("nbstripout") else [])
    done = subprocess.run([sys.executable, "-m", *words.split(), *files], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, f"{done.stdout[-8000:]}\n{done.stderr[-4000:]}"


def test_the_workflow_runs_the_tests_and_a_chain_with_parameters_that_there_are() -> None:
    jobs = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text("utf-8"))["jobs"]
    steps = [step for job in jobs.values() for step in job["steps"]]
    runs = "\n".join(step["run"] for step in steps if "run" in step)
    targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text("utf-8"), re.M)
    assert {"test", "docs"} <= set(re.findall(r"make (\w+)", runs)) <= set(targets)
    (kept,) = [step["with"]["path"] for step in steps if "upload-artifact" in step.get("uses", "")]
    assert re.search(r"workbench run --run-dir (\S+)", runs)[1] + "/report.html" in kept
    given = re.findall(r"-p (\w+) (\S+)", jobs["chain"]["env"]["SMALL"])
    assert {name: parse_value(value) for name, value in given} == {
        name: parse_value(str(value)) for name, value in known(find_notebooks(), SMALL).items()
    }  # which another test runs


def test_the_citation_is_of_this_version_and_licence() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert citation["version"] == workbench.__version__
    assert " AND ".join(citation["license"]) == PROJECT["license"]


def test_the_distribution_has_a_name_of_its_own() -> None:
    assert PROJECT["name"] == start.DISTRIBUTION != "workbench"


@pytest.mark.parametrize("extra", PROJECT["optional-dependencies"])
def test_an_extra_comes_from_the_checkout_or_package_by_package(
    extra: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    python, *words, place = shlex.split(start.install_command(extra))
    assert python == sys.executable and words == ["-m", "pip", "install", "--editable"]
    assert place == f"{ROOT}[{extra}]"

    about = tmp_path / f"{PROJECT['name'].replace('-', '_')}-0.dist-info" / "METADATA"
    about.parent.mkdir()
    named = [(None, PROJECT["dependencies"]), *PROJECT["optional-dependencies"].items()]
    needs = [f"Requires-Dist: {one}{f'; extra == {kind!r}' if kind else ''}" for kind, some in named for one in some]
    about.write_text("\n".join(["Metadata-Version: 2.1", f"Name: {PROJECT['name']}", "Version: 0", *needs]))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(start, "CHECKOUT", tmp_path)
    packages = shlex.split(start.install_command(extra))[4:]
    wanted = PROJECT["optional-dependencies"][extra]
    assert [*map(Requirement, packages)] == [*map(Requirement, wanted)]


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


def test_a_name_of_a_file_says_which_file_is_meant() -> None:
    names = Counter(path.name for path in SOURCES if path.name not in ("__init__.py", "__main__.py"))
    assert not (twice := [name for name, count in names.items() if count > 1]), twice


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
