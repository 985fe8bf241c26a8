"""The value over the dose as a small SVG, made anew at every move of the slider: a figure would come too late."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

import numpy as np

WIDE, TALL = 420.0, 190.0  # units of the picture
LEFT, BELOW, ABOVE = 44.0, 30.0, 22.0
DASHES = ("", "6 4", "2 3")


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
