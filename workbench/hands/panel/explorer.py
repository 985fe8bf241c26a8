"""What explorers have in common: widgets that lie on a page and are set quietly, a still face, and what is shown as
files of one stem, PNG, SVG, CSV and state; in a folder, or as links to take away."""

from __future__ import annotations

import base64
import csv
import io
import json
import os
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ipywidgets as widgets
import numpy as np

from workbench.artifacts.files import atomic_write_bytes, neutral
from workbench.artifacts.stage import EXPORTS, STAGES, check_inside
from workbench.cases import Case, Fact
from workbench.figures.case_graph import needed
from workbench.figures.core import Figure, stacked, stacked_svg
from workbench.hands.panel.parts import Held
from workbench.hands.panel.work import Cancelled

if TYPE_CHECKING:
    from workbench.explain.trial import Carriers

KINDS = {".png": "image/png", ".svg": "image/svg+xml", ".csv": "text/csv", ".json": "application/json"}
COLUMNS = tuple("element id head relation tail degree_of_removal removed gone needed carries_nats".split())


def element_table(
    case: Case,
    *,
    removed: Collection[str | Fact],
    degrees: Sequence[float] | None = None,
    carriers: Carriers | None = None,
) -> str:
    """CSV with a row for every element of a case; numbers that are not known are empty."""
    rows: list[Sequence[Any]] = [COLUMNS]
    known = zip(case.facts, carriers.scores, carriers.shown, strict=True) if carriers else ()
    carried: dict[Any, str] = {fact: f"{score:.6g}" for fact, score, shown in known if shown}
    for i, one in enumerate(case.elements):
        ends, ids = ((one.head, one.tail), ["", *one]) if isinstance(one, Fact) else ((), [one, "", "", ""])
        degree = "" if degrees is None else f"{degrees[i]:.6g}"
        gone = one in removed or any(end in removed for end in ends)
        told = [degree, int(one in removed), int(gone), int(needed(case, i)), carried.get(one, "")]
        rows.append([*map(neutral, (case.label(one), *ids)), *told])
    return as_csv(rows)


def as_csv(rows: Iterable[Sequence[Any]]) -> str:
    """Rows as CSV, the first of them the names of the columns."""
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(rows)
    return out.getvalue()


def file_stem(*parts: str) -> str:
    """A file name without an ending that every system takes, made of texts from anywhere."""
    return re.sub(r"[^A-Za-z0-9_]+", "-", "-".join(parts)).strip("-")[:80] or "case"


def write(stem: str | os.PathLike[str], contents: Mapping[str, bytes]) -> list[Path]:
    """Writes `<stem><ending>` for every ending, each in one step.

    ValueError: the folder is that of a stage's exports in a run folder, and a link leads out of there.
    """
    folder = Path(stem).parent
    if folder.name == EXPORTS and folder.parent.name in STAGES:
        check_inside(folder.parent.parent, folder.parent, folder)
    return [atomic_write_bytes(f"{os.fspath(stem)}{ending}", content) for ending, content in contents.items()]


def links(stem: str, contents: Mapping[str, bytes]) -> str:
    """HTML links that hold the files themselves: a page that is served elsewhere can be taken away too."""
    return " · ".join(
        f'<a download="{escape(stem)}{ending}" href="data:{KINDS[ending]};base64,'
        f'{base64.b64encode(content).decode("ascii")}">{escape(stem)}{ending}</a>'
        for ending, content in contents.items()
    )


class Explorer(ABC):
    """Shown as its live widget in JupyterLab, as its pictures everywhere else. An explorer says what these are of."""

    state: Any
    still = False  # while the explorer itself sets its widgets

    def __init__(self, view: Any, folder: str | os.PathLike[str] | None):
        self.view, self.widget, self.folder = view, view.widget, None if folder is None else Path(folder)

    def follow(self, act: Callable[[Any], Any], *controls: Any) -> None:
        """Calls `act` with the value that a person's hand gives one of the controls."""
        for control in controls:
            control.observe(lambda change: None if self.still else act(change["new"]), "value")

    def guarded(self, act: Callable[[], Any], beside: Any = None) -> None:
        """What a button does in place: an error is shown beside it, since a traceback would go nowhere."""
        self.view.say("", beside=beside)
        try:
            act()
        except Exception as error:
            self.view.say(f"error: {error}", beside=beside)

    def failed(self, error: BaseException) -> None:
        """Says what went wrong on the panel's thread."""
        if not isinstance(error, Cancelled):
            self.view.say(f"error: {type(error).__name__}: {error}")

    @abstractmethod
    def pictures(self) -> list[Figure]:
        """The still face, figure by figure."""

    @abstractmethod
    def sentences(self) -> str:
        """What is shown, in words."""

    @abstractmethod
    def table(self) -> str:
        """What is shown, as CSV."""

    def exports(self) -> dict[str, bytes]:
        """Ending -> content: the still face as PNG and SVG, the table as CSV, the state as JSON."""
        drawn = {".png": self.png(), ".svg": stacked_svg(self.pictures())}
        return drawn | {".csv": self.table().encode("utf-8"), ".json": self.saved().encode("utf-8")}

    def png(self) -> bytes:
        """The still face as one picture."""
        return stacked(self.pictures())

    def saved(self) -> str:
        """The state as JSON."""
        return json.dumps(self.state, indent=1, ensure_ascii=False)

    def merged(self, given: Mapping[str, Any], refused: type[ValueError] = ValueError) -> dict[str, Any]:
        """The state with what is given in its place. refused: raised where no state has such a thing."""
        if unknown := sorted(set(given) - set(self.state)):
            raise refused(f"a state has {', '.join(self.state)}, not {unknown[0][:80]!r}")
        return {**self.state, **given}

    def export(self, stem: str | os.PathLike[str]) -> list[Path]:
        """Writes `<stem>.png`, `.svg`, `.csv` and `.json`, and returns their paths."""
        return write(stem, self.exports())

    def offer(self, *parts: str) -> None:
        """Files of a stem of these parts in the folder, where there is one, and links that hold them."""
        stem, contents, where = file_stem(*parts), self.exports(), ""
        if self.folder is not None:
            write(self.folder / stem, contents)
            where = f"written to {self.folder} · "
        self.view.links.value = f"<p>{escape(where)}{links(stem, contents)}</p>"

    def put(self, **values: Any) -> None:
        """Sets widgets of the view, by name, quietly."""
        with self.quietly():
            for name, value in values.items():
                getattr(self.view, name).value = value

    @contextmanager
    def quietly(self) -> Iterator[None]:
        """Widgets are set in the block without what a person's hand would do by it."""
        before, self.still = self.still, True
        try:
            yield
        finally:
            self.still = before

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None, **_: Any) -> dict[str, Any]:
        live = self.view.widget._repr_mimebundle_() or {}
        picture = base64.b64encode(self.png()).decode("ascii")
        return {**live, "image/png": picture, "text/plain": self.sentences()}


class CaseExplorer(Explorer):
    """One of several cases at a time, by a chooser of its view. cases: id -> case."""

    cases: dict[str, Case]

    @property
    def case(self) -> Case:
        """The case that is shown."""
        return self.cases[self.view.chooser.value]

    def known(self, name: str) -> Case:
        """A case by its id. ValueError: there is none."""
        if name not in self.cases:
            some = ", ".join(map(repr, list(self.cases)[:3]))
            raise ValueError(f"no case {name[:80]!r} in this panel; it has {len(self.cases)}, such as {some}")
        return self.cases[name]


Parts = Sequence[widgets.Widget]


class View:
    """Widgets by name, each with the class `wb-<name>` once `mark` was called. `widget` is the whole."""

    widget: widgets.VBox
    status: widgets.HTML
    access: Held

    def say(self, text: str, *, beside: widgets.HTML | None = None) -> None:
        """A line of text beside the button that was pressed: in the status line, if nothing else is given."""
        (beside or self.status).value = escape(text[:400])

    def mark(self) -> None:
        """Gives every widget its class."""
        for name, part in vars(self).items():
            if isinstance(part, widgets.DOMWidget):
                part.add_class(f"wb-{name}")

    def page(self, above: Parts, sides: Mapping[str, Parts], drawers: Mapping[str, widgets.Widget]) -> widgets.VBox:
        """The whole: what stands above, two sides by the names of their classes, drawers by their titles."""
        self.mark()
        columns = widgets.HBox([widgets.VBox(parts).add_class(f"wb-{name}") for name, parts in sides.items()])
        more = widgets.Accordion(list(drawers.values()), titles=tuple(drawers)).add_class("wb-more")
        return widgets.VBox([self.access, *above, columns.add_class("wb-columns"), more]).add_class("wb-panel")


def table(rows: Iterable[Iterable[str]], heads: Iterable[str] = ()) -> str:
    """Rows of cells, which are HTML, as a table; heads are of its columns."""
    first = "".join(f'<th scope="col">{head}</th>' for head in heads)
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table>{f'<tr>{first}</tr>' if first else ''}{body}</table>"


def button(text: str, tip: str, **how: Any) -> widgets.Button:
    """A button as wide as its text."""
    return widgets.Button(description=text, tooltip=tip, layout={"width": "auto"}, **how)


def flow(*parts: widgets.Widget) -> widgets.HBox:
    """Parts beside one another, as many as fit."""
    return widgets.HBox(parts).add_class("wb-flow")


WIDE, TALL = 420.0, 190.0  # units of the curve's picture
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
