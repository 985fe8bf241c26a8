"""What all pictures share: the pair of live figure and still twin, colours, marker shapes, sizes, safe text.

Colours are those of Okabe and Ito (2008), told apart with every common colour blindness; whatever colour says, a
marker shape, a hatch or a label says too. Names of a graph are data: `live_text` and `still_text` keep them from being
read as markup, formulas or templates.
"""

from __future__ import annotations

import base64
import html
import io
import itertools
import json
import os
import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib
import plotly.graph_objects as go
from matplotlib import font_manager
from matplotlib.figure import Figure as Sheet
from PIL import Image

from workbench.artifacts.files import atomic_write_bytes

BLACK, ORANGE, SKY, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
YELLOW, BLUE, RED, PURPLE, GREY = "#F0E442", "#0072B2", "#D55E00", "#CC79A7", "#7F7F7F"
INK, PALE, GRID = "#222222", "#BBBBBB", "#E4E4E4"  # text, what stands back, grid lines
SERIES = (BLUE, ORANGE, GREEN, PURPLE, SKY, BLACK, GREY, YELLOW)  # in this order; red is kept for what is removed
HATCHES = ("", "///", "...", "xxx", "\\\\\\", "ooo", "---", "+++")
PATTERNS = ("", "/", ".", "x", "\\", ".", "-", "+")  # the same for plotly
REMOVED = RED

FONT = "DejaVu Sans"  # ships with matplotlib, so pictures look the same everywhere
FONT_SIZE = 9.0  # points
WIDTH = 7.6  # inches
DPI = 128  # pixels an inch: 973 pixels across
PIXELS_PER_INCH = 96  # of a live figure
LONGEST = 40  # characters of a name in a picture
LONGEST_TITLE = 110
SLACK = 2

_SETTINGS = threading.RLock()  # matplotlib's settings are global


class Look(NamedTuple):
    """How an entity type is drawn: colour, marker of matplotlib and its scale beside the others, symbol of plotly."""

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


@dataclass(frozen=True)
class Figure:
    """A picture twice: `live` for JupyterLab, `still` for everything else. alt: what it shows, in words.

    Shown as the last value of a cell it carries both; readers without plotly (reports, nbconvert, GitHub) take the PNG.
    """

    live: go.Figure
    still: Sheet
    alt: str

    def png(self, *, dpi: float = DPI) -> bytes:
        """The still twin as PNG."""
        return render(self.still, "png", dpi=dpi)

    def svg(self) -> bytes:
        """The still twin as SVG, letters as outlines; the same picture gives the same bytes."""
        return render(self.still, "svg")

    def save(self, stem: str | os.PathLike[str]) -> tuple[Path, Path]:
        """Writes `<stem>.png` and `<stem>.svg`, each in one step, and returns their paths."""
        return (
            atomic_write_bytes(f"{os.fspath(stem)}.png", self.png()),
            atomic_write_bytes(f"{os.fspath(stem)}.svg", self.svg()),
        )

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        return {
            "application/vnd.plotly.v1+json": live_json(self.live),
            "image/png": base64.b64encode(self.png()).decode("ascii"),
            "text/plain": self.alt,
        }


def render(still: Sheet, kind: str, **options: Any) -> bytes:
    """A matplotlib figure as `png` (256 colours) or `svg`, without date and with fixed ids."""
    buffer = io.BytesIO()
    metadata = {"Date": None} if kind == "svg" else {"Software": None}
    with house_style():
        if still.get_layout_engine() is not None:  # laid out once: a second time would move things by a hair
            still.draw_without_rendering()
            still.set_layout_engine("none")
        still.savefig(buffer, format=kind, metadata=metadata, **options)
    return _fewer_colours(buffer) if kind == "png" else buffer.getvalue()


def _fewer_colours(picture: io.BytesIO) -> bytes:
    """A PNG with a palette: a third of the bytes, which notebooks and reports carry along."""
    out = io.BytesIO()
    image = Image.open(picture).convert("RGB").quantize(256, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    image.save(out, "PNG", optimize=True)
    return out.getvalue()


def stacked(figures: Sequence[Figure]) -> bytes:
    """The still twins below one another, as one PNG."""
    images = [Image.open(io.BytesIO(figure.png())).convert("RGB") for figure in figures]
    whole = Image.new("RGB", (max(i.width for i in images), sum(i.height for i in images)), "white")
    for image, above in zip(images, itertools.accumulate((i.height for i in images), initial=0), strict=False):
        whole.paste(image, (0, above))
    out = io.BytesIO()
    whole.save(out, "PNG")
    out.seek(0)
    return _fewer_colours(out)


def live_json(live: go.Figure) -> dict[str, Any]:
    """A plotly figure as its MIME content; nothing in it asks for a network."""
    return {**json.loads(live.to_json()), "config": {"displaylogo": False, "responsive": True}}


@contextmanager
def house_style() -> Iterator[None]:
    """Our fonts and frames, whatever the user has set; also a decorator, `@house_style()`, for what draws."""
    with _SETTINGS, matplotlib.rc_context(_STYLE):
        yield


_STYLE = {
    "font.family": FONT,
    "font.size": FONT_SIZE,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": GREY,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": FONT_SIZE + 1,
    "axes.titlelocation": "left",
    "axes.axisbelow": True,
    "xtick.color": INK,
    "ytick.color": INK,
    "grid.color": GRID,
    "hatch.linewidth": 0.6,
    "legend.frameon": False,
    "svg.hashsalt": "workbench",
    "svg.fonttype": "path",
}


def sheet(*, height: float, rows: int = 1, columns: int = 1, width: float = WIDTH, **grid: Any) -> tuple[Sheet, Any]:
    """An empty matplotlib figure (inches) and its axes, as `Figure.subplots` gives them. Call it in `house_style`."""
    still = Sheet(figsize=(width, height), dpi=DPI, layout="constrained", facecolor="white")
    return still, still.subplots(rows, columns, **grid)


def stage(*, title: str, height: float, **layout: Any) -> go.Figure:
    """An empty plotly figure in the house style; height in inches, the width is the page's. The title is plain text."""
    axis = {"gridcolor": GRID, "zeroline": False, "linecolor": GREY, "ticks": "outside", "automargin": True}
    base: dict[str, Any] = {
        "title": {"text": live_text(title, LONGEST_TITLE), "font": {"size": 15}, "x": 0.01, "xanchor": "left"},
        "height": round(height * PIXELS_PER_INCH),
        "margin": {"l": 50, "r": 20, "t": 50, "b": 45},
        "font": {"family": "system-ui, sans-serif", "size": 12, "color": INK},
        "paper_bgcolor": "white",
        "plot_bgcolor": "white",
        "hovermode": "closest",
        "hoverlabel": {"align": "left", "bgcolor": "white"},
        "xaxis": axis,
        "yaxis": axis,
    }
    live = go.Figure(layout={**base, **layout})
    live.layout.template = None  # the default one is 7 kB in every picture
    return live


def legend_below(still: Sheet, handles: Sequence[Any], labels: Sequence[str], *, columns: int = 8) -> None:
    """One legend for the whole sheet, under the panels, where it covers nothing."""
    still.legend(handles, labels, loc="outside lower left", ncols=columns, fontsize=FONT_SIZE - 0.5)


def short(name: str, longest: int = LONGEST) -> str:
    """A name on one line, what cannot be printed left out, cut in the middle when it is long."""
    line = " ".join("".join(mark if mark.isprintable() else " " for mark in name).split())
    if len(line) <= longest:
        return line
    head = (longest - 1) * 2 // 3
    return f"{line[:head]}…{line[len(line) - (longest - 1 - head) :]}"


def wrapped(name: str, *, width: int = 15, longest: int = 34) -> tuple[str, ...]:
    """A name on lines of about `width` characters, for a label; broken between words, parts of words, letters.

    A word that is `SLACK` characters too long stays whole: a letter or two on a line of their own are hard to read.
    """
    lines = [""]
    for part in re.findall(r".+?(?: +|[_\-/.]+|(?<=[a-z])(?=[A-Z])|$)", short(name, longest)) or ["?"]:
        if lines[-1] and len(lines[-1]) + len(part.rstrip()) > width:
            lines.append("")
        lines[-1] += part
        while len(lines[-1].rstrip()) > width + SLACK:
            lines[-1:] = [lines[-1][:width], lines[-1][width:]]
    return tuple(line.strip() for line in lines)


def live_text(name: str, longest: int = LONGEST) -> str:
    """A name for plotly: tags, formulas (`$`) and templates (`%{`) stay the letters they are."""
    plain = html.escape(short(name, longest), quote=False)
    return plain.replace("$", "&#36;").replace("%{", "%&#123;")


def still_text(name: str, longest: int = LONGEST) -> str:
    """A name for matplotlib: `$` starts no formula; letters the font lacks become boxes."""
    known = _letters()
    plain = "".join(mark if ord(mark) in known else "□" for mark in short(name, longest))
    return plain.replace("$", r"\$")


@cache
def _letters() -> frozenset[int]:
    return frozenset(font_manager.get_font(font_manager.findfont(FONT)).get_charmap())
