"""Do measures of the same elements agree, and does what they point at matter to the model?

Agreement, pair by pair over many cases, stands against values dealt out by chance. Everything is compared within a
case, by ranks: measures have different units, and how large they get differs from case to case. The case is the unit of
the statistics; its elements are not independent of one another. That two measures rank alike says nothing about whether
either is right. Deleting the elements that each ranks first does, on re-rendered text, and beside elements of the same
kind drawn by chance.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, combinations

import numpy as np
import pandas as pd

from workbench import stats
from workbench.attribution.method import degree_matched
from workbench.attribution.result import kept
from workbench.game import Game
from workbench.shift.element_measures import measures_of
from workbench.stats.games import without

KINDS = ("node", "fact")
COLUMNS = ("mean", "low", "high", "n", "random_low", "random_high", "p")
BLOCK = 1000  # permutations held at once


def agreement_tests(
    table: pd.DataFrame,
    *,
    rng: np.random.Generator,
    kinds: Iterable[str] = KINDS,
    statistics: Sequence[str] = stats.STATISTICS,
    draws: int = 4999,
    control: str | None = None,
) -> pd.DataFrame:
    """Mean rank correlation of every two measures on the elements of each kind, with what chance would reach.

    table: what `Measurement.table` gave; a case counts for a pair where both measures are known of
    all its elements of the kind and neither is constant. statistics: `kendall` (tau-b), `spearman`.
    control: a column, say `degree`, that is held fixed: coefficients are partial ones, and values are dealt out anew
    among elements that are equal in it.

    A row a statistic, kind and pair: `statistic, kind, first, second, mean, low, high, n` (95 % bootstrap-t over the n
    cases), `random_low, random_high` (where 95 % of the means lie when in each case the second measure's values are
    dealt out anew among its elements, `draws` times: what vectors of the same values would reach), `p` (two-sided, of
    that permutation, never below 1 / (draws + 1)), and `holm`, `bh`: p adjusted for all pairs and kinds of the same
    statistic (false alarms at all, share of false alarms). `holm` cannot fall below pairs x kinds / (draws + 1): draw
    enough. Without a case, n is 0 and the rest NaN.

    Examples:
        >>> from workbench.cases import example_case
        >>> from workbench.shift import element_rows, with_measures
        >>> cases, values = [example_case()], [[1, 2, 3, 4, 1, 2, 3]]
        >>> table = with_measures(element_rows(cases), cases, {"attention": values, "gradient": values})
        >>> how = {"rng": np.random.default_rng(0), "kinds": ["fact"], "statistics": ["kendall"], "draws": 9}
        >>> found = agreement_tests(table, **how)
        >>> found[["first", "second", "mean"]].values.tolist()
        [['attention', 'gradient', 1.0]]
    """
    found = []
    for kind in kinds:
        of_kind = _of_kind(table[table["kind"] == kind], statistics, rng=rng, draws=draws, control=control)
        for statistic, rows in of_kind.items():
            found.append(rows.assign(statistic=statistic, kind=kind))
    whole = pd.concat(found, ignore_index=True)
    for name, adjust in (("holm", stats.holm), ("bh", stats.benjamini_hochberg)):
        whole[name] = whole.groupby("statistic", sort=False)["p"].transform(lambda p, f=adjust: f(p.to_numpy()))
    return whole[["statistic", "kind", "first", "second", *COLUMNS, "holm", "bh"]]


def _of_kind(
    table: pd.DataFrame, statistics: Sequence[str], *, rng: np.random.Generator, draws: int, control: str | None
) -> dict[str, pd.DataFrame]:
    """statistic -> a row a pair of measures."""
    names = measures_of(table)
    pairs = len(names) * (len(names) - 1) // 2
    found: dict[str, list[np.ndarray]] = {name: [] for name in statistics}  # a case, (pairs,), NaN where undefined
    sums = {name: np.zeros((pairs, draws)) for name in statistics}  # over the cases where a pair is defined
    for _, group in table.groupby("case", sort=False):
        values = group[names].to_numpy(float).T  # (measures, n)
        fixed = None if control is None else group[control].to_numpy(float)
        for start in range(0, draws, BLOCK):
            deals = stats.deal(values.shape[1], min(BLOCK, draws - start), rng=rng, strata=fixed)
            for name in statistics:
                dealt = _of_pairs(stats.dealt_correlations(values, deals, statistic=name), values, fixed, name)
                sums[name][:, start : start + len(deals)] += np.nan_to_num(dealt, nan=0.0)
        for name in statistics:
            own = stats.rank_correlations(values, statistic=name)[..., None]
            found[name].append(_of_pairs(own, values, fixed, name)[:, 0])
    return {name: _rows(names, np.array(found[name]).reshape(-1, pairs), sums[name], rng) for name in statistics}


def _of_pairs(matrix: np.ndarray, values: np.ndarray, fixed: np.ndarray | None, statistic: str) -> np.ndarray:
    """(pairs, draws), i < j, of (measures, measures, draws), the control held fixed where there is one."""
    i, j = np.triu_indices(len(values), 1)
    if fixed is None or not np.ptp(fixed):
        return matrix[i, j]
    # within strata of the control no deal changes how a measure goes with it
    with_control = stats.rank_correlations(np.vstack([values, fixed]), statistic=statistic)[-1, :-1, None]
    return stats.partial(matrix[i, j], with_control[i], with_control[j])


def _rows(names: Sequence[str], found: np.ndarray, dealt: np.ndarray, rng: np.random.Generator) -> pd.DataFrame:
    """A row a pair. found: (cases, pairs); dealt: (pairs, draws), summed over the cases that are known."""
    rows: list[tuple] = []
    for k, (first, second) in enumerate(combinations(names, 2)):
        values = found[~np.isnan(found[:, k]), k]
        if len(values):
            mean, low, high, n = stats.bootstrap_mean(values, rng=rng, within=(-1, 1))
            means = dealt[k] / n
            chance = (*np.quantile(means, [0.025, 0.975]), stats.permutation_p(mean, means))
            rows.append((first, second, mean, low, high, n, *chance))
        else:
            rows.append((first, second, *[np.nan] * 3, 0, *[np.nan] * 3))
    return pd.DataFrame(rows, columns=["first", "second", *COLUMNS])


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

    Examples:
        >>> from workbench.game.case_game import example_game
        >>> from workbench.shift import element_rows, with_measures
        >>> game = example_game()
        >>> table = with_measures(element_rows([game.case]), [game.case], {"attention": [range(7)]})
        >>> rows = deletions([game], table, rng=np.random.default_rng(0), ks=[1], kinds=["fact"])
        >>> rows["measure"].tolist(), bool(rows["drop"][0] > 0)  # without the last fact the answer is less likely
        (['attention'], True)
    """
    if control not in CONTROLS:
        raise ValueError(f"control must be one of {', '.join(CONTROLS)}, not {control!r}")
    groups = list(table.groupby("case", sort=False))
    if [game.case.id for game in games] != [case for case, _ in groups]:
        raise ValueError(f"{len(games)} games must be those of the table's {len(groups)} cases, in the same order")
    rows = []
    for done, (game, (_, group)) in enumerate(zip(games, groups, strict=True), start=1):
        places = ((kind, k) for kind in kinds for k in ks)
        plans = (_planned(game, group, *place, control=control, draws=draws, rng=rng) for place in places)
        rows += _asked(game, list(chain.from_iterable(plans)))
        if progress:
            progress(done)
    return pd.DataFrame(rows, columns=["case", "measure", "kind", "k", *OUTCOMES, *(f"random_{o}" for o in OUTCOMES)])


Deletion = tuple[tuple[str, str, int], tuple[int, ...], tuple[tuple[int, ...], ...]]
"""One comparison: measure, kind and k; the element numbers chosen; those of the sets by chance."""


def _asked(game: Game, plans: Sequence[Deletion]) -> list[tuple]:
    """The rows of one case: all masks are asked together."""
    sets = {one: None for _, chosen, by_chance in plans for one in (chosen, *by_chance)}
    keep = without(game.n, [*sets, ()])
    same, values = kept(game, keep), game(keep)  # in this order: a pass that decides says how likely the answer is too
    outcome = {one: (values[-1] - v, float(not s)) for one, v, s in zip(sets, values, same, strict=False)}
    rows = []
    for place, chosen, by_chance in plans:
        chance = np.mean([outcome[one] for one in by_chance], axis=0)
        rows.append((game.case.id, *place, *outcome[chosen], *chance))
    return rows


def _planned(
    game: Game, group: pd.DataFrame, kind: str, k: int, *, control: str, draws: int, rng: np.random.Generator
) -> Iterator[Deletion]:
    rows = group[group["kind"] == kind]
    pool = rows["element"].to_numpy(int)
    if k > len(pool):
        return
    alike = _by_chance(pool, k, draws=draws, rng=rng)
    for name in measures_of(group):
        scores = rows[name].to_numpy(float)
        if np.isfinite(scores).all() and np.ptp(scores) > 0:
            chosen = tuple(sorted(pool[stats.ranking(scores, rng=rng)[:k]].tolist()))
            matched = control == "degree"
            yield (name, kind, k), chosen, _by_degree(game, chosen, draws=draws, rng=rng) if matched else alike


def _by_chance(pool: np.ndarray, k: int, *, draws: int, rng: np.random.Generator) -> tuple[tuple[int, ...], ...]:
    if k == 1:
        return tuple((int(one),) for one in pool)
    return tuple(tuple(sorted(rng.permutation(pool)[:k].tolist())) for _ in range(draws))


def _by_degree(
    game: Game, chosen: Sequence[int], *, draws: int, rng: np.random.Generator
) -> tuple[tuple[int, ...], ...]:
    orders = (stats.ranking(degree_matched(game, game.case, rng=rng, reference=chosen)) for _ in range(draws))
    return tuple(tuple(sorted(order[: len(chosen)].tolist())) for order in orders)


def causal_check(rows: pd.DataFrame, *, rng: np.random.Generator) -> pd.DataFrame:
    """The rows of `deletions` summed up: one for each outcome, kind, k and measure.

    Columns: `outcome` (`drop`, nats; `flipped`, share of cases), `kind, k, measure, mean, low, high, n` (95 % interval
    over cases), `random` (mean of the chance sets), `difference, difference_low, difference_high, p` (paired, with a
    sign-flip p-value) and `holm`, p adjusted for all rows of the same outcome. No measure can drop more than `leave one
    out` does with k = 1: it reads this drop off. As many elements go for every measure, whatever the answer does; but
    `certified set` marks what was found by asking which removals flip, so its flips are no discovery.

    Examples:
        >>> row = {"measure": "attention", "kind": "fact", "k": 1, "flipped": 1.0, "random_flipped": 0.5}
        >>> rows = pd.DataFrame([{**row, "drop": drop, "random_drop": 1.0} for drop in (2.0, 4.0)])
        >>> causal_check(rows, rng=np.random.default_rng(0))[["outcome", "mean", "random"]].values.tolist()
        [['drop', 3.0, 1.0], ['flipped', 1.0, 0.5]]
    """
    found = []
    for outcome in OUTCOMES:
        for (kind, k, measure), group in rows.groupby(["kind", "k", "measure"], sort=False):
            values, control = (group[f"{end}{outcome}"].to_numpy(float) for end in ("", "random_"))
            mean = stats.proportion(values).as_mean() if outcome == "flipped" else stats.bootstrap_mean(values, rng=rng)
            apart = stats.paired_difference(values, control, rng=rng)
            found.append((outcome, kind, k, measure, *mean, control.mean(), *apart[:3], apart.p))
    columns = ["outcome", "kind", "k", "measure", "mean", "low", "high", "n", "random"]
    table = pd.DataFrame(found, columns=[*columns, "difference", "difference_low", "difference_high", "p"])
    table["holm"] = table.groupby("outcome", sort=False)["p"].transform(lambda p: stats.holm(p.to_numpy()))
    return table
