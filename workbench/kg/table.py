"""The table a graph is made from: TSV files, read and checked as a whole.

`read_table` either gives a table that keeps every rule or raises one `TableError` that names the first broken rule. The
form of the files is checked in `workbench.kg.tsv`; the rules here are about ids, references, names and cycles.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import networkx as nx

from workbench.artifacts.files import DATA
from workbench.kg.build import name_space
from workbench.kg.columns import FILES, MAIN, OWN_TERM, REACHES, STANDINGS, Column, Table, branch_of
from workbench.kg.edam import BRANCHES, EDAM_ID, Edam, load_edam
from workbench.kg.naming import is_url, name_key, spdx
from workbench.kg.tsv import RawRow, TableError, parse, read_bytes

SHIPPED = ("biotoolkg", "mediakg")  # folders of the package's data that hold a graph
Rows = dict[str, list[RawRow]]
_SLUG = re.compile(r"[a-z0-9][a-z0-9._+-]*")
_STATE = re.compile(r"[a-z][a-z0-9_]*")
_PACKAGE = re.compile(r"[A-Za-z0-9._-]+::[A-Za-z0-9._+-]+")
PLAIN: dict[str, tuple[Callable[[str], object], str, str]] = {  # kind of value -> test, rule, advice
    "standing": (STANDINGS.__contains__, "no standing", f"Give one of {', '.join(STANDINGS)}, or leave it empty"),
    "reach": (REACHES.__contains__, "no reach", f"Give one of {', '.join(REACHES)}, or leave it empty"),
    "state": (_STATE.fullmatch, "not a state or axis", "Use a-z, 0-9 and _ only"),
    "url": (is_url, "not an http(s) address", "Write it in full, as https://host/path"),
    "download": (
        lambda value: _PACKAGE.fullmatch(value) or is_url(value),
        "neither a package nor an http(s) address",
        "Write channel::package or https://host/path",
    ),
}


def default_folder() -> Path:
    """The table that ships with the package.

    Examples:
        >>> sorted(file.name for file in default_folder().iterdir())[0]
        'commands.tsv'
    """
    return DATA / SHIPPED[0]


def read_table(folder: str | Path | None = None) -> Table:
    """Reads the table in `folder` (the shipped one when None) and checks every rule.

    Raises `TableError` with the first broken rule: the form of the files first, then their content, both in the order
    terms, formats, tools, commands, sources.

    Examples:
        >>> table = read_table()
        >>> len(table.tools) > 100, "hisat2" in {tool.name.lower() for tool in table.tools}
        (True, True)
    """
    content = read_bytes(Path(default_folder() if folder is None else folder))
    rows = {file: parse(file, content[file]) if file in content else [] for file in FILES}
    if error := first_error(rows, load_edam()):
        raise error
    made = {file.removesuffix(".tsv"): tuple(row.made() for row in rows[file]) for file in FILES}
    return Table(**made, digest=_digest(content))


def digest(folder: str | Path | None = None) -> str:
    """SHA-256 (hex) over the names and bytes of the files; raises `TableError` when one is missing.

    Examples:
        >>> len(digest())  # of the table that ships
        64
    """
    return _digest(read_bytes(Path(default_folder() if folder is None else folder)))


def _digest(content: dict[str, bytes]) -> str:
    total = hashlib.sha256()
    for file, data in sorted(content.items()):
        total.update(f"{file}\0{len(data)}\0".encode() + data)
    return total.hexdigest()


def first_error(rows: Rows, edam: Edam) -> TableError | None:
    """The first broken rule, by file (in the order of `FILES`) and row, or None."""
    order = list(FILES)
    found = [*_values(rows, edam), *_keys(rows), *_cycles(rows), *_names(rows, edam), *_ports(rows)]
    # a tool without commands may be the echo of a mistyped tool id, so it is told only when all else is well
    found = found or list(_idle_tools(rows))
    return min(found, key=lambda error: (order.index(error.file), error.row), default=None)


def _cells(rows: Rows) -> Iterator[tuple[RawRow, Column, str]]:
    """Every value, in the order of `FILES`."""
    for file, columns in FILES.items():
        for row in rows[file]:
            yield from ((row, column, value) for column in columns for value in row.cells[column.name])


def _values(rows: Rows, edam: Edam) -> Iterator[TableError]:
    own, tools = ({row.one(key) for row in rows[f"{key}s.tsv"]} for key in ("term", "tool"))
    plain = PLAIN | {"tool": (tools.__contains__, "unknown tool", "Add it to tools.tsv or correct the id")}
    for row, column, value in _cells(rows):
        broken: tuple[str, str] | None = None
        branch = branch_of(row.one("term")) if column.kind == "term" else column.kind
        if branch in BRANCHES:
            # a term of one's own may hang directly below a root; nothing else may point to one
            broken = _term(value, branch, own=own, edam=edam, allow_root=column.kind == "term")
        elif column.kind == "id":
            broken = _id(value, column.name)
        elif column.kind == "license" and spdx(value) != value:
            better = spdx(value) or "MIT, GPL-3.0-or-later, ... or LicenseRef-..."
            broken = ("not one SPDX licence id", f"Write {better} (see https://spdx.org/licenses)")
        elif column.kind in plain and not plain[column.kind][0](value):
            broken = plain[column.kind][1:]
        if broken:
            yield row.error(column.name, *broken, value=value)


def _term(value: str, branch: str, *, own: set[str], edam: Edam, allow_root: bool) -> tuple[str, str] | None:
    if EDAM_ID.fullmatch(value):
        return edam.check(value, branch, allow_root=allow_root)
    if not OWN_TERM.fullmatch(value):
        return (
            f"not a term id, a {branch} is needed",
            f"Write an EDAM id ({branch}_1234) or an own term ({branch}:name)",
        )
    if value not in own:
        return "unknown own term", "Add it to terms.tsv or correct the id"
    if branch_of(value) != branch:
        return f"wrong branch, a {branch} is needed", f"Give a {branch}_... or {branch}:... id"
    return None


def _id(value: str, column: str) -> tuple[str, str] | None:
    if column == "term":
        advice = f"Write a branch ({', '.join(BRANCHES)}), a colon and a name of a-z, 0-9 and _"
        return None if OWN_TERM.fullmatch(value) else ("not an own term id", advice)
    advice = "Use a-z, 0-9 and . _ + - only, beginning with a letter or digit"
    return None if _SLUG.fullmatch(value) else (f"not a {column} id", advice)


def _keys(rows: Rows) -> Iterator[TableError]:
    """The first column of every file is its key."""
    for file, columns in FILES.items():
        seen: dict[str, int] = {}
        key = columns[0].name
        for row in rows[file]:
            first = seen.setdefault(row.one(key), row.row)
            if first != row.row:
                yield row.error(key, f"duplicate {key}, already in row {first}", "Merge the rows or rename one")


def _cycles(rows: Rows) -> Iterator[TableError]:
    """The first own term from which is_a leads back to itself, with the shortest way there and back."""
    is_a = nx.DiGraph((row.one("term"), parent) for row in rows["terms.tsv"] for parent in row.cells["is_a"])
    cycles = [terms for terms in nx.strongly_connected_components(is_a) if len(terms) > 1]
    above_itself = set().union(nx.nodes_with_selfloops(is_a), *cycles)
    for row in rows["terms.tsv"]:
        if (term := row.one("term")) in above_itself:
            ways = (nx.shortest_path(is_a, parent, term) for parent in is_a[term] if nx.has_path(is_a, parent, term))
            way = " -> ".join([term, *min(ways, key=len)])
            yield row.error("is_a", "cycle in is_a", "Remove one of its links", value=way)
            return


def _names(rows: Rows, edam: Edam) -> Iterator[TableError]:
    """An own term must not repeat what EDAM has; and names that a prompt could not tell apart: one name space for all
    that lies on paths, one per other type."""
    for row in rows["terms.tsv"]:
        if found := edam.find(row.one("name"), branch_of(row.one("term"))):
            yield row.error("name", "EDAM has a term of this name", f"Use {found} in place of an own term")
    seen: dict[tuple[str, str], tuple[str, str]] = {}
    for space, node, name, row, column in _named(rows, edam):
        other, place = seen.setdefault((space, name_key(name)), (node, f"{row.file} row {row.row}"))
        if other != node:
            rule = f"same name as {other} ({place}) but for case and blanks"
            advice = "Rename one, or use another term, so that a reader can tell them apart"
            yield row.error(column, rule, advice, value=name)


def _named(rows: Rows, edam: Edam) -> Iterator[tuple[str, str, str, RawRow, str]]:
    """(name space, node, name, row, column) of everything a row names; what stands above an own term does not count."""
    for row in rows["terms.tsv"]:
        yield name_space(branch_of(row.one("term"))), row.one("term"), row.one("name"), row, "name"
    for row, column, value in _cells(rows):
        if column.kind in BRANCHES and value in edam:
            yield name_space(branch_of(value)), value, edam.label(value), row, column.name
    for kind, column_of_name in (("tool", "name"), ("command", "command"), ("source", "name")):
        for row in rows[f"{kind}s.tsv"]:
            yield name_space(kind), f"{kind}:{row.one(kind)}", row.one(column_of_name), row, column_of_name


def _ports(rows: Rows) -> Iterator[TableError]:
    """States must be known, and a command needs something that is no companion."""
    known = {row.one("state") for row in rows["states.tsv"]}
    for row in (*rows["commands.tsv"], *rows["sources.tsv"]):
        for column, ports in row.ports.items():
            for state in (state for port in ports for state in port.states):
                if state not in known:
                    yield row.error(column, "unknown state", "Add it to states.tsv or correct it", value=state)
        if "inputs" in row.ports and not any(port.need == MAIN for port in row.ports["inputs"]):
            yield row.error("inputs", "no main input, which a chain could follow", "Take the mark off one port")


def _idle_tools(rows: Rows) -> Iterator[TableError]:
    used = {row.one("tool") for row in rows["commands.tsv"]}
    for row in rows["tools.tsv"]:
        if row.one("tool") not in used:
            yield row.error("tool", "tool without commands", "Add a row to commands.tsv or remove the tool")
