"""`workbench kg ...`: graphs imported from registries, several made one, and asked what leads from here to there."""

from __future__ import annotations

import argparse
import difflib
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.artifacts.files import atomic_write_json, atomic_write_text, check_outputs, check_place, typed
from workbench.hands.cli.output import result, say

if TYPE_CHECKING:
    import networkx as nx

    from workbench.kg.plan import Plan, Planner


FORMATS = ("nfcore", "biotools", "galaxy", "workflow", "edam", "rdf", "triples", "graphml", "tables")
SHOWN = 6  # rules of the report that the summary names
PATIENCE = 2.0  # seconds before the progress bar shows


def add_import(declare: Callable[..., argparse.ArgumentParser]) -> None:
    """Declares `kg import`."""
    text = "a graph from a registry, with a report of what was wrong in it"
    command = declare("import", _import, text, description=f"Make {text}.")
    command.add_argument("format", metavar="FORMAT", help=f"one of {', '.join(FORMATS)}")
    command.add_argument("path", metavar="PATH", help="file or folder to read")
    command.add_argument("--out", metavar="FILE", required=True, help="where the graph goes (node-link JSON)")
    command.add_argument("--report", metavar="FILE", help="where the findings go (.tsv: a table, else JSON lines)")
    command.add_argument("--mapping", metavar="FILE", help="what columns, types and relations of the file mean here")
    command.add_argument("--schema", metavar="FILE", help="what the words of a domain mean here, for any of its files")
    command.add_argument("--edam", metavar="FILE", help="look terms up in this EDAM (OWL, TSV or CSV)")


def _import(options: argparse.Namespace) -> None:
    from tqdm import tqdm

    from workbench.kg import importers, summary

    if options.format not in importers.IMPORTERS:
        known = ", ".join(importers.IMPORTERS)
        raise importers.RegistryError(f"no importer is called {options.format!r}; there are {known}")
    out = typed(options.out)
    report = typed(options.report) if options.report else None
    outputs = {"--out": out, **({"--report": report} if report else {})}
    for name, file in outputs.items():
        check_place(name, file)
    check_outputs(outputs, reads=[one for one in (options.mapping, options.schema, options.edam) if one])
    vocabulary = importers.Vocabulary(importers.read_edam(options.edam) if options.edam else None)
    meaning = importers.Options(vocabulary, importers.read_mapping(options.mapping, options.schema))
    started = time.perf_counter()
    how = {"unit": " records", "delay": PATIENCE, "leave": False, "mininterval": 0.5}
    with tqdm(desc=f"import {options.format}", **how) as bar:
        graph, note = importers.import_registry(
            importers.IMPORTERS[options.format],
            typed(options.path),
            out=out,
            report=report,
            options=meaning,
            progress=lambda records, _file: bar.update(records - bar.n),
        )
    for rule, count in list(note.counts.items())[:SHOWN]:
        say(f"  {count:>7,}  {rule}")
    counts = summary(graph)
    actions = ", ".join(f"{count:,} {action}" for action, count in note.actions.items())
    say(
        f"{note.records:,} records: {counts['tools']:,} tools, {counts['commands']:,} commands, "
        f"{counts['sources']:,} sources, {counts['facts']:,} facts; findings: {actions}; "
        f"{time.perf_counter() - started:.1f} s; the graph is in {os.path.relpath(out)}"
    )


def add_merge(declare: Callable[..., argparse.ArgumentParser]) -> None:
    merge = declare("merge", _merge, "make one graph of several; what is the same joins")
    merge.add_argument("graphs", metavar="GRAPH", nargs="+", help="node-link JSON, or a folder of a table or triples")
    merge.add_argument("--out", metavar="FILE", required=True, help="where the merged graph goes (.json)")
    merge.add_argument("--matches", metavar="FILE", help="where the table of matches goes (.tsv), doubtful ones too")
    merge.add_argument("--conflicts", metavar="FILE", help="where the conflicts go (.json)")
    merge.add_argument(
        "--at-least", metavar="P", type=float, default=0.5, help="confidence a match needs (default 0.5)"
    )


def _merge(options: argparse.Namespace) -> None:
    import pandas as pd

    from workbench.kg import load_graph, to_json
    from workbench.kg.merge import MATCH_COLUMNS, merge

    given = [load_graph(place) for place in options.graphs]
    if len({one.digest for one in given}) < max(2, len(given)):
        raise ValueError("merge needs two graphs or more, each given once")
    graphs: dict[str, nx.MultiDiGraph] = {}
    for place, one in zip(options.graphs, given, strict=True):
        name = str(one.graph.graph.get("name") or Path(place).stem)
        graphs[name if name not in graphs else f"{name} ({place})"] = one.graph
    asked = ((f"--{name}", getattr(options, name)) for name in ("out", "matches", "conflicts"))
    outputs = {name: typed(file) for name, file in asked if file}
    check_outputs(outputs, reads=[file for one in given for file in one.files])
    merged = merge(graphs, at_least=options.at_least)
    to_json(merged.graph, outputs["--out"])
    if "--matches" in outputs:
        table = pd.DataFrame(merged.rows(), columns=list(MATCH_COLUMNS))
        atomic_write_text(outputs["--matches"], table.to_csv(sep="\t", index=False, lineterminator="\n"))
    if "--conflicts" in outputs:
        atomic_write_json(outputs["--conflicts"], [one._asdict() for one in merged.conflicts])
    made, doubtful = len(merged.identity.made), len(merged.identity.doubtful)
    say(f"{merged.graph.number_of_nodes():,} nodes, {merged.graph.number_of_edges():,} facts in {options.out}")
    say(f"{made:,} matches made, {doubtful:,} doubtful ones left; {len(merged.conflicts):,} conflicts kept")
    for rule, count in merged.report.counts.items():
        say(f"{count:,} times: {rule}")
    say(merged.licence.note)


MOST = 8  # commands named where nothing leads to the target, and nodes where a name is of several or of none


def add_ask(declare: Callable[..., argparse.ArgumentParser]) -> None:
    ask = declare("ask", _ask, "the cheapest toolchains, or what is missing for one")
    ask.add_argument("graph", metavar="GRAPH", help="biotoolkg, mediakg, node-link JSON, or a folder of tables")
    ask.add_argument("--from", dest="start", metavar="X", nargs="+", required=True, help="what is there: ids or names")
    wanted = ask.add_mutually_exclusive_group()
    wanted.add_argument("--to", dest="target", metavar="Y", help="what is wanted; without it, all that can be made")
    wanted.add_argument("--goal", metavar="KIND", help="the kind of data that is wanted, in whatever format")
    ask.add_argument("--k", metavar="N", type=int, default=3, help="how many toolchains (default 3)")


def _ask(options: argparse.Namespace) -> None:
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
        return
    found = planner.plans(start, target, k=options.k)
    for number, plan in enumerate(found.plans, 1):
        _show(graph, number, plan)
    if not found.proved:
        result("the search met its limit; there may be others")
    if not found.plans:
        _why_not(planner, target)


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
