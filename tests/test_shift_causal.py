"""Deleting what measures rank first: against sums by hand in additive games, and on the tiny reader."""

from dataclasses import dataclass, replace
from itertools import product

import numpy as np
import pandas as pd
import pytest
from explain_cases import cases as tiny_cases
from explain_cases import engine
from tiny import chain_case

from workbench.cases import Case
from workbench.game import Game
from workbench.shift import causal_check, deletions, element_rows, with_measures


@dataclass
class Additive:
    """10 less the worth of what is deleted; the decision is kept above 0."""

    case: Case
    worth: np.ndarray

    @property
    def n(self) -> int:
        return len(self.case.elements)

    def __call__(self, keep: np.ndarray) -> np.ndarray:
        return 10 - (~keep) @ self.worth


def additive(count: int = 4) -> tuple[list[Additive], pd.DataFrame]:
    rng = np.random.default_rng(0)
    cases = [replace(chain_case(), id=f"case {i}", facts=chain_case().facts[: 6 + i % 3]) for i in range(count)]
    games = [Additive(case, rng.permutation(len(case.elements)).astype(float)) for case in cases]
    worths = [game.worth for game in games]
    measures = {"true": worths, "false": [-w for w in worths], "flat": [np.ones(len(w)) for w in worths]}
    measures["half"] = [w if i % 2 else None for i, w in enumerate(worths)]
    return games, with_measures(element_rows(cases), cases, measures)


def test_drops_are_those_of_the_first_elements_and_one_by_chance_is_the_mean_of_all() -> None:
    games, table = additive()
    rows = deletions(games, table, rng=np.random.default_rng(0))
    assert set(rows.measure) == {"true", "false", "half"}  # a constant measure ranks nothing
    assert set(rows[rows.measure == "half"].case) == {"case 1", "case 3"}
    for game in games:
        nodes = len(game.case.nodes)
        for kind, worth in (("node", game.worth[:nodes]), ("fact", game.worth[nodes:])):
            mine = rows[(rows.case == game.case.id) & (rows.kind == kind)]
            for k, name in product((1, 3), ("true", "false")):
                expected = np.sort(worth)[:: -1 if name == "true" else 1][:k].sum()
                (row,) = mine[(mine.k == k) & (mine.measure == name)].itertuples()
                assert row.drop == pytest.approx(expected) and row.flipped == float(expected >= 10)
            single = mine[mine.k == 1]
            np.testing.assert_allclose(single.random_drop, worth.mean())
            np.testing.assert_allclose(single.random_flipped, (worth >= 10).mean())


def test_chance_sets_are_of_the_same_kind_and_as_many() -> None:
    games, table = additive()
    game = games[0]
    game.worth = np.where(np.arange(game.n) < len(game.case.nodes), 1.0, 100.0)
    rows = deletions(games[:1], table[table.case == game.case.id], rng=np.random.default_rng(0), draws=7)
    np.testing.assert_allclose(rows[rows.kind == "node"].random_drop, rows[rows.kind == "node"].k)
    np.testing.assert_allclose(rows[rows.kind == "fact"].random_drop, 100 * rows[rows.kind == "fact"].k)


def test_elements_of_equal_degree_stand_in_for_one_another() -> None:
    games, table = additive(1)
    degree = table["degree"].to_numpy(float)
    games[0].worth = degree
    matched = deletions(games, table, rng=np.random.default_rng(0), ks=(1,), control="degree", draws=20)
    np.testing.assert_allclose(matched["random_drop"], matched["drop"])
    with pytest.raises(ValueError, match="control must be one of kind, degree"):
        deletions(games, table, rng=np.random.default_rng(0), control="size")
    two, table = additive(2)
    with pytest.raises(ValueError, match="in the same order"):
        deletions(two[::-1], table, rng=np.random.default_rng(0))


def test_the_check_compares_case_by_case() -> None:
    games, table = additive(12)
    rows = deletions(games, table, rng=np.random.default_rng(0))
    check = causal_check(rows, rng=np.random.default_rng(0))
    line = check[(check.outcome == "drop") & (check.kind == "fact") & (check.k == 3)].set_index("measure")
    mine = rows[(rows.kind == "fact") & (rows.k == 3) & (rows.measure == "true")]
    assert line.loc["true", "mean"] == pytest.approx(mine["drop"].mean())
    assert line.loc["true", "difference"] == pytest.approx((mine["drop"] - mine["random_drop"]).mean())
    assert line.loc["true", "difference_low"] > 0 > line.loc["false", "difference_high"]
    assert (check["holm"] >= check["p"] - 1e-12).all() and line.loc["half", "n"] == 6
    flips = check[(check.outcome == "flipped") & (check.measure == "true")]
    assert ((flips["mean"] >= 0) & (flips["high"] <= 1)).all()


def test_flips_are_told_from_the_decision_of_a_models_game() -> None:
    run, some = engine(), tiny_cases()
    games = [Game.of(run, case) for case in some]
    scores = {"score": [np.arange(game.n)[::-1].astype(float) for game in games]}
    table = with_measures(element_rows(some), some, scores)
    rows = deletions(games, table, rng=np.random.default_rng(0), ks=(1,), draws=2)
    for game, (_, mine) in zip(games, rows.groupby("case", sort=False), strict=True):
        for row in mine.itertuples():
            first = 0 if row.kind == "node" else len(game.case.nodes)
            keep = np.ones((2, game.n), bool)
            keep[1, first] = False
            values = game(keep)
            assert row.drop == pytest.approx(values[0] - values[1])
            assert row.flipped == float(game.view(form="decision")(keep[1:])[0] <= 0)
