"""Two hundred hostile inputs and more: each is refused in one line or taken as data; nothing is written elsewhere."""

import ast
import os
import random
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

import nbformat
import pytest
from hostile_inputs import COMMANDS, PLACES, TEXTS, manifests, notebooks
from kg_tables import write_table
from papermill.iorw import load_notebook_node
from papermill.parameterize import parameterize_notebook
from tiny_chain import write_notebooks

from workbench import kg
from workbench.artifacts import runs
from workbench.artifacts.executed import copy_path
from workbench.artifacts.parameters import ParameterError, parse_value
from workbench.artifacts.steps import plan, run_folder
from workbench.artifacts.work import renew
from workbench.cli import main
from workbench.panel import export
from workbench.report.write import write_report

ANSWERED = {0, 1, 2, 4, 5}  # done, different, refused, in use, cannot be written: never a failure nobody foresaw


@pytest.fixture
def area(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder to work in; what lies beside the folder `inside` must be the same afterwards."""
    (tmp_path / "inside").mkdir()
    (tmp_path / "outside").write_text("not yours")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "a.txt").write_text("not yours")
    write_notebooks(tmp_path / "nb")
    monkeypatch.chdir(tmp_path / "inside")
    monkeypatch.setenv("HOME", str(tmp_path / "inside" / "home"))
    before = around(tmp_path)
    yield tmp_path
    assert around(tmp_path) == before


def around(area: Path) -> dict[str, bytes]:
    files = (path for path in area.rglob("*") if path.is_file() and not path.is_relative_to(area / "inside"))
    return {str(path): path.read_bytes() for path in files}


def answered(words: list[str], capsys: pytest.CaptureFixture) -> str:
    """Run a command; what it said. It must end with a foreseen code, and an error is one line."""
    try:
        code = main(words)
    except SystemExit as stop:  # argparse has refused the words
        assert stop.code == 2
        return capsys.readouterr().err
    told = capsys.readouterr()
    assert code in ANSWERED, f"{words}: {told.err}"
    assert code in (0, 1) or told.err.count("\n") == 1, told.err
    assert "\x1b[2J" not in told.out + told.err, "a recorded text has reached the terminal as a command"
    return told.err


@pytest.fixture
def graph(area: Path) -> Path:
    """A small graph, and beside it what is none, as the working directory has them."""
    Path("folder").mkdir()
    Path("file").write_text("x")
    Path("empty.json").write_text("{}")
    path = Path("graph.json").resolve()
    return kg.to_json(kg.build_graph(kg.read_table(write_table(area / "inside" / "table"))), path)


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


@pytest.mark.parametrize("number", range(len(TEXTS)))
def test_names_that_are_asked_for(graph: Path, capsys: pytest.CaptureFixture, number: int) -> None:
    """42 names of a thing, a graph, a benchmark and a grid."""
    name = TEXTS[number]
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


def finish(run_dir: Path, stage: str, **more: object) -> None:
    folder = runs.open_stage(run_dir, stage)
    runs.atomic_write_text(folder / "a.txt", "x")
    how = {"config": {}, "inputs": {}, "metrics": {"n": 1}, "seed": 1, "device": "cpu", **more}
    runs.write_manifest(run_dir, stage, **how)  # type: ignore[arg-type]


@pytest.mark.parametrize("number", range(len(TEXTS)))
def test_run_names(area: Path, capsys: pytest.CaptureFixture, number: int) -> None:
    """42 names: a folder of that name is made and used, or the name is refused."""
    inside = area / "inside" / "a" / "b" / "c"
    inside.mkdir(parents=True)
    os.chdir(inside)
    name = TEXTS[number]
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


@pytest.mark.parametrize("seed", [0, 1])
def test_manifests(area: Path, capsys: pytest.CaptureFixture, seed: int) -> None:
    """22 manifests: shown, verified, compared, overwritten."""
    run, other = area / "inside" / "run", area / "inside" / "other"
    for folder in (run, other):
        finish(folder, "kg")
        (folder / "adapter").mkdir()
    for text in manifests(random.Random(seed), 8):
        (run / "adapter" / runs.MANIFEST).write_text(text)
        for words in (
            ["show", str(run)],
            ["verify", str(run)],
            ["diff", str(run), str(other)],
            ["show", str(run), "--json"],
        ):
            answered(words, capsys)
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


INNER = {"kg": ".", "adapter": ".", "explain": "explanations", "shift": "reduced"}


def make(run: Path, stages: Iterable[str] = INNER) -> None:
    """Stages as notebooks opened by hand make them, with folders within, checkpoints and an export."""
    for stage in stages:
        inner = INNER[stage]
        folder = runs.open_stage(run, stage)
        runs.atomic_write_text(folder / inner / "a.txt", "x")
        (folder / runs.WORK_FOLDER).mkdir(exist_ok=True)
        (folder / runs.WORK_FOLDER / "progress.json").write_text("{}")
        runs.write_manifest(run, stage, config={}, inputs={}, metrics={"n": 1}, seed=1, device="cpu")
    export.write(run / "explain" / "exports" / "case", {".csv": b"1"})


def test_no_link_in_a_run_leads_what_is_written_out_of_it(area: Path) -> None:
    """In place of every file and folder, of what is being made too, a link: what it leads to stays as it is."""
    whole = area / "inside" / "whole"
    make(whole)
    (runs.open_stage(whole, "adapter") / runs.WORK_FOLDER / "checkpoint-3").mkdir(parents=True)
    (runs.work_folder(whole, "adapter") / runs.WORK_FOLDER / "checkpoint-3" / "optimizer.pt").write_text("x")
    paths = [path.relative_to(whole) for path in whole.rglob("*")] + [
        Path("kg.new"),
        Path("kg.old"),
        Path("report.html"),
    ]
    assert len(paths) > 25
    before, refused = around(area), 0
    for number, path in enumerate(paths):
        run = Path(shutil.copytree(whole, area / "inside" / str(number)))
        place = run / path
        folder = place.is_dir() or place.suffix in (".new", ".old")
        if folder and place.exists():
            shutil.rmtree(place)
        place.unlink(missing_ok=True)
        place.symlink_to(area / ("elsewhere" if folder else "outside"))
        try:
            renew(run, "adapter")
            make(run, [name for name in INNER if path.parts[0].startswith(name)])
        except ValueError as error:
            assert f"{place} is a link to" in str(error)
            refused += 1
        assert around(area) == before, path
        shutil.rmtree(run)
    assert 4 < refused < len(paths), "a link to what is only replaced does no harm"


def test_links_out_of_the_run_folder_are_refused_before_anything_runs(
    area: Path, capsys: pytest.CaptureFixture
) -> None:
    run = area / "inside" / "run"
    run.mkdir()
    for name in ("adapter", "adapter.new", "kg.old", "notebooks", ".lock", ".lock.kernel"):
        (run / name).symlink_to(area / ("outside" if name.startswith(".") else "elsewhere"))
        error = answered(["run", "--run-dir", str(run), "--notebooks", str(area / "nb")], capsys)
        assert f"{name} is a link to" in error
        (run / name).unlink()
        assert not [path.name for path in run.iterdir() if not path.name.startswith(".")]
    finish(run, "kg")
    os.mkfifo(run / "kg" / "pipe")
    assert "pipe" not in runs.folder_files(run / "kg")
    assert runs.check_stage(run, "kg") == [], "a pipe nobody writes to would be waited for"


def test_links_in_a_finished_run_and_in_a_sweeps_folder_are_not_written_through(
    area: Path, capsys: pytest.CaptureFixture
) -> None:
    run, before = area / "inside" / "run", around(area)
    words = ["run", "--run-dir", str(run), "--notebooks", str(area / "nb")]
    assert main(words) == 0
    for path in [path for path in run.rglob("*") if path.is_file() and not path.name.startswith(".lock")]:
        path.unlink()
        path.symlink_to(area / "outside")
    (run / "notebooks" / "01_build_kg.partial.ipynb").symlink_to(area / "outside")
    assert main([*words, "--fresh"]) == 0 and around(area) == before
    assert main(["verify", str(run)]) == 0 and not [path for path in run.rglob("*") if path.is_symlink()]
    capsys.readouterr()

    (area / "inside" / "grid.yaml").write_text(f"what: chain\nnotebooks: {area / 'nb'}\nseeds: 1\n")
    for name in (".lock", "rows.jsonl", "runs"):
        out = area / "inside" / f"sweep {name}"
        out.mkdir()
        (out / name).symlink_to(area / "outside" if name != "runs" else area)
        error = answered(["sweep", "grid.yaml", "--out", str(out), "--workers", "1"], capsys)
        assert "is a link to" in error and around(area) == before


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
    with pytest.raises(kg.GraphError, match=r"graph\.json|tool|node|edge|type"):
        kg.from_json(path)
