"""`python -m workbench show RUN`: where the results of a run come from."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from typing import Any

from workbench.cli.screen import answer, draw, printable

LONGEST = 100  # characters of a value
HEAD = ("finished", "seconds", "seed", "device", "python", "platform")


def add(commands: argparse._SubParsersAction, common: argparse.ArgumentParser) -> None:
    show = commands.add_parser("show", parents=[common], help="print where the results of a run come from")
    show.set_defaults(command=_show)
    show.add_argument("run", metavar="RUN", help="folder of the run")
    show.add_argument("--json", action="store_true", help="as JSON, with everything that is recorded")
    show.add_argument("--stage", metavar="S", help="one stage only: kg, adapter, explain or shift")


def _show(options: argparse.Namespace) -> int:
    from workbench.artifacts.stage import stage_folder
    from workbench.artifacts.steps import run_folder
    from workbench.report.lineage import lineage

    run = run_folder(options.run)
    if options.stage is not None:
        stage_folder(run, options.stage)
    told = lineage(run)
    if options.stage is not None:
        told["stages"] = {options.stage: told["stages"][options.stage]}
    if options.json:
        answer(told)
    else:
        draw(_tree(told))
    return 0


def _tree(told: Mapping[str, Any]) -> Any:
    from rich.tree import Tree

    root = Tree(text(told["run"], "bold"))
    for stage, recorded in told["stages"].items():
        if recorded is None:
            root.add(text(f"{stage}: not made, or not to its end", "red"))
            continue
        branch = root.add(text(f"{stage}, by {recorded['notebook']}", "bold"))
        for title, lines in _parts(recorded):
            leaf = branch.add(text(title, "cyan"))
            for line in lines:
                leaf.add(text(line))
    return root


def _parts(recorded: Mapping[str, Any]) -> Iterator[tuple[str, list[str]]]:
    from workbench.report.evidence import code_line, input_line
    from workbench.report.lineage import flat

    yield "made", [f"{name}: {recorded.get(name)}" for name in HEAD] + _named(recorded.get("machine", {}))
    yield "code", [code_line(recorded)]
    yield "parameters", _named(recorded["parameters"] if recorded["parameters"] is not None else recorded.get("config"))
    yield "inputs", [input_line(name, one) for name, one in recorded["inputs"].items()]
    yield "versions", _named(recorded.get("packages", {}))
    yield "files", [f"{name}  {digest[:16]}" for name, digest in list(recorded["files"].items())[:20]]
    metrics = dict(flat(recorded.get("metrics", {}), ""))
    yield f"metrics ({len(metrics)})", _named(dict(list(metrics.items())[:20]))


def _named(values: Any) -> list[str]:
    return [f"{name}: {value}" for name, value in values.items()] if isinstance(values, Mapping) else []


def text(line: str, style: str = "") -> Any:
    """A line of the screen: what is recorded is data, never markup or a command to the terminal."""
    from rich.text import Text

    shown = printable(line)
    return Text(shown if len(shown) <= LONGEST + 40 else f"{shown[: LONGEST + 40]}...", style=style)
