"""Faithfulness of methods over cases: the measures are those of the stats, cost is counted, chance is the control."""

import numpy as np
import pytest
from explain_cases import cases, engine
from table_games import refused

from workbench.attribution import METHODS
from workbench.attribution.faithfulness import COSTS, MEASURES, cells, faithfulness, measured, scored
from workbench.game import Game
from workbench.stats import top_k_drop

NAMES = ("leave_one_out", "gradient_gate")


@pytest.fixture(scope="module")
def rows() -> list[dict]:
    return faithfulness(engine(), cases(), NAMES, masks=16, draws=3)


def test_a_row_for_each_case_and_method(rows: list[dict]) -> None:
    assert [(r["case"], r["method"]) for r in rows] == [(c.id, name) for c in cases() for name in NAMES]
    for row in rows:
        assert {*MEASURES, *COSTS, "control"} < set(row) and set(row["control"]) == set(MEASURES)
        assert -1 <= row["lds"] <= 1


def test_measures_are_those_of_the_games_own_values(rows: list[dict]) -> None:
    game = Game.of(engine(), cases()[1])
    scores = METHODS["leave_one_out"](game).scores
    (row,) = [r for r in rows if (r["case"], r["method"]) == ("two", "leave_one_out")]
    assert row["top_k_drop"] == pytest.approx(top_k_drop(game, np.argsort(-scores, kind="stable"), 3), abs=1e-4)
    assert {name: row[name] for name in MEASURES} == pytest.approx(measured(game, scores, masks=16), abs=1e-4)


def test_cost_is_that_of_a_game_nothing_is_known_of() -> None:
    run = engine()
    game = Game.of(run, cases()[0])
    game(~np.eye(game.n, dtype=bool))  # known now, but not to be counted as free
    first, cost = scored(game, "leave_one_out")
    facts = game.case.keep_facts(np.vstack([np.ones((1, game.n), bool), ~np.eye(game.n, dtype=bool)]))
    assert cost == {"prompts": len(np.unique(facts, axis=0)), "backward_passes": 0}
    assert first == pytest.approx(METHODS["leave_one_out"](game).scores, abs=1e-4)
    assert scored(game, "gradient_gate")[1] == {"prompts": 1, "backward_passes": 1}


def test_scores_without_order_foretell_nothing() -> None:
    game = Game.of(engine(), cases()[0])
    assert measured(game, np.zeros(game.n))["lds"] == 0


def test_cells_carry_n_interval_and_difference_to_chance(rows: list[dict]) -> None:
    table = cells(rows)
    assert list(table) == [*NAMES, "random"]
    for name in NAMES:
        mine = [r for r in rows if r["method"] == name]
        for measure in MEASURES:
            one = table[name][measure]
            assert one["n"] == 3 and one["low"] <= one["mean"] <= one["high"]
            assert one["mean"] == pytest.approx(np.mean([r[measure] for r in mine]))
            expected = np.mean([r[measure] - r["control"][measure] for r in mine])
            assert one["difference"]["mean"] == pytest.approx(expected) and 0 < one["difference"]["p"] <= 1
        assert table[name]["prompts"]["difference"] is None
    assert table["random"]["lds"]["mean"] == pytest.approx(np.mean([r["control"]["lds"] for r in rows[::2]]))
    assert cells([]) == {}


def test_the_same_seed_gives_the_same_rows_and_progress_tells_methods(rows: list[dict]) -> None:
    heard: list[str] = []
    again = faithfulness(engine(), cases(), [*NAMES, "random"], masks=16, draws=3, progress=heard.append)
    assert heard == [*NAMES] * 3
    for one, other in zip(rows, again, strict=True):
        for name in (*MEASURES, *COSTS):
            assert one[name] == pytest.approx(other[name], abs=1e-4)


@pytest.mark.parametrize("name", ["magic", "random_aligned"])
def test_methods_that_cannot_score_a_case_by_themselves_are_refused(name: str) -> None:
    refused(f"'{name}' is no method that scores a case by itself", faithfulness, engine(), cases(), [name])
