"""The graph explorer: search, filters, what lies around a node, ways between two nodes, what a command needs and gives.

Whatever a control does can be done by code: `search`, `filter`, `go`, `ways`, `state`, `export`.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from html import escape
from typing import Any

import ipywidgets as widgets
import networkx as nx

from workbench.artifacts.files import neutral
from workbench.figures import explored
from workbench.figures.core import Figure, short
from workbench.hands.narrative.names import paragraph
from workbench.hands.panel.explorer import Explorer, View, as_csv, button, flow, table
from workbench.hands.panel.parts import LIVE, USUAL, Access, Graph, Held, named, slid
from workbench.hands.panel.work import Debounced
from workbench.kg.explore import BY, ExploreError, Hits, Part, around, commanded, known, search, ways

AT_MOST = 60  # nodes at the start: more are hard to read
SET = ("search", "kinds", "relations", "hops", "at_most")  # widgets that a state tells of first
ROOM = {"width": "min(32em, 100%)"}
HINT = "Click a node, or choose it among what was found or shown, to go there."
ROWS = 200  # of the table of facts
WAYS = {"along the data flow": "flow", "over any facts": "facts"}


class GraphView(View):
    """Widgets by name, each with the class `wb-<name>`. panel: which hears of clicks. `widget` is the whole."""

    def __init__(self, panel: GraphPanel, at_most: int):
        self.search = widgets.Text(description="search", placeholder="a name or an id", layout=ROOM)
        self.hits = widgets.Select(options=[], rows=6, description="found", layout=ROOM)
        self.kinds = _several("types", (str(kind) for _, kind in panel.graph.nodes(data="type")))
        self.relations = _several("relations", (str(key) for *_, key in panel.graph.edges(keys=True)))
        self.hops = widgets.IntSlider(1, min=1, max=4, description="steps", continuous_update=False)
        self.at_most = widgets.BoundedIntText(at_most, min=1, max=2000, description="at most")
        self.start = widgets.Text(description="from", placeholder="name or id", layout=ROOM)
        self.end = widgets.Text(description="to", placeholder="name or id", layout=ROOM)
        self.by = widgets.Dropdown(options=WAYS, description="way")
        self.find = button("Find ways", "the shortest ways between the two, five at most")
        self.whole = button("Whole graph", "no node in the middle: those with the most facts")
        self.export = button("Export", "picture, facts and state as files of one name")
        self.shown, self.about, self.facts, self.status, self.links = (widgets.HTML() for _ in range(5))
        self.graph, self.access = Held(lambda: Graph(panel._clicked)), Held(Access)
        way = widgets.VBox([self.start, self.end, flow(self.by, self.find)])
        filters = [self.kinds, self.relations, self.hops, self.at_most, flow(self.whole)]
        left = [self.search, self.hits, *filters, way, self.status]
        right = [self.shown, self.graph, widgets.HTML(paragraph(HINT)), self.about]
        drawers = {"the facts shown": self.facts, "export": widgets.VBox([self.export, self.links])}
        self.widget = self.page([], {"controls": left, "views": right}, drawers).add_class("wb-graph-explorer")
        about = named(".wb-about", "what it needs and gives", role="region")
        hops = slid("hops", "steps around the node", "steps around the node")
        self.access.part.parts = [*USUAL, named(".wb-shown", **LIVE), about, *hops]


def _several(name: str, found: Iterable[str]) -> widgets.SelectMultiple:
    options = [(f"{one} ({count:,})", one) for one, count in sorted(Counter(found).items())]
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


class GraphPanel(Explorer):
    """Explores a graph. In JupyterLab the live `widget` is shown, everywhere else its still picture.

    node: in the middle at the start; None: those with the most facts are shown. folder: where exports go; None: they
    are links only.
    """

    def __init__(
        self,
        graph: nx.MultiDiGraph,
        node: str | None = None,
        *,
        at_most: int = AT_MOST,
        folder: str | os.PathLike[str] | None = None,
    ):
        self.graph = graph
        super().__init__(GraphView(self, at_most), folder)
        self.node: str | None = None
        self.between: tuple[str, str] | None = None
        self.opened: tuple[str, ...] = ()  # bundles whose members are shown apart
        self.part: Part
        self.seen: explored.View
        self._typed = Debounced(self._listed)
        self._wire()
        self._listed()
        self.go(node)

    def search(self, text: str) -> Hits:
        """Lists the nodes whose name or id holds the words of `text`."""
        self.put(search=text)
        return self._listed()

    def filter(self, *, kinds: Collection[str] = (), relations: Collection[str] = ()) -> None:
        """Looks at these entity types and relations alone; none: all. TraitError: the graph has no such one."""
        self.put(kinds=tuple(kinds), relations=tuple(relations))
        self._listed()
        self._again()

    def go(self, node: str | None, *, hops: int | None = None) -> Part:
        """Shows what lies around a node (id); None: the nodes with the most facts. ExploreError: no such node."""
        if node is not None:
            known(self.graph, node)
        if hops is not None:
            self.put(hops=hops)
        self.node, self.between, self.opened = node, None, ()
        return self._again()

    def ways(self, start: str, end: str, *, by: str = BY[0]) -> Part:
        """Shows the shortest ways between two nodes, by id or name. ExploreError, PathError: there is none."""
        ends = self._known(start), self._known(end)
        part = self._ways(*ends, by)
        self.put(start=self._name(ends[0]), end=self._name(ends[1]), by=by)
        self.between = ends
        return self._show(part)

    @property
    def state(self) -> dict[str, Any]:
        """Everything that is set, as plain JSON; assign it to come back to it."""
        told = {name: getattr(self.view, name).value for name in SET}
        told |= {"node": self.node, "between": self.between, "by": self.view.by.value, "opened": self.opened}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in told.items()}

    @state.setter
    def state(self, given: Mapping[str, Any]) -> None:
        told = self.merged(given, ExploreError)
        self.put(**{name: told[name] for name in (*SET, "by")})
        self._listed()
        self.go(told["node"])
        if told["between"]:
            self.ways(*told["between"], by=told["by"])
        if told["opened"]:
            self.opened = tuple(map(str, told["opened"]))
            self._again()

    @property
    def title(self) -> str:
        """What is in the picture, in a few words."""
        if self.between:
            return f"Ways from {' to '.join(map(self._name, self.between))}"
        return "The graph" if self.node is None else f"Around {self._name(self.node)}"

    def pictures(self) -> list[Figure]:
        """What is shown, as a figure."""
        return [explored.explored(self.graph, self.seen, title=self.title, told=self.part.told(self.graph))]

    def sentences(self) -> str:
        """What is shown, in words: how much of the graph, and what the command in the middle needs and gives."""
        told = self.part.told(self.graph)
        return f"{told[0].upper()}{told[1:]}. {self._command()}".strip()

    def table(self) -> str:
        """The facts shown, as CSV."""
        return fact_csv(self.graph, self.part)

    def _wire(self) -> None:
        view = self.view
        self.follow(lambda _: self._typed(), view.search)
        self.follow(self._chosen, view.hits)
        self.follow(lambda _: self._moved(), view.kinds, view.relations, view.hops, view.at_most)
        view.find.on_click(lambda _: self.guarded(self._found))
        view.whole.on_click(lambda _: self.guarded(lambda: self.go(None)))
        view.export.on_click(lambda _: self.guarded(lambda: self.offer("graph", self.title)))

    def _moved(self) -> None:
        self._listed()
        self.guarded(self._again)

    def _found(self) -> None:
        self.ways(self.view.start.value, self.view.end.value, by=self.view.by.value)

    def _clicked(self, key: int) -> None:
        nodes = list(self.seen.part.steps)
        if not 0 <= key < len(nodes):
            return
        if nodes[key] in self.seen.bundles:
            self.opened = (*self.opened, nodes[key])
            self.guarded(self._again)
        else:
            self.guarded(lambda: self.go(nodes[key]))

    def _chosen(self, node: str | None) -> None:
        if node is not None:
            self.guarded(lambda: self.go(node))

    def _listed(self) -> Hits:
        found = search(self.graph, self.view.search.value, kinds=self.view.kinds.value)
        options = [(f"{short(self._name(n))} ({self.graph.nodes[n]['type']})", n) for n in found.nodes]
        with self.quietly():
            self.view.hits.options, self.view.hits.value = options, None
            self.view.hits.description = f"{found.total:,} found"
        return found

    def _again(self) -> Part:
        """What is to be seen, with what is set now."""
        view = self.view
        if self.between:
            return self._show(self._ways(*self.between, view.by.value))
        how = {"kinds": view.kinds.value, "relations": view.relations.value, "hops": view.hops.value}
        most = view.at_most.value if self.node is None else len(self.graph)
        return self._show(around(self.graph, self.node, at_most=most, **how))

    def _ways(self, start: str, end: str, by: str) -> Part:
        return ways(self.graph, start, end, by=by, kinds=self.view.kinds.value, relations=self.view.relations.value)

    def _show(self, part: Part) -> Part:
        view = self.view
        self.seen, self.part = explored.collapsed(self.graph, part, at_most=view.at_most.value, opened=self.opened)
        view.graph.part.show(*explored.drawing(self.graph, self.seen), title=self.title, alt=self.sentences())
        view.shown.value = paragraph(self.part.told(self.graph))
        view.about.value = paragraph(self._command())
        view.facts.value = fact_table(self.graph, self.part)
        return part

    def _command(self) -> str:
        return "" if self.node is None or self.between else commanded(self.graph, self.node)

    def _name(self, node: str) -> str:
        return str(self.graph.nodes[node]["name"])

    def _known(self, text: str) -> str:
        """A node by its id, or by a name that is its own. ExploreError: there is none."""
        if text in self.graph:
            return text
        same = [node for node in search(self.graph, text).nodes if self._name(node).casefold() == text.casefold()]
        return known(self.graph, same[0] if same else text)
