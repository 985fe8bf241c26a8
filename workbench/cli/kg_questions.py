"""`workbench kg questions`: a log of questions about a graph, with their answers and the facts that decide them."""

from __future__ import annotations

import argparse
import json

from workbench.artifacts.files import typed
from workbench.cli.screen import say


def add(commands: argparse._SubParsersAction, common: argparse.ArgumentParser) -> None:
    """Declares `kg questions`."""
    text = "a log of questions about a graph, with answers and the facts that decide them"
    command = commands.add_parser("questions", parents=[common], help=text, description=f"Make {text}.")
    command.set_defaults(command=_questions)
    command.add_argument("graph", metavar="GRAPH", help="biotoolkg, mediakg, node-link JSON, or a folder of tables")
    command.add_argument("--out", metavar="FILE", required=True, help="where the log goes (JSON lines)")
    command.add_argument("--n", metavar="N", type=int, default=500, help="how many questions (default 500)")
    command.add_argument("--facts", metavar="N", type=int, default=12, help="facts shown with each (default 12)")
    command.add_argument("--kinds", metavar="KIND", nargs="+", default=[], help="kinds of questions (default: all)")
    command.add_argument("--seed", metavar="N", type=int, default=0, help="seed of what is drawn (default 0)")


def _questions(options: argparse.Namespace) -> int:
    from collections import Counter

    import numpy as np

    from workbench.artifacts.files import atomic_write_text, check_outputs
    from workbench.kg import load_graph
    from workbench.kg.asked_log import log_of
    from workbench.stats.meter import whole

    for name in ("n", "facts"):
        whole(f"--{name}", getattr(options, name), least=1)
    given, out = load_graph(options.graph), typed(options.out)
    check_outputs({"--out": out}, reads=given.files)
    how = {"facts": options.facts, "kinds": options.kinds, "rng": np.random.default_rng(options.seed)}
    records = list(log_of(given.graph, options.n, **how))
    if not records:
        raise ValueError(f"{options.graph} gives no question of these kinds; ask for others with --kinds")
    atomic_write_text(out, "".join(f"{json.dumps(one, ensure_ascii=False)}\n" for one in records))
    for kind, count in Counter(one["kind"] for one in records).items():
        say(f"{count:>7,}  {kind}")
    few = "" if len(records) == options.n else f" of the {options.n:,} asked for: the graph gives no more"
    say(f"{len(records):,} questions{few}; explain them by: workbench explain {options.out} --decision record ...")
    return 0
