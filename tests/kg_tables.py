"""A small table for the tests of the graph, and ways to break it."""

from pathlib import Path

DATA = Path(__file__).parent / "data"
GOOD, PORTS = (
    {path.name: path.read_bytes().decode() for path in sorted((DATA / name).iterdir())}
    for name in ("table", "table_ports")
)
"""The files of a small table; those that differ where it states ports, kinds of data, states and standing."""


def write_table(folder: Path, **changes: str | bytes) -> Path:
    """Writes the good table with whole files replaced, as in `tools="..."`; gives the folder back."""
    folder.mkdir(parents=True, exist_ok=True)
    for file, text in GOOD.items():
        content = changes.get(file.removesuffix(".tsv"), text)
        (folder / file).write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


def edited(file: str, row: int, column: str, value: str) -> str:
    """The good file with one cell replaced; `row` counts as an editor does, the header being row 1."""
    lines = [line.split("\t") for line in GOOD[file].splitlines()]
    lines[row - 1][lines[0].index(column)] = value
    return "\n".join("\t".join(line) for line in lines) + "\n"


def with_row(file: str, *cells: str) -> str:
    """The good file with one more row."""
    return GOOD[file] + "\t".join(cells) + "\n"


def write_ports(folder: Path, **changes: str) -> Path:
    """The small table with ports; whole files replaced as in `write_table`."""
    write_table(folder, **{name.removesuffix(".tsv"): text for name, text in PORTS.items()} | changes)
    (folder / "states.tsv").write_text(PORTS["states.tsv"], encoding="utf-8")
    return folder
