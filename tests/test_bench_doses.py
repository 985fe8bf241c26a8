"""Benchmark of doses: its lines are what the games say, the reduced adapter it writes answers as was foretold."""

from dataclasses import replace

import numpy as np
import pytest
from dosed_models import shipped
from tiny import chain_case

from workbench.bench import doses
from workbench.game import Engine, ModuleGame
from workbench.keeps import without
from workbench.shift import contests, dose_path, to_singular_parts

CASE = chain_case()


@pytest.fixture(scope="module")
def played(tmp_path_factory):
    """The shipped reader with an adapter that leads it to the case's answer, its folder, its game and its maps."""
    lm = shipped()
    folder = tmp_path_factory.mktemp("adapter")
    lm.model.save_pretrained(folder)
    to_singular_parts(lm.model)
    engine = Engine(lm)
    games = contests(engine, [CASE], form="logprob")
    return engine, folder, games, {unit: dose_path(games, unit=unit, steps=2) for unit in ("module", "part")}


def test_lines_hold_the_shares_that_go_with_the_top_units(played, monkeypatch):
    engine, _, games, maps = played
    monkeypatch.setattr(doses, "DRAWS", 3)
    rows = doses.removals(engine, games, maps, rng=np.random.default_rng(0))
    assert [(r["unit"], r["off"], r["of"]) for r in rows] == [("module", 1, 12), ("module", 2, 12), ("part", 5, 48)]
    play = ModuleGame(games[0])
    tuned, base, off = play(
        np.vstack([np.ones(12), np.zeros(12), without(play.n, [np.argsort(-maps["module"][0])[:2]])])
    )
    assert rows[1]["map"] == pytest.approx((tuned - off) / (tuned - base), abs=1e-4)
    assert all(r["random sets"] == 3 and r["parameters"] > 0 for r in rows)


def test_the_smallest_part_is_judged_on_other_cases_from_its_folder(played):
    engine, folder, _, maps = played
    cases = [CASE, replace(CASE, id="again")]
    rows = doses.smallest_parts(engine, cases, {"module": maps["module"]}, folder)
    (row,) = rows
    assert row["base"]["exact"] == 0 and row["reduced"]["exact"] == row["tuned"]["exact"] == row["loaded"]["share"] == 1
    assert row["kept"] <= row["of"] == 12 and row["part"] == pytest.approx(row["kept"] / 12)
    assert row["bytes"] < (folder / "adapter_model.safetensors").stat().st_size or row["kept"] == 12


def test_responses_go_from_base_to_tuned(played):
    engine, _, games, _ = played
    found = doses.response(engine, games, 1, rng=np.random.default_rng(0))
    play = ModuleGame(games[0])
    ends = play(np.vstack([np.zeros(12), np.ones(12)]))
    at = {row["dose"]: row["mean"] for row in found["margin"]}
    assert [at[0.0], at[1.0]] == pytest.approx(ends.tolist(), abs=1e-4)
    exact = {row["dose"]: row["share"] for row in found["exact_path"]}
    assert exact[0.0] == 0 and exact[1.0] == 1
