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
    """Where a label stands beside its spot: direction, and alignment in words that both libraries know."""

    dx: int
    dy: int
    ha: str
    va: str


SIDES: dict[Place, Side] = {
    "above": Side(0, 1, "center", "bottom"),
    "below": Side(0, -1, "center", "top"),
    "right": Side(1, 0, "left", "center"),
    "left": Side(-1, 0, "right", "center"),
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
    key: int = -1  # what a click on it means to a panel

    @property
    def radius(self) -> float:
        """Inches."""
        return self.size / POINTS_PER_INCH / 2


@dataclass(frozen=True)
class Link:
    """An edge between two spots (their numbers). bend: height of its bow over its length; width: points.

    loop: where a link from a spot to itself goes, degrees counter-clockwise from the right.
    """

    start: int
    end: int
    label: str = ""
    hover: tuple[str, ...] = ()
    colour: str = GREY
    width: float = 1
    bend: float = 0
    loop: float = 90
    arrow: bool = True
    removed: bool = False
    key: int = -1
    gone: bool = False  # not removed itself, but with an end that is

    @property
    def ink(self) -> str:
        """The colour it is drawn in: red once it is no longer there."""
        return REMOVED if self.dashed else self.colour

    @property
    def dashed(self) -> bool:
        """Whether it is no longer there."""
        return self.removed or self.gone


def curve(link: Link, spots: Sequence[Spot]) -> Points:
    """The link's line from rim to rim: (n, 2) inches; a bow when it bends, a loop when both ends are one spot."""
    here, there = spots[link.start], spots[link.end]
    if link.start == link.end:
        angle, turn = np.linspace(0.75, -0.75, 24) * np.pi, np.deg2rad(link.loop)
        far = here.radius + 1.1 * here.radius * (0.7 + np.cos(angle))  # away from the spot
        side = 1.3 * here.radius * np.sin(angle)
        x = here.x + far * np.cos(turn) - side * np.sin(turn)
        return np.stack([x, here.y + far * np.sin(turn) + side * np.cos(turn)], 1)
    a, b = np.array([here.x, here.y]), np.array([there.x, there.y])
    control = (a + b) / 2 + 2 * link.bend * np.array([a[1] - b[1], b[0] - a[0]])
    t = np.linspace(0, 1, 41 if link.bend else 21)[:, None]
    points = (1 - t) ** 2 * a + 2 * t * (1 - t) * control + t**2 * b
    off = np.hypot(*(points - a).T) > here.radius + GAP
    off &= np.hypot(*(points - b).T) > there.radius + GAP
    return points[off] if off.sum() > 2 else points


def middle(link: Link, line: Points) -> tuple[float, float]:
    """The point in the middle of a link's line; beside the far end of a loop."""
    beside = 0.45 * np.cos(np.deg2rad(link.loop)) if link.start == link.end else 0
    x, y = line[len(line) // 2].tolist()
    return round(x + beside, 3), round(y, 3)
