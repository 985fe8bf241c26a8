"""Explaining cases by a method, and comparing methods over many cases."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from workbench.cases import Case
from workbench.explain.config import CERTIFIED, LEARNED, ExplainConfig
from workbench.explain.metrics import METRICS
from workbench.explain.result import Explanation
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
        >>> from workbench.cases import example_case
        >>> from workbench.game import Engine
        >>> from workbench.models import load
        >>> case = example_case()
        >>> (found,) = explain(Engine(load(names=case.names)), [case], "certified")
        >>> len(found.removed), found.flipped
        (1, True)
    """
    return Session(engine, cases, seed=seed, config=config, progress=progress).explanations(method, with_base=True)


def records(explanations: Mapping[str, Sequence[Explanation]], *, until_flip: bool = False) -> list[dict]:
    """`Explanation.record()` of every explanation. until_flip: they stopped where the toolchain changed, so what was
    taken by then counts: `elements_taken`, `facts_taken`."""
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


def by_case(
    explanations: Mapping[str, Sequence[Explanation]], methods: Sequence[str] = (*LEARNED, CERTIFIED)
) -> list[Explanation]:
    """The explanations of those of the methods that are there, case by case, methods in the order given."""
    groups = [explanations[method] for method in methods if method in explanations]
    return [one for row in zip(*groups, strict=True) for one in row]


def _mean(name: str, values: Sequence[float], seed: int) -> dict[str, float]:
    if name == "flipped":
        share = proportion(values)
        return {"mean": share.share, "low": share.low, "high": share.high, "n": share.n}
    within = (0, 1) if name in METRICS else (0, np.inf) if name.startswith("facts") else (1, np.inf)
    return bootstrap_mean(values, rng=np.random.default_rng(seed), within=within)._asdict()
