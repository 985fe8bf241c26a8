"""What a run found: one sentence, four figures with intervals and n, and what they do not show.

All of it is made from the metrics in the manifests; what a run has not recorded is left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeGuard

Metrics = Mapping[str, Mapping[str, Any]]
"""Stage -> what its manifest records as metrics."""

SURE = 0.05  # p-value below which tuning is said to have changed on how much answers hang


def finding(metrics: Metrics) -> str:
    """The sentence that a reader should take away; empty where the run has none of its figures."""
    hangs, right = metrics["explain"].get("hanging", {}), _right(metrics["adapter"])["bars"]
    if all(_sound(hangs.get(name)) for name in ("dropped", "kept", "added", "dropped_over_added")):
        more = hangs["dropped_over_added"]
        few = ("fewer" if more["mean"] > 0 else "more") if more.get("p", 1) < SURE else "about as many"
        than = "as" if few == "about as many" else "than"
        dropped, kept, added = (percent(_mean(hangs[role])) for role in ("dropped", "kept", "added"))
        return (
            f"Tuned, the model’s answers hang on {few} of the facts it is shown {than} before: of those in a set that "
            f"turns an answer of either model, tuning dropped {dropped}, kept {kept} and added {added}.{_forced(hangs)}"
        )
    if len(right) > 1:
        return f"Tuning took the share of exact answers from {right[1]['text']} to {right[0]['text']}."
    return ""


def figures(metrics: Metrics) -> list[dict[str, Any]]:
    """Figures to draw: `title`, `note` with n, and `bars` of `label`, `value`, `low`, `high` in [0, 1] and `text`."""
    explain = metrics["explain"].get("hanging", {})
    found = [_right(metrics["adapter"]), _members(explain), _tuning(explain), _modules(metrics["shift"])]
    return [one for one in found if one["bars"]]


def caveat(metrics: Metrics, manifest: Mapping[str, Any]) -> str:
    """What the figures do not show, in one line. manifest: of the stage `explain`."""
    orders = metrics["explain"].get("certified", {}).get("flips_in_other_orders")
    turned = (
        f": in other orders {percent(_mean(orders))} {_range(orders)} of them turn the answer too"
        if _sound(orders)
        else ""
    )
    model = manifest.get("config", {}).get("model", "a model")
    return (
        f"one adapter of {model}, one seed, one field of one graph, so nothing of other models; sets are certified for "
        f"the facts in the order shown{turned}; a dropped fact need not be unread: where the tuned model has a second "
        "way to its answer, no fact of the first turns it alone."
    )


def _forced(hangs: Mapping[str, Any]) -> str:
    """What the base's answers are where it writes none of its own."""
    share = hangs.get("base_forced")
    if not _sound(share):
        return ""
    where = "" if _mean(share) == 1 else f" in {percent(_mean(share))} of the cases"
    return (
        f" Untuned it writes no toolchain{where}: its answer is a forced choice, step by step among the chains that "
        "the shown facts allow."
    )


def _right(adapter: Mapping[str, Any]) -> dict[str, Any]:
    """Exact answers of tuned and base, with everything shown and with the first share of facts withheld."""
    split = "unseen_" if "unseen_tuned_exact_0" in adapter else ""
    shares = [name.removeprefix(f"{split}tuned_exact_") for name in adapter if name.startswith(f"{split}tuned_exact_")]
    shares = sorted((share for share in shares if share.isdigit()), key=int)
    bars, cases = [], ""
    for share in shares[:2]:
        shown = "" if share == "0" else f", {share} % withheld"
        for model in ("tuned", "base"):
            name = f"{split}{model}_exact_{share}"
            figure = {"mean": adapter.get(name), **adapter.get("intervals", {}).get(name, {})}
            if _sound(figure):
                bars.append(bar(f"{model}{shown}", figure, model))
                cases = cases or caption(figure, "cases")
    on = "on chains that no training case has in a row" if split else "on held-out pairs"
    return {"title": f"Exact answers {on}", "note": cases, "bars": bars}


def _members(hangs: Mapping[str, Any]) -> dict[str, Any]:
    names = {"one": "one fact", "two": "two, both must go", "more": "three or more"}
    bars = [bar(label, hangs[name], "tuned") for name, label in names.items() if _sound(hangs.get(name))]
    return {
        "title": "Tuned answers hang on",
        "note": caption(hangs.get("one"), "certified smallest sets") + _alone(hangs),
        "bars": bars,
    }


def _alone(hangs: Mapping[str, Any]) -> str:
    alone = hangs.get("tuned_alone")
    return f"; {percent(_mean(alone))} {_range(alone)} turn the tuned model alone" if _sound(alone) else ""


def _tuning(hangs: Mapping[str, Any]) -> dict[str, Any]:
    names = {"dropped": "base’s alone: dropped", "kept": "both: kept", "added": "tuned’s alone: added"}
    kinds = {"dropped": "base", "kept": "both", "added": "tuned"}
    bars = [bar(label, hangs[name], kinds[name]) for name, label in names.items() if _sound(hangs.get(name))]
    return {
        "title": "Facts in the sets that turn an answer",
        "note": caption(hangs.get("kept"), "cases, shares of all their facts"),
        "bars": bars,
    }


def _modules(shift: Mapping[str, Any]) -> dict[str, Any]:
    """The largest number of modules that was switched off by the map, beside as many by chance."""
    tried = {tuple(name.split(" and ")): one for name, one in shift.get("removals", {}).items()}
    mapped = [name for name in tried if name[2:] == ("module", "map") and _sound(tried[name])]
    if not mapped:
        return {"title": "", "note": "", "bars": []}
    off, of, unit, _ = largest = max(mapped, key=lambda name: int(name[0]))
    bars = [bar(f"the {off} leading {unit}s", tried[largest], "tuned")]
    if _sound(chance := tried.get((off, of, unit, "random"))):
        bars.append(bar("as many by chance", chance, "both"))
    note = f"{caption(tried[largest], 'cases')}; {of} {unit}s in all, switched off together"
    return {"title": "Of tuning’s gain in the answer’s log p is lost without", "note": note, "bars": bars}


def bar(label: str, figure: Mapping[str, Any], kind: str) -> dict[str, Any]:
    """One figure: ends in percent for drawing, cut at 0 and 100, and in words."""
    value, low, high = (min(1.0, max(0.0, x)) * 100 for x in (_mean(figure), figure["low"], figure["high"]))
    words = {"text": percent(_mean(figure)), "range": _range(figure)}
    return {"label": label, "kind": kind, "value": value, "low": low, "high": high} | words


def _sound(figure: Any) -> TypeGuard[Mapping[str, Any]]:
    """Whether it is a figure with interval and n: where there was nothing to count, a run records none."""
    if not isinstance(figure, Mapping):
        return False
    known = [*(figure.get(name) for name in ("low", "high", "n")), figure.get("mean", figure.get("share"))]
    return all(isinstance(number, int | float) for number in known)


def _mean(figure: Mapping[str, Any]) -> float:
    return float(figure["mean"] if "mean" in figure else figure["share"])


def percent(share: float) -> str:
    return f"{share:.0%}".replace("%", "\u202f%")


def _range(figure: Mapping[str, Any]) -> str:
    return f"[{100 * figure['low']:.0f}, {100 * figure['high']:.0f}]"


def caption(figure: Any, what: str) -> str:
    return f"n = {figure['n']:,} {what}" if _sound(figure) else ""
