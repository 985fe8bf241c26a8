"""Nodes and edges of a drawing, placed in inches: what is drawn, before plotly or matplotlib draw it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from workbench.figures.core import GREY, REMOVED

Place = Literal["above", "below", "right", "left"]
Points = np.ndarray  # (n, 2) float, inches

POINTS_PER_INCH = 72
GAP = 0.05  # inches between a link's end and its spot


class Side(NamedTuple):
    """Where a label stands beside its spot, in the words of both libraries."""

    dx: int
    dy: int
    ha: str
    va: str
    plotly: str


SIDES: dict[Place, Side] = {
    "above": Side(0, 1, "center", "bottom", "top center"),
    "below": Side(0, -1, "center", "top", "bottom center"),
    "right": Side(1, 0, "left", "center", "middle right"),
    "left": Side(-1, 0, "right", "center", "middle left"),
}


@dataclass(frozen=True)
class Spot:
    """A node at (x, y) inches. size: points across; ring: width of a red rim, points; label, hover: lines of text."""

    x: float
    y: float
    kind: str
    label: tuple[str, ...] = ()
    hover: tuple[str, ...] = ()
    size: float = 11
    place: Place = "above"
    ring: float = 0
    removed: bool = False

    @property
    def radius(self) -> float:
        """Inches."""
        return self.size / POINTS_PER_INCH / 2


@dataclass(frozen=True)
class Link:
    """An edge between two spots (their numbers). bend: height of its bow over its length; width: points."""

    start: int
    end: int
    label: str = ""
    hover: tuple[str, ...] = ()
    colour: str = GREY
    width: float = 1
    bend: float = 0
    arrow: bool = True
    removed: bool = False

    @property
    def ink(self) -> str:
        """The colour it is drawn in: red once it is removed."""
        return REMOVED if self.removed else self.colour


def curve(link: Link, spots: Sequence[Spot]) -> Points:
    """The link's line from rim to rim; a bow when it bends, a loop on top when both ends are one spot."""
    here, there = spots[link.start], spots[link.end]
    if link.start == link.end:
        angle = np.linspace(1.25, -0.25, 24) * np.pi
        loop = 1.1 * here.radius
        return np.stack([here.x + 1.2 * loop * np.cos(angle), here.y + here.radius + loop * (0.7 + np.sin(angle))], 1)
    a, b = np.array([here.x, here.y]), np.array([there.x, there.y])
    control = (a + b) / 2 + 2 * link.bend * np.array([a[1] - b[1], b[0] - a[0]])
    t = np.linspace(0, 1, 41 if link.bend else 21)[:, None]
    points = (1 - t) ** 2 * a + 2 * t * (1 - t) * control + t**2 * b
    off = np.hypot(*(points - a).T) > here.radius + GAP
    off &= np.hypot(*(points - b).T) > there.radius + GAP
    return points[off] if off.sum() > 2 else points


def middle(line: Points) -> tuple[float, float]:
    """The point in the middle of a line."""
    x, y = line[len(line) // 2].round(3).tolist()
    return x, y
