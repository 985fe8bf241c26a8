"""Reduced adapters: the same update in singular parts, folders that load anywhere, the smallest part that is enough."""

import itertools
import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from dosed_models import shipped, tiny
from hypothesis import given, settings
from hypothesis import strategies as st
from peft import PeftModel
from shift_adapters import one_module
from shift_adapters import save_adapter as save_random
from tiny import NAMES, chain_case, tiny_reader

from workbench import models, shift
from workbench.cases import toolchain
from workbench.game import Engine, adapted_modules, unit_names
from workbench.shift import AdapterError, Factors, read_factors

CASE = chain_case()


def update(one: Factors) -> np.ndarray:
    return one.scaling * one.B @ one.A


@settings(max_examples=25, deadline=None)
@given(
    out=st.integers(1, 9), into=st.integers(1, 9), rank=st.integers(1, 12), scaling=st.sampled_from([2.0, 0.3, -1.5])
)
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
    with pytest.raises(ValueError, match="no unit 'model"):
        shift.reduced(factors, {one_module(9)})
    with pytest.raises(AdapterError, match="one or more unlike modules"):
        shift.save_adapter(tmp_path / "part", shift.reduced(factors, set()), like=tmp_path / "whole")
    with pytest.raises(ValueError, match="give another folder"):
        shift.save_adapter(tmp_path / "whole", factors, like=tmp_path / "whole")


def test_exact_at_generates_and_looks_token_by_token():
    engine = Engine(shipped())
    doses = np.vstack([np.ones(12), np.zeros(12)])
    answers = [engine.answers([CASE], adapter=a, max_new_tokens=40)[0] for a in (True, False)]
    expected = [[toolchain(a) == CASE.toolchain] for a in answers]
    assert expected == [[True], [False]]
    for measure in ("toolchain", "path"):
        assert shift.exact_at(engine, [CASE], doses, measure=measure).tolist() == expected
    with pytest.raises(ValueError, match="one of toolchain, path"):
        shift.exact_at(engine, [CASE], doses, measure="valid")


def test_the_smallest_part_is_enough_and_one_less_is_not():
    engine = Engine(shipped())
    order = list(range(12))
    found = shift.smallest_part(engine, [CASE], order)
    kept = shift.kept_accuracy(engine, [CASE], order, sizes=range(13), measure="path")
    assert found.wanted == 0.95 and found.units == tuple(order[: len(found.units)])
    assert kept["exact"][len(found.units)] == 1 and kept["exact"][len(found.units) - 1] == 0
    assert kept["parameters"].iloc[-1] == sum(p.numel() for k, p in engine.lm.model.named_parameters() if "lora" in k)
    assert kept["part"].iloc[-1] == 1 and kept["lost"][0] == 1 and kept["lost"].iloc[-1] == 0
    with pytest.raises(ValueError, match="none of 1 cases right"):
        shift.smallest_part(engine, [replace(CASE, path=CASE.path[:4])], order)
    with pytest.raises(ValueError, match="each of the 12 units once"):
        shift.kept_accuracy(engine, [CASE], order[:5], sizes=[1])


@given(st.integers(1, 5000))
def test_a_ladder_climbs_from_nothing_to_all(n):
    steps = shift.ladder(n)
    assert steps[0] == 0 and steps[-1] == n and steps == sorted(set(steps))
    assert all(b <= 2 * a for a, b in itertools.pairwise(steps[1:]))
