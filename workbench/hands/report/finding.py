"""What a run found: one sentence, four figures with n and, of enough cases, intervals, what they do not show, and the
case of which facts are clicked away, from what notebook 3 has asked.

All of it is made from the metrics in the manifests; what a run has not recorded is left out.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from difflib import SequenceMatcher
from itertools import zip_longest
from pathlib import Path
from typing import Any, TypeGuard

from workbench.artifacts.files import sha256_file
from workbench.artifacts.stage import stage_folder
from workbench.cases import Case, toolchain
from workbench.hands.narrative import names as words

Metrics = Mapping[str, Mapping[str, Any]]
"""Stage -> what its manifest records as metrics."""


def finding(metrics: Metrics) -> str:
    """The sentence that a reader should take away; empty where the run has none of its figures."""
    hangs, right = metrics["explain"].get("hanging", {}), _right(metrics["adapter"])["bars"]
    if all(_sound(hangs.get(name)) for name in ("dropped", "kept", "added", "dropped_over_added")):
        more = hangs["dropped_over_added"]
        dropped, kept, added = (percent(_mean(hangs[role])) for role in ("dropped", "kept", "added"))
        share = f"tuning dropped {dropped}, kept {kept} and added {added}"
        moved = f"of those in a set that turns an answer of either model, {share}."
        if more.get("p", 1) < words.SURE:
            few = "fewer" if more["mean"] > 0 else "more"
            lead = f"Tuned, the model’s answers hang on {few} of the facts it is shown than before: {moved}"
        else:  # not found is not absent
            lead = (
                f"{_commonest(hangs)}Whether on more or fewer of the facts it is shown than before, "
                f"{more['n']} cases do not tell: {moved}"
            )
        return lead + _forced(hangs)
    if len(right) > 1 and not any(map(words.few, right[:2])):
        return f"Tuning took the share of exact answers from {right[1]['text']} to {right[0]['text']}."
    return ""


def figures(metrics: Metrics) -> list[dict[str, Any]]:
    """Figures to draw: `title`, `note` with n, and `bars` of `label`, `value`, `low`, `high` in [0, 1] and `text`."""
    explain = metrics["explain"].get("hanging", {})
    found = [_right(metrics["adapter"]), _members(explain), _tuning(explain), _modules(metrics["shift"])]
    return [one for one in found if one["bars"]]


def caveat(metrics: Metrics, manifests: Mapping[str, Mapping[str, Any]]) -> str:
    """What the figures do not show, in one line. manifests: stage -> its manifest."""
    orders = metrics["explain"].get("certified", {}).get("flips_in_other_orders")
    turned = ""
    if _sound(orders):
        turned = f": in other orders {percent(_mean(orders))}{_range(orders)} of them turn the answer too"
    model = manifests["explain"].get("config", {}).get("model", "a model")
    graph = "one field of one graph" if manifests["adapter"].get("config", {}).get("topics") else "one graph"
    return (
        f"one adapter of {model}, one seed, {graph}, so nothing of other models; sets are certified for "
        f"the facts in the order shown{turned}; a dropped fact need not be unread: where the tuned model has a second "
        "way to its answer, no fact of the first turns it alone."
    )


def _commonest(hangs: Mapping[str, Any]) -> str:
    """On how many facts most tuned answers hang."""
    names = {"one": "one fact", "two": "two facts, of which either is enough", "more": "three facts or more together"}
    found = {name: _mean(hangs[name]) for name in names if _sound(hangs.get(name))}
    if not found:
        return ""
    most = max(found, key=lambda name: found[name])
    share = f"{percent(found[most])}{_range(hangs[most], told=True)} of the tuned model’s answers"
    return f"{share} hang on {names[most]} (n = {hangs[most]['n']}). "


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
    bars, counts = [], dict[str, int]()
    for share in shares[:2]:
        shown = "" if share == "0" else f", {share} % withheld"
        for model in ("tuned", "base"):
            name = f"{split}{model}_exact_{share}"
            figure = {"mean": adapter.get(name), **adapter.get("intervals", {}).get(name, {})}
            if _sound(figure):
                bars.append(bar(f"{model}{shown}", figure, model))
                counts.setdefault(model, figure["n"])
    on = "on chains that no training case has in a row" if split else "on held-out pairs"
    note = f"n = {next(iter(counts.values())):,} cases" if counts else ""
    note += f" (base: {counts['base']:,})" if len(set(counts.values())) > 1 else ""
    return {"title": f"Exact answers {on}", "note": note, "bars": bars}


def _members(hangs: Mapping[str, Any]) -> dict[str, Any]:
    names = {"one": "one fact", "two": "two, both must go", "more": "three or more"}
    note = caption(hangs.get("one"), "certified smallest sets") + _alone(hangs)
    return chart("Tuned answers hang on", note, hangs, {name: (label, "tuned") for name, label in names.items()})


def _alone(hangs: Mapping[str, Any]) -> str:
    alone = hangs.get("tuned_alone")
    if not _sound(alone):
        return ""
    share = f"{percent(_mean(alone))}{_range(alone, told=True)}"
    return f"; where the base names a command (n = {alone['n']}), {share} turn the tuned model alone"


def _tuning(hangs: Mapping[str, Any]) -> dict[str, Any]:
    bars = {"dropped": ("base’s alone: dropped", "base"), "kept": ("both: kept", "both")}
    bars["added"] = ("tuned’s alone: added", "tuned")
    note = caption(hangs.get("kept"), "cases, shares of all their facts")
    return chart("Facts in the sets that turn an answer", note, hangs, bars)


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


def chart(title: str, note: str, known: Mapping[str, Any], bars: Mapping[str, tuple[str, str]]) -> dict[str, Any]:
    """A figure to draw of those that are known. bars: name of a figure -> label and kind of its bar."""
    found = [bar(label, known[name], kind) for name, (label, kind) in bars.items() if _sound(known.get(name))]
    return {"title": title, "note": note, "bars": found}


def bar(label: str, figure: Mapping[str, Any], kind: str) -> dict[str, Any]:
    """One figure: ends in percent for drawing, cut at 0 and 100, and in words; of few cases without an interval."""
    mean = _mean(figure)
    ends = (mean, mean) if words.few(figure) else (figure["low"], figure["high"])
    value, low, high = (min(1.0, max(0.0, x)) * 100 for x in (mean, *ends))
    told = {"text": percent(mean), "range": _range(figure).strip(), "n": figure["n"]}
    return {"label": label, "kind": kind, "value": value, "low": low, "high": high} | told


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


def _range(figure: Mapping[str, Any], *, told: bool = False) -> str:
    """` [40, 60]` in percent; of few cases ` (n = 2)`, or nothing where n is told beside it."""
    if words.few(figure):
        return "" if told else f" (n = {figure['n']})"
    return f" [{100 * figure['low']:.0f}, {100 * figure['high']:.0f}]"


def caption(figure: Any, what: str) -> str:
    return f"n = {figure['n']:,} {what}" if _sound(figure) else ""


ANSWERS = "answers.json"
MODELS = ("tuned", "base")


def live(run_dir: Path, manifest: Mapping[str, Any]) -> dict[str, Any] | None:
    """What the page needs of `explain/answers.json`; None where the run has none, or not the one that it recorded.

    Returns:
        `more`, the same of each further case, None where the run has looked for none; `words`, sentences on it;
        `question`, its two ends; `right`, the right answer; `facts`, each `text`, `needed` and the models that its
        removal alone `turns`; `sets`, each `text` and `without`; `rows`, removal (numbers with a space between) ->
        number of the answer of each of `MODELS`; `answers`, for each of these models number -> `verdict`, `text` and
        `steps`, (with every fact, now, mark) aligned; `start`, the removal that is shown at first; `forced`, what the
        base model chooses where it names no command, in words, else empty.
    """
    path = stage_folder(run_dir, "explain") / ANSWERS
    if not path.is_file() or sha256_file(path) != manifest["files"].get(ANSWERS):
        return None
    asked = json.loads(path.read_text("utf-8"))
    more = asked.get("more")
    return _case(asked) | {"more": None if more is None else [_case(one) for one in more]}


def _case(asked: Mapping[str, Any]) -> dict[str, Any]:
    case = Case.from_dict(asked["case"])
    case = replace(case, names={**asked.get("names", {}), **case.names})  # an answer may name what no fact does
    chains = [toolchain(path) for path in asked["paths"]]
    rows = {" ".join(map(str, row["without"])): [row[model] for model in MODELS] for row in asked["answers"]}
    whole = [chains[i] for i in rows[""]]
    turned = {
        key: [model for model, i, full in zip(MODELS, row, whole, strict=True) if chains[i] != full]
        for key, row in rows.items()
    }
    facts = [
        {"text": words.element(case, fact), "needed": fact in case.needed, "turns": turned[str(i)]}
        for i, fact in enumerate(case.facts)
    ]
    flips = [one["without"] for one in asked["sets"] if one["kind"] == "flip" and one["certified"]]
    used = [{row[k] for row in rows.values()} for k in range(len(MODELS))]
    return {
        "words": asked.get("words", ""),
        "question": [words.clean(case.names[end]) for end in (case.source, case.target)],
        "right": words.chain(case.toolchain, case.names),
        "facts": facts,
        "sets": _sets(asked["sets"], facts),
        "rows": rows,
        "answers": [{i: _answer(case, whole[k], chains[i]) for i in sorted(used[k])} for k in range(len(MODELS))],
        "start": min(flips, key=len, default=[]),
        "paired": len(asked["paired"]),
        "forced": words.chain(toolchain(asked["forced"]), case.names) if asked.get("forced") else "",
    }


def _sets(sets: Sequence[Mapping[str, Any]], facts: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The removals that are offered by name, each once."""
    found: dict[tuple[int, ...], str] = {(): "every fact shown"}
    for one in sets:
        gone, kept = one["without"], len(facts) - len(one["without"])
        proved = "certified set" if one["certified"] else "set without certificate"
        without = " and ".join(facts[i]["text"] for i in gone) if len(gone) < 3 else f"{len(gone)} facts"
        text = f"{proved}: without {without}" if one["kind"] == "flip" else f"{proved}: {kept} facts alone"
        found.setdefault(tuple(gone), text)
    return [{"without": list(gone), "text": text} for gone, text in found.items()]


def _answer(case: Case, full: Sequence[str], now: Sequence[str]) -> dict[str, Any]:
    if not (now or full):
        return {"verdict": "names no command", "text": "", "steps": []}
    verdict = "stays" if now == full else "changes"
    right = "right" if now == case.toolchain else "not the right answer"
    steps = aligned(*(words.steps(chain, case.names) for chain in (full, now)))
    return {"verdict": f"{verdict}, {right}", "text": words.chain(now, case.names), "steps": steps}


def aligned(full: Sequence[str], now: Sequence[str]) -> list[tuple[str, str, str]]:
    """Two answers side by side: what stands in the same place, empty where one has nothing there, and `same`, `gone`,
    `new` or `other`."""
    marks = {"equal": "same", "delete": "gone", "insert": "new"}
    found = []
    for tag, a, b, c, d in SequenceMatcher(None, full, now, autojunk=False).get_opcodes():
        for one, two in zip_longest(full[a:b], now[c:d], fillvalue=""):
            found.append((one, two, marks.get(tag) or ("other" if one and two else "gone" if one else "new")))
    return found
