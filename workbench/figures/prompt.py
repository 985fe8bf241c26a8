"""The prompt of a case as text, line by line, with the facts that are taken out struck through."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from workbench.cases import Case, Fact
from workbench.figures.core import SMALL, Figure, house_style, short, still_text
from workbench.figures.palette import INK, RED
from workbench.figures.panels import row

if TYPE_CHECKING:
    from workbench.models.prompts import Segment

LINE = 0.17  # inches
LONGEST = 84  # characters of a line
MONO, WIDE = "DejaVu Sans Mono", 0.602  # the font, width of a letter over its size
FRAME = 6  # lines of the frame that are shown


def lines(segments: Sequence[Segment]) -> list[tuple[str, int]]:
    """The prompt's lines: their text and the number of the fact they state, -1 for the frame."""
    out: list[tuple[str, int]] = []
    frame = ""
    for segment in segments:
        if segment.fact < 0:
            frame += segment.text
            continue
        out += [(frame.strip("\n"), -1)] if frame.strip() else []
        out.append((segment.text.strip("\n"), segment.fact))
        frame = ""
    return [*out, *([(frame.strip("\n"), -1)] if frame.strip() else [])]


@house_style()
def prompt(case: Case, segments: Sequence[Segment], *, title: str, removed: Collection[str | Fact] = ()) -> Figure:
    """The prompt as a picture. A struck line is taken out itself; `gone` stands where it goes with one of its nodes."""
    rows: list[tuple[str, bool]] = []
    for text, fact in lines(segments):
        if fact < 0:
            rows += [(line, False) for line in text.split("\n")[:FRAME]]
            continue
        one = case.facts[fact]
        lost, gone = one in removed, one.head in removed or one.tail in removed
        rows.append((f"{'✕ ' if lost else '✕ gone: ' if gone else '   '}{text}", lost or gone))
    still, (axes,) = row([""], title=title, height=0.55 + LINE * len(rows))
    axes.set_axis_off()
    axes.set(xlim=(0, 1), ylim=(len(rows) - 0.4, -0.6))
    for y, (text, lost) in enumerate(rows):
        ink = RED if lost else INK
        axes.text(0, y, still_text(text, LONGEST), size=SMALL, va="center", color=ink, family=MONO)
        if lost:
            line = {"arrowstyle": "-", "color": ink, "lw": 1, "shrinkA": 0, "shrinkB": 0}
            across = (WIDE * SMALL * len(short(text, LONGEST)), 0)
            axes.annotate("", (0, y), across, textcoords="offset points", arrowprops=line)
    return Figure(still, f"{title}: {sum(lost for _, lost in rows)} of {len(case.facts)} facts are left out.")
