"""Drawings for the script `graph.js`, which knows no cases: any spots and links."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from workbench.figures.core import LOOKS, WIDTH, look, short
from workbench.figures.spots import Link, Spot, curve

TEXT, ALT = 160, 2000  # characters


def drawn(
    spots: Sequence[Spot],
    links: Sequence[Link],
    *,
    title: str,
    alt: str,
    height: float,
    strong: Collection[int] = (),
    degrees: Sequence[float] = (),
    picked: int | None = None,
) -> dict[str, Any]:
    """What `parts.Graph.drawing` takes. height: inches. strong: keys of links in full ink. degrees: of the spots, 0 to
    1, as the width of their rims; none: 0. picked: key of a node or fact with an arrow before its name."""
    kinds = [kind for kind in LOOKS if any(spot.kind == kind for spot in spots)]
    return {
        "title": short(title, TEXT),
        "alt": short(alt, ALT),
        "width": WIDTH,
        "height": height,
        "spots": [
            _spot(spot, float(degrees[i]) if len(degrees) else 0.0, spot.key == picked) for i, spot in enumerate(spots)
        ],
        "links": [_link(link, spots, link.key in strong, link.key == picked) for link in links],
        "kinds": [{"name": kind, "symbol": look(kind).symbol, "colour": look(kind).colour} for kind in kinds],
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


def _link(link: Link, spots: Sequence[Spot], strong: bool, picked: bool) -> dict[str, Any]:
    line = curve(link, spots)
    line = line if link.bend or link.start == link.end else line[[0, len(line) // 2, -1]]
    return {
        "key": link.key,
        "points": line.round(3).tolist(),
        "width": link.width + 4 * picked,
        "degree": 0.0,
        "needed": strong,
        "hover": "\n".join(short(text, TEXT) for text in link.hover),
        "state": "kept",
    }
