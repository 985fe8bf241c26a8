"""The graph explorer: search, filters, what lies around a node, ways between two nodes, what a command needs and gives.

Whatever a control does can be done by code: `search`, `filter`, `go`, `ways`, `state`, `export`.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import networkx as nx

from workbench.figures.core import Figure, short
from workbench.figures.explored import View, collapsed, drawing, explored
from workbench.hands.narrative.names import paragraph
from workbench.hands.panel import export as files
from workbench.hands.panel.graph_view import GraphView, fact_csv, fact_table
from workbench.hands.panel.work import Debounced
from workbench.kg.explore import BY, ExploreError, Hits, Part, around, commanded, known, search, ways

AT_MOST = 60  # nodes at the start: more are hard to read


class GraphPanel(files.Explorer):
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
        self.graph, self.folder = graph, None if folder is None else Path(folder)
        kinds = Counter(str(kind) for _, kind in graph.nodes(data="type"))
        relations = Counter(str(key) for *_, key in graph.edges(keys=True))
        self.view = GraphView(kinds=kinds, relations=relations, most=at_most, on_click=self._clicked)
        self.widget = self.view.widget
        self.node: str | None = None
        self.between: tuple[str, str] | None = None
        self.opened: tuple[str, ...] = ()  # bundles whose members are shown apart
        self.part: Part
        self.seen: View
        self._typed = Debounced(lambda: self._listed(self._hits()))
        self._wire()
        self._listed(self._hits())
        self.go(node)

    def search(self, text: str) -> Hits:
        """Lists the nodes whose name or id holds the words of `text`."""
        self._set(search=text)
        found = self._hits()
        self._listed(found)
        return found

    def filter(self, *, kinds: Collection[str] = (), relations: Collection[str] = ()) -> None:
        """Looks at these entity types and relations alone; none: all. TraitError: the graph has no such one."""
        self._set(kinds=tuple(kinds), relations=tuple(relations))
        self._listed(self._hits())
        self._again()

    def go(self, node: str | None, *, hops: int | None = None) -> Part:
        """Shows what lies around a node (id); None: the nodes with the most facts. ExploreError: no such node."""
        if node is not None:
            known(self.graph, node)
        if hops is not None:
            self._set(hops=hops)
        self.node, self.between, self.opened = node, None, ()
        return self._again()

    def ways(self, start: str, end: str, *, by: str = BY[0]) -> Part:
        """Shows the shortest ways between two nodes, by id or name. ExploreError, PathError: there is none."""
        ends = self._known(start), self._known(end)
        part = self._ways(*ends, by)
        self._set(start=self._name(ends[0]), end=self._name(ends[1]), by=by)
        self.between = ends
        self._show(part)
        return part

    @property
    def state(self) -> dict[str, Any]:
        """Everything that is set, as plain JSON; assign it to come back to it."""
        view = self.view
        return {
            "search": view.search.value,
            "kinds": list(view.kinds.value),
            "relations": list(view.relations.value),
            "hops": view.hops.value,
            "at_most": view.at_most.value,
            "node": self.node,
            "between": list(self.between) if self.between else None,
            "by": view.by.value,
            "opened": list(self.opened),
        }

    @state.setter
    def state(self, given: Mapping[str, Any]) -> None:
        told = {**self.state, **given}
        if unknown := sorted(set(given) - set(self.state)):
            raise ExploreError(f"a state has {', '.join(self.state)}, not {unknown[0][:80]!r}")
        plain = {key: told[key] for key in ("search", "hops", "at_most", "by")}
        self._set(**plain, kinds=tuple(told["kinds"]), relations=tuple(told["relations"]))
        self._listed(self._hits())
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
        return [explored(self.graph, self.seen, title=self.title, told=self.part.told(self.graph))]

    def sentences(self) -> str:
        """What is shown, in words: how much of the graph, and what the command in the middle needs and gives."""
        told = self.part.told(self.graph)
        return f"{told[0].upper()}{told[1:]}. {self._command()}".strip()

    def table(self) -> str:
        """The facts shown, as CSV."""
        return fact_csv(self.graph, self.part)

    def _wire(self) -> None:
        view = self.view
        view.search.observe(lambda _: None if self.still else self._typed(), "value")
        view.hits.observe(lambda change: self._chosen(change["new"]), "value")
        for control in (view.kinds, view.relations, view.hops, view.at_most):
            control.observe(lambda _: self._moved(), "value")
        view.find.on_click(
            lambda _: self.guarded(lambda: self.ways(view.start.value, view.end.value, by=view.by.value))
        )
        view.whole.on_click(lambda _: self.guarded(lambda: self.go(None)))
        view.export.on_click(lambda _: self.guarded(lambda: self.offer("graph", self.title)))

    def _set(self, **values: Any) -> None:
        """Sets widgets without doing what a person's hand would do."""
        with self.quietly():
            for name, value in values.items():
                getattr(self.view, name).value = value

    def _moved(self) -> None:
        if not self.still:
            self._listed(self._hits())
            self.guarded(self._again)

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
        if node is not None and not self.still:
            self.guarded(lambda: self.go(node))

    def _hits(self) -> Hits:
        return search(self.graph, self.view.search.value, kinds=self.view.kinds.value)

    def _listed(self, found: Hits) -> None:
        options = [(f"{short(self._name(n))} ({self.graph.nodes[n]['type']})", n) for n in found.nodes]
        with self.quietly():
            self.view.hits.options, self.view.hits.value = options, None
            self.view.hits.description = f"{found.total:,} found"

    def _again(self) -> Part:
        """What is to be seen, with what is set now."""
        view = self.view
        if self.between:
            part = self._ways(*self.between, view.by.value)
        else:
            how = {"kinds": view.kinds.value, "relations": view.relations.value, "hops": view.hops.value}
            most = view.at_most.value if self.node is None else len(self.graph)
            part = around(self.graph, self.node, at_most=most, **how)
        self._show(part)
        return part

    def _ways(self, start: str, end: str, by: str) -> Part:
        return ways(self.graph, start, end, by=by, kinds=self.view.kinds.value, relations=self.view.relations.value)

    def _show(self, part: Part) -> None:
        view = self.view
        self.seen, self.part = collapsed(self.graph, part, at_most=view.at_most.value, opened=self.opened)
        view.graph.part.show(*drawing(self.graph, self.seen), title=self.title, alt=self.sentences())
        view.shown.value = paragraph(self.part.told(self.graph))
        view.about.value = paragraph(self._command())
        view.facts.value = fact_table(self.graph, self.part)

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
