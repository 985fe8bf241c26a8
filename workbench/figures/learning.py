"""Pictures of learning: the loss as it falls, and what base and tuned model get right; what every term adds to the
objective while masks are learned, and at the last step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from workbench.cases import FEW
from workbench.explain.terms import TERMS, Weights, contributions
from workbench.figures.core import (
    BLACK,
    BLUE,
    FONT_SIZE,
    GREY,
    HATCHES,
    INK,
    ORANGE,
    SERIES,
    SMALL,
    Figure,
    house_style,
    short,
    still_text,
)
from workbench.figures.panels import label, legend, name_rows, row

Row = Mapping[str, Any]

STROKES: tuple[Any, ...] = ("solid", (0, (4, 2)), (0, (1, 1)))
TINY = 1e-4  # what adds less is drawn as this much
TALL = 0.4  # inches a term


def smoothed(values: Sequence[float], *, decay: float = 0.9) -> np.ndarray:
    """Exponential moving average (n,), corrected for its start: the first value is the first of the series."""
    series = pd.Series(values, dtype=float)
    return series.ewm(alpha=1 - decay).mean().where(series.notna()).to_numpy()  # a loss that is no number stays a gap


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
    (shares of cases, 0 to 1) and `n`: above a bar of few cases stands how many of how many, without an interval. Bars
    are drawn in the order of first mention.
    """
    metrics, models = (list(dict.fromkeys(str(one[key]) for one in rows)) for key in ("metric", "model"))
    shares = sorted({float(one["share"]) for one in rows})
    counts: dict[str, dict[str, int]] = {metric: {} for metric in metrics}  # of each panel, by model
    for one in rows:
        counts[str(one["metric"])].setdefault(str(one["model"]), one["n"])
    same = all(some == counts[metrics[0]] for some in counts.values())  # then the models' names tell it
    alike = all(len(set(some.values())) == 1 for some in counts.values())
    heads = [metric if same and not alike else f"{metric}\n{_counted(some)}" for metric, some in counts.items()]
    still, panels = row(heads, title=title, height=3.1)
    for axes, metric in zip(panels, metrics, strict=True):
        ticks = [f"{share:.0%}".replace("%", " %") for share in shares]
        axes.set_xticks(range(len(shares)), ticks)
        axes.set(xlim=(-0.6, len(shares) - 0.4), ylim=(0, 1.08))
        label(axes, x="needed facts withheld", y="share of cases" if axes is panels[0] else "", grid="y")
        for k, model in enumerate(models):
            some = [one for one in rows if (str(one["metric"]), str(one["model"])) == (metric, model)]
            where = np.array([shares.index(float(one["share"])) for one in some])
            name = f"{model} (n = {counts[metric][model]})" if same and not alike else model
            _bars(axes, some, where, k=k, of=len(models), name=name)
    legend(still)
    said = [
        f"{r['model']} {r['metric']} {float(r['mean']):.2f} at {100 * float(r['share']):.0f} % withheld" for r in rows
    ]
    return Figure(still, f"{title}: {'; '.join(said)}.")


def _counted(counts: Mapping[str, int]) -> str:
    """`(n = 90)`, or for each model: `base n = 2, tuned n = 40`."""
    if len(set(counts.values())) == 1:
        return f"(n = {next(iter(counts.values()))})"
    return ", ".join(f"{short(model, 14)} n = {n}" for model, n in counts.items())


def _bars(axes: Any, rows: Sequence[Row], where: np.ndarray, *, k: int, of: int, name: str) -> None:
    """The bars of model number k in one panel, with intervals and the mean in figures; of few cases, how many."""
    x, width = where + (k - (of - 1) / 2) * 0.8 / of, 0.8 / of
    mean, low, high, n = (np.array([float(one[key]) for one in rows]) for key in ("mean", "low", "high", "n"))
    low, high = (np.where(n < FEW, mean, end) for end in (low, high))
    style = {"color": SERIES[k % len(SERIES)], "edgecolor": "white", "hatch": HATCHES[k % len(HATCHES)]}
    axes.bar(x, mean, width * 0.94, label=still_text(name), **style)
    off = np.where(n < FEW, np.nan, np.clip([mean - low, high - mean], 0, None))
    axes.errorbar(x, mean, yerr=off, fmt="none", ecolor=INK, capsize=2.5)
    for one, top, value, of_all in zip(x, high, mean, n, strict=True):
        text = f"{value * of_all:.0f} of {of_all:.0f}" if of_all < FEW else f"{value:.2f}"
        axes.text(one, top + 0.015, text, ha="center", size=SMALL)


@house_style()
def terms(histories: Mapping[str, Sequence[Mapping[str, float]]], weights: Weights, *, title: str) -> Figure:
    """What every term of `TERMS` adds to the objective over the steps, a panel each, and the objective itself last.

    Thin: every step's sample; thick: moving average, decay 0.9. Histories of unlike length stand over the share of
    their steps.

    histories: name (of a method or a case) -> rows as `Masks.history` has them.
    """
    shared = len({len(history) for history in histories.values() if history}) > 1
    heads = [f"{'+' if t.sign > 0 else '−'} {weights.of(t):g} × {t.name}" for t in TERMS.values()] + ["objective"]
    still, panels = row(heads, title=title, height=1.9, same_y=False, sharex=True)
    for i, (axes, name) in enumerate(zip(panels, [*TERMS, "objective"], strict=True)):
        colour = SERIES[i % len(SERIES)] if name in TERMS else BLACK
        for number, (method, history) in enumerate(histories.items()):
            y = [row["loss"] if name == "objective" else contributions(row, weights)[name] for row in history]
            x = [row["step"] / (history[-1]["step"] if shared else 1) for row in history]
            name_of = f"{method} ({len(history)} steps)" if shared else method
            axes.plot(x, y, color=colour, lw=0.5, alpha=0.35)
            drawn = {"color": colour, "ls": STROKES[number % 3], "lw": 1.4}
            axes.plot(x, smoothed(y), label=still_text(name_of) if name == "objective" else None, **drawn)
        axes.grid(axis="y")
        axes.tick_params(labelsize=SMALL)
    still.supxlabel("share of the steps" if shared else "step", size=FONT_SIZE)
    legend(still)
    ends = {name: (h[0]["loss_ema"], h[-1]["loss_ema"], len(h)) for name, h in histories.items() if h}
    said = [f"{name} from {first:.4g} to {last:.4g} in {n} steps" for name, (first, last, n) in ends.items()]
    return Figure(still, f"{title}: objective {'; '.join(said)}. Panels: {', '.join(heads)}.")


def added(row: Mapping[str, float], weights: Weights) -> np.ndarray:
    """What the terms of `TERMS` add (terms,), in their order, as signed decades: sign(x) log10(1 + |x| / TINY).

    The terms differ by decades, and some are rewards: neither a linear nor a logarithmic scale shows them all.
    """
    values = np.array([contributions(row, weights)[name] for name in TERMS])
    return np.sign(values) * np.log10(1 + np.abs(values) / TINY)


@house_style()
def balance(step: Mapping[str, float], weights: Weights, *, learned: Weights | None = None) -> Figure:
    """Bars from 0, a pair a term: solid with `weights`, hatched with those of the learning. step: as in a history."""
    names = [f"{'+' if term.sign > 0 else '−'} {term.name}" for term in TERMS.values()][::-1]
    texts = [f"{value:+.3g}" for value in contributions(step, weights).values()][::-1]
    now, before = added(step, weights)[::-1], added(step, learned or weights)[::-1]
    title = "What each term adds at the last step (log scale)"
    still, (axes,) = row([""], title=title, height=0.9 + TALL * len(names))
    name_rows(axes, names)
    places = np.arange(len(names))
    axes.barh(places + 0.2, now, height=0.38, color=BLUE, label="with these weights")
    axes.barh(places - 0.2, before, height=0.38, color="white", edgecolor=GREY, hatch="///", label="as learned")
    axes.set_xticks([])
    axes.margins(x=0.12)
    axes.axvline(0, color=INK, lw=0.8)
    for y, x, text in zip(places, now, texts, strict=True):
        axes.annotate(text, (max(x, 0), y + 0.2), (4, 0), textcoords="offset points", va="center", size=SMALL)
    legend(still)
    said = "; ".join(f"{name} {text}" for name, text in zip(names[::-1], texts[::-1], strict=True))
    return Figure(still, f"{title}: {said}.")
