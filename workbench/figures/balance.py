"""What every term adds to the objective at the last step: with the weights it was learned with, and with others."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from workbench.explain.terms import TERMS, Weights, contributions
from workbench.figures.core import (
    BLUE,
    FONT_SIZE,
    GREY,
    INK,
    LONGEST_TITLE,
    Figure,
    house_style,
    legend_below,
    sheet,
    stage,
    still_text,
)

TINY = 1e-4  # what adds less is drawn as this much
TALL = 0.3  # inches a term


def added(row: Mapping[str, float], weights: Weights) -> np.ndarray:
    """What the terms of `TERMS` add (terms,), in their order, as signed decades: sign(x) log10(1 + |x| / TINY).

    The terms differ by decades, and some are rewards: neither a linear nor a logarithmic scale shows them all.
    """
    values = np.array([contributions(row, weights)[name] for name in TERMS])
    return np.sign(values) * np.log10(1 + np.abs(values) / TINY)


def labels(row: Mapping[str, float], weights: Weights) -> list[str]:
    """The same in numbers, for the ends of the bars."""
    return [f"{value:+.3g}" for value in contributions(row, weights).values()]


@house_style()
def balance(row: Mapping[str, float], weights: Weights, *, learned: Weights | None = None) -> Figure:
    """Bars from 0, a pair a term: solid with `weights`, hatched with those of the learning. row: as in a history."""
    names = [f"{'+' if term.sign > 0 else '−'} {term.name}" for term in TERMS.values()]
    now, before = added(row, weights), added(row, learned or weights)
    texts, places = labels(row, weights), np.arange(len(names))
    title = "What each term adds, last step (log scale)"
    still, axes = sheet(height=0.9 + TALL * len(names))
    axes.barh(places + 0.2, now, height=0.38, color=BLUE, label="with these weights")
    axes.barh(places - 0.2, before, height=0.38, color="white", edgecolor=GREY, hatch="///", label="as learned")
    axes.set_yticks(places, [still_text(name) for name in names])
    axes.set(xticks=[], title=still_text(title, LONGEST_TITLE))
    axes.invert_yaxis()
    axes.axvline(0, color=INK, lw=0.8)
    for y, x, text in zip(places, now, texts, strict=True):
        axes.annotate(text, (max(x, 0), y + 0.2), (4, 0), textcoords="offset points", va="center", size=FONT_SIZE - 1)
    legend_below(still, *axes.get_legend_handles_labels())
    live = stage(title=title, height=0.9 + TALL * len(names), barmode="group", bargap=0.25)
    live.update_layout(legend={"orientation": "h", "y": -0.02}, margin={"l": 90, "r": 10, "t": 40, "b": 30})
    live.update_xaxes(showticklabels=False, ticks="", zeroline=True, zerolinecolor=INK, range=reach(now, before))
    live.update_yaxes(tickvals=places.tolist(), ticktext=names, autorange="reversed")
    sides = {"y": places, "orientation": "h"}
    shown = {"text": texts, "textposition": "outside", "hovertext": texts, "hoverinfo": "text", "cliponaxis": False}
    live.add_bar(x=now, name="with these weights", marker={"color": BLUE}, **sides, **shown)
    pattern = {"shape": "/", "fgcolor": GREY, "bgcolor": "white", "size": 6}
    hatched = {"color": "white", "pattern": pattern, "line": {"color": GREY, "width": 1}}
    live.add_bar(x=before, name="as learned", marker=hatched, hoverinfo="skip", **sides)
    said = "; ".join(f"{name} {text}" for name, text in zip(names, texts, strict=True))
    return Figure(live, still, f"{title}: {said}.")


def reach(*bars: np.ndarray) -> list[float]:
    """A range that holds the bars and the numbers at their ends."""
    low, high = min(float(b.min()) for b in bars), max(float(b.max()) for b in bars)
    return [min(0.0, low) * 1.35 - 0.3, max(0.0, high) * 1.25 + 1.2]
