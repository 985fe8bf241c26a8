"""`python -m workbench verify RUN`: recompute every digest of a run."""

from __future__ import annotations

import argparse
import shlex

from workbench.cli.exit import DIFFERENT, DONE
from workbench.cli.screen import answer, draw
from workbench.cli.show import text
from workbench.extras import this_command


def add(commands: argparse._SubParsersAction, common: argparse.ArgumentParser) -> None:
    verify = commands.add_parser("verify", parents=[common], help="recompute the digests of a run; code 1: some differ")
    verify.set_defaults(command=_verify)
    verify.add_argument("run", metavar="RUN", help="folder of the run")
    verify.add_argument("--json", action="store_true", help="as JSON")


def _verify(options: argparse.Namespace) -> int:
    from workbench.artifacts.steps import run_folder
    from workbench.report.lineage import verify
    from workbench.report.page import report_state

    run = run_folder(options.run)
    found = verify(run)
    report = report_state(run)
    sound = report is None and not any(one["broken"] for one in found.values())
    if options.json:
        answer({"run": str(run), "sound": sound, "stages": found, "report": report})
        return DONE if sound else DIFFERENT
    for stage, one in found.items():
        draw(text(f"{stage}: {'no longer matches' if one['broken'] else 'as it was made'}"))
        for line in one["broken"]:
            draw(text(f"  {line}", "red"))
        for line in one["notes"]:
            draw(text(f"  note: {line}"))
    draw(text(f"report: {report or 'as it was made'}", "red" if report else ""))
    if not sound:
        draw(text(f"To make again what no longer matches: {this_command()} run --run-dir {shlex.quote(str(run))}"))
    return DONE if sound else DIFFERENT
