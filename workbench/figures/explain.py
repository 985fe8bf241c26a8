"""Pictures of explanations: masks as bars, answers, methods compared."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from workbench.cases import Case, Fact
from workbench.figures.case_graph import case_graph, label
from workbench.figures.core import (
    BLUE,
    FONT_SIZE,
    GREY,
    INK,
    LONGEST_TITLE,
    RED,
    Figure,
    house_style,
    live_text,
    sheet,
    short,
    stage,
    still_text,
)
from workbench.figures.objective import terms
from workbench.figures.panels import Panels

__all__ = ["answers", "case_graph", "comparison", "mask_bars", "terms"]

DIRECTION = {  # metric -> how it moves when Gc changes the answer more
    "jaccard": ("lower:", "changed more"),
    "edit_distance": ("higher:", "changed more"),
    "path_overlap": ("lower:", "changed more"),
    "cosine": ("lower:", "changed more"),
    "flipped": ("share of tool-", "chains changed"),
    "elements_taken": ("elements until the", "toolchain changes"),
    "facts_taken": ("facts gone", "with these"),
}
MARKED = ("paper", "in_loop", "certified")  # methods that are no baselines


@house_style()
def mask_bars(
    case: Case,
    degrees: Mapping[str, Sequence[float] | np.ndarray],
    *,
    title: str,
    removed: Mapping[str, Collection[str | Fact]] | None = None,
    thresholds: Mapping[str, float] | None = None,
    most: int = 16,
) -> Figure:
    """Degree of removal of the elements, a panel for each method, those that any method removes most on top.

    degrees: method -> (n,) in the order of `case.elements`. removed: method -> what it takes out: red and hatched.
    thresholds: method -> degree above which its elements go, a dotted line; none where degrees only set an order.
    """
    values = {method: np.asarray(m, float) for method, m in degrees.items()}
    lines = thresholds or {}
    order = np.argsort(-np.max(list(values.values()), axis=0), kind="stable")[:most][::-1]
    names = [label(case, case.elements[i]) for i in order]
    shown = f"{title}: showing {len(order)} of {len(case.elements)} elements"
    height = 0.9 + 0.19 * len(order)
    panels = Panels.row(list(values), title=shown, height=height, legend=False)
    places = list(range(len(order)))
    panels.axes[0].set_yticks(places, [still_text(name) for name in names], size=FONT_SIZE - 1.5)
    ticks = {"tickvals": places, "ticktext": [live_text(name) for name in names], "showgrid": False}
    panels.live.update_layout(yaxis={**ticks, "range": [-0.7, len(order) - 0.3]})
    for i, (method, m) in enumerate(values.items()):
        out = [case.elements[k] in (removed or {}).get(method, ()) for k in order]
        _mask_panel(panels, i, places, m[order], out)
        if method in lines:
            upright(panels, i, lines[method])
        panels.label(i, x="degree of removal")
        panels.range(i, x=(0, 1))
    said = "; ".join(
        f"{method}: {label(case, case.elements[m.argmax()])} highest at {m.max():.2f}" for method, m in values.items()
    )
    return Figure(panels.live, panels.still, f"{shown}. {said}.")


def _mask_panel(panels: Panels, i: int, places: Sequence[int], m: np.ndarray, out: Sequence[bool]) -> None:
    axes, colours = panels.axes[i], [RED if gone else BLUE for gone in out]
    bars = axes.barh(places, m, color=colours, edgecolor="white", linewidth=0)
    for bar, gone in zip(bars, out, strict=True):
        bar.set_hatch("xxx" if gone else "")
    axes.grid(axis="x")
    pattern = {"shape": ["x" if gone else "" for gone in out], "fillmode": "overlay", "fgcolor": "white", "size": 6}
    panels.live.add_bar(
        x=m.round(4),
        y=list(places),
        orientation="h",
        marker={"color": colours, "pattern": pattern},
        hovertext=[f"{value:.3f}{', removed' * gone}" for value, gone in zip(m, out, strict=True)],
        hoverinfo="text",
        **panels.on(i),
    )


def upright(panels: Panels, i: int, x: float) -> None:
    """A dotted line across panel i at x."""
    panels.axes[i].axvline(x, color=INK, lw=0.8, ls=":")
    where = {"xref": f"x{panels.end(i)}", "yref": f"y{panels.end(i)} domain"}
    line = {"color": INK, "width": 1, "dash": "dot"}
    panels.live.add_shape(type="line", x0=x, x1=x, y0=0, y1=1, line=line, **where)


@house_style()
def comparison(
    summary: Mapping[str, Mapping[str, Mapping[str, float]]],
    *,
    title: str,
    metrics: Sequence[str] = ("jaccard", "edit_distance", "path_overlap", "cosine", "flipped"),
    marked: Sequence[str] = MARKED,
) -> Figure:
    """Means with their intervals, a panel for each metric, a line for each method; the marked methods as diamonds.

    summary: method -> metric -> {mean, low, high, n}.
    """
    methods = list(summary)[::-1]
    heads = list(metrics)
    panels = Panels.row(heads, title=title, height=0.95 + 0.27 * len(methods), legend=False)
    places = list(range(len(methods)))
    names = [f"{method} (n = {summary[method][metrics[0]]['n']:g})" for method in methods]
    panels.axes[0].set_yticks(places, [still_text(name) for name in names])
    ticks = {"tickvals": places, "ticktext": [live_text(name) for name in names], "showgrid": False}
    panels.live.update_layout(yaxis={**ticks, "range": [-0.6, len(methods) - 0.4]})
    for i, metric in enumerate(metrics):
        for ours in (False, True):
            some = [k for k in places if (methods[k] in marked) == ours]
            intervals(panels, i, some, [summary[methods[k]][metric] for k in some], [methods[k] for k in some], ours)
        panels.axes[i].grid(axis="x")
        top = max(1.0, *(summary[method][metric]["high"] for method in methods))
        panels.range(i, x=(-0.03 * top, 1.03 * top))
        hint = DIRECTION.get(metric, ("",))
        panels.axes[i].set_xlabel("\n".join(hint), size=FONT_SIZE - 1)
        panels.live.update_layout({f"xaxis{panels.end(i)}_title": {"text": "<br>".join(hint), "font": {"size": 11}}})
    said = [
        f"{method}: " + ", ".join(f"{metric} {summary[method][metric]['mean']:.2f}" for metric in metrics)
        for method in summary
    ]
    return Figure(panels.live, panels.still, f"{title}. {'; '.join(said)}.")


def intervals(
    panels: Panels, i: int, places: Sequence[int], rows: Sequence[Mapping[str, float]], names: Sequence[str], ours: bool
) -> None:
    """Means with their intervals in panel i, diamonds for ours, else grey circles. rows: {mean, low, high} a place."""
    mean, low, high = (np.array([float(row[key]) for row in rows]) for key in ("mean", "low", "high"))
    reach = np.clip([mean - low, high - mean], 0, None)
    colour, marker, symbol = (BLUE, "D", "diamond") if ours else (GREY, "o", "circle")
    style = {"color": colour, "ms": 5, "elinewidth": 1.3, "capsize": 2.5, "mec": INK, "mew": 0.4}
    panels.axes[i].errorbar(mean, places, xerr=reach, fmt=marker, **style)
    texts = [
        f"{live_text(name)}: {m:.3f} [{a:.3f}, {b:.3f}]" for name, m, a, b in zip(names, mean, low, high, strict=True)
    ]
    panels.live.add_scatter(
        x=mean,
        y=list(places),
        mode="markers",
        marker={"color": colour, "symbol": symbol, "size": 9, "line": {"color": INK, "width": 0.5}},
        error_x={"array": reach[1], "arrayminus": reach[0], "color": colour, "thickness": 1.6},
        hovertext=texts,
        hoverinfo="text",
        **panels.on(i),
    )


@house_style()
def answers(case: Case, toolchains: Mapping[str, Sequence[str]], names: Mapping[str, str], *, title: str) -> Figure:
    """Toolchains as rows of boxes. What an answer on G has beyond the right answer, and an answer on Gc beyond the same
    model's on G, has a red rim and a `≠`.

    toolchains: `tuned_full`, `tuned_changed`, `base_full`, `base_changed` -> command ids. names: node id -> name.
    """
    rows: list[tuple[str, Sequence[str], Sequence[str]]] = [("right answer", case.toolchain, case.toolchain)]
    for model in ("tuned", "base"):
        whole = toolchains.get(f"{model}_full")
        if whole is not None:
            rows.append((f"{model} on G", whole, case.toolchain))
            rows.append((f"{model} on Gc", toolchains[f"{model}_changed"], whole))
    height = 0.35 + 0.34 * len(rows)
    still, axes = sheet(height=height)
    axes.set(xlim=(0, ROOM), ylim=(-0.6, len(rows) - 0.4), title=still_text(title, LONGEST_TITLE))
    axes.set_yticks(range(len(rows)), [name for name, _, _ in rows][::-1])
    axes.set_xticks([])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    live = stage(title=title, height=height + 0.75, margin={"l": 100, "r": 10, "t": 50, "b": 10})
    live.update_xaxes(visible=False, range=[0, ROOM])
    ticks = {"tickvals": list(range(len(rows))), "ticktext": [name for name, _, _ in rows][::-1], "ticks": ""}
    live.update_yaxes(range=[-0.6, len(rows) - 0.4], showgrid=False, showline=False, **ticks)
    for y, (_, chain, compared) in enumerate(rows[::-1]):
        _boxes(axes, live, y, [names.get(node, node) for node in chain], [node not in compared for node in chain])
    said = [f"{name}: {', '.join(names.get(node, node) for node in chain) or 'none'}" for name, chain, _ in rows]
    return Figure(live, still, f"{title}. {'; '.join(said)}.")


ROOM = 6.4  # inches for the boxes of a row


def _boxes(axes: Any, live: Any, y: float, names: Sequence[str], other: Sequence[bool]) -> None:
    """A row of boxes, as many as there is room for."""
    if not names:
        _box(axes, live, 0, y, "(no command)", "white")
    x = 0.0
    for i, (name, marked) in enumerate(zip(names, other, strict=True)):
        text = f"≠ {short(name, 22)}" if marked else short(name, 22)
        width = 0.2 + 0.068 * len(text)
        left = len(names) - i
        if x + width > ROOM - (0.7 if left > 1 else 0):
            _box(axes, live, x, y, f"+ {left} more", "white")
            return
        _box(axes, live, x, y, text, RED if marked else GREY)
        x += width


def _box(axes: Any, live: Any, x: float, y: float, text: str, rim: str) -> None:
    style = "--" if rim == RED else "-"
    box = {"boxstyle": "round,pad=0.3", "facecolor": "white", "edgecolor": rim, "linestyle": style}
    axes.text(x + 0.05, y, still_text(text), size=FONT_SIZE - 1, va="center", bbox=box)
    frame = {"bordercolor": rim, "borderpad": 2, "borderwidth": 2 if rim == RED else 1, "font": {"size": 11}}
    live.add_annotation(x=x + 0.02, y=y, text=live_text(text), showarrow=False, xanchor="left", **frame)
