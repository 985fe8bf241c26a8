"""Two hundred hostile inputs and more: each is refused in one line or taken as data; nothing is written elsewhere."""

import ast
import os
import random
import shutil
from pathlib import Path

import nbformat
import pytest
from hostile_area import answered, area, finish
from hostile_inputs import COMMANDS, PLACES, TEXTS, manifests, notebooks
from kg_tables import write_table
from papermill.iorw import load_notebook_node
from papermill.parameterize import parameterize_notebook
from refusals import refused

from workbench import kg
from workbench.artifacts import runs
from workbench.artifacts.parameters import ParameterError, parse_value
from workbench.artifacts.steps import copy_path, plan, run_folder
from workbench.hands.cli import main
from workbench.hands.report.write import write_report

__all__ = ["area"]


@pytest.fixture(scope="module")
def made_graph(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("graph")
    return kg.to_json(kg.build_graph(kg.read_table(write_table(folder / "table"))), folder / "graph.json")


@pytest.fixture
def graph(area: Path, made_graph: Path) -> Path:
    """A small graph, and beside it what is none, as the working directory has them."""
    Path("folder").mkdir()
    Path("file").write_text("x")
    Path("empty.json").write_text("{}")
    shutil.copytree(made_graph.parent / "table", "table")
    return Path(shutil.copy(made_graph, "graph.json")).resolve()


@pytest.mark.parametrize("command", COMMANDS)
def test_commands(graph: Path, capsys: pytest.CaptureFixture, command: str) -> None:
    """90 commands that ask for what is not there or cannot be: refused in one line, with nothing written."""
    before = sorted(graph.parent.rglob("*"))
    for place in PLACES if "PLACE" in command else [""]:
        words = command.replace("HERE/GRAPH", str(graph)).replace("PLACE", place).split()
        assert main(words) == 2, words
        error = capsys.readouterr().err
        assert error.count("\n") == 1 and len(error) < 1500, error
    assert sorted(graph.parent.rglob("*")) == before


@pytest.mark.parametrize("name", TEXTS, ids=range(len(TEXTS)))
def test_names_that_are_asked_for(graph: Path, capsys: pytest.CaptureFixture, name: str) -> None:
    """42 names of a thing, a graph, a benchmark and a grid."""
    for words in (
        ["kg", "ask", str(graph), "--from", name],
        ["kg", "ask", str(graph), "--from", "sra", "--to", name],
        ["kg", "ask", name, "--from", "sra"],
        ["bench", name, "--json", "m.json"],
        ["bench", "compare", name, name],
        ["sweep", name, "--out", "m"],
        ["diff", name, name],
        ["kg", "merge", str(graph), "mediakg", "--out", str(graph.parent), "--matches", name],
    ):
        if name != "--help":
            answered(words, capsys)
    assert not Path("m").exists() and not Path("m.json").exists()


@pytest.mark.parametrize("name", TEXTS, ids=range(len(TEXTS)))
def test_run_names(area: Path, capsys: pytest.CaptureFixture, name: str) -> None:
    """42 names: a folder of that name is made and used, or the name is refused."""
    inside = area / "inside" / "a" / "b" / "c"
    inside.mkdir(parents=True)
    os.chdir(inside)
    if name.startswith("/") or name.startswith("~"):
        name = "." + name  # absolute ones are the user's own choice
    if "-h" not in name:
        answered(["show", name], capsys)
    try:
        folder = run_folder(name)
        finish(folder, "kg")
    except (ParameterError, OSError):
        return
    assert runs.is_complete(folder, "kg")
    if not name.startswith("-"):  # those are options to the command line
        assert answered(["show", name], capsys) == "" and answered(["verify", name], capsys) == ""


def test_parameters(area: Path, capsys: pytest.CaptureFixture) -> None:
    """84 values and names: what is taken reaches the cell as that very value, and as nothing else."""
    notebook = area / "nb" / "02_train_qlora.ipynb"
    document = nbformat.read(notebook, as_version=4)
    document.cells[1].source += "\nnote = 'x'"
    inside = area / "inside" / "nb"
    shutil.copytree(area / "nb", inside)
    nbformat.write(document, inside / notebook.name)
    taken = 0
    for text in TEXTS:
        try:
            steps = plan(inside, area / "inside" / "run", {"note": parse_value(text)})
        except ParameterError:
            pass
        else:
            taken += 1
            assert injected(inside / notebook.name, dict(steps[1].given)) == steps[1].given
        words = ["run", "--run-dir", "run", "--notebooks", str(inside), f"-p{text}", "1"]
        answered([word for word in words if "\0" not in word], capsys)
    assert taken > 30 and not (area / "inside" / "run").exists()


def injected(notebook: Path, given: dict) -> dict:
    """The values that papermill's cell gives to the names, read as literals."""
    made = parameterize_notebook(load_notebook_node(str(notebook)), given, kernel_name="python3", language="python")
    (cell,) = (cell for cell in made.cells if "injected-parameters" in cell.metadata.get("tags", []))
    statements = ast.parse(cell.source).body
    assert all(isinstance(one, ast.Assign) for one in statements)
    return {one.targets[0].id: ast.literal_eval(one.value) for one in statements}  # type: ignore[attr-defined]


def test_manifests(area: Path, capsys: pytest.CaptureFixture) -> None:
    """Manifests of every kind: shown, verified, compared, overwritten."""
    run, other = area / "inside" / "run", area / "inside" / "other"
    for folder in (run, other):
        finish(folder, "kg")
        (folder / "adapter").mkdir()
    for text in manifests(random.Random(0), 8):
        (run / "adapter" / runs.MANIFEST).write_text(text)
        for words in (["show", run], ["verify", run], ["diff", run, other], ["show", run, "--json"]):
            answered([*map(str, words)], capsys)
        runs.is_complete(run, "adapter")
        finish(run, "adapter", inputs={"kg": run / "kg"})
        assert runs.check_stage(run, "adapter") == []


def test_notebooks(area: Path, capsys: pytest.CaptureFixture) -> None:
    """40 documents in place of a notebook: refused before anything runs."""
    inside = Path(shutil.copytree(area / "nb", area / "inside" / "nb"))
    for text in notebooks(random.Random(3), 40):
        (inside / "03_explain_masks.ipynb").write_text(text)
        error = answered(["run", "--run-dir", "run", "--notebooks", str(inside)], capsys)
        assert "03_explain_masks.ipynb" in error
    assert not (area / "inside" / "run").exists()


def test_a_notebook_without_a_parameters_cell_says_what_to_add(area: Path, capsys: pytest.CaptureFixture) -> None:
    inside = Path(shutil.copytree(area / "nb", area / "inside" / "nb"))
    path = inside / "01_build_kg.ipynb"
    document = nbformat.read(path, as_version=4)
    document.cells[1].metadata["tags"] = []
    nbformat.write(document, path)
    assert "Add a code cell with the tag `parameters`" in answered(["run", "--notebooks", str(inside)], capsys)
    document.cells[1].metadata["tags"] = ["parameters"]
    document.cells[1].source = "seed = 1"
    nbformat.write(document, path)
    assert "Add a parameter `run_dir`" in answered(["run", "--notebooks", str(inside)], capsys)


def test_a_report_of_hostile_names_is_harmless(area: Path) -> None:
    from test_report import assert_harmless

    run = area / "inside" / "run"
    named = {text: text for text in TEXTS if "\ud800" not in text}
    for stage, name in runs.STAGES.items():
        finish(run, stage, config=named, metrics={"texts": named}, inputs={"model": TEXTS[20]})
        cells = [nbformat.v4.new_markdown_cell(f"## {text}") for text in named]
        runs.atomic_write_text(copy_path(run, name), nbformat.writes(nbformat.v4.new_notebook(cells=cells)))
    page = write_report(run).read_text("utf-8")
    assert_harmless(page[page.index("<body>") :])


GRAPHS = {
    "deep": "[" * 200_000,
    "empty": "",
    "no object": "[]",
    "no number": '{"graph": {}, "nodes": NaN, "edges": []}',
    "long number": '{"graph": {}, "nodes": ' + "9" * 5_000 + ', "edges": []}',
    "list of lists": '{"graph": {}, "nodes": [[]], "edges": []}',
    "same twice": '{"graph": {}, "nodes": [{"id": "a"}, {"id": "a"}], "edges": []}',
    "to nowhere": '{"graph": {}, "nodes": [{"id": "a"}], "edges": [{"source": "a", "target": "b", "key": "input"}]}',
    "half a character": '{"graph": {}, "nodes": [{"id": "\\ud800", "type": "tool", "name": "x"}], "edges": []}',
    "other type": '{"graph": {}, "nodes": [{"id": "a", "type": "<script>", "name": "x"}], "edges": []}',
    "graph in words": '{"graph": "x", "nodes": [], "edges": []}',
    "xml": '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><x>&b;</x>',
}


@pytest.mark.parametrize("kind", GRAPHS)
def test_graphs(area: Path, kind: str) -> None:
    """12 files in place of a graph: refused by name."""
    path = area / "inside" / "graph.json"
    path.write_text(GRAPHS[kind])
    refused(r"graph\.json|tool|node|edge|type", kg.from_json, path, error=kg.GraphError)
