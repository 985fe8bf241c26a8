"""`python -m workbench kg ask`: what leads from here to there, and what is missing where nothing does."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from workbench.cli.screen import result

if TYPE_CHECKING:
    import networkx as nx

    from workbench.kg.questions import Plans, Questions


def add(commands: argparse._SubParsersAction, common: argparse.ArgumentParser) -> None:
    ask = commands.add_parser("ask", parents=[common], help="the cheapest toolchains, or what is missing for one")
    ask.set_defaults(command=_ask)
    ask.add_argument("graph", metavar="GRAPH", help="node-link JSON, or a folder of a table or triples")
    ask.add_argument("--from", dest="start", metavar="X", nargs="+", required=True, help="what is there: ids or names")
    ask.add_argument("--to", dest="target", metavar="Y", help="what is wanted; without it, all that can be made")
    ask.add_argument("--k", metavar="N", type=int, default=3, help="how many toolchains (default 3)")
    ask.add_argument("--rule", default="declared", help="inputs needed: declared, any (as on a path) or all")


def _ask(options: argparse.Namespace) -> int:
    from workbench.kg import load_graph
    from workbench.kg.questions import Questions

    graph = load_graph(options.graph).graph
    start = [_node(graph, name) for name in options.start]
    if options.target is not None and any(standing for _, standing in graph.nodes(data="standing")):
        return _plan(graph, start, _node(graph, options.target), options.k)
    questions = Questions(graph, rule=options.rule)
    if options.target is None:
        for node in questions.reachable(start):
            result(f"{node}  {graph.nodes[node]['name']}")
        return 0
    target = _node(graph, options.target)
    plans = questions.cheapest(start, target, k=options.k)
    if plans.plans:
        _show(graph, plans)
    else:
        _why_not(graph, questions, start, target, options.k)
    return 0


def _plan(graph: nx.MultiDiGraph, start: list[str], target: str, k: int) -> int:
    """Where the graph says what flows and what is standard, chains keep the meaning of the data."""
    from workbench.kg.plan import Planner

    planner, names = Planner(graph), graph.nodes
    found = planner.plans(start, target, k=k)
    for number, plan in enumerate(found.plans, 1):
        steps = " -> ".join(names[node]["name"] for node in (plan.path[0], *plan.commands, plan.path[-1]))
        result(f"{number}. cost {plan.cost:g}: {steps if plan.commands else 'nothing has to be run'}")
        needs = [
            f"{' or '.join(sorted(names[item]['name'] for item in items))} ({names[command]['name']})"
            for command, ports in zip(plan.commands, plan.needs, strict=True)
            for items in ports
        ]
        if needs:
            result(f"     also needs: {', '.join(needs)}")
    if not found.proved:
        result("the search met its limit; there may be others")
    if not found.plans:
        result(f"{names[target]['name']} cannot be made from what is there.")
        for command, items in planner.lacking(target)[:8]:
            takes = " or ".join(sorted(names[item]["name"] for item in items))
            result(f"  {names[command]['name']} gives it, and takes {takes}")
    return 0


def _show(graph: nx.MultiDiGraph, plans: Plans) -> None:
    for number, plan in enumerate(plans.plans, 1):
        given = f"given {', '.join(graph.nodes[item]['name'] for item in plan.given)}: " if plan.given else ""
        steps = " -> ".join(graph.nodes[command]["name"] for command in plan.commands) or "nothing has to be run"
        result(f"{number}. cost {plan.cost:g}: {given}{steps}")
    if not plans.proved:
        result(f"the search met its limit; what is not listed costs {plans.bound:g} or more")


def _why_not(graph: nx.MultiDiGraph, questions: Questions, start: list[str], target: str, k: int) -> None:
    names = graph.nodes
    result(f"{names[target]['name']} cannot be made from what is there.")
    for row in questions.why_not(start, target, most=8):
        takes = " or ".join(names[item]["name"] for item in row.port)
        givers = ", ".join(names[command]["name"] for command in row.providers) or "no command"
        more = f" and {row.provider_count - len(row.providers)} more" if row.provider_count > len(row.providers) else ""
        cannot = ", none of which can be run" if row.provider_count else ""
        result(f"  {names[row.command]['name']} lacks {takes} (given by {givers}{more}{cannot})")
    missing = questions.missing(start, target, k=k)
    if missing.plans:
        result("With the fewest things supplied:")
        _show(graph, missing)


def _node(graph: nx.MultiDiGraph, name: str) -> str:
    """The node of an id or of a name on the data flow. ValueError: none has it, or several."""
    if name in graph:
        return name
    kinds = ("source", "format", "data", "command")
    wanted = name.casefold()
    found = sorted(n for n, d in graph.nodes(data=True) if d["type"] in kinds and d["name"].casefold() == wanted)
    if len(found) != 1:
        rule = f"one of {', '.join(found)}" if found else "an id or name of the graph"
        raise ValueError(f"--from and --to take a source, format or kind of data: {name!r} must be {rule}")
    return found[0]
