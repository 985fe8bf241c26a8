"""Drawings for the script `graph.js`, which knows no cases: any spots and links."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from workbench.figures.core import WIDTH, short
from workbench.figures.drawing import Link, Spot, curve
from workbench.figures.palette import LOOKS, look

TEXT, ALT = 160, 2000  # characters


def drawn(
    spots: Sequence[Spot],
    links: Sequence[Link],
    *,
    title: str,
    alt: str,
    height: float,
    strong: Collection[int] = (),
    degrees: Mapping[int, float] | None = None,
    picked: int | None = None,
) -> dict[str, Any]:
    """What `parts.Graph.drawing` takes.

    height: inches. strong: keys of links in full ink, whatever their colour on paper. degrees: key of a spot or link ->
    0 to 1, drawn as the width of a rim or line; 0 where none is given. picked: key of a node or fact with an arrow
    before its name.
    """
    kinds = [kind for kind in LOOKS if any(spot.kind == kind for spot in spots)]
    legend = [{"name": kind, "symbol": look(kind).symbol, "colour": look(kind).colour} for kind in kinds]
    removed = any(spot.removed for spot in spots) or any(link.removed for link in links)
    crossed = [{"name": "removed", "symbol": "removed", "colour": ""}] if removed else []
    m = degrees or {}
    return {
        "title": short(title, TEXT),
        "alt": short(alt, ALT),
        "width": WIDTH,
        "height": height,
        "spots": [_spot(spot, m.get(spot.key, 0.0), spot.key == picked) for spot in spots],
        "links": [_link(link, spots, m.get(link.key, 0.0), link.key in strong, link.key == picked) for link in links],
        "kinds": [*legend, *crossed],
    }


def _spot(spot: Spot, degree: float, picked: bool) -> dict[str, Any]:
    style = look(spot.kind)
    return {
        "key": spot.key,
        "x": round(spot.x, 3),
        "y": round(spot.y, 3),
        "radius": spot.radius * max(style.scale, 0.9),
        "symbol": style.symbol,
        "colour": style.colour,
        "degree": round(degree, 3),
        "label": [f"▶ {short(line)}" if picked and i == 0 else short(line) for i, line in enumerate(spot.label)],
        "hover": "\n".join(short(line, TEXT) for line in spot.hover),
        "state": "removed" if spot.removed else "kept",
    }


def _link(link: Link, spots: Sequence[Spot], degree: float, strong: bool, picked: bool) -> dict[str, Any]:
    line = curve(link, spots)
    line = line if link.bend or link.start == link.end else line[[0, len(line) // 2, -1]]
    return {
        "key": link.key,
        "points": line.round(3).tolist(),
        "width": link.width + 4 * picked,
        "degree": round(degree, 3),
        "colour": link.colour,
        "needed": strong,
        "hover": "\n".join(short(text, TEXT) for text in link.hover),
        "state": "removed" if link.removed else "gone" if link.gone else "kept",
    }
