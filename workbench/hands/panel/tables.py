"""Tables of the panels and the curve over the dose, as HTML. Names are escaped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

import numpy as np
import pandas as pd

from workbench.cases import aligned
from workbench.explain import Weights, contributions
from workbench.figures.objective import added as decades
from workbench.hands.narrative.names import clean
from workbench.hands.panel.parts import table
from workbench.shift.dose import Answered, Settings

BAR = 100  # units of a bar's picture
WIDE, TALL = 420.0, 190.0  # units of the picture
LEFT, BELOW, ABOVE = 44.0, 30.0, 22.0
DASHES = ("", "6 4", "2 3")


def term_table(row: Mapping[str, float], weights: Weights, *, learned: Weights | None = None) -> str:
    """What each term of a step would add to the objective with these weights, beside what it added when it was learned.

    row: unweighted, as in a history. The bars are signed decades (`figures.objective`): solid now, dashed as learned.
    """
    added = contributions(row, weights)
    now, before = decades(row, weights), decades(row, learned or weights)
    low, high = min(0.0, now.min(), before.min()), max(1e-9, now.max(), before.max())
    lines = [
        (escape(name), f"{row[name]:.4g}", f"{value:+.4g}", _bars(a, b, low, high))
        for (name, value), a, b in zip(added.items(), now, before, strict=True)
    ]
    whole = ("objective", "", f"{sum(added.values()):+.4g}", "")
    return table([*lines, whole], ("term, last step", "value", "weighted", "log scale"))


def _bars(now: float, before: float, low: float, high: float) -> str:
    """One term's two bars as a picture; what they say stands in numbers beside them."""
    scale = BAR / (high - low)
    zero = -low * scale

    def bar(value: float, y: int, name: str) -> str:
        x, width = np.minimum(zero, zero + value * scale), abs(value) * scale
        return f'<rect class="{name}" x="{x:.1f}" y="{y}" width="{width:.1f}" height="6"></rect>'

    line = f'<line class="wb-zero" x1="{zero:.1f}" x2="{zero:.1f}" y1="0" y2="16"></line>'
    bars = f"{bar(now, 1, 'wb-now')}{bar(before, 9, 'wb-before')}{line}"
    return f'<svg class="wb-bars" viewBox="0 0 {BAR} 16" preserveAspectRatio="none" aria-hidden="true">{bars}</svg>'


def answer_table(settings: Settings, found: Answered) -> str:
    """The right answer, the one as trained, the one at this setting, command by command; what is new has `+` in front,
    what is gone `−`. Names are escaped."""
    names, trained = settings.engine.lm.names, settings.at().toolchain
    signs = {"": "", "new": "+ ", "lost": "− "}
    told = {
        "right answer": [(node, "") for node in settings.case.toolchain],
        "as trained": [(node, "") for node in trained],
        "as set": aligned(trained, found.toolchain),
    }
    rows = []
    for name, steps in told.items():
        said = " → ".join(f"{signs[mark]}{clean(names.get(node, node))}" for node, mark in steps) or "no command"
        rows.append(f'<tr><th scope="row">{name}</th><td>{escape(said)}</td></tr>')
    return f"<table>{''.join(rows)}</table>"


def element_table(rows: pd.DataFrame, measures: Sequence[str], *, picked: int | None) -> str:
    """Every element by every measure as an HTML table; the picked one is bold and has an arrow. Names are escaped."""
    body = []
    for row in rows.to_dict("records"):
        name = escape(clean(str(row["name"])))
        body.append([f"▶ <b>{name}</b>" if row["element"] == picked else name, *(f"{row[m]:.3g}" for m in measures)])
    return table(body, ("element", *map(escape, measures)))


def curve_svg(grid: Sequence[float], curves: Mapping[str, np.ndarray], *, dose: float, value: float, alt: str) -> str:
    """Lines told apart by dashes, the dose that is set as a diamond, a dashed upright at 1, a line at 0 nats. Texts are
    escaped."""
    every = np.concatenate([*curves.values(), [value, 0.0]])
    low, high = float(every.min()), float(every.max())
    span = (high - low) or 1.0

    def at(x: float, y: float) -> tuple[float, float]:
        across = LEFT + (WIDE - LEFT - 8) * (x - grid[0]) / (grid[-1] - grid[0])
        return round(across, 1), round(TALL - BELOW - (TALL - BELOW - ABOVE) * (y - low) / span, 1)

    def line(points: Sequence[tuple[float, float]], dashes: str, width: float = 2.0, ink: str = "currentColor") -> str:
        ends = " ".join(f"{x},{y}" for x, y in points)
        style = f'fill="none" stroke="{ink}" stroke-width="{width}" stroke-dasharray="{dashes}"'
        return f'<polyline points="{ends}" {style}></polyline>'

    def text(x: float, y: float, words: str, anchor: str = "middle") -> str:
        how = f'text-anchor="{anchor}" font-size="11" fill="currentColor"'
        return f'<text x="{x}" y="{y}" {how}>{escape(words)}</text>'

    parts = [line([at(1.0, low), at(1.0, high)], "3 3", 1), line([at(grid[0], 0.0), at(grid[-1], 0.0)], "", 0.7)]
    for k, values in enumerate(curves.values()):
        parts.append(line([at(x, float(y)) for x, y in zip(grid, values, strict=True)], DASHES[k % 3], ink="#0072B2"))
    x, y = at(dose, value)
    corners = f"{x},{y - 7} {x + 7},{y} {x},{y + 7} {x - 7},{y}"
    parts.append(f'<polygon points="{corners}" fill="#D55E00" stroke="currentColor"></polygon>')
    parts += [text(at(mark, low)[0], TALL - 14, f"{mark:g}") for mark in grid]
    parts += [text(LEFT - 4, at(0, edge)[1] + 4, f"{edge:+.3g}", "end") for edge in dict.fromkeys((low, high))]
    named = "; ".join(f"{name} {('solid', 'dashed', 'dotted')[k % 3]}" for k, name in enumerate(curves))
    parts += [text(WIDE / 2, TALL - 2, f"dose; {named}"), text(2, 12, f"nats; set: {value:+.2f}", "start")]
    frame = f'viewBox="0 0 {WIDE:g} {TALL:g}" role="img" aria-label="{escape(alt)}" style="width: 100%"'
    return f"<svg {frame}>{''.join(parts)}</svg>"
