"""What two explanations cost: an ablation of 32 facts against 24 answer tokens, a certified set of 32 elements."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np

from workbench.bench.contenders import CONTENDERS, OURS, Asked, Contender, cited
from workbench.bench.passes import Passes, counted
from workbench.cases import Case, Fact
from workbench.explain import ElementSet, minimal_flip_set, smallest_flip_set
from workbench.explain.sets.minimal import gradient_order
from workbench.game import Engine, Game
from workbench.stats import median_interval, proportion

FACTS, TOKENS, ELEMENTS = 32, 24, 32
ABLATIONS = ("leave_one_out", "FeatureAblation", "FeatureAblation, no cache", "FeatureAblation, one pass")
CITING = "ContextCiter"


def long_case(names: dict[str, str], *, facts: int = FACTS, tokens: int = TOKENS, rng: np.random.Generator) -> Case:
    """A chain through random nodes whose answer names `tokens` - 1 of them, and facts that leave it, in random order.

    A chain as long as the names and the facts allow, where they are few. ValueError: fewer than 3 names, or more facts
    than pairs of names.
    """
    nodes = [list(names)[i] for i in rng.permutation(len(names))]
    if len(nodes) < 3 or facts > len(nodes) * (len(nodes) - 1) // 2:
        raise ValueError(f"{facts} facts cannot be drawn from {len(nodes)} names; train on a graph with more nodes")
    path = tuple(nodes[: min(tokens, facts + 1, len(nodes))])
    shown = [Fact(head, "output", tail) for head, tail in pairwise(path)]
    while len(shown) < facts:
        head, tail = (nodes[i] for i in sorted(rng.choice(len(nodes), 2, replace=False)))
        if all({head, tail} != {f.head, f.tail} for f in shown):
            shown.append(Fact(head, "input", tail))
    drawn = tuple(shown[i] for i in rng.permutation(len(shown)))
    return Case("long", path[0], path[-1], drawn, path, names, split="synthetic")


def element_ablation(
    engine: Engine,
    packages: Sequence[str],
    *,
    facts: int = FACTS,
    tokens: int = TOKENS,
    seed: int = 0,
    repeats: int = 3,
    say: Callable[[str], None] = lambda line: None,
) -> dict:
    """One case, the answer forced: what leaving out each fact costs us, captum and context-cite, and whether the scores
    are the same.

    packages: those that are there. `costs`: contender -> passes of one call and the median seconds of `repeats` calls
    after a warm-up; of one call alone where captum goes token by token. `times_faster`: their seconds over ours.
    `difference`: largest absolute difference of a score to ours, nats.
    """
    case = long_case(dict(engine.lm.names), facts=facts, tokens=tokens, rng=np.random.default_rng(seed))
    asked = Asked(engine, case, engine.answer_ids(case, case.path), own=False, seed=seed)
    chosen = [CONTENDERS[name] for name in ABLATIONS if CONTENDERS[name].package in (OURS, *packages)]
    costs, scores = {}, {}
    for one in chosen:
        say(f"{len(case.facts)} facts, {len(asked.answer)} answer tokens: {one.name}")
        slow = one.package == "captum" and "one pass" not in one.name
        costs[one.name], scores[one.name] = repeated(one, asked, repeats=1 if slow else repeats, warm=not slow)
    if CONTENDERS[CITING].package in packages:
        say(f"{len(case.facts)} facts, {len(asked.answer)} answer tokens: {CITING}")
        costs |= citing(asked, repeats=repeats)
    ours = ABLATIONS[0]
    return {
        "facts": len(case.facts),
        "answer_tokens": len(asked.answer),
        "prompt_tokens": len(engine.prompt(case).ids),
        "costs": costs,
        "times_faster": {name: c["seconds"] / costs[ours]["seconds"] for name, c in costs.items() if name != ours},
        "difference": {name: float(np.abs(s - scores[ours]).max()) for name, s in scores.items() if name != ours},
    }


def repeated(one: Contender, asked: Asked, *, repeats: int, warm: bool) -> tuple[dict, np.ndarray]:
    """Passes of one call with the median seconds, and the scores."""
    if warm:
        one.ask(asked)
    every = []
    for _ in range(repeats):
        with counted(asked.engine.lm) as count:
            given = one.ask(asked)
        every.append(count.spent)
    return median(every), given.scores


def citing(asked: Asked, *, repeats: int) -> dict[str, dict]:
    """context-cite with the answer it generates first, and its ablations alone; one call more warms up."""
    whole, alone = [], []
    for _ in range(1 + repeats):
        with counted(asked.engine.lm) as count:
            cited(asked, each=count.mark)
        whole.append(count.spent)
        alone.append(count.spent - count.marked)
    return {CITING: median(whole[1:]), f"{CITING}, answer given": median(alone[1:])}


def median(every: Sequence[Passes]) -> dict:
    """The last one's counts, which are those of all, and the median of their seconds."""
    seconds = float(np.median([one.seconds for one in every]))
    return replace(every[-1], seconds=seconds).to_dict() | {"repeats": len(every)}


def certified_explanation(engine: Engine, cases: Sequence[Case], *, elements: int = ELEMENTS, count: int = 5) -> dict:
    """Seconds of one certified flip set among all elements, the answer's generation included, by both searches.

    Taken of the `count` cases whose number of elements is nearest to `elements`.
    """
    nearest = sorted(cases, key=lambda c: abs(len(c.elements) - elements))[:count]
    out: dict = {"elements": [len(c.elements) for c in nearest]}
    for search in ("certified", "smallest"):
        explained(engine, nearest[0], search)  # warm-up
        found = [explained(engine, case, search) for case in nearest]
        figures: dict[str, list[float]] = {
            "seconds": [spent.seconds for _, spent in found],
            "rows": [spent.rows for _, spent in found],
            "masks": [one.calls for one, _ in found],
            "size": [len(one.elements) for one, _ in found],
        }
        out[search] = {name: median_interval(values)._asdict() for name, values in figures.items()}
        out[search]["slowest_seconds"] = max(figures["seconds"])
        out[search]["certified"] = proportion([one.certified for one, _ in found])._asdict()
    return out


def explained(engine: Engine, case: Case, search: str) -> tuple[ElementSet, Passes]:
    """A flip set of the case's elements from nothing: `certified` by divide and conquer in the order of one gradient,
    or the `smallest`.
    """
    with counted(engine.lm) as count:
        game = Game.of(engine, case, form="decision")
        if search == "smallest":
            found = smallest_flip_set(game, game.n)
        else:
            found = minimal_flip_set(game, game.n, order=gradient_order(game))
    return found, count.spent
