"""The widgets of the graph explorer and how they lie on the page; what they show and do is the panel's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from html import escape
from typing import Any

import ipywidgets as widgets
import networkx as nx

from workbench.artifacts.files import neutral
from workbench.figures.core import short
from workbench.hands.narrative.names import paragraph
from workbench.hands.panel.drawn import Graph
from workbench.hands.panel.export import as_csv
from workbench.hands.panel.parts import LIVE, USUAL, Access, Held, View, button, flow, named, slid, table
from workbench.kg.explore import Part

ROOM = {"width": "min(32em, 100%)"}
HINT = "Click a node, or choose it among what was found or shown, to go there."
ROWS = 200  # of the table of facts
WAYS = {"along the data flow": "flow", "over any facts": "facts"}


class GraphView(View):
    """Widgets by name, each with the class `wb-<name>`. kinds, relations: with their counts. `widget` is the whole."""

    def __init__(
        self,
        *,
        kinds: Mapping[str, int],
        relations: Mapping[str, int],
        most: int,
        on_click: Callable[[int], Any],
    ):
        self.search = widgets.Text(description="search", placeholder="a name or an id", layout=ROOM)
        self.hits = widgets.Select(options=[], rows=6, description="found", layout=ROOM)
        self.kinds = _several("types", kinds)
        self.relations = _several("relations", relations)
        self.hops = widgets.IntSlider(1, min=1, max=4, description="steps", continuous_update=False)
        self.at_most = widgets.BoundedIntText(most, min=1, max=2000, description="at most")
        self.start = widgets.Text(description="from", placeholder="name or id", layout=ROOM)
        self.end = widgets.Text(description="to", placeholder="name or id", layout=ROOM)
        self.by = widgets.Dropdown(options=WAYS, description="way")
        self.find = button("Find ways", "the shortest ways between the two, five at most")
        self.whole = button("Whole graph", "no node in the middle: those with the most facts")
        self.export = button("Export", "picture, facts and state as files of one name")
        self.shown, self.about, self.facts, self.status, self.links = (widgets.HTML() for _ in range(5))
        self.graph, self.access = Held(lambda: Graph(on_click)), Held(Access)
        self.widget = self._arranged()
        about = named(".wb-about", "what it needs and gives", role="region")
        hops = slid("hops", "steps around the node", "steps around the node")
        self.access.part.parts = [*USUAL, named(".wb-shown", **LIVE), about, *hops]

    def _arranged(self) -> widgets.VBox:
        self.mark()
        way = widgets.VBox([self.start, self.end, flow(self.by, self.find)])
        filters = [self.kinds, self.relations, self.hops, self.at_most, flow(self.whole)]
        left = widgets.VBox([self.search, self.hits, *filters, way, self.status]).add_class("wb-controls")
        hint = widgets.HTML(paragraph(HINT))
        right = widgets.VBox([self.shown, self.graph, hint, self.about]).add_class("wb-views")
        more = widgets.Accordion([self.facts, widgets.VBox([self.export, self.links])])
        more.titles = ("the facts shown", "export")
        columns = widgets.HBox([left, right]).add_class("wb-columns")
        return widgets.VBox([self.access, columns, more]).add_class("wb-panel").add_class("wb-graph-explorer")


def _several(name: str, counts: Mapping[str, int]) -> widgets.SelectMultiple:
    options = [(f"{one} ({count:,})", one) for one, count in sorted(counts.items())]
    tip = "none chosen: all; more with Ctrl or Shift"
    return widgets.SelectMultiple(options=options, rows=5, description=name, tooltip=tip, layout=ROOM)


def fact_table(graph: nx.MultiDiGraph, part: Part) -> str:
    """The first facts of a part as an HTML table; names are escaped."""
    rows = []
    for head, relation, tail in part.facts[:ROWS]:
        rows.append(map(escape, (short(graph.nodes[head]["name"]), relation, short(graph.nodes[tail]["name"]))))
    return f"<p>{len(rows):,} of {len(part.facts):,} facts</p>{table(rows)}"


def fact_csv(graph: nx.MultiDiGraph, part: Part) -> str:
    """All facts of a part as CSV, names and ids; what a spreadsheet would take for a formula is made text."""
    rows = [["head", "relation", "tail", "head_id", "tail_id"]]
    for head, relation, tail in part.facts:
        rows.append([graph.nodes[head]["name"], relation, graph.nodes[tail]["name"], head, tail])
    return as_csv(list(map(neutral, row)) for row in rows)
