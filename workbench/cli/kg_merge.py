"""`python -m workbench kg merge`: several graphs as one."""

from __future__ import annotations

import argparse
from pathlib import Path

from workbench.cli.screen import say


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
    import csv
    import io

    from workbench.artifacts.files import atomic_write_json, atomic_write_text
    from workbench.kg import load_graph, to_json
    from workbench.kg.merge import MATCH_COLUMNS, merge

    graphs = {}
    for place in options.graphs:
        graph = load_graph(place).graph
        name = str(graph.graph.get("name") or Path(place).stem)
        graphs[name if name not in graphs else f"{name} ({place})"] = graph
    if len(graphs) < len(options.graphs) or len(graphs) < 2:
        raise ValueError("merge needs two graphs or more, each given once")
    merged = merge(graphs, at_least=options.at_least)
    to_json(merged.graph, Path(options.out).expanduser())
    if options.matches:
        table = io.StringIO()
        writer = csv.DictWriter(table, MATCH_COLUMNS, delimiter="\t", lineterminator="\n")
        writer.writeheader()
        writer.writerows(merged.rows())
        atomic_write_text(Path(options.matches).expanduser(), table.getvalue())
    if options.conflicts:
        atomic_write_json(Path(options.conflicts).expanduser(), [one._asdict() for one in merged.conflicts])
    made, doubtful = len(merged.identity.made), len(merged.identity.doubtful)
    say(f"{merged.graph.number_of_nodes():,} nodes, {merged.graph.number_of_edges():,} facts in {options.out}")
    say(f"{made:,} matches made, {doubtful:,} doubtful ones left; {len(merged.conflicts):,} conflicts kept")
    for rule, count in merged.report.counts.items():
        say(f"{count:,} times: {rule}")
    say(merged.licence.note)
    return 0
