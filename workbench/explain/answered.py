"""What both models answer to every removal that a reader of the report can try, and on how much answers hang."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np

from workbench.cases import Case, toolchain
from workbench.explain.changed import ChangedSets
from workbench.explain.counterfactual import Explanation, without
from workbench.explain.sets import ElementSet
from workbench.explain.trial import MODELS
from workbench.game import Engine, ForcedChoice, Game
from workbench.stats.intervals import paired_difference, proportion, shares_of_all

PAIRED = 10  # facts of which every pair is asked
ROLES = ("added", "kept", "dropped")


def answered(
    engine: Engine, case: Case, sets: Sequence[ElementSet], *, paired: int = PAIRED, max_new_tokens: int = 32
) -> dict[str, Any]:
    """Both models' greedy answers with nothing, every fact, every pair of some facts, and every set's facts taken out.

    sets: of elements of the case; of a sufficient set, what it can do without is taken out. paired: how many facts
    make pairs: members of flip sets of one or two first, then what the right answer needs, then the rest.

    Returns:
        Plain JSON types: `case`; `paired`, numbers of facts; `sets`, each `kind`, `certified` and `without`, the
        numbers of the facts it takes out; `paths`, the distinct answers as node ids, and `names` of these; `answers`,
        one row a removal with `without` and for each model, `tuned` and `base`, the number of its path; `forced`, where
        the base names no command in any row: node ids of its forced choice with every fact shown, else empty.

    Examples:
        >>> from workbench.game.example_game import example_game
        >>> game = example_game().view(form="decision")
        >>> told = answered(game.engine, game.case, [], paired=2)
        >>> [row["without"] for row in told["answers"]]  # nothing, each fact, and one pair
        [[], [0], [1], [2], [0, 1]]
    """
    sets = [one for one in sets if one.found]
    gone = [_facts_gone(case, one) for one in sets]
    small = {i for facts, one in zip(gone, sets, strict=True) if one.kind == "flip" and len(facts) < 3 for i in facts}
    facts, needed = range(len(case.facts)), {*case.needed}
    first = sorted(facts, key=lambda i: (i not in small, case.facts[i] not in needed, i))[:paired]
    pairs = combinations(sorted(first), 2)
    rows = list(dict.fromkeys([(), *((i,) for i in facts), *pairs, *gone]))
    keeps = [np.isin(facts, row, invert=True) for row in rows]
    how: dict[str, Any] = {"max_new_tokens": max_new_tokens}
    told = {model: _paths(engine, case, keeps, adapter=on, **how) for model, on in MODELS.items()}
    number = {path: i for i, path in enumerate(dict.fromkeys(path for paths in told.values() for path in paths))}
    named = zip(sets, gone, strict=True)
    silent = not any(map(toolchain, told["base"]))
    forced = ForcedChoice.of(Game.of(engine, case, path=case.path, adapter=False)) if silent else None
    return {
        "case": case.to_dict(),
        "paired": sorted(first),
        "sets": [{"kind": one.kind, "certified": one.certified, "without": list(row)} for one, row in named],
        "paths": [list(path) for path in number],
        "names": {node: engine.lm.names[node] for path in number for node in path if node in engine.lm.names},
        "answers": [
            {"without": list(row)} | {model: number[paths[k]] for model, paths in told.items()}
            for k, row in enumerate(rows)
        ],
        "forced": [*forced.path] if forced else [],
    }


def _paths(
    engine: Engine, case: Case, keeps: Sequence[np.ndarray], *, adapter: bool, max_new_tokens: int
) -> list[tuple[str, ...]]:
    """What a model answers with these facts, keeps of (facts,) bool; the first keeps all. Where tokens are dear, and
    earlier questions have shown that the answer stays, it is not written again."""
    known: dict[int, tuple[str, ...]] = {}
    if adapter and engine.slow and case.facts:
        game = Game.of(engine, case, form="decision", max_new_tokens=max_new_tokens)
        stays = [True, *game.passes.stays(np.array(keeps[1:], float).reshape(-1, len(case.facts)), game.answer)]
        known = {i: game.path for i, same in enumerate(stays) if same}
    left = [i for i in range(len(keeps)) if i not in known]
    how: dict[str, Any] = {"keeps": [keeps[i] for i in left], "max_new_tokens": max_new_tokens}
    found = engine.answers([case] * len(left), adapter=adapter, **how) if left else []
    known |= zip(left, found, strict=True)
    return [known[i] for i in range(len(keeps))]


def _facts_gone(case: Case, found: ElementSet) -> tuple[int, ...]:
    """Numbers of the facts that go with a flip set, or that a sufficient set can do without."""
    members = {case.elements[i] for i in found.elements}
    if found.kind != "flip":
        among = case.facts if members <= {*case.facts} else case.elements
        members = {*among} - members
    left = {*without(case, members).facts}
    return tuple(i for i, fact in enumerate(case.facts) if fact not in left)


def second_case(certified: Sequence[Explanation]) -> Explanation | None:
    """The explanation that is shown beside the first case: one with a certified set of two facts or more; None where
    there is none. Where the tuned model is right come first, then the smallest sets, then the longest right answers,
    then the first by id.

    Examples:
        >>> from workbench.explain import explain
        >>> from workbench.game.example_game import example_game
        >>> game = example_game().view(form="decision")
        >>> (found,) = explain(game.engine, [game.case], "certified")
        >>> second_case([found]) is None  # one element alone turns this answer
        True
    """

    def order(one: Explanation) -> tuple[bool, int, int, str]:
        chain = one.case.toolchain
        return one.toolchains["tuned_full"] != chain, len(one.removed), -len(chain), one.case.id

    proved = [one for one in certified if one.certificate["certified"] and len(one.removed) > 1]
    return min((one for one in proved if {*one.removed} <= {*one.case.facts}), key=order, default=None)


def proved_set(one: Explanation) -> ElementSet:
    """The set of an explanation by the certified search.

    Examples:
        >>> from workbench.explain import explain
        >>> from workbench.game.example_game import example_game
        >>> game = example_game().view(form="decision")
        >>> (found,) = explain(game.engine, [game.case], "certified")
        >>> proved_set(found).kind, proved_set(found).certified
        ('flip', True)
    """
    proof = {name: value for name, value in one.certificate.items() if name != "ledger"}
    return ElementSet(**proof | {"elements": tuple(proof["elements"])})


def hanging(certified: Sequence[Explanation], changed: Sequence[ChangedSets], *, seed: int = 0) -> dict[str, Any]:
    """On how many elements answers hang, and what of that is due to tuning, each with its 95 % interval and n.

    Returns:
        `one`, `two`, `more`: shares of the certified sets by their number of members; `tuned_alone`: of those of cases
        where the base model names any command, the share that leaves its toolchain as it was (both Wilson). `added`,
        `kept`, `dropped`: shares of the elements that an answer of either model hangs on (bootstrap over cases);
        `dropped_over_added`: how many more a case, paired. `base_forced`: share of these cases in which the base's
        decision is a forced choice. What there is nothing to count for is left out.

    Examples:
        >>> from workbench.explain import explain
        >>> from workbench.game.example_game import example_game
        >>> game = example_game().view(form="decision")
        >>> (found,) = explain(game.engine, [game.case], "certified")
        >>> hanging([found], [])["one"]["share"]  # of the sets, those of one element
        1.0
    """
    proved = [one for one in certified if one.certificate["certified"]]
    sizes = np.array([min(len(one.removed), 3) for one in proved])
    found: dict[str, Any] = {}
    if proved:
        found = {name: proportion(sizes == size) for size, name in enumerate(("one", "two", "more"), start=1)}
    # a base that names no command has no answer that stays
    both = [one.toolchains for one in proved if one.toolchains["base_full"]]
    if both:
        found["tuned_alone"] = proportion([said["base_full"] == said["base_changed"] for said in both])
    if any(one.forced for one in changed):
        found["base_forced"] = proportion([one.forced for one in changed])
    counts = {role: [len(getattr(one, role)) for one in changed] for role in ROLES}
    if shares := shares_of_all(counts, seed=seed):
        found |= shares
        rng = np.random.default_rng(seed)
        found["dropped_over_added"] = paired_difference(counts["dropped"], counts["added"], rng=rng)
    return {name: one._asdict() for name, one in found.items()}
