"""`workbench kg ask`: what leads from here to there or toward a goal, and what would where nothing does."""

from __future__ import annotations

import argparse
import difflib
from collections.abc import Sequence
from typing import TYPE_CHECKING

from workbench.cli.screen import result, say

if TYPE_CHECKING:
    import networkx as nx

    from workbench.kg.plan import Plan, Planner

MOST = 8  # commands named where nothing leads to the target, and nodes where a name is of several or of none


def add(commands: argparse._SubParsersAction, common: argparse.ArgumentParser) -> None:
    ask = commands.add_parser("ask", parents=[common], help="the cheapest toolchains, or what is missing for one")
    ask.set_defaults(command=_ask)
    ask.add_argument("graph", metavar="GRAPH", help="node-link JSON, or a folder of a table or triples")
    ask.add_argument("--from", dest="start", metavar="X", nargs="+", required=True, help="what is there: ids or names")
    wanted = ask.add_mutually_exclusive_group()
    wanted.add_argument("--to", dest="target", metavar="Y", help="what is wanted; without it, all that can be made")
    wanted.add_argument("--goal", metavar="KIND", help="the kind of data that is wanted, in whatever format")
    ask.add_argument("--k", metavar="N", type=int, default=3, help="how many toolchains (default 3)")


def _ask(options: argparse.Namespace) -> int:
    from workbench.kg import load_graph
    from workbench.kg.plan import Planner

    graph = load_graph(options.graph).graph
    start = [_node(graph, name, "--from") for name in options.start]
    target = None if options.target is None else _node(graph, options.target, "--to")
    if options.goal is not None:
        target = _node(graph, options.goal, "--goal", kinds=("data",))
    planner = Planner(graph)
    if target is None:
        for node in planner.reachable(start):
            result(f"{node}  {graph.nodes[node]['name']}")
        return 0
    found = planner.plans(start, target, k=options.k)
    for number, plan in enumerate(found.plans, 1):
        _show(graph, number, plan)
    if not found.proved:
        result("the search met its limit; there may be others")
    if not found.plans:
        _why_not(planner, target)
    return 0


def _show(graph: nx.MultiDiGraph, number: int, plan: Plan) -> None:
    names = graph.nodes
    steps = " -> ".join(names[node]["name"] for node in (plan.path[0], *plan.commands, plan.path[-1]))
    result(f"{number}. cost {plan.cost:g}: {steps if plan.commands else 'nothing has to be run'}")
    needs = [
        f"{_either(graph, items)} ({names[command]['name']})"
        for command, ports in zip(plan.commands, plan.needs, strict=True)
        for items in ports
    ]
    if needs:
        result(f"     also needs: {', '.join(needs)}")


def _why_not(planner: Planner, target: str) -> None:
    names, lacking = planner.graph.nodes, planner.lacking(target)
    result(f"{names[target]['name']} cannot be made from what is there.")
    for command, items in lacking[:MOST]:
        result(f"  {names[command]['name']} gives it, and nothing leads to {_either(planner.graph, items)}")
    if len(lacking) != min(len(lacking), MOST) or not lacking:
        result(f"  {len(lacking) - MOST} more commands give it" if lacking else "  No command gives it.")


def _either(graph: nx.MultiDiGraph, items: frozenset[str]) -> str:
    return " or ".join(sorted(graph.nodes[item]["name"] for item in items))


def _node(
    graph: nx.MultiDiGraph, name: str, option: str, *, kinds: Sequence[str] = ("source", "format", "data")
) -> str:
    """The node of an id, a name or the only one that this is a part of. ValueError: there is none, or several; those
    that come near are named."""
    from workbench.kg.explore import search

    if name in graph and graph.nodes[name]["type"] in kinds:
        return name
    names = {n: d["name"] for n, d in sorted(graph.nodes(data=True)) if d["type"] in kinds}
    hits = search(graph, name, kinds=kinds, limit=len(names)).nodes if name.strip() else []
    found = [n for n in hits if names[n].casefold() == name.casefold()] or hits
    if len(found) == 1:
        if names[found[0]].casefold() != name.casefold():
            say(f"{name!r} is taken for {names[found[0]]!r} ({found[0]})")
        return found[0]
    close = difflib.get_close_matches(name, names.values(), n=MOST)
    near = sorted(found, key=lambda n: len(names[n])) or [n for text in close for n in names if names[n] == text]
    some = ", ".join(f"{names[node]} ({node})" for node in near[:MOST])
    rule = f"is in {len(found)} names, say which: {some}" if found else "is in no name"
    rule += f"; near it are {some}" if near and not found else ""
    what = "a kind of data" if tuple(kinds) == ("data",) else "a source, format or kind of data"
    raise ValueError(f"{option} takes {what}: {name!r} {rule}")
