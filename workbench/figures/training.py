"""Pictures of a training: the loss as it falls, and what base and tuned model get right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from workbench.figures.core import SMALL, Figure, house_style, still_text
from workbench.figures.palette import BLUE, GREY, HATCHES, INK, ORANGE, SERIES
from workbench.figures.panels import label, legend, row

Row = Mapping[str, Any]


def smoothed(values: Sequence[float], *, decay: float = 0.9) -> np.ndarray:
    """Exponential moving average (n,), corrected for its start: the first value is the first of the series."""
    weights = decay ** np.arange(len(values), dtype=float)
    sums = np.array([np.dot(weights[i::-1], values[: i + 1]) for i in range(len(values))])
    return sums / np.cumsum(weights) if len(values) else sums


@house_style()
def loss_curve(
    history: Sequence[Row], *, decay: float = 0.9, steps: int | None = None, held_out: Sequence[Row] = (),
    called: str = "held-out cases",
) -> Figure:  # fmt: skip
    """Training loss (nats a token) over steps, as logged and smoothed, beside that of held-out cases.

    history, held_out: rows with `step` and `loss`; called: which cases the latter are. May be drawn again with every
    new row; `steps`, the number planned, keeps the axis still. An empty history is an empty frame.
    """
    x, y = ([float(one[key]) for one in history] for key in ("step", "loss"))
    still, (axes,) = row([""], title="Training loss", height=2.9)
    axes.plot(x, y, color=GREY, lw=0.8, alpha=0.7, marker=".", ms=3, label="as logged")
    axes.plot(x, smoothed(y, decay=decay), color=BLUE, lw=1.8, label=f"moving average, decay {decay:g}")
    there = [[float(one[key]) for one in held_out] for key in ("step", "loss")]
    if held_out:
        axes.plot(*there, color=ORANGE, lw=1.4, ls="--", marker="D", ms=3.5, label=still_text(called))
    axes.set(xlim=(0, steps or (x[-1] if x else 1)), ylim=(0, None))
    label(axes, x="step", y="loss (nats a token)", grid="y")
    axes.legend(loc="upper right")
    said = f"from {y[0]:.3g} to {y[-1]:.3g} nats a token in {x[-1]:.0f} steps" if y else "no step yet"
    said += f"; on {called} from {there[1][0]:.3g} to {there[1][-1]:.3g}" if held_out else ""
    return Figure(still, f"Training loss over steps: {said}.")


@house_style()
def scores(rows: Sequence[Row], *, title: str = "Held-out cases answered right") -> Figure:
    """Base and tuned side by side, a panel for each metric, a group of bars for each share of facts withheld.

    rows: one for each bar with `model`, `metric`, `share` (of needed facts withheld, 0 to 1), `mean`, `low`, `high`
    (shares of cases, 0 to 1) and `n`. Bars are drawn in the order of first mention.
    """
    metrics, models = (list(dict.fromkeys(str(one[key]) for one in rows)) for key in ("metric", "model"))
    shares = sorted({float(one["share"]) for one in rows})
    counts = [{str(one["n"]) for one in rows if str(one["metric"]) == metric} for metric in metrics]
    alike = all(len(some) == 1 for some in counts)  # of a panel's bars
    heads = [f"{metric}\n(n = {min(some)})" if alike else metric for metric, some in zip(metrics, counts, strict=True)]
    still, panels = row(heads, title=title, height=3.1)
    for axes, metric in zip(panels, metrics, strict=True):
        ticks = [f"{share:.0%}".replace("%", " %") for share in shares]
        axes.set_xticks(range(len(shares)), ticks)
        axes.set(xlim=(-0.6, len(shares) - 0.4), ylim=(0, 1.08))
        label(axes, x="needed facts withheld", y="share of cases" if axes is panels[0] else "", grid="y")
        for k, model in enumerate(models):
            some = [one for one in rows if (str(one["metric"]), str(one["model"])) == (metric, model)]
            where = np.array([shares.index(float(one["share"])) for one in some])
            _bars(axes, some, where, k=k, of=len(models), name=model if alike else f"{model} (n = {some[0]['n']})")
    legend(still)
    said = [
        f"{r['model']} {r['metric']} {float(r['mean']):.2f} at {100 * float(r['share']):.0f} % withheld" for r in rows
    ]
    return Figure(still, f"{title}: {'; '.join(said)}.")


def _bars(axes: Any, rows: Sequence[Row], where: np.ndarray, *, k: int, of: int, name: str) -> None:
    """The bars of model number k in one panel, with intervals and the mean in figures."""
    x, width = where + (k - (of - 1) / 2) * 0.8 / of, 0.8 / of
    mean, low, high = (np.array([float(one[key]) for one in rows]) for key in ("mean", "low", "high"))
    style = {"color": SERIES[k % len(SERIES)], "edgecolor": "white", "hatch": HATCHES[k % len(HATCHES)]}
    axes.bar(x, mean, width * 0.94, label=still_text(name), **style)
    axes.errorbar(x, mean, yerr=np.clip([mean - low, high - mean], 0, None), fmt="none", ecolor=INK, capsize=2.5)
    for one, top, value in zip(x, high, mean, strict=True):
        axes.text(one, top + 0.015, f"{value:.2f}", ha="center", size=SMALL)
