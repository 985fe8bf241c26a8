"""Parts of a panel that ipywidgets has none for: the prompt with a checkbox a fact, toolchains, names for a reader.

Their scripts set text as text alone, so names of a graph run nothing. They send messages; what they show is set here.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import anywidget
import numpy as np
import traitlets

from workbench.cases import Case, Fact, toolchain
from workbench.figures.core import kind_of, short
from workbench.figures.prompt import lines
from workbench.prompts import Segment
from workbench.trial import Carriers

STATIC = Path(__file__).parent / "static"
TEXT = 160  # characters of a line of the prompt
NAME = 40


class Prompt(anywidget.AnyWidget):
    """The prompt's lines and the nodes, each with a checkbox. on_toggle: called with the number of the element."""

    _esm = STATIC / "prompt.js"
    lines: Any = traitlets.List().tag(sync=True)
    nodes: Any = traitlets.List().tag(sync=True)

    def __init__(self, on_toggle: Callable[[int], Any]):
        super().__init__()
        self.on_msg(lambda _, content, __: on_toggle(int(content["toggle"])))

    def show(
        self,
        case: Case,
        segments: Sequence[Segment],
        *,
        removed: Collection[str | Fact],
        degrees: Sequence[float] | None = None,
        carriers: Carriers | None = None,
    ) -> None:
        """Shows a case with what is removed and, where known, the degrees of removal and what carries a command."""
        first, needed = len(case.nodes), set(case.needed)
        m = [None] * len(case.elements) if degrees is None else [round(float(d), 4) for d in degrees]
        scores = np.zeros(len(case.facts)) if carriers is None else carriers.scores
        most = max(float(scores.max(initial=0)), 1e-9)
        rows: list[dict[str, Any]] = []
        for text, i in lines(segments):
            line: dict[str, Any] = {"key": -1, "text": text if i < 0 else short(text, TEXT)}
            if i >= 0:
                fact, share = case.facts[i], float(scores[i]) / most
                ends = [end for end in dict.fromkeys((fact.head, fact.tail)) if end in removed]
                line |= {"key": first + i, "degree": m[first + i], "needed": fact in needed, "note": ""}
                line |= _state(fact in removed, [short(case.names[end], NAME) for end in ends])
                shown = carriers is not None and carriers.shown[i]
                line |= {"score": f"{scores[i]:+.2f} nats" if shown else "", "share": max(0.0, share)}
            rows.append(line)
        self.lines = rows
        self.nodes = [
            {"key": i, "text": short(case.names[node], NAME), "note": kind_of(node), "degree": m[i], "score": ""}
            | {"needed": False}
            | _state(node in removed, [])
            for i, node in enumerate(case.nodes)
        ]


def _state(removed: bool, ends: Sequence[str]) -> dict[str, str]:
    if removed:
        return {"state": "removed", "why": ""}
    return {"state": "gone", "why": f"with {' and '.join(ends)}"} if ends else {"state": "kept", "why": ""}


class Chains(anywidget.AnyWidget):
    """Toolchains of both models on G and on Gc. on_pick: called with a row of the answers and a command's id."""

    _esm = STATIC / "chains.js"
    rows: Any = traitlets.List().tag(sync=True)
    picked: Any = traitlets.List(["", ""]).tag(sync=True)

    def __init__(self, on_pick: Callable[[str, str], Any]):
        super().__init__()
        self.on_msg(lambda _, content, __: on_pick(*map(str, content["pick"])))

    def show(self, case: Case, answers: Mapping[str, Sequence[str]], names: Mapping[str, str]) -> None:
        """Shows answers (node paths, see `trial.ROWS`); what changed is marked by sign, rim and words."""
        right = case.toolchain
        rows: list[dict[str, Any]] = [{"model": "right answer", "key": "", "full": _chips(right, names)}]
        for model in ("tuned", "base"):
            if f"{model}_full" not in answers:
                continue
            full, now = (toolchain(answers[f"{model}_{which}"]) for which in ("full", "changed"))
            lost = [node for node in full if node not in now]
            changed = _chips(now, names, other=full, mark="new") + _chips(lost, names, other=(), mark="lost")
            verdict = "stays" if full == now else "≠ changes"
            row = {"model": model, "key": model, "full": _chips(full, names, other=right, mark="other")}
            rows.append(row | {"changed": changed, "verdict": verdict})
        self.rows = rows


def _chips(
    chain: Iterable[str], names: Mapping[str, str], *, other: Collection[str] | None = None, mark: str = ""
) -> list[dict[str, str]]:
    """Commands as data for the script; those that are not among `other` get the mark."""
    return [
        {
            "node": node,
            "text": short(names.get(node, node), NAME),
            "mark": mark if other is not None and node not in other else "",
        }
        for node in chain
    ]


class Access(anywidget.AnyWidget):
    """Gives the parts of a panel names, roles and descriptions, and the panel its style sheet.

    parts: {select: CSS selector within the panel, attributes: {name: text}, value: {within, select} of the text that
    says a slider's value}.
    """

    _esm = STATIC / "access.js"
    _css = STATIC / "panel.css"
    parts: Any = traitlets.List().tag(sync=True)


def named(select: str, label: str = "", **attributes: str) -> dict[str, Any]:
    """An entry of `Access.parts`; underscores of attribute names stand for hyphens."""
    given = {name.replace("_", "-"): text for name, text in attributes.items()}
    return {"select": select, "attributes": ({"aria-label": label} if label else {}) | given}
