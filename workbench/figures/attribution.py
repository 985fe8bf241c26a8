"""Pictures of scores: who is behind a value, how methods rank the same elements, and how faithful they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
from scipy.stats import rankdata

from workbench.cases import Case, Fact
from workbench.figures.case_graph import label
from workbench.figures.core import (
    BLUE,
    FONT_SIZE,
    INK,
    LONGEST_TITLE,
    ORANGE,
    Figure,
    house_style,
    legend_below,
    live_text,
    sheet,
    stage,
    still_text,
)
from workbench.figures.explain import intervals, upright
from workbench.figures.panels import Panels

SIGNS = {"raises": (BLUE, ""), "lowers": (ORANGE, "///")}  # what a score above, and below, 0 does -> colour, hatch
NEEDED = "• "  # before an element that the right answer runs through
WIDEST = 24  # characters of a method's name under its column
LONGEST = 38  # of a row's
EDGE = 0.1  # inches left free at the sides: letters are a little wider in print than they are measured
ROOM = 1.08  # of the largest bar, so that its end is seen


@house_style()
def contributions(
    case: Case,
    scores: Mapping[str, Sequence[float] | np.ndarray],
    *,
    title: str,
    errors: Mapping[str, Sequence[float] | np.ndarray] | None = None,
    unit: str = "nats",
    most: int = 16,
) -> Figure:
    """Signed bars, a panel for each name and a row an element, over one range that is symmetric about 0.

    scores: name -> (n,) in the order of `case.elements`. Shown are the elements with the largest score in any panel,
    sorted by the last panel. errors: name -> (n,) standard errors, drawn as whiskers.
    """
    values = {name: np.asarray(one, float) for name, one in scores.items()}
    spread = {name: np.asarray(one, float) for name, one in (errors or {}).items()}
    order = _largest(np.max(np.abs(list(values.values())), axis=0), most, by=list(values.values())[-1])
    shown = f"{title}: showing {len(order)} of {len(case.elements)} elements, {NEEDED}= needed"
    panels = Panels.row(list(values), title=shown, height=1.25 + 0.19 * len(order), barmode="overlay")
    _rows(panels, [_marked(case, i) for i in order])
    reach = ROOM * max(float((np.abs(one) + spread.get(name, 0.0)).max()) for name, one in values.items()) or 1.0
    for i, (name, one) in enumerate(values.items()):
        _signed(panels, i, one[order], spread[name][order] if name in spread else None)
        upright(panels, i, 0.0)
        panels.label(i, x=unit)
        panels.range(i, x=(-reach, reach), y=(-0.7, len(order) - 0.3))
    handles, labels = panels.axes[0].get_legend_handles_labels()
    legend_below(panels.still, handles, labels)
    said = "; ".join(f"{name}: {_ends(case, one)}" for name, one in values.items())
    return Figure(panels.live, panels.still, f"{shown}. {said}.")


def _signed(panels: Panels, i: int, values: np.ndarray, errors: np.ndarray | None) -> None:
    """Bars of panel i, row by row from below."""
    places = np.arange(len(values))
    for sign, (colour, hatch) in SIGNS.items():
        some = values >= 0 if sign == "raises" else values < 0
        panels.axes[i].barh(places[some], values[some], 0.75, color=colour, hatch=hatch, edgecolor="white", label=sign)
        pattern = {"shape": hatch[:1], "fillmode": "overlay", "fgcolor": "white", "size": 6}
        whiskers = {} if errors is None else {"error_x": {"array": errors[some], "color": INK, "thickness": 1.2}}
        panels.live.add_bar(
            x=values[some], y=places[some], width=0.75, orientation="h", name=sign, legendgroup=sign,
            showlegend=i == 0, marker={"color": colour, "pattern": pattern},
            hovertext=[f"{value:+.3f}" for value in values[some]], hoverinfo="text", **whiskers, **panels.on(i),
        )  # fmt: skip
    if errors is not None:
        panels.axes[i].errorbar(values, places, xerr=errors, fmt="none", ecolor=INK, elinewidth=1, capsize=1.5)
    panels.axes[i].grid(axis="x")


@house_style()
def score_ranks(
    case: Case, scores: Mapping[str, Sequence[float] | np.ndarray], *, title: str, most: int = 16
) -> Figure:
    """A map of ranks, a column a method and a row an element: 1 is the element that the method finds most important.

    Methods score in unlike units, so that only ranks can stand side by side. scores: method -> (n,), a higher score
    says that the element matters more. Shown are the elements of best mean rank; `•` marks those of the right answer.
    """
    ranks = np.array([rankdata(-np.asarray(one, float), method="min") for one in scores.values()])  # (methods, n)
    order = _largest(-ranks.mean(axis=0), most)
    shown = f"{title}: showing {len(order)} of {len(case.elements)} elements, {NEEDED}= needed"
    rows, columns = [_marked(case, i) for i in order], list(scores)
    chosen = ranks[:, order].T.astype(int)  # (rows, columns)
    bright = 1 - (chosen - 1) / max(1, len(case.elements) - 1)
    height = 1.3 + 0.2 * len(order)
    still, axes = _still_map(shown, height, rows, columns, bright)
    live = _live_map(shown, height, rows, columns, bright)
    for y, x in np.ndindex(*chosen.shape):
        ink = INK if bright[y, x] > 0.5 else "white"
        axes.text(x + 0.5, y + 0.5, chosen[y, x], ha="center", va="center", color=ink, size=FONT_SIZE - 1.5)
        live.add_annotation(x=x, y=y, text=str(chosen[y, x]), showarrow=False, font={"color": ink, "size": 11})
    said = [
        f"{name}: {label(case, case.elements[int(one.argmin())])} first"
        for name, one in zip(scores, ranks, strict=True)
    ]
    return Figure(live, still, f"{shown}. {'; '.join(said)}.")


def _still_map(
    title: str, height: float, rows: Sequence[str], columns: Sequence[str], bright: np.ndarray
) -> tuple[Any, Any]:
    """The still twin of the map and its axes, without its numbers. bright (rows, columns): 0 is dark, 1 bright."""
    still, axes = sheet(height=height)
    _with_edges(still)
    axes.set_title(still_text(title, LONGEST_TITLE))
    axes.pcolormesh(bright, cmap="cividis", vmin=0, vmax=1, edgecolors="white", linewidth=0.6)
    names = [still_text(name, WIDEST) for name in columns]
    axes.set_xticks(np.arange(len(columns)) + 0.5, names, rotation=25, ha="right")
    axes.set_yticks(np.arange(len(rows)) + 0.5, [still_text(name, LONGEST) for name in rows], size=FONT_SIZE - 1.5)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    return still, axes


def _live_map(title: str, height: float, rows: Sequence[str], columns: Sequence[str], bright: np.ndarray) -> Any:
    """The live twin of the map, without its numbers."""
    live = stage(title=title, height=height + 0.5, margin={"l": 50, "r": 10, "t": 50, "b": 70})
    dark, light = (matplotlib.colormaps["cividis"](end) for end in (0.0, 1.0))
    middle = matplotlib.colormaps["cividis"](0.5)
    scale = [[at, matplotlib.colors.to_hex(colour)] for at, colour in ((0, dark), (0.5, middle), (1, light))]
    live.add_heatmap(
        z=bright.round(4), colorscale=scale, zmin=0, zmax=1, showscale=False, xgap=1, ygap=1, hoverinfo="skip"
    )
    ticks = {"showgrid": False, "ticks": ""}
    below, beside = [live_text(name, WIDEST) for name in columns], [live_text(name, LONGEST) for name in rows]
    live.update_xaxes(tickvals=list(range(len(columns))), ticktext=below, **ticks)
    live.update_yaxes(tickvals=list(range(len(rows))), ticktext=beside, **ticks)
    return live


@house_style()
def faithfulness(
    cells: Mapping[str, Mapping[str, Mapping[str, Any]]], *, title: str, measures: Mapping[str, str], control: str
) -> Figure:
    """Means with their intervals, a panel a measure, a row a method; grey, and a dotted line, is the control.

    cells: method -> measure -> {mean, low, high, n}. measures: measure -> what is good, or its unit.
    """
    methods = list(cells)[::-1]
    panels = Panels.row(list(measures), title=title, height=0.95 + 0.27 * len(methods), legend=False)
    _rows(panels, [f"{name} (n = {next(iter(cells[name].values()))['n']:g})" for name in methods])
    for i, (measure, hint) in enumerate(measures.items()):
        upright(panels, i, float(cells[control][measure]["mean"]))
        for ours in (False, True):
            some = [k for k, name in enumerate(methods) if (name != control) == ours]
            intervals(panels, i, some, [cells[methods[k]][measure] for k in some], [methods[k] for k in some], ours)
        panels.axes[i].grid(axis="x")
        panels.label(i, x=hint)
    said = "; ".join(
        f"{name}: " + ", ".join(f"{measure} {cells[name][measure]['mean']:.2f}" for measure in measures)
        for name in cells
    )
    return Figure(panels.live, panels.still, f"{title}. {said}.")


def _rows(panels: Panels, names: Sequence[str]) -> None:
    """Labels of the rows, from below, in both twins."""
    places = list(range(len(names)))
    _with_edges(panels.still)
    panels.axes[0].set_yticks(places, [still_text(name, LONGEST) for name in names], size=FONT_SIZE - 1.5)
    ticks = {"tickvals": places, "ticktext": [live_text(name, LONGEST) for name in names], "showgrid": False}
    panels.live.update_layout(yaxis={**ticks, "range": [-0.7, len(names) - 0.3]})


def _with_edges(still: Any) -> None:
    """Leaves room at the sides of a sheet."""
    still.get_layout_engine().set(w_pad=EDGE)


def _largest(size: np.ndarray, most: int, *, by: np.ndarray | None = None) -> np.ndarray:
    """The `most` elements of largest size, in ascending order of `by` (None: of size), for rows from below."""
    chosen = np.argsort(-size, kind="stable")[:most]
    return chosen[np.argsort((size if by is None else by)[chosen], kind="stable")]


def _marked(case: Case, i: int) -> str:
    """An element in words, marked when the right answer runs through it."""
    element = case.elements[i]
    needed = element in case.needed if isinstance(element, Fact) else element in case.path
    return f"{NEEDED if needed else ''}{label(case, element)}"


def _ends(case: Case, values: np.ndarray) -> str:
    """The highest and the lowest score with their elements."""
    high, low = int(values.argmax()), int(values.argmin())
    named = {i: label(case, case.elements[i]) for i in (high, low)}
    return f"highest {named[high]} at {values[high]:+.2f}, lowest {named[low]} at {values[low]:+.2f}"
