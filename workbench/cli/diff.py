"""`python -m workbench diff RUN RUN`: what differs in parameters and in results."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from typing import Any

from workbench.cli.exit import DIFFERENT, DONE
from workbench.cli.screen import answer, draw
from workbench.cli.show import text

TITLES = {"parameters": "parameters", "made_from": "made from", "files": "files"}
MOST_METRICS = 40  # rows of the table of a stage; --json has all


def add(commands: argparse._SubParsersAction, common: argparse.ArgumentParser) -> None:
    diff = commands.add_parser("diff", parents=[common], help="say what differs between two runs; code 1: something")
    diff.set_defaults(command=_diff)
    diff.add_argument("first", metavar="RUN", help="folder of a run")
    diff.add_argument("second", metavar="RUN", help="folder of another")
    diff.add_argument("--json", action="store_true", help="as JSON, with every metric that differs")
    diff.add_argument(
        "--html", metavar="FILE", help="both runs side by side, what each found and what differs, as a page"
    )


def _diff(options: argparse.Namespace) -> int:
    from workbench.artifacts.outputs import check_outputs, check_place
    from workbench.artifacts.stage import STAGES
    from workbench.artifacts.steps import run_folder
    from workbench.report.lineage import compare

    first, second = run_folder(options.first), run_folder(options.second)
    if options.html:
        check_place("--html", options.html)
        check_outputs({"--html": options.html}, reads=[one / stage for one in (first, second) for stage in STAGES])
    found = compare(first, second)
    if options.html:
        from workbench.report.write import write_beside  # loads what cleans HTML

        write_beside(first, second, options.html)
    same = not any(one[part] for one in found.values() for part in ("parameters", "files", "metrics"))
    if options.json:
        answer({"first": str(first), "second": str(second), "same": same, "stages": found})
        return DONE if same else DIFFERENT
    for stage, one in found.items():
        draw(text(f"{stage}: {'differs' if any(one.values()) else 'the same'}", "bold"))
        for part, title in TITLES.items():
            for line in one[part]:
                draw(text(f"  {title}: {line}"))
        if one["metrics"]:
            draw(_table(one["metrics"], title=f"metrics of {stage}"))
    return DONE if same else DIFFERENT


def _table(rows: Sequence[Mapping[str, Any]], *, title: str) -> Any:
    from rich.table import Table

    head = ("metric", "first", "second", "difference", "relative")
    caption = f"{len(rows) - MOST_METRICS} more; --json has all" if len(rows) > MOST_METRICS else None
    table = Table(*head, title=title, caption=caption)
    for row in rows[:MOST_METRICS]:
        relative = "" if row["relative"] is None else f"{row['relative']:+.2%}"
        numbers = [_shown(row[name]) for name in ("first", "second", "difference")]
        table.add_row(*map(text, (row["name"], *numbers, relative)))
    return table


def _shown(value: Any) -> str:
    return "" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)
