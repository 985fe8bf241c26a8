"""What goes into a command or comes out of it: formats, kinds of data, and the few states that decide in practice.

A cell of a table holds ports parted by ` ; `, each `mark formats=kinds[states]`: alternatives parted by `|`, states by
commas. `+` marks a companion (needed, but no step of its own: an index, a reference, an annotation), `?` what may be
left out; no mark is the main input, which a chain follows. `*` for an output's kind means the data of the main input in
another shape: its kind, and every state that the port does not name, are carried over.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

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
    """Outputs whose `*` stands for the kinds of the main input. ValueError: `*` beside none or several of these."""
    main = [port for port in inputs if port.need == MAIN]
    filled = []
    for port in outputs:
        if port.carries and len(main) != 1:
            raise ValueError(f"{SAME} stands for the data of the one main input, and there are {len(main)}")
        kinds = main[0].kinds if port.carries else port.kinds
        filled.append(Port(port.formats, kinds, port.states, port.need, port.carries))
    return tuple(filled)
