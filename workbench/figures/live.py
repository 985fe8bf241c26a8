"""Drawings by plotly."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any

import numpy as np
import plotly.graph_objects as go

from workbench.figures.core import INK, LOOKS, REMOVED, live_text, look
from workbench.figures.spots import SIDES, Link, Points, Spot, middle

QUIET: dict[str, Any] = {"hoverinfo": "skip", "showlegend": False}
LARGER = 1.3  # plotly's sizes are pixels, ours points


def links(figure: go.Figure, drawn: Sequence[Link], lines: Sequence[Points]) -> None:
    """Lines, arrow heads, crosses on what is removed, relation labels; a hover text in each line's middle."""
    pairs = sorted(zip(drawn, lines, strict=True), key=_style)
    for (width, ink, dashed), group in groupby(pairs, key=_style):
        x, y = _broken([line for _, line in group])
        dash = "dash" if dashed else "solid"
        figure.add_scatter(x=x, y=y, mode="lines", line={"color": ink, "width": LARGER * width, "dash": dash}, **QUIET)
    told = [(link, middle(link, line)) for link, line in pairs if link.hover or link.removed]
    if told:
        _middles(figure, [link for link, _ in told], np.array([place for _, place in told], np.float32))
    notes = [_arrow(link, line) for link, line in pairs if link.arrow]
    style = {"showarrow": False, "bgcolor": "white", "font": {"size": 10}, "borderpad": 1}
    for link, line in pairs:
        if link.label:
            place = dict(zip("xy", middle(link, line), strict=True))
            notes.append({**place, "text": live_text(link.label), **style})
    _annotate(figure, notes)


def _annotate(figure: go.Figure, notes: Sequence[dict[str, Any]]) -> None:
    """All at once: one at a time, plotly copies those that are there for each new one."""
    figure.layout.annotations = (*figure.layout.annotations, *notes)


def _style(pair: tuple[Link, Points]) -> tuple[float, str, bool]:
    return pair[0].width, pair[0].ink, pair[0].dashed  # the widest last, on top


def _middles(figure: go.Figure, drawn: Sequence[Link], places: np.ndarray) -> None:
    marker = {
        "symbol": ["x-thin" if link.removed else "circle" for link in drawn],
        "opacity": [1.0 if link.removed else 0.0 for link in drawn],
        "size": 9,
        "color": REMOVED,
        "line": {"width": 2, "color": REMOVED},
    }
    texts = hover_texts(link.hover for link in drawn)
    x, y = places.T
    keys = _keys(drawn)
    shown = {"hovertext": texts, "hoverinfo": "text", "showlegend": False}
    figure.add_scatter(x=x, y=y, mode="markers", marker=marker, **shown, **keys)


def _arrow(link: Link, line: Points) -> dict[str, Any]:
    (x, y), (from_x, from_y) = line[-1].round(3).tolist(), line[-3].round(3).tolist()
    ends = {"x": x, "y": y, "ax": from_x, "ay": from_y, "xref": "x", "yref": "y", "axref": "x", "ayref": "y"}
    width = max(link.width, 0.6)
    head = {"arrowhead": 2, "arrowsize": max(1.5 / width, 0.4), "arrowwidth": width, "arrowcolor": link.ink}
    return {**ends, "text": "", "showarrow": True, **head}


def spots(figure: go.Figure, drawn: Sequence[Spot], *, font: float) -> None:
    """One trace per entity type, so that the legend switches it; crosses on what is removed."""
    found = {spot.kind for spot in drawn}
    for kind in (*LOOKS, *sorted(found - set(LOOKS))):
        some = [spot for spot in drawn if spot.kind == kind]
        if some:
            figure.add_scatter(
                **_places(some),
                mode="markers",
                marker=_marker(some, kind),
                name=live_text(kind),
                hovertext=hover_texts(spot.hover or spot.label for spot in some),
                hoverinfo="text",
                **_keys(some),
            )
    _annotate(figure, [{**_label(spot), "font": {"size": LARGER * font}} for spot in drawn if spot.label])
    gone = [spot for spot in drawn if spot.removed]
    if gone:
        cross = {"symbol": "x-thin", "size": [1.7 * spot.size for spot in gone], "opacity": 1}
        cross["line"] = {"color": REMOVED, "width": 3}
        figure.add_scatter(**_places(gone), mode="markers", marker=cross, name="removed", hoverinfo="skip")


def _marker(some: Sequence[Spot], kind: str) -> dict[str, Any]:
    rims = {
        "color": [REMOVED if spot.ring else INK for spot in some],
        "width": [LARGER * spot.ring or 0.5 for spot in some],
    }
    sizes = [LARGER * spot.size for spot in some]
    return {"symbol": look(kind).symbol, "color": look(kind).colour, "size": sizes, "line": rims, "opacity": 1}


def _label(spot: Spot) -> dict[str, Any]:
    side, off = SIDES[spot.place], LARGER * spot.size / 2 + 1
    return {
        "x": spot.x,
        "y": spot.y,
        "text": "<br>".join(live_text(line) for line in spot.label),
        "showarrow": False,
        "xshift": side.dx * off,
        "yshift": side.dy * off,
        "xanchor": side.ha,
        "yanchor": side.va,
        "bgcolor": "rgba(255, 255, 255, 0.75)",
        "borderpad": 0,
    }


def _keys(some: Sequence[Spot] | Sequence[Link]) -> dict[str, list[int]]:
    """`customdata` of what can be clicked, where anything can."""
    return {"customdata": [one.key for one in some]} if any(one.key >= 0 for one in some) else {}


def _places(some: Sequence[Spot]) -> dict[str, np.ndarray]:
    x, y = np.array([(spot.x, spot.y) for spot in some], np.float32).T
    return {"x": x, "y": y}


def hover_texts(texts: Iterable[Sequence[str]]) -> list[str]:
    """Lines of data as plotly hover texts."""
    return ["<br>".join(live_text(line, longest=80) for line in lines) for lines in texts]


def _broken(lines: Sequence[Points]) -> tuple[np.ndarray, np.ndarray]:
    """Many lines as one, parted by gaps (NaN); of straight ones only the ends."""
    gap = np.full((1, 2), np.nan)
    ends = [line if np.ptp(np.diff(line, axis=0), axis=0).max() > 1e-6 else line[[0, -1]] for line in lines]
    joined = np.concatenate([part for line in ends for part in (line, gap)]).astype(np.float32)
    return joined[:, 0], joined[:, 1]
