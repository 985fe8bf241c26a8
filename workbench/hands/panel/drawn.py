"""The graph of an explorer, drawn in the browser by cytoscape.js; its script knows no cases: any spots and links."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import traitlets

from workbench.figures.core import short, wrapped
from workbench.figures.drawing import ROW, Link, Spot
from workbench.figures.palette import LOOKS, look
from workbench.hands.panel.parts import STATIC, Part, script

TEXT, ALT = 160, 2000  # characters
NAME, LINE = 34, 12  # characters of a name beside its node, and of one of its lines
ACROSS = 18 / 11  # pixels to a point of a node's size


def library() -> str:
    """Cytoscape.js as a constant of the script it stands in, whatever loaders of modules the page has."""
    source = (STATIC / "cytoscape.min.js").read_text("utf-8")
    open_, shut = "const cytoscape = (() => { const module = { exports: {} }, exports = module.exports;", "})();\n"
    return f"{open_}\n{source}\nreturn module.exports; {shut}"


class Graph(Part):
    """Spots and links, drawn by its script. on_click: called with the key of the node or fact that was clicked."""

    _esm = library() + script("graph.js")
    drawing: Any = traitlets.Dict().tag(sync=True)

    def __init__(self, on_click: Callable[[int], Any]):
        super().__init__(lambda content: on_click(int(content["toggle"])))

    def show(
        self,
        spots: Sequence[Spot],
        links: Sequence[Link],
        *,
        title: str,
        alt: str,
        degrees: Mapping[int, float] | None = None,
        picked: int | None = None,
    ) -> None:
        """Shows a drawing; where its nodes lie on the page, the script settles by the room it has.

        degrees: key of a spot or link -> 0 to 1, drawn as the width of a rim or line; 0 where none is given. picked:
        key of a node or fact that is marked.
        """
        kinds = [kind for kind in LOOKS if any(spot.kind == kind for spot in spots)]
        legend = [{"name": kind, "symbol": look(kind).symbol, "colour": look(kind).colour} for kind in kinds]
        crossed = any(spot.removed for spot in spots) or any(link.removed for link in links)
        m = degrees or {}
        self.drawing = {
            "title": short(title, TEXT),
            "alt": short(alt, ALT),
            "spots": [_spot(spot, m.get(spot.key, 0.0), picked) for spot in spots],
            "links": [_link(one, spots, m.get(one.key, 0.0), picked) for one in links],
            "kinds": [*legend, *([{"name": "removed", "symbol": "removed", "colour": ""}] if crossed else [])],
        }


def _spot(spot: Spot, degree: float, picked: int | None) -> dict[str, Any]:
    style = look(spot.kind)
    return _said(spot, degree, picked) | {
        "x": round(spot.x, 3),
        "row": round(-spot.y / ROW, 3),
        "size": round(ACROSS * style.scale * max(10, spot.size), 1),
        "symbol": style.symbol,
        "colour": style.colour,
        "label": "\n".join(wrapped(f"{'▶ ' * (spot.key == picked)}{spot.hover[0]}", width=LINE, longest=NAME)),
    }


def _link(link: Link, spots: Sequence[Spot], degree: float, picked: int | None) -> dict[str, Any]:
    ends = {"source": spots[link.start].key, "target": spots[link.end].key, "needed": link.strong}
    return _said(link, degree, picked) | ends | {"width": link.width, "colour": link.colour, "arrow": link.arrow}


def _said(one: Spot | Link, degree: float, picked: int | None) -> dict[str, Any]:
    gone = isinstance(one, Link) and one.gone
    return {
        "key": one.key,
        "picked": one.key == picked,
        "degree": round(degree, 3),
        "hover": "\n".join(short(text, TEXT) for text in one.hover),
        "state": "removed" if one.removed else "gone" if gone else "kept",
    }
