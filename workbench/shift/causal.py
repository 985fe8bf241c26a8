"""Does what a measure points at matter to the model? The elements it ranks first are deleted and the model asked again.

That two measures rank alike says nothing about whether either is right; this does, on re-rendered text, and beside
elements of the same kind drawn by chance.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from workbench.attribution.chance import degree_matched
from workbench.attribution.oracle import kept
from workbench.game import Game
from workbench.keeps import without
from workbench.shift.agreement import measures_of
from workbench.shift.pairs import KINDS
from workbench.stats import Cell, cell, holm, ranking

CONTROLS = ("kind", "degree")
OUTCOMES = ("drop", "flipped")


def deletions(
    games: Sequence[Game],
    table: pd.DataFrame,
    *,
    rng: np.random.Generator,
    ks: Sequence[int] = (1, 3),
    kinds: Sequence[str] = KINDS,
    control: str = "kind",
    draws: int = 5,
    progress: Callable[[int], None] | None = None,
) -> pd.DataFrame:
    """What deleting each measure's first k elements of a kind does to the answer, a row a case, measure, kind and k.

    games: of the log-probability of the answer, one for each case of the table and in its order. table: what
    `Measurement.table` gave. Columns: `case, measure, kind, k, drop` (nats of log-probability lost), `flipped` (whether
    the toolchain changed), and `random_drop, random_flipped`: means over chance sets. control: `kind` = k elements of
    the same kind, for k = 1 every element once, which is exact, else `draws` sets, the same for all measures; `degree`
    = for each one of its kind with the nearest degree, maybe itself, `draws` times. Equal scores come in random order.
    progress: called with the cases done. A case with fewer than k elements of the kind is left out, and for a measure
    one in which it is not known or ranks nothing, being constant.
    ValueError: another control, or games that are not those of the table.
    """
    if control not in CONTROLS:
        raise ValueError(f"control must be one of {', '.join(CONTROLS)}, not {control!r}")
    groups = list(table.groupby("case", sort=False))
    if [game.case.id for game in games] != [case for case, _ in groups]:
        raise ValueError(f"{len(games)} games must be those of the table's {len(groups)} cases, in the same order")
    rows = []
    for done, (game, (_, group)) in enumerate(zip(games, groups, strict=True), start=1):
        plans = _planned(game, group, ks=ks, kinds=kinds, control=control, draws=draws, rng=rng)
        rows += _asked(game, list(plans))
        if progress:
            progress(done)
    return pd.DataFrame(rows, columns=["case", "measure", "kind", "k", *OUTCOMES, *(f"random_{o}" for o in OUTCOMES)])


class Deletion(NamedTuple):
    """One comparison: the sets are element numbers."""

    measure: str
    kind: str
    k: int
    chosen: tuple[int, ...]
    by_chance: tuple[tuple[int, ...], ...]


def _asked(game: Game, plans: Sequence[Deletion]) -> list[tuple]:
    """The rows of one case: all masks are asked together."""
    sets = {one: None for plan in plans for one in (plan.chosen, *plan.by_chance)}
    keep = without(game.n, [*sets, ()])
    values, same = game(keep), kept(game, keep)
    outcome = {one: (values[-1] - v, float(not s)) for one, v, s in zip(sets, values, same, strict=False)}
    rows = []
    for plan in plans:
        chance = np.mean([outcome[one] for one in plan.by_chance], axis=0)
        rows.append((game.case.id, plan.measure, plan.kind, plan.k, *outcome[plan.chosen], *chance))
    return rows


def _planned(
    game: Game,
    group: pd.DataFrame,
    *,
    ks: Sequence[int],
    kinds: Sequence[str],
    control: str,
    draws: int,
    rng: np.random.Generator,
) -> Iterator[Deletion]:
    for kind in kinds:
        rows = group[group["kind"] == kind]
        pool = rows["element"].to_numpy(int)
        for k in (k for k in ks if k <= len(pool)):
            alike = _by_chance(pool, k, draws=draws, rng=rng)
            for name in measures_of(group):
                scores = rows[name].to_numpy(float)
                if np.isfinite(scores).all() and np.ptp(scores) > 0:
                    chosen = tuple(sorted(pool[ranking(scores, rng=rng)[:k]].tolist()))
                    matched = control == "degree"
                    sets = _by_degree(game, chosen, draws=draws, rng=rng) if matched else alike
                    yield Deletion(name, kind, k, chosen, sets)


def _by_chance(pool: np.ndarray, k: int, *, draws: int, rng: np.random.Generator) -> tuple[tuple[int, ...], ...]:
    if k == 1:
        return tuple((int(one),) for one in pool)
    return tuple(tuple(sorted(rng.permutation(pool)[:k].tolist())) for _ in range(draws))


def _by_degree(
    game: Game, chosen: Sequence[int], *, draws: int, rng: np.random.Generator
) -> tuple[tuple[int, ...], ...]:
    sets = []
    for _ in range(draws):
        order = ranking(degree_matched(game, game.case, rng=rng, reference=chosen))
        sets.append(tuple(sorted(order[: len(chosen)].tolist())))
    return tuple(sets)


def causal_check(rows: pd.DataFrame, *, rng: np.random.Generator) -> pd.DataFrame:
    """The rows of `deletions` summed up: one for each outcome, kind, k and measure.

    Columns: `outcome` (`drop`, nats; `flipped`, share of cases), `kind, k, measure, mean, low, high, n` (95 % interval
    over cases), `random` (mean of the chance sets), `difference, difference_low, difference_high, p` (paired, with a
    sign-flip p-value) and `holm`, p adjusted for all rows of the same outcome. No measure can drop more than `leave one
    out` does with k = 1: it reads this drop off. As many elements go for every measure, whatever the answer does; but
    `certified set` marks what was found by asking which removals flip, so its flips are no discovery.
    """
    found = []
    for outcome in OUTCOMES:
        for (kind, k, measure), group in rows.groupby(["kind", "k", "measure"], sort=False):
            values, control = (group[f"{end}{outcome}"].to_numpy(float) for end in ("", "random_"))
            one = cell(values, control, rng=rng, share=outcome == "flipped")
            found.append((outcome, kind, k, measure, *_flat(one), control.mean(), *_difference(one)))
    columns = ["outcome", "kind", "k", "measure", "mean", "low", "high", "n", "random"]
    table = pd.DataFrame(found, columns=[*columns, "difference", "difference_low", "difference_high", "p"])
    table["holm"] = table.groupby("outcome", sort=False)["p"].transform(lambda p: holm(p.to_numpy()))
    return table


def _flat(one: Cell) -> tuple[float, ...]:
    return one.mean, one.low, one.high, one.n


def _difference(one: Cell) -> tuple[float, ...]:
    found = one.difference
    return (np.nan,) * 4 if found is None else (found.mean, found.low, found.high, found.p)
