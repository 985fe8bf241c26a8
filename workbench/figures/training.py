"""Pictures of a training: the loss as it falls, and what base and tuned model get right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from workbench.figures.core import (
    BLUE,
    GREY,
    GRID,
    HATCHES,
    INK,
    LONGEST_TITLE,
    ORANGE,
    PATTERNS,
    SERIES,
    Figure,
    house_style,
    legend_below,
    live_text,
    sheet,
    stage,
    still_text,
)

ON_COLOUR = {"fillmode": "overlay", "fgcolor": "white", "size": 8}  # plotly's hatch, drawn over the colour

Row = Mapping[str, Any]


def smoothed(values: Sequence[float], *, decay: float = 0.9) -> np.ndarray:
    """Exponential moving average (n,), corrected for its start: the first value is the first of the series."""
    weights = decay ** np.arange(len(values), dtype=float)
    sums = np.array([np.dot(weights[i::-1], values[: i + 1]) for i in range(len(values))])
    return sums / np.cumsum(weights) if len(values) else sums


@house_style()
def loss_curve(
    history: Sequence[Row],
    *,
    decay: float = 0.9,
    steps: int | None = None,
    held_out: Sequence[Row] = (),
    called: str = "held-out cases",
) -> Figure:
    """Training loss (nats a token) over steps, as logged and smoothed, beside that of held-out cases.

    history, held_out: rows with `step` and `loss`; called: which cases the latter are. May be drawn again with every
    new row; `steps`, the number planned, keeps the axis still. An empty history is an empty frame.
    """
    x = [float(row["step"]) for row in history]
    y = [float(row["loss"]) for row in history]
    even = smoothed(y, decay=decay)
    end = steps or (x[-1] if x else 1)
    labels = {"xlabel": "step", "ylabel": "loss (nats a token)", "title": "Training loss"}
    still, axes = sheet(height=2.9)
    axes.plot(x, y, color=GREY, lw=0.8, alpha=0.7, marker=".", ms=3, label="as logged")
    axes.plot(x, even, color=BLUE, lw=1.8, label=f"moving average, decay {decay:g}")
    there = [[float(row[key]) for row in held_out] for key in ("step", "loss")]
    if held_out:
        axes.plot(*there, color=ORANGE, lw=1.4, ls="--", marker="D", ms=3.5, label=still_text(called))
    axes.set(xlim=(0, end), ylim=(0, None), **labels)
    axes.grid(axis="y")
    axes.legend(loc="upper right")
    live = stage(title=labels["title"], height=3.6, legend={"orientation": "h", "y": -0.25})
    line = {"color": GREY, "width": 1}
    live.add_scatter(x=x, y=y, mode="lines+markers", name="as logged", line=line, marker={"size": 3}, opacity=0.7)
    live.add_scatter(
        x=x, y=even, mode="lines", name=f"moving average, decay {decay:g}", line={"color": BLUE, "width": 2.5}
    )
    if held_out:
        marks = {"size": 6, "symbol": "diamond"}
        dashes = {"color": ORANGE, "width": 2, "dash": "dash"}
        live.add_scatter(
            x=there[0], y=there[1], mode="lines+markers", name=live_text(called), line=dashes, marker=marks
        )
    live.update_xaxes(title_text=labels["xlabel"], range=[0, end])
    live.update_yaxes(title_text=labels["ylabel"], rangemode="tozero")
    said = f"from {y[0]:.3g} to {y[-1]:.3g} nats a token in {x[-1]:.0f} steps" if y else "no step yet"
    said += f"; on {called} from {there[1][0]:.3g} to {there[1][-1]:.3g}" if held_out else ""
    return Figure(live, still, f"Training loss over steps: {said}.")


@house_style()
def scores(rows: Sequence[Row], *, title: str = "Held-out cases answered right") -> Figure:
    """Base and tuned side by side, a panel for each metric, a group of bars for each share of facts withheld.

    rows: one for each bar with `model`, `metric`, `share` (of needed facts withheld, 0 to 1), `mean`, `low`, `high`
    (shares of cases, 0 to 1) and `n`. Bars are drawn in the order of first mention.
    """
    metrics, models = (list(dict.fromkeys(str(row[key]) for row in rows)) for key in ("metric", "model"))
    shares = sorted({float(row["share"]) for row in rows})
    still, panels = sheet(height=3.1, columns=len(metrics), sharey=True, squeeze=False)
    columns = [{"domain": [i / len(metrics) + 0.03, (i + 1) / len(metrics) - 0.02]} for i in range(len(metrics))]
    live = stage(title=title, height=3.9, barmode="overlay", legend={"orientation": "h", "y": -0.3})
    for number, metric in enumerate(metrics):
        axes, end = panels[0, number], "" if number == 0 else str(number + 1)
        ticks = [f"{share:.0%}".replace("%", " %") for share in shares]
        axes.set(title=still_text(metric), xticks=range(len(shares)), ylim=(0, 1.08), xlabel="needed facts withheld")
        axes.set_xticklabels(ticks)
        axes.grid(axis="y")
        axis: dict[str, Any] = {"tickvals": list(range(len(shares))), "ticktext": ticks, "showgrid": False}
        axis |= {**columns[number], "anchor": f"y{end}", "range": [-0.6, len(shares) - 0.4], "ticks": "outside"}
        live.update_layout({f"xaxis{end}": {**axis, "title": {"text": f"{live_text(metric)}, needed facts withheld"}}})
        live.update_layout({f"yaxis{end}": {"anchor": f"x{end}", "range": [0, 1.08], "gridcolor": GRID}})
        for place, model in enumerate(models):
            some = [row for share in shares for row in rows if _is(row, metric, model, share)]
            where = [shares.index(float(row["share"])) for row in some]
            _bars(axes, live, some, where, place=place, models=models, end=end)
    panels[0, 0].set_ylabel("share of cases")
    live.update_layout(yaxis_title_text="share of cases")
    still.suptitle(still_text(title, LONGEST_TITLE), x=0.01, ha="left", size=11)
    handles, labels = panels[0, 0].get_legend_handles_labels()
    legend_below(still, handles, labels)
    said = [
        f"{r['model']} {r['metric']} {float(r['mean']):.2f} at {100 * float(r['share']):.0f} % withheld" for r in rows
    ]
    return Figure(live, still, f"{title}: {'; '.join(said)}.")


def _is(row: Row, metric: str, model: str, share: float) -> bool:
    return (str(row["metric"]), str(row["model"]), float(row["share"])) == (metric, model, share)


def _bars(
    axes: Any, live: Any, rows: Sequence[Row], where: Sequence[int], *, place: int, models: Sequence[str], end: str
) -> None:
    """One model's bars in one panel, with intervals and the mean in figures."""
    width = 0.8 / len(models)
    x = np.array(where) + (place - (len(models) - 1) / 2) * width
    mean, low, high = (np.array([float(row[key]) for row in rows]) for key in ("mean", "low", "high"))
    reach = np.clip([mean - low, high - mean], 0, None)
    colour, model = SERIES[place % len(SERIES)], models[place]
    name = f"{model} (n = {', '.join(sorted({str(row['n']) for row in rows}))})"
    style = {"color": colour, "edgecolor": "white", "hatch": HATCHES[place % len(HATCHES)]}
    axes.bar(x, mean, width * 0.94, label=still_text(name), **style)
    axes.errorbar(x, mean, yerr=reach, fmt="none", ecolor=INK, elinewidth=1, capsize=2.5)
    for one, top, value in zip(x, high, mean, strict=True):
        axes.text(one, top + 0.015, f"{value:.2f}", ha="center", size=7.5)
    live.add_bar(
        x=x,
        y=mean,
        width=width * 0.94,
        xaxis=f"x{end}",
        yaxis=f"y{end}",
        name=live_text(name),
        legendgroup=str(place),
        showlegend=end == "",
        marker={"color": colour, "pattern": {"shape": PATTERNS[place % len(PATTERNS)], **ON_COLOUR}},
        error_y={"array": reach[1], "arrayminus": reach[0], "color": INK, "thickness": 1.2},
        hovertext=[f"{live_text(model)} {m:.3f} [{a:.3f}, {b:.3f}]" for m, a, b in zip(mean, low, high, strict=True)],
        hoverinfo="text",
    )
