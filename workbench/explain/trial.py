"""Taking things out of a case: by hand, what both models answer then, whether it is minimal, what carries a tool; and
every removal that a reader of the report can try, and on how much answers hang."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import Any

import numpy as np

from workbench.cases import Case, toolchain
from workbench.explain.changed import ChangedSets
from workbench.explain.counterfactual import Element, Explanation, without
from workbench.explain.sets import ElementSet
from workbench.game import Engine, ForcedChoice, Game
from workbench.game.rows import MAX_NEW_TOKENS
from workbench.stats.games import without as masks_without
from workbench.stats.intervals import paired_difference, proportion, shares_of_all

PAIRED = 10  # facts of which every pair is asked
ROLES = ("added", "kept", "dropped")
MODELS = {"tuned": True, "base": False}  # model -> whether the adapter is on
ROWS = ("tuned_full", "tuned_changed", "base_full", "base_changed")  # on G (`full`) and on Gc (`changed`)


@dataclass(frozen=True)
class Outcome:
    """What both models answer with `removed` taken out. answers: a node path for each of `ROWS`.

    leads: model -> by how many nats the least sure token of its answer on G leads on Gc; above 0 exactly where its
    toolchain stays.
    """

    case: Case
    removed: tuple[Element, ...]
    answers: dict[str, tuple[str, ...]]
    leads: dict[str, float]

    @property
    def toolchains(self) -> dict[str, tuple[str, ...]]:
        """The commands of the answers."""
        return {row: toolchain(path) for row, path in self.answers.items()}

    def changed(self, model: str) -> bool:
        """Whether a model's toolchain is another one on Gc."""
        return self.toolchains[f"{model}_full"] != self.toolchains[f"{model}_changed"]


@dataclass(frozen=True)
class Check:
    """Whether a set flips the tuned model's toolchain, and which members can be put back without undoing that.

    value: the lead (nats) without the whole set; calls: masks asked.
    """

    case: Case
    removed: tuple[Element, ...]
    flips: bool
    value: float
    spare: tuple[Element, ...]
    calls: int

    @property
    def minimal(self) -> bool:
        """The certificate: it flips, and no single member can be put back."""
        return self.flips and not self.spare


@dataclass(frozen=True)
class Carriers:
    """By how many nats each fact, left out alone, lowers log p of one command within an answer; (facts,) float64.

    row: which of `ROWS` the answer is. total: log p of the command's tokens with the facts of that row, nats. Facts
    that the row does not show have the score 0 and are not in `shown`.
    """

    case: Case
    row: str
    node: str
    scores: np.ndarray
    shown: np.ndarray
    total: float


class Trial:
    """Removals by hand on one case. What was asked before costs nothing."""

    def __init__(self, engine: Engine, case: Case, *, max_new_tokens: int = MAX_NEW_TOKENS):
        self.engine, self.case, self.max_new_tokens = engine, case, max_new_tokens
        self._outcomes: dict[frozenset[Element], Outcome] = {}

    @cached_property
    def games(self) -> dict[str, Game]:
        """Model -> the decision game of its own greedy answer to G."""
        return {model: self._game(self.case, model) for model in MODELS}

    def outcome(self, removed: Iterable[Element] = ()) -> Outcome:
        """Both models on G and on Gc. ValueError: an element that the case does not show."""
        gone = self.ordered(removed)
        key = frozenset(gone)
        if key not in self._outcomes:
            keep, answers = self._masks([gone]), {}
            for model, game in self.games.items():
                answers[f"{model}_full"] = game.path
                answers[f"{model}_changed"] = game.answers(keep)[0] if gone else game.path
            leads = {model: float(game(keep)[0]) for model, game in self.games.items()}
            self._outcomes[key] = Outcome(self.case, gone, answers, leads)
        return self._outcomes[key]

    def check(self, removed: Iterable[Element]) -> Check:
        """The certificate of a set: asked without the whole set, and with each member put back alone."""
        gone = self.ordered(removed)
        sets = [gone, *([m for m in gone if m != back] for back in gone)]
        values = self.games["tuned"](self._masks(sets))
        spare = tuple(m for m, value in zip(gone, values[1:], strict=True) if value <= 0)
        flips = bool(values[0] <= 0)
        return Check(self.case, gone, flips, float(values[0]), spare if flips else (), len(sets))

    def carriers(self, row: str, node: str, removed: Iterable[Element] = ()) -> Carriers:
        """What carries one command of an answer. ValueError: no such row, or its answer does not name the command."""
        if row not in ROWS:
            raise ValueError(f"the answers are {', '.join(ROWS)}, not {row!r}")
        model, _, which = row.partition("_")
        case = without(self.case, removed) if which == "changed" else self.case
        shown = np.array([fact in set(case.facts) for fact in self.case.facts])
        game = self._game(case, model) if which == "changed" else self.games[model]
        one = game.view(form="logprob", span=game.span_of(node))
        facts = range(len(case.nodes), one.n)
        values = one(masks_without(one.n, [*((i,) for i in facts), ()]))
        scores = np.zeros(len(shown))
        scores[shown] = values[-1] - values[:-1]
        return Carriers(self.case, row, node, scores, shown, float(values[-1]))

    def _game(self, case: Case, model: str) -> Game:
        on, longest = MODELS[model], self.max_new_tokens
        (answer,) = self.engine.greedy_answers([case], adapter=on, max_new_tokens=longest)
        return Game(self.engine, case, answer, form="decision", adapter=on, max_new_tokens=longest)

    def ordered(self, removed: Iterable[Element]) -> tuple[Element, ...]:
        """What is removed, in the order of the case's elements. ValueError: an element that the case does not show."""
        gone = set(removed)
        without(self.case, gone)  # refuses what is not shown
        return tuple(e for e in self.case.elements if e in gone)

    def _masks(self, sets: Sequence[Sequence[Element]]) -> np.ndarray:
        """Keep-masks (m, n) bool, each without one of the sets."""
        number = {e: i for i, e in enumerate(self.case.elements)}
        return masks_without(len(number), [[number[e] for e in gone] for gone in sets])


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
        >>> from workbench.game.case_game import example_game
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
    told = {model: _paths(engine, case, keeps, adapter=on, longest=max_new_tokens) for model, on in MODELS.items()}
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
    engine: Engine, case: Case, keeps: Sequence[np.ndarray], *, adapter: bool, longest: int
) -> list[tuple[str, ...]]:
    """What a model answers with these facts, keeps of (facts,) bool; the first keeps all. Where tokens are dear, and
    earlier questions have shown that the answer stays, it is not written again."""
    known: dict[int, tuple[str, ...]] = {}
    if adapter and engine.slow and case.facts:
        game = Game.of(engine, case, form="decision", max_new_tokens=longest)
        stays = [True, *game.stays(np.array(keeps[1:], float).reshape(-1, len(case.facts)))]
        known = {i: game.path for i, same in enumerate(stays) if same}
    left = [i for i in range(len(keeps)) if i not in known]
    how: dict[str, Any] = {"keeps": [keeps[i] for i in left], "max_new_tokens": longest}
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
        >>> from workbench.game.case_game import example_game
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
        >>> from workbench.game.case_game import example_game
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
        >>> from workbench.game.case_game import example_game
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
