"""What the pages name is there: commands and their words, headings of the notebooks, names of the package. Figures are
those of the files that a page names. The examples in docstrings run as they stand, and what a room offers has one."""

import ast
import doctest
import json
import pkgutil
import re
import shlex
from importlib import import_module
from pathlib import Path

import pytest
from processes import ROOT

from workbench.artifacts.stage import STAGES
from workbench.hands.bench import BENCHES
from workbench.hands.cli import build_parser
from workbench.models import smollm2 as shipped

PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")])
COMMAND = re.compile(r"(?:^ {4}|`)(?:python -m )?workbench( [^`\n#]*)", re.MULTILINE)
GIVEN = re.compile(r"-p ([a-z]\w*)")
FILE = re.compile(r"`((?:workbench|bench|tests|notebooks|explain)/[\w./-]+)`")
TARGET = re.compile(r"(?:^ {4}|`)make (\w+)", re.MULTILINE)
NAME = re.compile(
    r"`(?:workbench\.)?((?:kg|cases|models|train|game|explain|attribution|logs|shift|stats|hands)(?:\.\w+)+)"
)


def commands(text: str) -> list[str]:
    """What stands behind `workbench` in a page, and in the table of its commands."""
    table = text.partition("| command | what it does |\n")[2].partition("\n\n")[0].splitlines()[1:]
    cells = [code for row in table for code in re.findall(r"`([^`]+)`", row.split(" | ")[0])]
    return COMMAND.findall(text) + [code for code in cells if not code.startswith("-")]


def parameters() -> set[str]:
    """Names in the parameters cells of the notebooks of a run."""
    cells = [
        cell for path in (ROOT / "notebooks").glob("0*.ipynb") for cell in json.loads(path.read_text("utf-8"))["cells"]
    ]
    texts = ["".join(cell["source"]) for cell in cells if "parameters" in cell["metadata"].get("tags", ())]
    return {name for text in texts for name in re.findall(r"^(\w+)(?:: [^=]+)? = ", text, re.MULTILINE)}


def typed(words: str) -> list[str]:
    """A command as it is typed: what may be left out is given, and a place for a number has one."""
    plain = re.sub(r"\[([^]]*)\](?:\.\.\.)?|(?<= )\.\.\.", r"\1", words).replace("...", "")
    return shlex.split(re.sub(r"(?<= )[NS](?= |$)", "1", plain))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_commands_and_names_of_a_page_are_there(page: Path) -> None:
    text = page.read_text("utf-8")
    for words in commands(text):
        build_parser().parse_args(typed(words))
    assert set(TARGET.findall(text)) <= set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text("utf-8"), re.M))
    assert set(GIVEN.findall(text)) <= parameters()
    for file in FILE.findall(text):
        assert (ROOT / file).exists() or (ROOT / "workbench" / file).exists(), file
    for dotted in NAME.findall(text):
        pkgutil.resolve_name(f"workbench.{dotted}")


def test_each_page_of_the_reference_tells_of_a_room_that_is_there() -> None:
    """As `docs/hooks.py` makes them, which needs packages that tests do without."""
    tree = ast.parse((ROOT / "docs" / "hooks.py").read_text("utf-8"))
    made = next(node for node in tree.body if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "ROOMS")
    rooms = eval(compile(ast.Expression(made.value), "ROOMS", "eval"))
    assert {"kg", "panel"} <= rooms.keys()
    for page, room in rooms.items():
        assert (ROOT / "workbench" / room.replace(".", "/") / "__init__.py").is_file(), room
        assert f"reference/{page}.md" in (ROOT / "mkdocs.yml").read_text("utf-8")


def test_the_readme_tells_every_command() -> None:
    told = {words.split()[0] for words in commands((ROOT / "README.md").read_text("utf-8"))}
    assert set(re.findall(r"^    ([a-z]+)", build_parser().format_help(), re.MULTILINE)) - told == {"version"}


def test_the_pages_tell_every_benchmark_and_only_options_of_explain(capsys: pytest.CaptureFixture[str]) -> None:
    rows = re.findall(r"^\| (`.*?) \|", (ROOT / "docs" / "benchmarks.md").read_text("utf-8"), re.MULTILINE)
    assert {name for row in rows for name in re.findall(r"`(\w+)`", row)} == set(BENCHES)
    with pytest.raises(SystemExit):
        build_parser().parse_args(["explain", "--help"])
    told = set(re.findall(r"`(--[a-z]+)", (ROOT / "docs" / "how-to" / "own-log.md").read_text("utf-8")))
    assert told and told <= set(re.findall(r"--[a-z]+", capsys.readouterr().out))


def test_the_teacher_is_sent_to_headings_of_the_notebooks() -> None:
    plan = re.findall(r"^\| \d+ to \d+ \| (.*?) \|", (ROOT / "docs" / "teaching.md").read_text("utf-8"), re.MULTILINE)
    for number, name in enumerate(STAGES.values(), start=1):
        cells = json.loads((ROOT / "notebooks" / f"{name}.ipynb").read_text("utf-8"))["cells"]
        lines = "".join("".join(cell["source"]) + "\n" for cell in cells if cell["cell_type"] == "markdown")
        headings = set(re.findall(r"^#+ (?:\d )?(.+)$", lines, re.MULTILINE))
        told = [heading for row in plan if row[0] == str(number) for heading in re.findall(r"\*([^*]+)\*", row)]
        assert told and set(told) <= headings


README, GPU, ADAPTER = (
    (ROOT / name).read_text("utf-8") for name in ("README.md", "docs/how-to/gpu.md", "docs/how-to/own-adapter.md")
)
FILES = [json.loads((ROOT / "bench" / f"gpu-h200{part}.json").read_text("utf-8")) for part in ("-trainings", "")]
MEASURED = {row["what"]: row for file in FILES for row in file["table"]}


def test_the_figures_of_a_gpu_are_those_of_its_file() -> None:
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in GPU.splitlines() if line[:2] == "| "]
    told = [row for row in rows if row[0] in MEASURED]
    assert len(told) == 13
    for what, rate, share in told:
        row, (value, unit) = MEASURED[what], rate.split()
        assert unit == (row["unit"] or "s")
        assert float(value.replace(",", "")) == pytest.approx(row["rate"] or row["seconds"], rel=2e-3), what
        assert float(share or 0) == pytest.approx(row["share"] or row["ratio"] or 0, abs=6e-4), what


def test_the_figures_of_a_run_of_the_real_model_are_those_of_its_file() -> None:
    rows = json.loads((ROOT / "bench" / "smollm2-run.json").read_text("utf-8"))["table"]
    told = README[README.index("What to expect of `make run MODEL=smollm2`") : README.index("| model | parameters |")]
    tuned = [row for row in rows if "tuned" in row["what"]]
    assert len(tuned) == 7 and told.count("[0.") + told.count("[1.") == 7
    for row in tuned:
        assert f"{row['mean']:.2f} [{row['low']:.2f}, {row['high']:.2f}]" in told and str(row["n"]) in told, row["what"]
    base = [(row["mean"], row["n"]) for row in rows if "base" in row["what"]]
    assert set(base) == {(0, 2)} and "none (of 2 each)" in told


def test_the_figures_of_the_shipped_adapter_are_those_of_its_card() -> None:
    card = shipped.card(shipped.shipped("whole"))
    exact = {(row["split"], row["share"]): row for row in card["scores"] if row["metric"] == "exact"}
    for split in ("held_out_sequences", "held_out"):
        a, b, c = (f"{exact[split, share]['mean']:.2f}" for share in (0.0, 0.3, 0.6))
        assert f"in {a}, {b} and {c}" in ADAPTER and f"(n = {exact[split, 0.0]['n']})" in ADAPTER
    tools = exact["held_out_tools", 0.0]
    assert f"{tools['mean']:.2f} with everything shown (n = {tools['n']})" in ADAPTER
    assert exact["showcase", 0.0]["mean"] == 1 and "the showcase is answered right" in ADAPTER
    training = card["training"]
    assert (
        f"in {training['seconds']:.0f} s on one {card['device']} ({training['rows_per_second']:.0f} rows/s)" in ADAPTER
    )


EXAMPLES = sorted(path for path in (ROOT / "workbench").rglob("*.py") if ">>> " in path.read_text("utf-8"))


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda path: path.relative_to(ROOT / "workbench").as_posix())
def test_examples_of_docstrings_run_as_they_stand(file: Path) -> None:
    name = ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    found = doctest.testmod(import_module(name), optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS)
    assert found.failed == 0


ROOMS = "stats cases explain attribution shift game kg kg.importers models pretrain train figures".split()
ROOMS += ["hands.panel", "hands.lesson"]


@pytest.mark.parametrize("room", ["", *ROOMS], ids=lambda room: room or "workbench")
def test_what_a_room_offers_has_an_example(room: str) -> None:
    module = import_module(f"workbench.{room}".rstrip("."))
    offered = getattr(module, "__all__", [name for name in vars(module) if not name.startswith("_")])
    own = {name: getattr(module, name) for name in offered}
    own = {name: one for name, one in own.items() if getattr(one, "__module__", "").startswith(module.__name__)}
    lacking = {name for name, one in own.items() if callable(one) and ">>> " not in (one.__doc__ or "")}
    assert own and not lacking
