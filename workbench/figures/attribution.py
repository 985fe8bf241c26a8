"""Pictures of scores: who is behind a value, how methods rank the same elements, and how faithful they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy.stats import rankdata

from workbench.cases import Case
from workbench.figures.case_graph import needed
from workbench.figures.core import Figure, house_style
from workbench.figures.palette import BLUE, INK, ORANGE
from workbench.figures.panels import SEQUENTIAL, bars, cells, forest, label, legend, methods, name_rows, row

SIGNS = {True: ("raises", BLUE, ""), False: ("lowers", ORANGE, "///")}  # score of 0 or above -> name, colour, hatch
NEEDED = "• "  # before an element that the right answer runs through
LONGEST = 38  # characters of a row's name
ROOM = 1.08  # of the largest bar, so that its end is seen


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
