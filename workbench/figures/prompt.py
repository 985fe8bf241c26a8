"""The prompt of a case as text, line by line, with the facts that are taken out struck through."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from workbench.cases import Case, Fact
from workbench.figures.core import (
    FONT_SIZE,
    INK,
    LONGEST_TITLE,
    RED,
    Figure,
    house_style,
    live_text,
    sheet,
    short,
    stage,
    still_text,
)

if TYPE_CHECKING:
    from workbench.prompts import Segment

LINE = 0.17  # inches
LONGEST = 84  # characters of a line
MONO, SIZE, WIDE = "DejaVu Sans Mono", FONT_SIZE - 1.5, 0.602  # the font, points, width of a letter over its size
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
    out = 0
    for text, fact in lines(segments):
        if fact < 0:
            rows += [(line, False) for line in text.split("\n")[:FRAME]]
            continue
        one = case.facts[fact]
        lost, gone = one in removed, one.head in removed or one.tail in removed
        out += lost or gone
        rows.append((f"{'✕ ' if lost else '✕ gone: ' if gone else '   '}{text}", lost or gone))
    height = 0.45 + LINE * len(rows)
    still, axes = sheet(height=height)
    axes.set_axis_off()
    axes.set(xlim=(0, 1), ylim=(len(rows) - 0.4, -0.6), title=still_text(title, LONGEST_TITLE))
    live = stage(title=title, height=height + 0.5, margin={"l": 10, "r": 10, "t": 45, "b": 5})
    live.update_xaxes(visible=False, range=[0, 1])
    live.update_yaxes(visible=False, range=[len(rows) - 0.4, -0.6])
    for y, (text, lost) in enumerate(rows):
        ink = RED if lost else INK
        shown = short(text, LONGEST)
        axes.text(0, y, still_text(text, LONGEST), size=SIZE, va="center", color=ink, family=MONO)
        if lost:
            line = {"arrowstyle": "-", "color": ink, "lw": 1, "shrinkA": 0, "shrinkB": 0}
            axes.annotate("", (0, y), (WIDE * SIZE * len(shown), 0), textcoords="offset points", arrowprops=line)
        struck = f"<s>{live_text(text, LONGEST)}</s>" if lost else live_text(text, LONGEST)
        font = {"size": 11, "color": ink}
        live.add_annotation(x=0, y=y, text=struck, showarrow=False, xanchor="left", font=font)
    return Figure(live, still, f"{title}: {out} of {len(case.facts)} facts are left out.")
