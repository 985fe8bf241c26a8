"""The rows of a table: a class for each of its files, whose fields say which columns there are and what they hold.

Errors, and what is read of a file: `workbench.kg.tsv`; rules about the content: `workbench.kg.table`.

What goes into a command or comes out of it is stated as ports: formats, kinds of data, and the few states that decide
in practice. A cell holds ports parted by ` ; `, each `mark formats=kinds[states]`: alternatives parted by `|`, states
by commas. `+` marks a companion (needed, but no step of its own: an index, a reference, an annotation), `?` what may be
left out; no mark is the main input, which a chain follows. `*` for an output's kind means the data of the main input in
another shape: its kind, and every state that the port does not name, are carried over.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Annotated, get_args, get_type_hints

from workbench.kg.edam import BRANCHES, EDAM_ID

MAIN, COMPANION, OPTIONAL = "main", "companion", "optional"
MARKS = {"": MAIN, "+": COMPANION, "?": OPTIONAL}
SAME = "*"
PARTED = ";"
_PORT = re.compile(r"([+?]?)\s*([^=\[\]*]+)=\s*(\*|[^=\[\]*]+?)\s*(?:\[([^\[\]]*)\])?")


@dataclass(frozen=True)
class Port:
    """One port. formats, kinds: alternatives, ids. states: words of the table. carries: see `SAME`, kinds are then
    those of the main input."""

    formats: tuple[str, ...]
    kinds: tuple[str, ...] = ()
    states: tuple[str, ...] = ()
    need: str = MAIN
    carries: bool = False


def is_ports(cell: str) -> bool:
    """Whether a cell states ports, and not a plain list of formats."""
    return "=" in cell


def parse_ports(cell: str) -> tuple[Port, ...]:
    """The ports of a cell. ValueError: one that does not keep the form; the message is a rule and the text."""
    return tuple(_port(text.strip()) for text in cell.split(PARTED))


def _port(text: str) -> Port:
    found = _PORT.fullmatch(text)
    if not found:
        raise ValueError(f"no port: {text!r}")
    mark, formats, kinds, states = found.groups()
    carries = kinds == SAME
    values = _values(formats, "|", text), () if carries else _values(kinds, "|", text), _values(states, ",", text)
    return Port(*values, MARKS[mark], carries)


def _values(cell: str | None, by: str, text: str) -> tuple[str, ...]:
    values = tuple(one.strip() for one in cell.split(by)) if cell is not None else ()
    if "" in values or len(set(values)) < len(values):
        raise ValueError(f"an empty value, or one that is given twice, in {text!r}")
    return values


def carried(outputs: Iterable[Port], inputs: Iterable[Port]) -> tuple[Port, ...]:
    """Outputs, some with `*`, which stands for the kinds of the main input. ValueError: there are none or several,
    and an output carries their data."""
    outputs = tuple(outputs)
    main = [port for port in inputs if port.need == MAIN]
    if len(main) != 1 and any(port.carries for port in outputs):
        raise ValueError(f"{SAME} stands for the data of the one main input, and there are {len(main)}")
    return tuple(replace(port, kinds=main[0].kinds) if port.carries else port for port in outputs)


STANDINGS = ("standard", "common", "special", "outdated")
REACHES = ("1", "2", "3", "4", "5")
"""How a practitioner looks at a command for its job: taken first, a sound second choice, for a niche, superseded."""
OWN_TERM = re.compile(rf"({'|'.join(BRANCHES)}):[a-z0-9_]+")
Many = tuple[str, ...]


@dataclass(frozen=True)
class Column:
    """One column: `kind` says what a value is (id, name, url, license, tool, or an EDAM branch)."""

    kind: str
    required: bool = True
    absent: bool = False  # whether a file may do without the column
    data: str = ""  # the column of kinds of data that ports in this one fill
    ports: str = ""  # the field that holds these ports
    name: str = ""
    many: bool = False


KINDS_OF_DATA = Column("data", required=False, absent=True)


@dataclass(frozen=True)
class Term:
    """A term of the table's own, for what EDAM lacks: id `format:hisat2_index`, its name, the terms above it."""

    term: Annotated[str, Column("id")]
    name: Annotated[str, Column("name")]
    is_a: Annotated[Many, Column("term")]


@dataclass(frozen=True)
class Encoding:
    """A format and the kinds of data it holds."""

    format: Annotated[str, Column("format")]
    encodes: Annotated[Many, Column("data")]


@dataclass(frozen=True)
class Tool:
    """A tool: a package of one or more commands. `license` is an SPDX id, `download` a package or an address.

    reach: how widely it is used, from "1" (rare, new or fading) over "3" (well known in its field) to "5" (in nearly
    every laboratory's pipelines); "" where the table does not say.
    """

    tool: Annotated[str, Column("id")]
    name: Annotated[str, Column("name")]
    biotools_id: Annotated[str, Column("text", required=False)]
    topics: Annotated[Many, Column("topic")]
    license: Annotated[str, Column("license")]
    homepage: Annotated[str, Column("url")]
    download: Annotated[str, Column("download")]
    reach: Annotated[str, Column("reach", required=False, absent=True)] = ""


@dataclass(frozen=True)
class Command:
    """One call of a tool (`samtools sort`) with the formats and data it reads and writes.

    standing: one of `STANDINGS`, "" where the table does not say. needs, gives: the ports, () where it does not state
    them; formats and kinds of data are then all that is known.
    """

    command: Annotated[str, Column("name")]
    tool: Annotated[str, Column("tool")]
    operations: Annotated[Many, Column("operation")]
    inputs: Annotated[Many, Column("format", data="input_data", ports="needs")]
    outputs: Annotated[Many, Column("format", data="output_data", ports="gives")]
    input_data: Annotated[Many, KINDS_OF_DATA]
    output_data: Annotated[Many, KINDS_OF_DATA]
    standing: Annotated[str, Column("standing", required=False, absent=True)] = ""
    needs: tuple[Port, ...] = ()
    gives: tuple[Port, ...] = ()


@dataclass(frozen=True)
class Source:
    """A place data is downloaded from, with what it delivers."""

    source: Annotated[str, Column("id")]
    name: Annotated[str, Column("name")]
    homepage: Annotated[str, Column("url")]
    formats: Annotated[Many, Column("format", data="data", ports="gives")]
    data: Annotated[Many, KINDS_OF_DATA]
    gives: tuple[Port, ...] = ()


@dataclass(frozen=True)
class State:
    """A state of data that a port may name. States of one axis exclude one another: `coordinate_sorted`, `unsorted`."""

    state: Annotated[str, Column("state")]
    axis: Annotated[str, Column("state")]
    meaning: Annotated[str, Column("text")]


@dataclass(frozen=True)
class Table:
    """The rows of the files in file order, and the digest of the files they came from.

    Examples:
        >>> from workbench.kg import read_table
        >>> table = read_table()
        >>> table.commands[0].command, table.lacks  # it says all that links are judged by
        ('abricate', ())
    """

    terms: tuple[Term, ...]
    formats: tuple[Encoding, ...]
    tools: tuple[Tool, ...]
    commands: tuple[Command, ...]
    sources: tuple[Source, ...]
    digest: str
    states: tuple[State, ...] = ()

    @property
    def lacks(self) -> tuple[str, ...]:
        """What the table does not say and links are judged without, in words; () for a table that says all."""
        said = {
            "ports with kinds of data (links hold where formats match)": any(c.needs for c in self.commands),
            "the standing of commands (all count alike)": any(c.standing for c in self.commands),
            "states of data": bool(self.states),
        }
        return tuple(what for what, there in said.items() if not there)


def _columns_of(row: type) -> tuple[Column, ...]:
    """The columns of a class of rows, with their names."""
    hints = ((name, get_args(hint)) for name, hint in get_type_hints(row, include_extras=True).items())
    return tuple(
        replace(said[1], name=name, many=said[0] == Many) for name, said in hints if isinstance(said[1], Column)
    )


# In reading order: what later files point to comes first, so that the first error is the cause and not its echo.
ROWS: dict[str, type] = {
    "terms.tsv": Term, "formats.tsv": Encoding, "tools.tsv": Tool, "commands.tsv": Command, "sources.tsv": Source,
    "states.tsv": State,
}  # fmt: skip
FILES = {file: _columns_of(row) for file, row in ROWS.items()}


@lru_cache(1 << 15)
def branch_of(term_id: str) -> str:
    """The branch of an EDAM id or an own term, "" for anything else."""
    return re.split("[_:]", term_id)[0] if EDAM_ID.fullmatch(term_id) or OWN_TERM.fullmatch(term_id) else ""
