"""The case of a run, to be tried without a model: what both models answer to the removals that the run has asked."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from difflib import SequenceMatcher
from itertools import zip_longest
from pathlib import Path
from typing import Any

from workbench.artifacts.files import sha256_file
from workbench.artifacts.stage import stage_folder
from workbench.cases import Case, toolchain
from workbench.narrative import names as words

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
    steps = aligned(_steps(case, full), _steps(case, now))
    return {"verdict": f"{verdict}, {right}", "text": words.chain(now, case.names), "steps": steps}


def _steps(case: Case, chain: Sequence[str]) -> list[str]:
    """Commands of an answer by name; one that repeats itself stands once, with how often."""
    names = case.names
    return [f"{words.clean(names.get(n, n))}{f' × {times}' if times > 1 else ''}" for n, times in words.runs(chain)]


def aligned(full: Sequence[str], now: Sequence[str]) -> list[tuple[str, str, str]]:
    """Two answers side by side: what stands in the same place, empty where one has nothing there, and `same`, `gone`,
    `new` or `other`."""
    marks = {"equal": "same", "delete": "gone", "insert": "new"}
    found = []
    for tag, a, b, c, d in SequenceMatcher(None, full, now, autojunk=False).get_opcodes():
        for one, two in zip_longest(full[a:b], now[c:d], fillvalue=""):
            found.append((one, two, marks.get(tag) or ("other" if one and two else "gone" if one else "new")))
    return found
