"""Pictures of explanations: masks and scores as bars, ranks of the same elements by several methods, how faithful and
how good methods are; graph and answers of a case from their own rooms."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
from scipy.stats import rankdata

from workbench.cases import Case, Fact
from workbench.figures.case_graph import answers, case_graph, needed
from workbench.figures.core import BLUE, INK, ORANGE, RED, Figure, house_style
from workbench.figures.panels import SEQUENTIAL, bars, bounded, cells, forest, label, legend, methods, name_rows, row

__all__ = ["answers", "case_graph", "comparison", "contributions", "faithfulness", "mask_bars", "score_ranks"]

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
SIGNS = {True: ("raises", BLUE, ""), False: ("lowers", ORANGE, "///")}  # score of 0 or above -> name, colour, hatch
NEEDED = "• "  # before an element that the right answer runs through
LONGEST = 38  # characters of a row's name
ROOM = 1.08  # of the largest bar, so that its end is seen
EDGE = 0.07  # of the range, beyond its ends


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
    name_rows(panels[0], [case.label(case.elements[i]) for i in order])
    legend(still)
    said = "; ".join(
        f"{method}: {case.label(case.elements[m.argmax()])} highest at {m.max():.2f}" for method, m in values.items()
    )
    return Figure(still, f"{shown}. {said}.")


@house_style()
def comparison(
    summary: Mapping[str, Mapping[str, Mapping[str, float]]], *, title: str,
    metrics: Sequence[str] = ("jaccard", "edit_distance", "path_overlap", "cosine", "flipped"),
) -> Figure:  # fmt: skip
    """Means with their intervals, a panel for each metric, a line for each method; those of `MARKED` as diamonds.

    summary: method -> metric -> {mean, low, high, n}.
    """
    frames = methods(summary, metrics, sort=lambda name: "mask or set" if name in MARKED else "baseline")
    tops = {metric: max(1.0, float(bounded(rows)["high"].max())) for metric, rows in frames.items()}
    reach = {metric: (-EDGE * top, (1 + EDGE) * top) for metric, top in tops.items()}  # a marker at an end is whole
    return forest(frames, title=title, x={metric: DIRECTION.get(metric, "") for metric in metrics}, reach=reach)


@house_style()
def contributions(
    case: Case, scores: Mapping[str, Sequence[float] | np.ndarray], *, title: str,
    errors: Mapping[str, Sequence[float] | np.ndarray] | None = None, unit: str = "nats", most: int = 16,
) -> Figure:  # fmt: skip
    """Signed bars, a panel for each name and a row an element, over one range that is symmetric about 0.

    scores: name -> (n,) in the order of `case.elements`. Shown are the elements with the largest score in any panel,
    sorted by the last panel. errors: name -> (n,) standard errors, drawn as whiskers.
    """
    values = {name: np.asarray(one, float) for name, one in scores.items()}
    spread = {name: np.asarray((errors or {}).get(name, np.zeros(len(case.elements)))) for name in values}
    order = largest(np.max(np.abs(list(values.values())), axis=0), most, by=list(values.values())[-1])
    shown = f"{title}: showing {len(order)} of {len(case.elements)} elements, {NEEDED}= needed"
    still, panels = row(list(values), title=shown, height=1.25 + 0.19 * len(order))
    reach = ROOM * max(float((np.abs(one) + spread[name]).max()) for name, one in values.items()) or 1.0
    for axes, (name, one) in zip(panels, values.items(), strict=True):
        bars(axes, one[order], one[order] >= 0, SIGNS, errors=spread[name][order] if spread[name].any() else None)
        axes.axvline(0, color=INK, lw=0.8, ls=":")
        axes.set_xlim(-reach, reach)
        label(axes, x=unit)
    name_rows(panels[0], [_marked(case, i) for i in order], longest=LONGEST)
    legend(still)
    said = "; ".join(f"{name}: {_ends(case, one)}" for name, one in values.items())
    return Figure(still, f"{shown}. {said}.")


@house_style()
def score_ranks(
    case: Case, scores: Mapping[str, Sequence[float] | np.ndarray], *, title: str, most: int = 16
) -> Figure:
    """A map of ranks, a column a method and a row an element: 1 is the element that the method finds most important.

    Methods score in unlike units, so that only ranks can stand side by side. scores: method -> (n,), a higher score
    says that the element matters more. Shown are the elements of best mean rank; `•` marks those of the right answer.
    """
    ranks = np.array([rankdata(-np.asarray(one, float), method="min") for one in scores.values()])  # (methods, n)
    order = largest(-ranks.mean(axis=0), most)[::-1]
    shown = f"{title}: showing {len(order)} of {len(case.elements)} elements, {NEEDED}= needed"
    still, (axes,) = row(["bright: found important"], title=shown, height=1.5 + 0.2 * len(order))
    names = [_marked(case, i) for i in order]
    scale: dict[str, Any] = {"low": 1, "high": len(case.elements), "cmap": f"{SEQUENTIAL}_r"}
    cells(axes, ranks[:, order].T, rows=names, columns=list(scores), written="{:.0f}", turned=25, **scale)
    said = [
        f"{name}: {case.label(case.elements[int(one.argmin())])} first" for name, one in zip(scores, ranks, strict=True)
    ]
    return Figure(still, f"{shown}. {'; '.join(said)}.")


@house_style()
def faithfulness(
    cells: Mapping[str, Mapping[str, Mapping[str, Any]]], *, title: str, measures: Mapping[str, str], control: str
) -> Figure:
    """Means with their intervals, a panel a measure, a row a method; grey, and a dotted line, is the control.

    cells: method -> measure -> {mean, low, high, n}. measures: measure -> what is good, or its unit.
    """
    frames = methods(cells, measures, sort=lambda name: "control" if name == control else "method")
    means = {measure: float(cells[control][measure]["mean"]) for measure in measures}
    return forest(frames, title=title, x=dict(measures), middle=means)


def largest(size: np.ndarray, most: int, *, by: np.ndarray | None = None) -> np.ndarray:
    """The `most` elements of largest size, in ascending order of `by` (None: of size), for rows from below."""
    chosen = np.argsort(-size, kind="stable")[:most]
    return chosen[np.argsort((size if by is None else by)[chosen], kind="stable")]


def _marked(case: Case, i: int) -> str:
    """An element in words, marked when the right answer runs through it."""
    return f"{NEEDED if needed(case, i) else ''}{case.label(case.elements[i])}"


def _ends(case: Case, values: np.ndarray) -> str:
    """The highest and the lowest score with their elements."""
    high, low = int(values.argmax()), int(values.argmin())
    names = {i: case.label(case.elements[i]) for i in (high, low)}
    return f"highest {names[high]} at {values[high]:+.2f}, lowest {names[low]} at {values[low]:+.2f}"
