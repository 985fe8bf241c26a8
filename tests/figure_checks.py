"""What holds for every picture, whatever it shows."""

import base64
import html
import io
import json
import re
import warnings
from dataclasses import replace
from html.parser import HTMLParser

import explain_cases as small
from matplotlib.text import Text
from PIL import Image

from workbench.cases import Case
from workbench.figures import Figure
from workbench.figures.core import SMALL

PLOTLY = "application/vnd.plotly.v1+json"
HOSTILE = "<img src=x onerror=alert(1)> $\\frac{1}{2}$ %{y} 名前 \u202e\x07\n<b>bold</b>"

TAGGED = "<img src=x onerror=alert(1)> $x$ %{y}"


def hostile_case() -> Case:
    """A case whose names are no names."""
    case = small.case(small.CHAIN + small.MORE)
    return replace(case, names={node: f"{name} {HOSTILE}" for node, name in case.names.items()})


def check(figure: Figure, panels: int | None = None) -> None:
    """A sound PNG and SVG, letters large enough and none cut off, words; names stay text. panels: those with an x
    label."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        bundle, svg = figure._repr_mimebundle_(), figure.svg()
    png = base64.b64decode(bundle["image/png"])
    with Image.open(io.BytesIO(png)) as picture:
        picture.load()
        assert picture.format == "PNG" and picture.size[0] > 600 and picture.size[1] > 150
        assert len(picture.convert("L").getcolors() or range(9)) > 2, "an empty picture"
    assert len(png) < 200_000
    assert svg.startswith(b"<?xml") and b"<script" not in svg
    assert set(re.findall(rb'href="(data:image/png|.)', svg)) <= {b"#", b"data:image/png"}
    assert figure.alt.endswith(".") and len(figure.alt) > 20
    labelled = [axes for axes in figure.still.axes if axes.get_xlabel()]
    assert panels is None or len(labelled) == panels
    check_letters(figure)
    check_faces(figure, bundle)


def check_letters(figure: Figure) -> None:
    """No text is smaller than the house allows, and nothing that is drawn reaches over the sheet's edge."""
    still = figure.still
    written = [text for text in still.findobj(Text) if text.get_visible() and text.get_text().strip()]
    assert written and min(text.get_fontsize() for text in written) >= SMALL
    box, (wide, high) = still.get_tightbbox(), still.get_size_inches()
    edge = 0.02  # inches
    inside = min(box.x0, box.y0) > -edge and box.x1 < wide + edge and box.y1 < high + edge
    assert inside, f"cut off: {box} of {wide, high}"


def check_faces(figure: Figure, bundle: dict) -> None:
    """A PNG; with tips plotly has the same PNG and a text for each; nothing is markup, a template or asks a network."""
    assert set(bundle) == {"image/png", "text/plain", *([PLOTLY] if figure.tips else [])}
    assert bundle["text/plain"] == figure.alt
    if not figure.tips:
        return
    live = bundle[PLOTLY]
    assert "http" not in json.dumps({**live, "layout": {**live["layout"], "images": []}})
    assert [image["source"] for image in live["layout"]["images"]] == [f"data:image/png;base64,{bundle['image/png']}"]
    (trace,) = live["data"]
    assert len(trace["x"]) == len(figure.tips)
    assert 0 <= min(trace["x"]) <= max(trace["x"]) <= live["layout"]["xaxis"]["range"][1]
    assert 0 <= min(trace["y"]) <= max(trace["y"]) <= live["layout"]["yaxis"]["range"][1]
    for text in trace["hovertext"]:
        assert set(re.findall("<[^>]*>", text)) <= {"<br>"} and "$" not in text and "%{" not in text, text
        assert len(html.unescape(text)) < 1000 and "\x07" not in text and "\u202e" not in text


def words(figure: Figure, panel: int = 0) -> list[str]:
    """The texts that stand in a panel."""
    return [text.get_text() for text in figure.still.axes[panel].texts]


def rows(figure: Figure) -> list[str]:
    """The names of the first panel's rows, from below."""
    return [label.get_text() for label in figure.still.axes[0].get_yticklabels()]


def legend(figure: Figure) -> list[str]:
    """What the legend names."""
    return [text.get_text() for text in figure.still.legends[0].get_texts()]


def plain(shown: str) -> str:
    """The text of a paragraph."""
    return html.unescape(re.sub("<[^>]*>", "", shown))


LOADS = {"href", "xlink:href", "src", "srcdoc", "srcset", "action", "formaction", "data", "poster", "background"}


def tags(shown: str) -> set[str]:
    """The tags of what is shown; none has an attribute that would run or load something."""
    found: set[str] = set()

    class Reader(HTMLParser):
        def handle_starttag(self, tag, attrs):
            found.add(tag)
            for name, told in attrs:
                assert not (name.startswith("on") or name in LOADS or "url(" in (told or "")), (name, told)

    Reader().feed(shown)
    return found
