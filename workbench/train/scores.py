"""Answers of a model to cases, told exact or valid, one by one and as shares with intervals."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from workbench.cases import Case, toolchain, withhold
from workbench.game import Engine
from workbench.stats import proportion
from workbench.train.views import renamed


def is_valid(path: Sequence[str], case: Case, edges: set[tuple[str, str]]) -> bool:
    """Right start, right end, and every step a known edge.

    Examples:
        >>> case = Case("one", "source:sra", "format_2572", (), (), {})
        >>> edges = {("source:sra", "command:star"), ("command:star", "format_2572")}
        >>> is_valid(["source:sra", "command:star", "format_2572"], case, edges), is_valid(["source:sra"], case, edges)
        (True, False)
    """
    steps = list(itertools.pairwise(path))
    return bool(steps) and path[0] == case.source and path[-1] == case.target and edges.issuperset(steps)


def score(
    engine: Engine,
    cases: Sequence[Case],
    *,
    share: float,
    adapter: bool,
    edges: set[tuple[str, str]],
    seed: int,
    always_shown: Sequence[str] = (),
    progress: Callable[[int], None] | None = None,
) -> list[dict]:
    """One record a case: `exact` (the toolchain is the case's) and `valid` (every step an edge of the graph).

    The same seed withholds the same facts, so that base and tuned are compared on the same prompts.

    Examples:
        >>> from workbench.game.case_game import example_game
        >>> engine, case = example_game().engine, example_game().case
        >>> edges = set(itertools.pairwise(case.path))
        >>> (row,) = score(engine, [case], share=0.0, adapter=False, edges=edges, seed=0)
        >>> row["exact"], row["withheld"]
        (True, 0)
    """
    rng = np.random.default_rng(seed)
    shown = [withhold(c, share, rng=rng, always_shown=always_shown) for c in cases]
    longest = max(len(engine.answer_ids(c, c.path)) for c in shown)
    paths = engine.answers(shown, adapter=adapter, max_new_tokens=2 * longest, progress=progress)
    return [
        {
            "case": c.id,
            "split": c.split,
            "withheld": len(c.withheld),
            "exact": toolchain(p) == c.toolchain,
            "valid": is_valid(p, c, edges),
            "answer": list(p),
        }
        for c, p in zip(shown, paths, strict=True)
    ]


def judged(
    engine: Engine,
    splits: Mapping[str, Sequence[Case]],
    shares: Sequence[float],
    *,
    adapter: bool,
    seed: int,
    **how: Any,
) -> Iterator[list[dict]]:
    """Records of `score` with `model` (base, tuned) and `share`, a list for every split and share, in this order.

    Last come those of the split `made_up`: the cases of `held_out` with a made-up name for every name and nothing
    withheld, which nobody can remember. how: what else `score` takes.

    Examples:
        >>> from workbench.game.case_game import example_game
        >>> game = example_game()
        >>> edges = set(itertools.pairwise(game.case.path))
        >>> (row,) = next(judged(game.engine, {"held_out": [game.case]}, [0.0], adapter=True, seed=0, edges=edges))
        >>> row["model"], row["share"], row["exact"]
        ('tuned', 0.0, True)
    """
    groups = [(engine, cases, share) for cases in splits.values() for share in shares if cases]
    if splits.get("held_out"):
        made_up, other = renamed(splits["held_out"], engine.lm, seed=seed)
        groups.append((replace(engine, lm=other), made_up, 0.0))
    for one, cases, share in groups:
        rows = score(one, cases, share=share, adapter=adapter, seed=seed, **how)
        yield [row | {"model": "tuned" if adapter else "base", "share": share} for row in rows]


def shares_right(
    answers: Sequence[Mapping[str, Any]], *, by: Sequence[str] = ("split", "model", "share")
) -> list[dict[str, Any]]:
    """Records of `score` as shares of cases: one row for every `metric`, `exact` and `valid`, and combination of the
    fields `by`, in the order of first mention, with `mean`, `low`, `high` (95 %, Wilson 1927) and `n`.

    Examples:
        >>> answers = [{"split": "held_out", "exact": exact, "valid": True} for exact in (True, False)]
        >>> [(row["metric"], row["mean"], row["n"]) for row in shares_right(answers, by=["split"])]
        [('exact', 0.5, 2), ('valid', 1.0, 2)]
    """
    groups: dict[tuple[Any, ...], list[Mapping[str, Any]]] = {}
    for answer in answers:
        groups.setdefault(tuple(answer[field] for field in by), []).append(answer)
    rows = []
    for group, some in groups.items():
        for metric in ("exact", "valid"):
            share = proportion([answer[metric] for answer in some]).as_mean()
            rows.append(dict(zip(by, group, strict=True)) | {"metric": metric} | share._asdict())
    return rows
