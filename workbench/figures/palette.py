"""Colours, markers and hatches, and what every entity type looks like.

Colours are those of Okabe and Ito (2008), told apart with every common colour blindness; whatever colour says, a
marker shape, a hatch or a label says too.
"""

from __future__ import annotations

from typing import NamedTuple

BLACK, ORANGE, SKY, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
YELLOW, BLUE, RED, PURPLE, GREY = "#F0E442", "#0072B2", "#D55E00", "#CC79A7", "#7F7F7F"
INK, PALE, GRID = "#222222", "#BBBBBB", "#E4E4E4"  # text, what stands back, grid lines
SERIES = (BLUE, ORANGE, GREEN, PURPLE, SKY, BLACK, GREY, YELLOW)  # in this order; red is kept for what is removed
MARKERS = ("o", "s", "^", "D", "v", "P", "h", "*")
HATCHES = ("", "///", "...", "xxx", "\\\\\\", "ooo", "---", "+++")
REMOVED = RED


class Look(NamedTuple):
    """How an entity type is drawn: colour, marker of matplotlib and its scale beside the others, name of its shape."""

    colour: str
    marker: str
    symbol: str
    scale: float = 1


LOOKS: dict[str, Look] = {
    "source": Look(ORANGE, "D", "diamond", 0.78),
    "format": Look(SKY, "o", "circle"),
    "command": Look(BLUE, "s", "square", 0.9),
    "data": Look(GREEN, "^", "triangle-up", 1.1),
    "tool": Look(PURPLE, "p", "pentagon", 1.1),
    "operation": Look(YELLOW, "v", "triangle-down", 1.1),
    "topic": Look(GREY, "h", "hexagon"),
    "license": Look(BLACK, "P", "cross"),
}
"""Entity type -> look; red is left for what an explanation removes."""

UNKNOWN_LOOK = Look(GREY, "o", "circle")


def kind_of(node: str) -> str:
    """Entity type of a node id: `command:samtools sort` and `format_2572` carry it in front."""
    return node.partition(":")[0] if ":" in node else node.partition("_")[0]


def look(kind: str) -> Look:
    """The look of an entity type; grey circles for a type that is not known."""
    return LOOKS.get(kind, UNKNOWN_LOOK)
