"""Pictures of explanations: masks as bars, methods compared; a prompt, and the answers before and after something is
taken out of it; the graph of a case from its own room."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes

from workbench.cases import Case, Fact, aligned
from workbench.figures.case_graph import case_graph, named
from workbench.figures.core import SMALL, WIDTH, Figure, house_style, short, still_text
from workbench.figures.palette import BLUE, GREY, INK, RED
from workbench.figures.panels import bars, forest, label, legend, methods, name_rows, row

if TYPE_CHECKING:
    from workbench.models.prompts import Segment


__all__ = ["answers", "case_graph", "comparison", "mask_bars"]

DIRECTION = {  # metric -> how it moves when Gc changes the answer more
    "jaccard": "lower:\nchanged more",
    "edit_distance": "higher:\nchanged more",
    "path_overlap": "lower:\nchanged more",
    "cosine": "lower:\nchanged more",
    "flipped": "share of tool-\nchains changed",
    "elements_taken": "elements until the\ntoolchain changes",
    "facts_taken": "facts gone\nwith these",
}
MARKED = ("paper", "in_loop", "certified")  # methods that are no baselines
REMOVED = {False: ("kept", BLUE, ""), True: ("removed", RED, "xxx")}  # name, colour, hatch


@house_style()
def mask_bars(
    case: Case, degrees: Mapping[str, Sequence[float] | np.ndarray], *, title: str,
    removed: Mapping[str, Collection[str | Fact]] | None = None, thresholds: Mapping[str, float] | None = None,
    most: int = 16,
) -> Figure:  # fmt: skip
    """Degree of removal of the elements, a panel for each method, those that any method removes most on top.

    degrees: method -> (n,) in the order of `case.elements`. removed: method -> what it takes out: red and hatched.
    thresholds: method -> degree above which its elements go, a dotted line; none where degrees only set an order.
    """
    values = {method: np.asarray(m, float) for method, m in degrees.items()}
    order = np.argsort(-np.max(list(values.values()), axis=0), kind="stable")[:most][::-1]
    shown = f"{title}: showing {len(order)} of {len(case.elements)} elements"
    still, panels = row(list(values), title=shown, height=1.15 + 0.19 * len(order))
    for axes, (method, m) in zip(panels, values.items(), strict=True):
        out = (removed or {}).get(method, ())
        bars(axes, m[order], [case.elements[k] in out for k in order], REMOVED)
        if method in (thresholds or {}):
            axes.axvline((thresholds or {})[method], color=INK, lw=0.8, ls=":", label="threshold")
        label(axes, x="degree of removal")
        axes.set_xlim(0, 1)
    name_rows(panels[0], [named(case, case.elements[i]) for i in order])
    legend(still)
    said = "; ".join(
        f"{method}: {named(case, case.elements[m.argmax()])} highest at {m.max():.2f}" for method, m in values.items()
    )
    return Figure(still, f"{shown}. {said}.")


@house_style()
def comparison(
    summary: Mapping[str, Mapping[str, Mapping[str, float]]], *, title: str,
    metrics: Sequence[str] = ("jaccard", "edit_distance", "path_overlap", "cosine", "flipped"),
    marked: Sequence[str] = MARKED,
) -> Figure:  # fmt: skip
    """Means with their intervals, a panel for each metric, a line for each method; the marked methods as diamonds.

    summary: method -> metric -> {mean, low, high, n}.
    """
    sort: dict[str, Any] = {"told": metrics[0], "sort": lambda name: "mask or set" if name in marked else "baseline"}
    frames = {metric: methods(summary, metric, **sort) for metric in metrics}
    tops = {metric: max(1.0, float(rows["high"].max())) for metric, rows in frames.items()}
    reach = {metric: (-0.03 * top, 1.03 * top) for metric, top in tops.items()}
    return forest(frames, title=title, x={metric: DIRECTION.get(metric, "") for metric in metrics}, reach=reach)


ROOM = 0.84 * WIDTH  # inches for the boxes of a row
MORE = 0.8  # of these, for how many are not shown
TALL = 0.29  # inches of a row
LETTER, PAD = 0.068, 0.24  # inches
STRUCK = 0.055  # inches of the line through a letter
LOOKS = {"": ("", GREY, "-"), "other": ("≠ ", RED, "--"), "new": ("+ ", RED, "--"), "lost": ("− ", RED, ":")}
"""Mark -> what stands before the name, colour and line of the rim."""
KEY = "≠ not in the right answer    + new on Gc    − struck: no longer there"
LINE = 0.17  # inches
LONGEST = 84  # characters of a line
MONO, WIDE = "DejaVu Sans Mono", 0.602  # the font, width of a letter over its size
FRAME = 6  # lines of the frame that are shown


@house_style()
def answers(case: Case, toolchains: Mapping[str, Sequence[str]], names: Mapping[str, str], *, title: str) -> Figure:
    """Toolchains as rows of boxes. An answer on G has a `≠` at what the right answer has not; one on Gc stands below
    the same model's on G, step under step, with a `+` at what is new and a struck `−` at what is no longer there.

    toolchains: `tuned_full`, `tuned_changed`, `base_full`, `base_changed` -> command ids. names: node id -> name.
    """
    still, (axes,) = row([""], title=title, height=0.35 + tall_answers(toolchains))
    return Figure(still, f"{title}. {draw_answers(axes, case, toolchains, names)}.")


def tall_answers(toolchains: Mapping[str, Sequence[str]]) -> float:
    """Inches that `draw_answers` needs."""
    return TALL * (2 + len(toolchains))


def draw_answers(axes: Axes, case: Case, toolchains: Mapping[str, Sequence[str]], names: Mapping[str, str]) -> str:
    """Draws the rows into empty axes, and says them in words."""
    rows: dict[str, Sequence[str]] = {"right answer": case.toolchain}
    rows |= {f"{key.split('_')[0]} on {'G' if key.endswith('full') else 'Gc'}": toolchains[key] for key in toolchains}
    axes.set(xlim=(0, ROOM), ylim=(len(rows) + 0.5, -0.6), xticks=[])
    axes.set_yticks(range(len(rows)), list(rows))
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.text(0, len(rows), KEY, size=SMALL, va="center")
    _boxes(axes, [0], [(node, "") for node in case.toolchain], (), names)
    for model in ("tuned", "base"):
        if f"{model}_full" in toolchains:
            at = [list(rows).index(f"{model} on {graph}") for graph in ("G", "Gc")]
            steps = aligned(toolchains[f"{model}_full"], toolchains[f"{model}_changed"])
            _boxes(axes, at, steps, case.toolchain, names)
    return "; ".join(f"{name}: {', '.join(names.get(n, n) for n in chain) or 'none'}" for name, chain in rows.items())


def _boxes(
    axes: Axes, at: Sequence[int], steps: Sequence[tuple[str, str]], right: Sequence[str], names: Mapping[str, str]
) -> None:
    """One answer, or an answer before and after as two rows (`at`), as many steps as there is room for."""
    runs = [(*one, len(list(some))) for one, some in groupby(steps)]
    x = 0.0
    for i, (node, mark, times) in enumerate(runs):
        text = f"{short(names.get(node, node), 22)}{f' × {times}' if times > 1 else ''}"
        width = PAD + LETTER * (len(text) + 2)
        if x + width > ROOM - (MORE if i < len(runs) - 1 else 0):
            _box(axes, x, at[-1], f"… {len(runs) - i} more", "")
            return
        if mark != "new":
            _box(axes, x, at[0], text, "other" if right and node not in right else "")
        if len(at) > 1:
            _box(axes, x, at[1], text, mark)
        x += width
    for y, gone in zip(at, ("new", "lost"), strict=False):
        if all(mark == gone for _, mark in steps):
            _box(axes, x if gone == "lost" else 0.0, y, "(no command)", "")


def _box(axes: Axes, x: float, y: int, text: str, mark: str) -> None:
    sign, rim, style = LOOKS[mark]
    box = {"boxstyle": "round,pad=0.25", "facecolor": "white", "edgecolor": rim, "linestyle": style}
    words = f"{sign}{still_text(text)}"
    axes.text(x + 0.05, y, words, size=SMALL, va="center", color=INK, bbox=box)
    if mark == "lost":
        end = x + 0.05 + STRUCK * len(f"{sign}{text}")
        axes.plot([x + 0.05, end], [y, y], color=RED, lw=0.8, zorder=4)


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
