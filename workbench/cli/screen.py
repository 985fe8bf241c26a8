"""What the command line prints: lines, tables, errors."""

from __future__ import annotations

from collections.abc import Sequence

LONG_ROW, FEW_ROWS = 8, 4  # columns and rows of a table that is turned on its side


def say(line: str) -> None:
    print(line, flush=True)


def show(rows: Sequence[dict], *, title: str) -> None:
    """Rows of plain values as a table; of few long rows, each is a column."""
    from rich.console import Console
    from rich.table import Table

    cells = [(name, *(plain(row[name]) for row in rows)) for name in rows[0]]
    head, *body = cells if len(cells) > LONG_ROW and len(rows) <= FEW_ROWS else zip(*cells, strict=True)
    table = Table(*head, title=title)
    for line in body:
        table.add_row(*line)
    Console().print(table)


def plain(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def complain(message: str) -> None:
    from rich.console import Console
    from rich.text import Text

    Console(stderr=True).print(Text(" ".join(message.split()), style="red"), soft_wrap=True)
