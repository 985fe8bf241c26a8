"""The table files: their rows, and reading them.

A file is UTF-8 text, one header line, cells parted by tabs, several values in a cell parted by `|`. There is no
quoting, so a cell can hold neither a tab nor a line break. What commands read and write, and what sources deliver, is
stated as ports (`workbench.kg.columns`), or as plain lists of formats and kinds of data, which say less.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from workbench.kg.columns import FILES, ROWS, Column, Port, carried, is_ports, parse_ports
from workbench.kg.naming import MAX_NAME, MAX_URL, shorten

INVISIBLE = ("Cc", "Cf", "Cs", "Zl", "Zp")  # categories of Unicode
MAY_BE_BARE = ("terms.tsv", "formats.tsv", "states.tsv")  # a header and no rows is fine
MAY_BE_MISSING = ("states.tsv",)  # a table without states, or without ports at all


class TableError(ValueError):
    """A broken rule of the table: names file, row, column, rule, value and what to do.

    `row` counts lines as an editor does, the header being row 1; it is 0 where the whole file is meant.

    Examples:
        >>> print(TableError("tools.tsv", "names are unlike", "rename one", row=3, column="name", value="star"))
        tools.tsv, row 3, column name: names are unlike: 'star'. rename one.
    """

    def __init__(
        self, file: str, rule: str, advice: str, *, row: int = 0, column: str = "", value: str | None = None
    ) -> None:
        self.file, self.row, self.column, self.rule, self.advice = file, row, column, rule, advice
        self.value = None if value is None else shorten(value)
        place = ", ".join([file, *([f"row {row}"] if row else []), *([f"column {column}"] if column else [])])
        shown = f": {self.value}" if self.value is not None else ""
        super().__init__(f"{place}: {rule}{shown}. {advice}.")


@dataclass(frozen=True)
class RawRow:
    """One line: `cells` holds a tuple of values per column, empty where the cell is empty."""

    file: str
    row: int
    cells: dict[str, tuple[str, ...]] = field(default_factory=dict)
    ports: dict[str, tuple[Port, ...]] = field(default_factory=dict)  # of the columns whose cell states them

    def one(self, column: str) -> str:
        """The single value of a column, "" where the cell is empty."""
        return next(iter(self.cells[column]), "")

    def made(self) -> Any:
        """The row as an object of its file's class."""
        columns = FILES[self.file]
        values = {column.name: self.cells[column.name] if column.many else self.one(column.name) for column in columns}
        ports = {column.ports: self.ports[column.name] for column in columns if column.name in self.ports}
        return ROWS[self.file](**values, **ports)

    def error(self, column: str, rule: str, advice: str, *, value: str | None = None) -> TableError:
        """A `TableError` at this row; `value` defaults to the cell."""
        shown = "|".join(self.cells[column]) if value is None else value
        return TableError(self.file, rule, advice, row=self.row, column=column, value=shown)


def read_bytes(folder: Path) -> dict[str, bytes]:
    """The content of the files; raises `TableError` for the first one that is missing or cannot be read."""
    content = {}
    for file in FILES:
        path = folder / file
        if file in MAY_BE_MISSING and not path.is_file():
            continue
        if not path.is_file():
            raise TableError(file, "file missing", f"Put it into {str(folder)!r} with the other files of the table")
        try:
            content[file] = path.read_bytes()
        except OSError as problem:
            raise TableError(file, f"file cannot be read ({problem.strerror})", "Check its permissions") from problem
    return content


def parse(file: str, content: bytes) -> list[RawRow]:
    """The rows of one file; raises `TableError` for the first line that breaks the form."""
    lines = _text(file, content).replace("\r\n", "\n").split("\n")
    if lines[-1] == "":
        lines.pop()
    if not lines:
        raise TableError(file, "file is empty", f"It needs the columns {_names(file)} and at least one row")
    columns = _columns(file, lines[0])
    rows = [_row(file, columns, number, line) for number, line in enumerate(lines[1:], start=2)]
    if not rows and file not in MAY_BE_BARE:
        raise TableError(file, "header only, no rows", "Add at least one row", row=1)
    return rows


def _text(file: str, content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")  # spreadsheets like to write a byte order mark
    except UnicodeDecodeError as problem:
        row = content.count(b"\n", 0, problem.start) + 1
        value = content[problem.start : problem.end].hex(" ")
        raise TableError(file, "not UTF-8", "Save the file as UTF-8", row=row, value=value) from problem


def _names(file: str) -> str:
    return ", ".join(column.name for column in FILES[file])


def _columns(file: str, line: str) -> list[Column]:
    """The columns in the order of the file, which is free."""
    found, known = line.split("\t"), {column.name: column for column in FILES[file]}
    advice = f"The columns are {_names(file)}, parted by tabs"
    for name, column in known.items():
        if name not in found and not column.absent:
            raise TableError(file, "missing column", advice, row=1, value=name)
    for index, name in enumerate(found):
        if name not in known or name in found[:index]:
            rule = "column given twice" if name in known else "unknown column"
            raise TableError(file, rule, advice, row=1, value=name)
    return [known[name] for name in found]


def _row(file: str, columns: list[Column], number: int, line: str) -> RawRow:
    cells = line.split("\t")
    if not line.strip():
        raise TableError(file, "empty line", "Remove it", row=number)
    if len(cells) != len(columns):
        rule = f"wrong number of cells, {len(cells)} for {len(columns)}"
        advice = f"Give the cells {', '.join(c.name for c in columns)}, parted by single tabs"
        raise TableError(file, rule, advice, row=number, value=line)
    given = dict(zip((column.name for column in columns), cells, strict=True))
    row = RawRow(file, number, {c.name: _values(c, given.get(c.name, "")) for c in FILES[file]})
    for column in FILES[file]:
        if column.data and is_ports(given[column.name]):
            _read_ports(row, column, given[column.name])
    for column in FILES[file]:
        _check_values(row, column)
    return row


def _read_ports(row: RawRow, column: Column, cell: str) -> None:
    """Ports fill the cells of formats and of kinds of data as well: what is there, without what belongs together."""
    try:
        ports = parse_ports(cell)
        ports = carried(ports, row.ports["inputs"]) if any(port.carries for port in ports) else ports
    except (ValueError, KeyError) as problem:
        advice = "Write formats=kinds[states], ports parted by ' ; ', companions with + and optional ones with ?"
        raise row.error(column.name, "not a list of ports", advice, value=str(problem)) from problem
    if row.cells[column.data]:
        raise row.error(column.data, f"kinds of data stand in the ports of {column.name}", "Leave this cell empty")
    row.ports[column.name] = ports
    row.cells[column.name] = tuple(dict.fromkeys(one for port in ports for one in port.formats))
    row.cells[column.data] = tuple(dict.fromkeys(one for port in ports if not port.carries for one in port.kinds))


def _values(column: Column, cell: str) -> tuple[str, ...]:
    values = cell.split("|") if column.many else [cell]
    return tuple(value.strip() for value in values) if cell.strip() else ()


def _check_values(row: RawRow, column: Column) -> None:
    values = row.cells[column.name]
    limit = MAX_URL if column.kind in ("url", "download") else MAX_NAME
    if column.required and not values:
        raise row.error(column.name, "empty cell where a value is required", "Fill it in")
    for index, value in enumerate(values):
        if not value:
            raise row.error(column.name, "empty value between two |", "Remove the extra |")
        if len(value) > limit:
            raise row.error(column.name, f"{len(value)} characters, {limit} are allowed", "Shorten it", value=value)
        if not value.isprintable() and any(unicodedata.category(one) in INVISIBLE for one in value):
            raise row.error(column.name, "control or invisible character", "Remove it", value=value)
        if value in values[:index]:
            raise row.error(column.name, "value given twice in one cell", "Keep one", value=value)
        if "|" in value and column.kind != "url":
            raise row.error(column.name, "| in a column of single values", "Give one value", value=value)
