"""Explaining cases by a method, and comparing methods over many cases."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from workbench.cases import Case
from workbench.explain.baselines import BASELINES
from workbench.explain.metrics import METRICS
from workbench.explain.result import Explanation
from workbench.explain.session import METHODS, ExplainConfig, Progress, Session
from workbench.game import Engine
from workbench.stats import bootstrap_mean

SUMMARISED = (*METRICS, "flipped", "removed", "facts_removed")


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
    """
    return Session(engine, cases, seed=seed, config=config, progress=progress).explanations(method, with_base=True)


def explain_all(
    engine: Engine,
    cases: Sequence[Case],
    *,
    methods: Sequence[str] = METHODS,
    seed: int = 0,
    config: ExplainConfig | None = None,
    progress: Progress | None = None,
) -> dict[str, list[Explanation]]:
    """Method -> explanations of `cases`; the base model does not answer for the baselines.

    Answers on G, masks and attention are computed once and shared. ValueError: see `explain`.
    """
    session = Session(engine, cases, seed=seed, config=config, progress=progress)
    session.check(methods)
    return {method: session.explanations(method, with_base=method not in BASELINES) for method in methods}


def compare(
    engine: Engine,
    cases: Sequence[Case],
    *,
    methods: Sequence[str] = METHODS,
    seed: int = 0,
    config: ExplainConfig | None = None,
    progress: Progress | None = None,
) -> list[dict]:
    """One record per method and case: `records(explain_all(...))`."""
    return records(explain_all(engine, cases, methods=methods, seed=seed, config=config, progress=progress))


def records(explanations: Mapping[str, Sequence[Explanation]]) -> list[dict]:
    """`Explanation.record()` of every explanation."""
    return [e.record() for group in explanations.values() for e in group]


def summarise(records: Iterable[Mapping], *, seed: int = 0) -> dict[str, dict[str, dict[str, float]]]:
    """method -> metric -> {mean, low, high, n} with 95 % bootstrap intervals over cases.

    Metrics: the paper's four, `flipped` (share of cases), `removed` (elements), `facts_removed`.
    """
    groups: dict[str, list[Mapping]] = {}
    for record in records:
        groups.setdefault(record["method"], []).append(record)
    # the same resampled cases for every method and metric
    return {
        method: {
            name: bootstrap_mean([float(r[name]) for r in group], rng=np.random.default_rng(seed))._asdict()
            for name in SUMMARISED
        }
        for method, group in groups.items()
    }
