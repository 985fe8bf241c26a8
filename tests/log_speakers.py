"""Speakers whose answers follow a rule that is known: of them it is known on which facts they hang.

As a worker of a sweep (`work`): yes while the first fact is there; `fails` is an error, `slow` takes a while.
"""

import json
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, combinations, cycle
from pathlib import Path
from typing import Any

import numpy as np

from workbench.hands.sweep.log_records import explained
from workbench.logs.answers import Answers, Said
from workbench.logs.asked import Asked, asked
from workbench.logs.hanging import hangs
from workbench.logs.records import record_of
from workbench.stats.games import Ledger


class Planted:
    """Answers by a rule on the kept facts' numbers; counts what it is asked."""

    def __init__(self, rule: Callable[[frozenset[int]], str], key: str = "planted"):
        self.rule, self.key, self.ledger, self.rows = rule, key, Ledger(), 0

    def repeats(self, answers: Answers) -> int:
        return 1

    def say(self, asked: Asked, keeps: np.ndarray, expected: Said | None) -> list[Said]:
        self.rows += len(keeps)
        return [Said(self.rule(frozenset(np.flatnonzero(keep).tolist()))) for keep in keeps]


def question(n: int, decision: str = "yesno") -> Asked:
    """A question with n facts."""
    return asked(record_of({"question": "q?", "facts": [f"fact {i}" for i in range(n)]}), decision)


def planted(n: int, rule: Callable[[frozenset[int]], str], folder=None, *, decision: str = "yesno") -> Answers:
    """The answers by a rule to a question with n facts."""
    return Answers(Planted(rule), question(n, decision), folder)


def found_of(answers: Answers, **how: Any) -> dict[str, Any]:
    """What is found of a model's answers to a record."""
    return hangs({"tuned": answers}, **how)["models"]["tuned"]


def written(path: Path, *rows: Any) -> Path:
    """A log of these lines: what is no text is written as JSON."""
    path.write_text("".join(f"{one if isinstance(one, str) else json.dumps(one)}\n" for one in rows), "utf-8")
    return path


def stops(after: int = 0) -> Callable[..., None]:
    """Progress that ends the run when more records than these are done."""

    def progress(done: int, _of: int = 0) -> None:
        if done > after:
            raise KeyboardInterrupt

    return progress


class InTurn(Planted):
    """Answers with what a rule gives for the kept facts' numbers, one after another and over again, of each mask."""

    def __init__(self, rule: Callable[[frozenset[int]], Iterable[str]]):
        turns = dict[frozenset[int], Iterator[str]]()
        super().__init__(lambda kept: next(turns.setdefault(kept, cycle(rule(kept)))))

    def repeats(self, answers: Answers) -> int:
        return 25


def drawn_rule(rng: np.random.Generator, n: int, number: int) -> tuple[list[int], Callable[[frozenset[int]], str]]:
    """Two to four of n members, and a rule on two groups of them, of one shape and the other by turns."""
    members = rng.permutation(n)[: int(rng.integers(2, 5))].tolist()
    cut = int(rng.integers(1, len(members)))
    return members, rule_of([members[:cut], members[cut:]], ("and_or", "or_and")[number % 2])


def rule_of(groups: list[list[int]], shape: str):
    """and_or: yes where each group has a fact left; or_and: yes where some group is whole."""
    if shape == "and_or":
        return lambda kept: "Yes." if all(kept & set(group) for group in groups) else "No."
    return lambda kept: "Yes." if any(set(group) <= kept for group in groups) else "No."


def minimal_sets(n: int, holds) -> set[tuple[int, ...]]:
    """All minimal sets that hold, by asking every set of up to four members."""
    found: list[set[int]] = []
    for one in chain.from_iterable(combinations(range(n), size) for size in range(5)):
        if not any(small <= set(one) for small in found) and holds(frozenset(one)):
            found.append(set(one))
    return {tuple(sorted(one)) for one in found}


class Known(Planted):
    def say(self, asked, keeps, expected):
        said = asked.segments[-1].text
        if "fails" in said:
            raise OSError("no answer")
        return super().say(asked, keeps, expected)


def work(order):
    if any(case["record"]["question"] == "slow" for case in order["cases"]):
        time.sleep(0.6)
    return explained(order, {"tuned": Known(lambda kept: "yes" if 0 in kept else "no")}), 0.0
