"""Explaining cases by a method, and comparing methods over many cases, and under other orders of the facts: a
certificate is of those in the order shown.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from workbench.cases import Case, toolchain
from workbench.cases.sampling import with_order
from workbench.explain.baselines import CERTIFIED, LEARNED, ExplainConfig
from workbench.explain.counterfactual import Explanation, without
from workbench.explain.metrics import METRICS
from workbench.explain.session import Progress, Session
from workbench.game import Engine
from workbench.stats import PairedDifference, bootstrap_mean, paired_difference, proportion

SUMMARISED = (*METRICS, "flipped", "removed", "facts_removed")
UNTIL_FLIP = ("elements_taken", "facts_taken", "flipped", *METRICS)  # of explanations under the one stopping rule


def explain(
    engine: Engine,
    cases: Sequence[Case],
    method: str = "in_loop",
    *,
    seed: int = 0,
    config: ExplainConfig | None = None,
    progress: Progress | None = None,
) -> list[Explanation]:
    """Explanations of `cases` by one method. Answers on Gc are generated anew from the rendered text, tuned and base.

    ValueError: an unknown method, no cases, a case without facts, or two cases with one id.

    Examples:
        >>> from workbench.game.case_game import example_game
        >>> engine, case = example_game().engine, example_game().case
        >>> (found,) = explain(engine, [case], "certified")
        >>> len(found.removed), found.flipped
        (1, True)
    """
    return Session(engine, cases, seed=seed, config=config, progress=progress).explanations(method, with_base=True)


def records(explanations: Mapping[str, Sequence[Explanation]], *, until_flip: bool = False) -> list[dict]:
    """`Explanation.record()` of every explanation. until_flip: they stopped where the toolchain changed, so what was
    taken by then counts: `elements_taken`, `facts_taken`.

    Examples:
        >>> from workbench.game.case_game import example_game
        >>> game = example_game().view(form="decision")
        >>> (found,) = explain(game.engine, [game.case], "certified")
        >>> [row["removed"] for row in records({"certified": [found]})]
        [1]
    """
    rows = [(e, e.record()) for group in explanations.values() for e in group]
    if until_flip:
        return [row | {"elements_taken": e.elements_taken, "facts_taken": e.facts_taken} for e, row in rows]
    return [row for _, row in rows]


def summarise(
    records: Iterable[Mapping], *, names: Sequence[str] = SUMMARISED, seed: int = 0
) -> dict[str, dict[str, dict[str, float]]]:
    """method -> metric -> {mean, low, high, n} with 95 % intervals over cases: bootstrap-t, of `flipped` Wilson's.

    Metrics: the paper's four, `flipped` (share of cases), `removed` (elements), `facts_removed`, or those in `names`.

    Examples:
        >>> rows = [{"method": "certified", "removed": 1}, {"method": "certified", "removed": 3}]
        >>> summarise(rows, names=["removed"])["certified"]["removed"]["mean"]
        2.0
    """
    groups: dict[str, list[Mapping]] = {}
    for record in records:
        groups.setdefault(record["method"], []).append(record)
    # the same resampled cases for every method and metric
    return {
        method: {name: _mean(name, [float(r[name]) for r in group], seed) for name in names}
        for method, group in groups.items()
    }


def against(
    explanations: Mapping[str, Sequence[Explanation]], method: str, *, metric: str, seed: int = 0
) -> dict[str, PairedDifference]:
    """Other method -> mean over cases of a metric under `method` minus the metric under the other one.

    metric: `elements_taken`, of explanations under the one stopping rule, or one of the paper's four. A metric of the
    answers says how good a method is only where its removals were not chosen by asking for the answers.

    Examples:
        >>> from dataclasses import replace
        >>> from workbench.game.case_game import example_game
        >>> game = example_game().view(form="decision")
        >>> (found,) = explain(game.engine, [game.case], "certified")
        >>> more = replace(found, removed=found.case.facts)
        >>> compared = against({"certified": [found] * 2, "all": [more] * 2}, "certified", metric="elements_taken")
        >>> compared["all"].mean
        -2.0
    """
    values = {
        name: [float(one.metrics[metric] if metric in one.metrics else getattr(one, metric)) for one in group]
        for name, group in explanations.items()
    }
    return {
        name: paired_difference(values[method], other, rng=np.random.default_rng(seed))
        for name, other in values.items()
        if name != method
    }


def by_case(explanations: Mapping[str, Sequence[Explanation]]) -> list[Explanation]:
    """The explanations of the learned methods and the certified one, those that are there, case by case.

    Examples:
        >>> from dataclasses import replace
        >>> from workbench.game.case_game import example_game
        >>> game = example_game().view(form="decision")
        >>> (found,) = explain(game.engine, [game.case], "certified")
        >>> groups = {"certified": [found], "paper": [replace(found, method="paper")]}
        >>> [one.method for one in by_case(groups)]
        ['paper', 'certified']
    """
    groups = [explanations[method] for method in (*LEARNED, CERTIFIED) if method in explanations]
    return [one for row in zip(*groups, strict=True) for one in row]


def _mean(name: str, values: Sequence[float], seed: int) -> dict[str, float]:
    if name == "flipped":
        return proportion(values).as_mean()._asdict()
    within = (0, 1) if name in METRICS else (0, np.inf) if name.startswith("facts") else (1, np.inf)
    return bootstrap_mean(values, rng=np.random.default_rng(seed), within=within)._asdict()


@dataclass(frozen=True)
class OtherOrders:
    """What one case's removal does under other orders of its facts, an entry an order.

    kept: whether the tuned model's toolchain on all facts is still the one on the order shown. flips: whether, in the
    same order, the toolchain without the removed elements is another than the one on all facts.

    Examples:
        >>> one = OtherOrders("one", kept=(True, True), flips=(True, False))
        >>> sum(one.flips) / len(one.flips)
        0.5
    """

    case: str
    kept: tuple[bool, ...]
    flips: tuple[bool, ...]


def other_orders(
    engine: Engine, explanations: Sequence[Explanation], *, orders: int = 5, seed: int = 0, max_new_tokens: int = 32
) -> list[OtherOrders]:
    """Every explanation's removal under so many random orders of the facts, of which none is the one shown.

    2 answers an order and case, in two batches. A case of one fact has no other order and is left out. ValueError:
    orders below 1.

    Examples:
        >>> from workbench.game.case_game import example_game
        >>> game = example_game().view(form="decision")
        >>> (found,) = explain(game.engine, [game.case], "certified")
        >>> (one,) = other_orders(game.engine, [found], orders=2)
        >>> one.case, len(one.flips)
        ('one', 2)
    """
    if orders < 1:
        raise ValueError(f"orders must be 1 or more, not {orders!r}")
    group = [one for one in explanations if len(one.case.facts) > 1]
    rng = np.random.default_rng(seed)
    shuffled = [[_another(one.case, rng) for _ in range(orders)] for one in group]
    full = [case for row in shuffled for case in row]
    changed = [without(case, one.removed) for one, row in zip(group, shuffled, strict=True) for case in row]
    chains = [[toolchain(p) for p in engine.answers(c, max_new_tokens=max_new_tokens)] for c in (full, changed)]
    found = []
    for i, one in enumerate(group):
        before, after = (some[i * orders : (i + 1) * orders] for some in chains)
        kept = tuple(chain == one.toolchains["tuned_full"] for chain in before)
        flips = tuple(a != b for a, b in zip(before, after, strict=True))
        found.append(OtherOrders(one.case.id, kept, flips))
    return found


def order_shares(found: Sequence[OtherOrders], *, seed: int = 0) -> dict[str, Mapping[str, float]]:
    """Shares of the orders, mean over cases with its 95 % interval: `flips`, `kept`, and `flips_where_kept`, of the
    orders that keep the answer on all facts alone, over the cases that have one. Of no case there is none.

    Examples:
        >>> one = OtherOrders("one", kept=(True, True), flips=(True, False))
        >>> order_shares([one])["flips"]["mean"]
        0.5
    """
    both = [tuple(f for f, k in zip(one.flips, one.kept, strict=True) if k) for one in found]
    rows = {"flips": [one.flips for one in found], "kept": [one.kept for one in found], "flips_where_kept": both}
    means = {name: [float(np.mean(some)) for some in row if some] for name, row in rows.items()}
    return {name: _share(values, seed=seed) for name, values in means.items() if values}


def _share(values: Sequence[float], *, seed: int) -> Mapping[str, float]:
    """Mean of shares; where all are 0, or all 1, resampling knows no doubt, and Wilson's interval of cases is given."""
    if set(values) in ({0.0}, {1.0}):
        return proportion(values).as_mean()._asdict()
    return bootstrap_mean(values, rng=np.random.default_rng(seed), within=(0, 1))._asdict()


def _another(case: Case, rng: np.random.Generator) -> Case:
    """The facts in another order than the one shown."""
    while (other := with_order(case, rng)).facts == case.facts:
        pass
    return other
