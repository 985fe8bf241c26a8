"""What all pictures share: the `Figure`, sizes, colours, markers and hatches, the house style, safe text.

Colours are those of Okabe and Ito (2008), told apart with every common colour blindness; whatever colour says, a
marker shape, a hatch or a label says too. Names of a graph are data: `still_text` and `hover_text` keep them from being
read as formulas, markup or templates.
"""

from __future__ import annotations

import base64
import html
import io
import itertools
import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from types import NoneType
from typing import Any, NamedTuple

import matplotlib
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Sheet
from matplotlib.layout_engine import PlaceHolderLayoutEngine
from PIL import Image

BLACK, ORANGE, SKY, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
YELLOW, BLUE, RED, PURPLE, GREY = "#F0E442", "#0072B2", "#D55E00", "#CC79A7", "#7F7F7F"
INK, PALE, GRID = "#222222", "#BBBBBB", "#E4E4E4"  # text, what stands back, grid lines
SERIES = (BLUE, ORANGE, GREEN, PURPLE, SKY, BLACK, GREY, YELLOW)  # in this order; red is kept for what is removed
MARKERS = ("o", "s", "^", "D", "v", "P", "h", "*")
HATCHES = ("", "///", "...", "xxx", "\\\\\\", "ooo", "---", "+++")
REMOVED = RED

FONT = "DejaVu Sans"  # ships with matplotlib, so pictures look the same everywhere
FONT_SIZE, SMALL = 9.0, 8.0  # points; nothing is written smaller
WIDTH = 7.6  # inches
DPI = 128  # pixels an inch: 973 pixels across
LONGEST = 40  # characters of a name in a picture
LONGEST_TITLE = 90
SLACK = 2


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


_SETTINGS = threading.RLock()  # matplotlib's settings are global


class Tip(NamedTuple):
    """A text that shows when the pointer is near (x, y), in the data units of the axes."""

    axes: Axes
    x: float
    y: float
    text: str


@dataclass(frozen=True)
class Figure:
    """A picture that is drawn once. alt: what it shows, in words. tips: texts that a pointer brings up.

    Shown as the last value of a cell it is a PNG. With tips plotly shows the same PNG with them; readers without plotly
    (reports, nbconvert, GitHub) take the PNG alone.

    Examples:
        >>> figure = Figure(Sheet(figsize=(1, 1)), alt="an empty sheet")
        >>> figure.png()[:4]
        b'\\x89PNG'
    """

    still: Sheet
    alt: str
    tips: Sequence[Tip] = ()

    def png(self) -> bytes:
        """The picture as PNG."""
        return render(self.still, "png", dpi=DPI)

    def svg(self) -> bytes:
        """The picture as SVG, letters as outlines; the same picture gives the same bytes."""
        return render(self.still, "svg")

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        picture = base64.b64encode(self.png()).decode("ascii")
        live = {"application/vnd.plotly.v1+json": self._live(picture)} if self.tips else {}
        return {**live, "image/png": picture, "text/plain": self.alt}

    def _live(self, picture: str) -> dict[str, Any]:
        """The PNG (base64) as a plotly figure with a text at every tip; nothing in it asks for a network."""
        wide, high = (float(inches * DPI) for inches in self.still.get_size_inches())
        x, y = zip(*(tip.axes.transData.transform((tip.x, tip.y)).round(1).tolist() for tip in self.tips), strict=True)
        image = {"source": f"data:image/png;base64,{picture}", "xref": "x", "yref": "y", "layer": "below"}
        hidden = {"visible": False, "constrain": "domain"}
        marks = {"type": "scatter", "mode": "markers", "marker": {"opacity": 0, "size": 14}, "hoverinfo": "text"}
        return {
            "data": [{**marks, "x": x, "y": y, "hovertext": [hover_text(tip.text) for tip in self.tips]}],
            "layout": {
                "images": [{**image, "x": 0, "y": high, "sizex": wide, "sizey": high}],
                "xaxis": {**hidden, "range": [0, wide]},
                "yaxis": {**hidden, "range": [0, high], "scaleanchor": "x"},
                "height": round(high),
                "margin": dict.fromkeys("lrtb", 0),
                "plot_bgcolor": "white",
                "hovermode": "closest",
                "hoverlabel": {"align": "left", "bgcolor": "white", "font": {"color": INK}},
            },
            "config": {"displaylogo": False, "responsive": True},
        }


def render(still: Sheet, kind: str, **options: Any) -> bytes:
    """A matplotlib figure as `png` (256 colours) or `svg`, without date and with fixed ids."""
    buffer = io.BytesIO()
    metadata = {"Date": None} if kind == "svg" else {"Software": None}
    with house_style():
        if kind == "svg" and not isinstance(still.get_layout_engine(), NoneType | PlaceHolderLayoutEngine):
            still.draw_without_rendering()  # by the measures of a PNG, which lays itself out
            still.set_layout_engine("none")
        still.savefig(buffer, format=kind, metadata=metadata, **options)
        still.set_layout_engine("none")  # laid out once: a second time would move things by a hair
    return _fewer_colours(Image.open(buffer)) if kind == "png" else buffer.getvalue()


def _fewer_colours(picture: Image.Image) -> bytes:
    """A PNG with a palette: a third of the bytes, which notebooks and reports carry along."""
    out = io.BytesIO()
    few = picture.convert("RGB").quantize(256, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    few.save(out, "PNG", optimize=True)
    return out.getvalue()


def stacked(figures: Sequence[Figure]) -> bytes:
    """Pictures below one another, as one PNG."""
    images = [Image.open(io.BytesIO(figure.png())).convert("RGB") for figure in figures]
    whole = Image.new("RGB", (max(i.width for i in images), sum(i.height for i in images)), "white")
    for image, above in zip(images, itertools.accumulate((i.height for i in images), initial=0), strict=False):
        whole.paste(image, (0, above))
    return _fewer_colours(whole)


def stacked_svg(figures: Sequence[Figure]) -> bytes:
    """Pictures below one another as one SVG, each a nested `<svg>`; their ids are kept apart by a number in front."""
    parts, above, wide = [], 0.0, 0.0
    for number, figure in enumerate(figures):
        whole = figure.svg()
        body = re.sub(rb'\b(id="|href="#|url\(#)', b"\\g<1>p%d-" % number, whole[whole.index(b"<svg ") :])
        parts.append(body.replace(b"<svg ", b'<svg y="%.2f" ' % above, 1))
        across, high = (float(points) for points in 72 * figure.still.get_size_inches())
        above, wide = above + high, max(wide, across)
    opening = (
        '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'width="{wide:.2f}pt" height="{above:.2f}pt" viewBox="0 0 {wide:.2f} {above:.2f}">\n'
    )
    return b'<?xml version="1.0" encoding="utf-8"?>\n' + opening.encode() + b"\n".join(parts) + b"\n</svg>\n"


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


def hover_text(text: str) -> str:
    """Lines for plotly: tags, formulas (`$`) and templates (`%{`) stay the letters they are."""
    plain = "<br>".join(html.escape(short(line, 80), quote=False) for line in text.split("\n"))
    return plain.replace("$", "&#36;").replace("%{", "%&#123;")


def still_text(name: str, longest: int = LONGEST) -> str:
    """A name for matplotlib: `$` starts no formula; letters the font lacks become boxes."""
    known = _letters()
    plain = "".join(mark if ord(mark) in known else "□" for mark in short(name, longest))
    return plain.replace("$", r"\$")


@cache
def _letters() -> frozenset[int]:
    return frozenset(font_manager.get_font(font_manager.findfont(FONT)).get_charmap())
