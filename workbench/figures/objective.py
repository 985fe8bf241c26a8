"""Pictures of the objective: what every term adds to it while masks are learned, and at the last step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from workbench.explain.terms import TERMS, Weights, contributions
from workbench.figures.core import FONT_SIZE, SMALL, Figure, house_style, still_text
from workbench.figures.palette import BLACK, BLUE, GREY, INK, SERIES
from workbench.figures.panels import legend, name_rows, row
from workbench.figures.training import smoothed

STROKES: tuple[Any, ...] = ("solid", (0, (4, 2)), (0, (1, 1)))
TINY = 1e-4  # what adds less is drawn as this much
TALL = 0.4  # inches a term


@house_style()
def terms(histories: Mapping[str, Sequence[Mapping[str, float]]], weights: Weights, *, title: str) -> Figure:
    """What every term of `TERMS` adds to the objective over the steps, a panel each, and the objective itself last.

    Thin: every step's sample; thick: moving average, decay 0.9.

    histories: name (of a method or a case) -> rows as `Masks.history` has them.
    """
    heads = [f"{'+' if t.sign > 0 else '−'} {weights.of(t):g} × {t.name}" for t in TERMS.values()] + ["objective"]
    still, panels = row(heads, title=title, height=1.9, same_y=False, sharex=True)
    for i, (axes, name) in enumerate(zip(panels, [*TERMS, "objective"], strict=True)):
        colour = SERIES[i % len(SERIES)] if name in TERMS else BLACK
        for number, (method, history) in enumerate(histories.items()):
            y = [row["loss"] if name == "objective" else contributions(row, weights)[name] for row in history]
            x = [row["step"] for row in history]
            axes.plot(x, y, color=colour, lw=0.5, alpha=0.35)
            drawn = {"color": colour, "ls": STROKES[number % 3], "lw": 1.4}
            axes.plot(x, smoothed(y), label=still_text(method) if name == "objective" else None, **drawn)
        axes.grid(axis="y")
        axes.tick_params(labelsize=SMALL)
    still.supxlabel("step", size=FONT_SIZE)
    legend(still)
    ends = {name: (h[0]["loss_ema"], h[-1]["loss_ema"], len(h)) for name, h in histories.items() if h}
    said = [f"{name} from {first:.4g} to {last:.4g} in {n} steps" for name, (first, last, n) in ends.items()]
    return Figure(still, f"{title}: objective {'; '.join(said)}. Panels: {', '.join(heads)}.")


def added(row: Mapping[str, float], weights: Weights) -> np.ndarray:
    """What the terms of `TERMS` add (terms,), in their order, as signed decades: sign(x) log10(1 + |x| / TINY).

    The terms differ by decades, and some are rewards: neither a linear nor a logarithmic scale shows them all.
    """
    values = np.array([contributions(row, weights)[name] for name in TERMS])
    return np.sign(values) * np.log10(1 + np.abs(values) / TINY)


@house_style()
def balance(step: Mapping[str, float], weights: Weights, *, learned: Weights | None = None) -> Figure:
    """Bars from 0, a pair a term: solid with `weights`, hatched with those of the learning. step: as in a history."""
    names = [f"{'+' if term.sign > 0 else '−'} {term.name}" for term in TERMS.values()][::-1]
    texts = [f"{value:+.3g}" for value in contributions(step, weights).values()][::-1]
    now, before = added(step, weights)[::-1], added(step, learned or weights)[::-1]
    title = "What each term adds at the last step (log scale)"
    still, (axes,) = row([""], title=title, height=0.9 + TALL * len(names))
    name_rows(axes, names)
    places = np.arange(len(names))
    axes.barh(places + 0.2, now, height=0.38, color=BLUE, label="with these weights")
    axes.barh(places - 0.2, before, height=0.38, color="white", edgecolor=GREY, hatch="///", label="as learned")
    axes.set_xticks([])
    axes.margins(x=0.12)
    axes.axvline(0, color=INK, lw=0.8)
    for y, x, text in zip(places, now, texts, strict=True):
        axes.annotate(text, (max(x, 0), y + 0.2), (4, 0), textcoords="offset points", va="center", size=SMALL)
    legend(still)
    said = "; ".join(f"{name} {text}" for name, text in zip(names[::-1], texts[::-1], strict=True))
    return Figure(still, f"{title}: {said}.")
