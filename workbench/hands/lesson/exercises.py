"""Exercises that answer: what a reader found is held against what the run itself has left, with a hint where it is not
that. No number is written down here, so another seed or another model has its own right answers.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Collection, Hashable
from dataclasses import dataclass
from functools import lru_cache
from numbers import Real
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import pandas as pd

from workbench import kg
from workbench.artifacts import runs

CLOSE = 0.01  # by how much a number may be off, of itself or at all: figures are read off rounded


@dataclass(frozen=True)
class Verdict:
    """What became of an answer. right: None where this run has left nothing to tell it by."""

    number: str
    right: bool | None
    hint: str = ""

    def __bool__(self) -> bool:
        return self.right is not False

    def __repr__(self) -> str:
        told = {True: "right", False: f"not yet. {self.hint}", None: f"this run cannot tell: {self.hint}"}
        return f"{self.number}: {told[self.right]}"


def checker(run_dir: str | os.PathLike[str]) -> Callable[[str, Any], Verdict]:
    """`check("3.2", answer)` on what a run has left; stages that it needs must be finished. KeyError: no such exercise.

    Answers are numbers, ids, or lists of them, in whatever order; of several right ones each is taken.

    >>> checker("no/such/run")("3.1", [4]).right is None  # nothing to tell it by
    True
    """

    def check(number: str, answer: Any) -> Verdict:
        if number not in EXERCISES:
            raise KeyError(f"no exercise is called {number!r}; there are {', '.join(EXERCISES)}")
        truth, hint = EXERCISES[number]
        try:
            due = truth(Path(run_dir))
        except (runs.MissingStage, LookupError, ValueError) as problem:
            return Verdict(number, None, str(problem))
        asked = "a number" if isinstance(due, Real) else "a list" if isinstance(due, list) else "one id or name"
        return Verdict(number, _same(answer, due), f"The answer is {asked}. {hint}")

    return check


def _same(answer: Any, due: Any) -> bool:
    if isinstance(due, Real):
        off = CLOSE * max(1.0, abs(float(due))) if isinstance(due, float) else 0.0
        return isinstance(answer, Real) and abs(float(answer) - float(due)) <= off
    if isinstance(due, list):
        return isinstance(answer, Collection) and sorted(map(str, answer)) == sorted(map(str, due))
    return isinstance(answer, Hashable) and answer in due


def _most(counts: pd.Series) -> frozenset[str]:
    """The labels of the highest value, all where several share it. ValueError: there are none."""
    if counts.dropna().empty:
        raise ValueError("it holds nothing to choose from")
    return frozenset(counts.index[counts == counts.max()])


def _graph(run: Path) -> nx.MultiDiGraph:
    path = runs.require_stage(run, "kg") / "graph.json"
    return _as_written(path.resolve(), path.stat().st_mtime_ns)


@lru_cache(maxsize=1)  # several exercises in a row ask the same graph, which takes a second to read
def _as_written(path: Path, _written: int) -> nx.MultiDiGraph:
    return kg.from_json(path)


def _read_most(run: Path) -> frozenset[str]:
    heads = [head for head, _, relation in _graph(run).edges(keys=True) if relation == "input"]
    return _most(pd.Series(heads).value_counts())


def _written_for_nobody(run: Path) -> int:
    edges = list(_graph(run).edges(keys=True))
    read = {head for head, _, relation in edges if relation == "input"}
    written = {tail for _, tail, relation in edges if relation == "output"}
    return len(written - read)


def _bottleneck(run: Path) -> frozenset[str]:
    flow, source = kg.flow_graph(_graph(run)), runs.read_manifest(run, "kg")["metrics"]["showcase"][0][0]
    above = nx.immediate_dominators(nx.DiGraph(flow), source)
    tree = nx.DiGraph((up, node) for node, up in above.items() if up not in (None, node))
    return _most(pd.Series({n: len(nx.descendants(tree, n)) for n in tree if n.startswith("command:")}))


def _table(run: Path, stage: str, name: str) -> pd.DataFrame:
    return pd.read_csv(runs.require_stage(run, stage) / name, sep="\t")


def _otherwise(run: Path) -> int:
    answers = _table(run, "adapter", "answers.tsv").query("split == 'held_out' and model == 'tuned'")
    rows = answers[answers["share"] == answers["share"].max()]
    return int((rows["valid"] & ~rows["exact"]).sum())


def _price(run: Path) -> float:
    rows = _table(run, "adapter", "scores.tsv").query("split == 'held_out' and model == 'tuned' and metric == 'exact'")
    means = rows.sort_values("share")["mean"]
    return float(means.iloc[0] - means.iloc[-1])


def _largest(run: Path) -> frozenset[str]:
    from workbench.shift import read_factors

    sizes = {f.module: np.linalg.norm(f.scaling * f.B @ f.A) for f in read_factors(runs.require_stage(run, "adapter"))}
    return _most(pd.Series(sizes).round(6))


def _decide_alone(run: Path) -> list[int]:
    here = json.loads((runs.require_stage(run, "explain") / "changed.json").read_text("utf-8"))["here"]
    return [e for one in here["tuned"] if one["certified"] and len(one["elements"]) == 1 for e in one["elements"]]


def _hangs_on_most(run: Path) -> frozenset[str]:
    folder = runs.require_stage(run, "explain") / "explanations"
    found = [json.loads(path.read_text("utf-8")) for path in sorted(folder.glob("*-certified.json"))[1:]]
    return _most(pd.Series({one["case"]["id"]: len(one["removed"]) for one in found}))


def _patience(run: Path) -> float:
    taken = _table(run, "explain", "until_flip.tsv").groupby("method")["elements_taken"].mean()
    return float(taken["attention_highest"] - taken["in_loop"])


def _shift(run: Path) -> dict[str, Any]:
    return runs.read_manifest(runs.require_stage(run, "shift").parent, "shift")["metrics"]


def _carrier(run: Path) -> frozenset[str]:
    return _most(pd.DataFrame(_shift(run)["switches"]).T["off"].astype(float))


def _best_dose(run: Path) -> float:
    means = pd.DataFrame(_shift(run)["dose"]).T["mean"].astype(float)
    return float(means.idxmax())


def _best_measure(run: Path) -> frozenset[str]:
    return _most(pd.DataFrame(_shift(run)["separation_facts"]).T["mean"].astype(float))


EXERCISES: dict[str, tuple[Callable[[Path], Any], str]] = {
    "1.1": (_read_most, "An arrow `input` leads from a format to a command: count those that leave each format."),
    "1.2": (_written_for_nobody, "Two sets: the tails of `output`, and the heads of `input`. Which are in one alone?"),
    "1.3": (_bottleneck, "A command on every way to a node dominates it: `nx.immediate_dominators(flow, source)`."),
    "2.1": (_otherwise, "`answers` has a row an answer: the held-out pairs, tuned, at the largest share."),
    "2.2": (_price, "`scores` has the means: exact, tuned, held-out pairs, at the smallest and the largest share."),
    "2.3": (_largest, "Norm of scale * B @ A, module by module, not the norms of A and B."),
    "3.1": (_decide_alone, "`here.tuned` holds the flip sets of the tuned model: those of one element."),
    "3.2": (_hangs_on_most, "`explanations['certified']` has one a held-out case; compare the lengths of `removed`."),
    "3.3": (_patience, "Not `removed`, which is equal by rule: `elements_taken` in `until_flip`, both methods' means."),
    "4.1": (_carrier, "Not the norm: `off` in `everywhere` is the share of Delta that goes with each of its rows."),
    "4.2": (_best_dose, "`margin` has a row a dose, `mean` is over the cases."),
    "4.3": (_best_measure, "`separated['facts']` has the area under the ROC curve of each measure."),
}
"""Exercise -> its answer by a run's artefacts, and a hint."""
