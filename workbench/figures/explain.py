"""Pictures of explanations: masks as bars, methods compared; graph and answers of a case from their own rooms."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np

from workbench.cases import Case, Fact
from workbench.figures.case_graph import answers, case_graph
from workbench.figures.core import Figure, house_style
from workbench.figures.palette import BLUE, INK, RED
from workbench.figures.panels import bars, forest, label, legend, methods, name_rows, row

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
    marked: Sequence[str] = MARKED,
) -> Figure:  # fmt: skip
    """Means with their intervals, a panel for each metric, a line for each method; the marked methods as diamonds.

    summary: method -> metric -> {mean, low, high, n}.
    """
    frames = methods(summary, metrics, sort=lambda name: "mask or set" if name in marked else "baseline")
    tops = {metric: max(1.0, float(rows["high"].max())) for metric, rows in frames.items()}
    reach = {metric: (-0.03 * top, 1.03 * top) for metric, top in tops.items()}
    return forest(frames, title=title, x={metric: DIRECTION.get(metric, "") for metric in metrics}, reach=reach)
