"""Parts of a panel that ipywidgets has none for: the prompt with a checkbox a fact, toolchains, names for a reader.

Their scripts set text as text alone, so names of a graph run nothing. They send messages; what they show is set here.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anywidget
import ipywidgets as widgets
import numpy as np
import traitlets

from workbench.cases import Case, Fact, aligned, toolchain
from workbench.figures.case_graph import counted, lines
from workbench.figures.core import LOOKS, kind_of, look, short, wrapped
from workbench.figures.drawing import ROW, Link, Spot
from workbench.hands.narrative.names import GLOSSARY, SMALL
from workbench.hands.panel.work import kernel_loop

if TYPE_CHECKING:
    from workbench.explain.trial import Carriers
    from workbench.models.prompts import Segment

STATIC = Path(__file__).parent / "static"
PATIENCE = 5.0  # seconds for a view to say that it lives
TEXT, NAME = 160, 40  # characters of a line of the prompt or beside the pointer, and of a name


def script(name: str) -> str:
    """A part's script, with the sign of life that all share."""
    return (STATIC / "heart.js").read_text("utf-8") + (STATIC / name).read_text("utf-8")


class Part(anywidget.AnyWidget):
    """A widget with a script of its own. heard: called with what the script sends, beside signs of life.

    on_lost: called when a view of it exists that no update reaches (see `heart.js`).
    """

    def __init__(self, heard: Callable[[dict[str, Any]], Any]):
        super().__init__()
        self.heard, self.on_lost, self._alive = heard, lambda: None, False
        self.on_msg(lambda _, content, __: self._message(content))

    def _message(self, content: dict[str, Any]) -> None:
        if "alive" in content:
            self._alive = True
        elif "hello" in content:
            self._alive = False
            self.send({"pong": 1})
            loop = kernel_loop()
            if loop is not None:
                loop.call_later(PATIENCE, lambda: self._alive or self.on_lost())
        else:
            self.heard(content)


class Held(widgets.Box):
    """Holds a part, and makes it anew, with what it shows, when its view was lost."""

    def __init__(self, make: Callable[[], Part]):
        self.make, self.part = make, make()
        self.part.on_lost = self.renew
        super().__init__([self.part])

    def renew(self) -> None:
        """Another part in place of the one that is held."""
        old, self.part = self.part, self.make()
        for name in set(old.trait_names(sync=True)) - set(widgets.DOMWidget.class_trait_names()):
            if not name.startswith("_"):
                setattr(self.part, name, getattr(old, name))
        self.part.on_lost = self.renew
        self.children = (self.part,)
        old.close()


class Prompt(Part):
    """The prompt's lines and the nodes, each with a checkbox. on_toggle: called with the number of the element."""

    _esm = script("prompt.js")
    lines: Any = traitlets.List().tag(sync=True)
    nodes: Any = traitlets.List().tag(sync=True)
    means: Any = traitlets.Dict({name: GLOSSARY[name] for name in ("needed", "m")}).tag(sync=True)

    def __init__(self, on_toggle: Callable[[int], Any]):
        super().__init__(lambda content: on_toggle(int(content["toggle"])))

    def show(
        self,
        case: Case,
        segments: Sequence[Segment],
        *,
        removed: Collection[str | Fact],
        degrees: Sequence[float] | None = None,
        carriers: Carriers | None = None,
    ) -> None:
        """Shows a case with what is removed and, where known, the degrees of removal and what carries a command."""
        first, needed = len(case.nodes), set(case.needed)
        m = [None] * len(case.elements) if degrees is None else [round(float(d), 4) for d in degrees]
        scores = np.zeros(len(case.facts)) if carriers is None else carriers.scores
        most = max(float(scores.max(initial=0)), 1e-9)

        def line(key: int, text: str, **more: Any) -> dict[str, Any]:
            one = case.elements[key]
            ends = dict.fromkeys((one.head, one.tail)) if isinstance(one, Fact) else ()
            state = _state(one in removed, [short(case.names[end], NAME) for end in ends if end in removed])
            return {"key": key, "text": text, "degree": m[key], "needed": one in needed, "score": ""} | state | more

        rows: list[dict[str, Any]] = []
        for text, i in lines(segments):
            if i < 0:
                rows.append({"key": -1, "text": text})
                continue
            score = f"{scores[i]:+.2f} nats" if abs(scores[i]) >= SMALL else ""
            how = {"note": "", "score": score, "share": max(0.0, float(scores[i]) / most)}
            rows.append(line(first + i, short(text, TEXT), **how))
        self.lines = rows
        self.nodes = [line(i, short(case.names[node], NAME), note=kind_of(node)) for i, node in enumerate(case.nodes)]


def _state(removed: bool, ends: Sequence[str]) -> dict[str, str]:
    if removed:
        return {"state": "removed", "why": ""}
    return {"state": "gone", "why": f"with {' and '.join(ends)}"} if ends else {"state": "kept", "why": ""}


class Chains(Part):
    """Toolchains of both models on G and on Gc. on_pick: called with a row of the answers and a command's id."""

    _esm = script("chains.js")
    rows: Any = traitlets.List().tag(sync=True)
    picked: Any = traitlets.List(["", ""]).tag(sync=True)

    def __init__(self, on_pick: Callable[[str, str], Any]):
        super().__init__(lambda content: on_pick(*map(str, content["pick"])))

    def show(self, case: Case, answers: Mapping[str, Sequence[str]], names: Mapping[str, str]) -> None:
        """Shows answers (node paths, see `trial.ROWS`); what changed is marked by sign, rim and words."""
        right = case.toolchain
        first = _chips([(node, "") for node in right], names)
        rows: list[dict[str, Any]] = [{"model": "right answer", "key": "", "full": first}]
        for model in ("tuned", "base"):
            if f"{model}_full" not in answers:
                continue
            full, now = (toolchain(answers[f"{model}_{which}"]) for which in ("full", "changed"))
            changed = _chips(aligned(full, now), names)
            verdict = "stays" if full == now else "≠ changes"
            judged = [(node, "" if node in right else "other") for node in full]
            row = {"model": model, "key": model, "full": _chips(judged, names)}
            rows.append(row | {"changed": changed, "verdict": verdict})
        self.rows = rows


def _chips(steps: Iterable[tuple[str, str]], names: Mapping[str, str]) -> list[dict[str, str]]:
    """Commands with their marks as data for the script."""
    return [{"node": node, "text": text, "mark": mark} for node, mark, text in counted(steps, names, longest=NAME)]


class Board(Part):
    """Modules as a heat map: a row a projection, a column a layer, each cell a button that switches its module.

    on_switch: called with the module's number. Arrow keys walk from cell to cell, so 210 modules are one stop of the
    tab key.
    """

    _esm = script("board.js")
    cells: Any = traitlets.List().tag(sync=True)

    def __init__(self, on_switch: Callable[[int], Any]):
        super().__init__(lambda content: on_switch(int(content["switch"])))

    def show(self, places: Sequence[tuple[str, int | str, str]], losses: Sequence[float], off: Collection[int]) -> None:
        """places: in words, layer, projection. losses: nats that go with each switched off alone."""
        top = max(map(abs, losses), default=0.0) or 1.0
        self.cells = [
            {"key": k, "layer": layer, "name": name, "off": k in off, "share": round(float(loss) / top, 3),
             "text": "✕ off" if k in off else f"{loss:+.2g}".replace("-", "−"),
             "said": f"{where}, {'off' if k in off else 'on'}: {loss:+.3g} nats go with it alone"}
            for k, ((where, layer, name), loss) in enumerate(zip(places, losses, strict=True))
        ]  # fmt: skip


class Access(Part):
    """Gives the parts of a panel names, roles and descriptions, and the panel its style sheet.

    parts: {select: CSS selector within the panel, attributes: {name: text}, value: {within, select} of the text that
    says a slider's value}.
    """

    _esm = script("access.js")
    _css = STATIC / "panel.css"
    parts: Any = traitlets.List().tag(sync=True)

    def __init__(self) -> None:
        super().__init__(lambda content: None)


def named(select: str, label: str = "", **attributes: str) -> dict[str, Any]:
    """An entry of `Access.parts`; underscores of attribute names stand for hyphens."""
    given = {name.replace("_", "-"): text for name, text in attributes.items()}
    return {"select": select, "attributes": ({"aria-label": label} if label else {}) | given}


LIVE = {"role": "status", "aria_live": "polite"}
USUAL = (
    named(".wb-status", **LIVE),
    named(".wb-words", "in words", role="region", aria_live="polite"),
    named(".wb-saved textarea", "a state as JSON: copy it, or paste one and press Apply"),
)
"""Names and roles of what every explorer may have."""


def slid(name: str, label: str, readout: str) -> list[dict[str, Any]]:
    """Entries of `Access.parts` for a slider of the class `wb-<name>`; readout: what its number is called."""
    handle = named(f".wb-{name} .noUi-handle", label)
    handle["value"] = {"within": ".widget-slider", "select": ".widget-readout"}
    return [handle, named(f".wb-{name} .widget-readout", readout, role="textbox")]


ALT = 2000  # characters of what is said of a picture
BESIDE, LINE = 34, 12  # characters of a name beside its node, and of one of its lines
ACROSS = 18 / 11  # pixels to a point of a node's size


def library() -> str:
    """Cytoscape.js as a constant of the script it stands in, whatever loaders of modules the page has."""
    source = (STATIC / "cytoscape.min.js").read_text("utf-8")
    open_, shut = "const cytoscape = (() => { const module = { exports: {} }, exports = module.exports;", "})();\n"
    return f"{open_}\n{source}\nreturn module.exports; {shut}"


class Graph(Part):
    """Spots and links, drawn by its script. on_click: called with the key of the node or fact that was clicked."""

    _esm = library() + script("graph.js")
    drawing: Any = traitlets.Dict().tag(sync=True)

    def __init__(self, on_click: Callable[[int], Any]):
        super().__init__(lambda content: on_click(int(content["toggle"])))

    def show(
        self,
        spots: Sequence[Spot],
        links: Sequence[Link],
        *,
        title: str,
        alt: str,
        degrees: Mapping[int, float] | None = None,
        picked: int | None = None,
    ) -> None:
        """Shows a drawing; where its nodes lie on the page, the script settles by the room it has.

        degrees: key of a spot or link -> 0 to 1, drawn as the width of a rim or line; 0 where none is given. picked:
        key of a node or fact that is marked.
        """
        kinds = [kind for kind in LOOKS if any(spot.kind == kind for spot in spots)]
        legend = [{"name": kind, "symbol": look(kind).symbol, "colour": look(kind).colour} for kind in kinds]
        crossed = any(spot.removed for spot in spots) or any(link.removed for link in links)
        m = degrees or {}
        self.drawing = {
            "title": short(title, TEXT),
            "alt": short(alt, ALT),
            "spots": [_spot(spot, m.get(spot.key, 0.0), picked) for spot in spots],
            "links": [_link(one, spots, m.get(one.key, 0.0), picked) for one in links],
            "kinds": [*legend, *([{"name": "removed", "symbol": "removed", "colour": ""}] if crossed else [])],
        }


def _spot(spot: Spot, degree: float, picked: int | None) -> dict[str, Any]:
    style = look(spot.kind)
    return _said(spot, degree, picked) | {
        "x": round(spot.x, 3),
        "row": round(-spot.y / ROW, 3),
        "size": round(ACROSS * style.scale * max(10, spot.size), 1),
        "symbol": style.symbol,
        "colour": style.colour,
        "label": "\n".join(wrapped(f"{'▶ ' * (spot.key == picked)}{spot.hover[0]}", width=LINE, longest=BESIDE)),
    }


def _link(link: Link, spots: Sequence[Spot], degree: float, picked: int | None) -> dict[str, Any]:
    ends = {"source": spots[link.start].key, "target": spots[link.end].key, "needed": link.strong}
    return _said(link, degree, picked) | ends | {"width": link.width, "colour": link.colour, "arrow": link.arrow}


def _said(one: Spot | Link, degree: float, picked: int | None) -> dict[str, Any]:
    gone = isinstance(one, Link) and one.gone
    return {
        "key": one.key,
        "picked": one.key == picked,
        "degree": round(degree, 3),
        "hover": "\n".join(short(text, TEXT) for text in one.hover),
        "state": "removed" if one.removed else "gone" if gone else "kept",
    }
