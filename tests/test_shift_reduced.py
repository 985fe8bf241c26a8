"""Reduced adapters: the same update in singular parts, folders that load anywhere, the smallest part that is enough.
Deleting what measures rank first: against sums by hand in additive games, and on the tiny reader."""

import itertools
import json
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
import pandas as pd
import pytest
import torch
from dosed_models import shipped, tiny
from explain_cases import cases as tiny_cases
from explain_cases import engine
from hypothesis import given
from hypothesis import strategies as st
from peft import PeftModel
from refusals import refused
from shift_adapters import one_module
from shift_adapters import save_adapter as save_random
from tiny import NAMES, chain_case, tiny_reader

from workbench import models, shift
from workbench.cases import Case, toolchain
from workbench.game import Engine, Game, adapted_modules, unit_names
from workbench.shift import AdapterError, Factors, causal_check, deletions, element_rows, read_factors, with_measures

CASE = chain_case()


def update(one: Factors) -> np.ndarray:
    return one.scaling * one.B @ one.A


@given(*[st.integers(1, 9)] * 2, st.integers(1, 12), st.sampled_from([2.0, 0.3, -1.5]))
def test_singular_parts_are_the_same_update_by_its_directions(out, into, rank, scaling):
    rng = np.random.default_rng(out * 100 + into * 10 + rank)
    one = Factors("m.0.q", 0, "q", rank, scaling, rng.normal(size=(rank, into)), rng.normal(size=(out, rank)))
    parts = shift.singular_parts(one)
    assert update(parts) == pytest.approx(update(one), abs=1e-9)
    energies = list(shift.part_energies([parts]).values())
    values = shift.singular_values(one)
    assert energies[: len(values)] == pytest.approx(values**2, abs=1e-9) and energies == sorted(energies, reverse=True)
    best = np.linalg.svd(update(one))
    kept = shift.reduced([parts], {"m.0.q #0"})[0]
    assert update(kept) == pytest.approx(best.S[0] * np.outer(best.U[:, 0], best.Vh[0]), abs=1e-8)  # Eckart-Young


def test_no_change_has_no_directions():
    zero = Factors("m", 0, "q", 2, 1.0, np.ones((2, 3)), np.zeros((4, 2)))
    assert not update(shift.singular_parts(zero)).any()


def logits(lm, **how):
    engine = Engine(lm)
    with torch.no_grad():
        return engine.logits([engine.prompt(CASE)], [engine.answer_ids(CASE, CASE.path)], **how)[0]


def test_a_loaded_adapter_turned_to_singular_parts_computes_the_same():
    lm = tiny()
    before = logits(lm)
    factors = [shift.factors_of(m) for m in adapted_modules(lm.model)]
    shift.to_singular_parts(lm.model)
    assert torch.allclose(logits(lm), before, atol=1e-4)
    turned = [shift.factors_of(m) for m in adapted_modules(lm.model)]
    for one, other in zip(factors, turned, strict=True):
        assert update(other) == pytest.approx(update(one), abs=1e-5)
        gram = other.A @ other.A.T
        assert gram == pytest.approx(np.diag(np.diag(gram)), abs=1e-4)


@pytest.mark.parametrize("unit", ["module", "part"])
def test_a_reduced_folder_loads_by_peft_and_by_us_as_the_dose_foretold(tmp_path, unit):
    lm = tiny()
    lm.model.save_pretrained(tmp_path / "whole")
    shift.to_singular_parts(lm.model)
    names = unit_names(adapted_modules(lm.model), unit)
    keep = np.random.default_rng(3).random(len(names)) < 0.5
    keep[:2], keep[-1] = False, True
    foretold = logits(lm, doses=torch.tensor(keep[None], dtype=torch.float32))
    factors = [shift.singular_parts(f) for f in read_factors(tmp_path / "whole")]
    chosen = {name for name, k in zip(names, keep, strict=True) if k}
    left = shift.reduced(factors, chosen)
    folder = shift.save_adapter(tmp_path / "part", left, like=tmp_path / "whole")
    loaded = PeftModel.from_pretrained(tiny_reader().model, folder).eval()
    lm.model = loaded
    assert torch.allclose(logits(lm), foretold, atol=1e-4)
    assert {m.name for m in adapted_modules(loaded)} == {one.module for one in left}
    for one, other in zip(read_factors(folder), left, strict=True):
        assert (one.module, one.rank) == (other.module, other.rank)
        assert update(one) == pytest.approx(update(other), abs=1e-5)
    whole, small = ((tmp_path / name / "adapter_model.safetensors").stat().st_size for name in ("whole", "part"))
    assert small < 0.8 * whole
    config, whole = (json.loads((tmp_path / name / "adapter_config.json").read_text()) for name in ("part", "whole"))
    assert config["target_modules"] == sorted(one.module for one in left)
    assert config["base_model_name_or_path"] == whole["base_model_name_or_path"]


def test_a_reduced_folder_loads_through_models_load(tmp_path):
    lm = shipped(four_bit=True)
    lm.model.save_pretrained(tmp_path / "whole")
    left = shift.reduced(read_factors(tmp_path / "whole"), {one_module(1, "v_proj")})
    folder = shift.save_adapter(tmp_path / "part", left, like=tmp_path / "whole")
    keep = torch.zeros(1, 12)
    keep[0, 3] = 1
    foretold = logits(lm, doses=keep)
    again = models.load(names=NAMES, adapter=folder)
    assert torch.allclose(logits(again), foretold, atol=1e-4)


def test_scalings_and_dtypes_of_the_source_stay(tmp_path):
    shapes = {one_module(0): (6, 5, 4), one_module(1): (6, 5, 2), one_module(11, "v_proj"): (6, 5, 4)}
    half = {"rank_pattern": {one_module(1): 2}, "alpha_pattern": {one_module(1): 3}, "use_rslora": True}
    save_random(tmp_path / "whole", shapes, **half, target_modules=["q_proj", "v_proj"], layers_to_transform=[0, 1, 11])
    factors = list(read_factors(tmp_path / "whole"))
    folder = shift.save_adapter(tmp_path / "part", factors, like=tmp_path / "whole")
    for one, other in zip(read_factors(folder), factors, strict=True):
        assert (one.module, one.rank) == (other.module, other.rank)
        assert update(one) == pytest.approx(update(other), abs=1e-5) and one.scaling == pytest.approx(other.scaling)
    config = json.loads((folder / "adapter_config.json").read_text())
    assert not config["use_rslora"] and config["layers_to_transform"] is None
    assert config["rank_pattern"] == {one_module(1): 2}


def test_wrong_reductions_are_refused(tmp_path):
    save_random(tmp_path / "whole", {one_module(): (4, 4, 4)})
    factors = list(read_factors(tmp_path / "whole"))
    refused("no unit 'model", shift.reduced, factors, {one_module(9)})
    with pytest.raises(AdapterError, match="one or more unlike modules"):
        shift.save_adapter(tmp_path / "part", shift.reduced(factors, set()), like=tmp_path / "whole")
    refused("give another folder", shift.save_adapter, tmp_path / "whole", factors, like=tmp_path / "whole")


def test_exact_at_generates_and_looks_token_by_token():
    engine = Engine(shipped())
    doses = np.vstack([np.ones(12), np.zeros(12)])
    answers = [engine.answers([CASE], adapter=a, max_new_tokens=40)[0] for a in (True, False)]
    expected = [[toolchain(a) == CASE.toolchain] for a in answers]
    assert expected == [[True], [False]]
    for measure in ("toolchain", "path"):
        assert shift.exact_at(engine, [CASE], doses, measure=measure).tolist() == expected
    refused("one of toolchain, path", shift.exact_at, engine, [CASE], doses, measure="valid")


def test_the_smallest_part_is_enough_and_one_less_is_not():
    engine = Engine(shipped())
    order = list(range(12))
    found = shift.smallest_part(engine, [CASE], order)
    kept = shift.kept_accuracy(engine, [CASE], order, sizes=range(13), measure="path")
    assert found.wanted == 0.95 and found.units == tuple(order[: len(found.units)])
    assert kept["exact"][len(found.units)] == 1 and kept["exact"][len(found.units) - 1] == 0
    assert kept["parameters"].iloc[-1] == sum(p.numel() for k, p in engine.lm.model.named_parameters() if "lora" in k)
    assert kept["part"].iloc[-1] == 1 and kept["lost"][0] == 1 and kept["lost"].iloc[-1] == 0
    refused("none of 1 cases right", shift.smallest_part, engine, [replace(CASE, path=CASE.path[:4])], order)
    refused("each of the 12 units once", shift.kept_accuracy, engine, [CASE], order[:5], sizes=[1])


@given(st.integers(1, 5000))
def test_a_ladder_climbs_from_nothing_to_all(n):
    steps = shift.ladder(n)
    assert steps[0] == 0 and steps[-1] == n and steps == sorted(set(steps))
    assert all(b <= 2 * a for a, b in itertools.pairwise(steps[1:]))


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
    refused("in the same order", deletions, two[::-1], table, rng=np.random.default_rng(0))


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
