"""`workbench kg merge`: several graphs as one."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.cli.places import typed
from workbench.cli.screen import say

if TYPE_CHECKING:
    import networkx as nx

    from workbench.kg.merge import Merged


def add(commands: argparse._SubParsersAction, common: argparse.ArgumentParser) -> None:
    merge = commands.add_parser("merge", parents=[common], help="make one graph of several; what is the same joins")
    merge.set_defaults(command=_merge)
    merge.add_argument("graphs", metavar="GRAPH", nargs="+", help="node-link JSON, or a folder of a table or triples")
    merge.add_argument("--out", metavar="FILE", required=True, help="where the merged graph goes (.json)")
    merge.add_argument("--matches", metavar="FILE", help="where the table of matches goes (.tsv), doubtful ones too")
    merge.add_argument("--conflicts", metavar="FILE", help="where the conflicts go (.json)")
    merge.add_argument(
        "--at-least", metavar="P", type=float, default=0.5, help="confidence a match needs (default 0.5)"
    )


def _merge(options: argparse.Namespace) -> int:
    from workbench.artifacts.outputs import check_outputs
    from workbench.kg import load_graph
    from workbench.kg.merge import merge

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
    _write(merged, outputs)
    made, doubtful = len(merged.identity.made), len(merged.identity.doubtful)
    say(f"{merged.graph.number_of_nodes():,} nodes, {merged.graph.number_of_edges():,} facts in {options.out}")
    say(f"{made:,} matches made, {doubtful:,} doubtful ones left; {len(merged.conflicts):,} conflicts kept")
    for rule, count in merged.report.counts.items():
        say(f"{count:,} times: {rule}")
    say(merged.licence.note)
    return 0


def _write(merged: Merged, outputs: Mapping[str, Path]) -> None:
    import csv
    import io

    from workbench.artifacts.files import atomic_write_json, atomic_write_text
    from workbench.kg import to_json
    from workbench.kg.merge import MATCH_COLUMNS

    to_json(merged.graph, outputs["--out"])
    if "--matches" in outputs:
        table = io.StringIO()
        writer = csv.DictWriter(table, MATCH_COLUMNS, delimiter="\t", lineterminator="\n")
        writer.writeheader()
        writer.writerows(merged.rows())
        atomic_write_text(outputs["--matches"], table.getvalue())
    if "--conflicts" in outputs:
        atomic_write_json(outputs["--conflicts"], [one._asdict() for one in merged.conflicts])
