"""What the pages name is there: commands and their words, headings of the notebooks, names of the package."""

import ast
import json
import pkgutil
import re
import shlex
from pathlib import Path

import pytest

from workbench.artifacts.stage import STAGES
from workbench.hands.bench import BENCHES
from workbench.hands.cli import build_parser

ROOT = Path(__file__).resolve().parent.parent
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
