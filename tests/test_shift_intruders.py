"""Intruder dimensions against brute force, closed forms, bounds where not all vectors are looked at, the null."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from refusals import refused
from safetensors.torch import save_file
from shift_adapters import one_module, save_adapter

from workbench import shift
from workbench.shift import AdapterError, Factors, read_factors
from workbench.shift import base as base_module
from workbench.shift.intruders import resemblance

NAMES = [one_module(layer, p) for layer in (0, 1) for p in ("q_proj", "v_proj")]
THRESHOLDS = (0.3, 0.5, 0.7, 0.9)


def weights_like(shape: tuple[int, int], seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {name: 10 * rng.standard_normal(shape) * 0.9 ** np.arange(shape[1]) for name in NAMES}


def brute_force(weight: np.ndarray, changed: np.ndarray, k: int) -> list[float]:
    """Largest |cos| of each of the k leading left vectors with any of W0's, one pair at a time."""
    u = np.linalg.svd(weight, full_matrices=False)[0]
    v = np.linalg.svd(changed, full_matrices=False)[0]
    return [max(abs(float(v[:, j] @ u[:, i])) for i in range(u.shape[1])) for j in range(min(k, v.shape[1]))]


def found_by(folder: Path, weights: dict[str, np.ndarray], *, keep="norm", **options) -> shift.Intruders:
    how = {"rng": np.random.default_rng(0), "draws": 8, **options}
    return shift.intruders_beside(folder, weights.__getitem__, [keep], **how)[keep]


@pytest.mark.parametrize("shape", [(20, 30), (30, 20), (16, 16)])
@pytest.mark.parametrize("sides", [(256, 2048), (1, 2048), (1, 1)])  # dense, by the Gram matrix, by Lanczos
def test_counts_are_those_of_brute_force(tmp_path: Path, monkeypatch, shape: tuple, sides: tuple) -> None:
    for name, size in zip(("DENSE", "GRAM"), sides, strict=True):
        monkeypatch.setattr(base_module, name, size)
    save_adapter(tmp_path, dict.fromkeys(NAMES, (*shape, 4)))
    weights = weights_like(shape)
    found = found_by(tmp_path, weights)
    expected = {
        f.module: brute_force(weights[f.module], weights[f.module] + f.scaling * f.B @ f.A, 10)
        for f in read_factors(tmp_path)
    }
    for module, rows in found.cosines.groupby("module"):
        np.testing.assert_allclose(rows.cosine, expected[module], rtol=1e-5)
        assert list(rows.vector) == list(range(1, 11)) and (rows.cosine == rows.at_most).all()
    sweep = found.sweep(thresholds=THRESHOLDS)
    assert len(sweep) == 4 * len(THRESHOLDS) and (sweep.undecided == 0).all()
    for row in sweep.itertuples():
        values = [value for one in expected.values() for value in one[: row.k]]
        assert (row.intruders, row.vectors) == (sum(v < row.threshold for v in values), len(values))
    assert sweep.intruders.between(1, sweep.vectors - 1).any()  # neither none nor all


def test_the_null_is_that_of_random_changes_of_the_same_norm(tmp_path: Path) -> None:
    """Adding a random change is what the null does: most such adapters lie within its interval."""
    weights, inside = weights_like((24, 24)), []
    for seed in range(20):
        save_adapter(tmp_path / str(seed), dict.fromkeys(NAMES, (24, 24, 4)), seed=seed)
        (row,) = found_by(tmp_path / str(seed), weights, draws=39).sweep(counts=(10,), thresholds=(0.5,)).itertuples()
        assert row.null_low <= row.null_mean <= row.null_high and 1 / 40 <= row.p <= 1
        inside.append(row.null_low <= row.intruders <= row.null_high)
    assert sum(inside) >= 16


def test_a_large_change_outside_the_base_is_an_intruder_and_a_tiny_one_none(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    frame = np.linalg.qr(rng.standard_normal((30, 30)))[0]
    turned = np.linalg.qr(rng.standard_normal((25, 25)))[0]
    weight = frame[:, :20] @ np.diag(np.arange(20, 0, -1.0)) @ turned[:, :20].T  # leaves room on both sides
    module = one_module()
    for size, expected in ((100.0, 3), (1e-6, 0)):
        tensors = save_adapter(tmp_path, {module: (30, 25, 3)}, r=3, lora_alpha=3)
        prefix = f"base_model.model.{module}.lora_"
        tensors[prefix + "B.weight"] = torch.tensor(frame[:, 20:23] * size).contiguous()
        tensors[prefix + "A.weight"] = torch.tensor(turned[:, 20:23].T.copy())
        save_file(tensors, tmp_path / "adapter_model.safetensors")
        found = found_by(tmp_path, {module: weight})
        sweep = found.sweep(counts=(3, 10))
        assert (sweep.intruders == expected).all()
        if expected:
            assert found.cosines.cosine[:3].max() < 1e-9  # orthogonal to all that W0 writes
        else:
            np.testing.assert_allclose(found.cosines.cosine, 1, atol=1e-9)
            assert (sweep.null_high == 0).all() and (sweep.p == 1).all()


@given(st.integers(1, 12), st.integers(0, 2**32), st.sampled_from([0.02, 0.3, 3.0]))
def test_bounds_hold_what_the_other_vectors_could_do(against: int, seed: int, size: float) -> None:
    rng = np.random.default_rng(seed)
    weight = rng.standard_normal((18, 14))
    change = Factors(one_module(), 0, "q_proj", 2, size, rng.standard_normal((2, 14)), rng.standard_normal((18, 2)))
    ((cosine, at_most),) = resemblance(weight, [change], k=6, against=against)
    truth = brute_force(weight, weight + size * change.B @ change.A, 6)
    assert (cosine <= np.array(truth) + 1e-9).all() and (np.array(truth) <= at_most + 1e-9).all()
    ((cosine, at_most),) = resemblance(weight, [change], k=6, against=14)
    np.testing.assert_allclose(cosine, truth)
    np.testing.assert_array_equal(cosine, at_most)


def test_undecided_vectors_are_counted_apart_and_no_change_has_no_intruders(tmp_path: Path) -> None:
    save_adapter(tmp_path, dict.fromkeys(NAMES, (20, 20, 4)))
    save_adapter(tmp_path / "none", dict.fromkeys(NAMES, (20, 20, 4)), lora_alpha=0)
    weights = weights_like((20, 20))
    none = found_by(tmp_path / "none", weights).sweep()
    assert (none.intruders == 0).all() and (none.null_high == 0).all()
    exact, part = (found_by(tmp_path, weights, against=m).sweep() for m in (None, 3))
    assert part.undecided.gt(0).any()
    assert (part.intruders <= exact.intruders).all() and (exact.intruders <= part.intruders + part.undecided).all()


def test_a_base_with_few_directions_has_few_vectors(tmp_path: Path) -> None:
    save_adapter(tmp_path, {one_module(): (20, 20, 1)}, r=1)
    rng = np.random.default_rng(0)
    weight = rng.standard_normal((20, 2)) @ rng.standard_normal((2, 20))
    found = found_by(tmp_path, {one_module(): weight})
    assert len(found.cosines) == 3 and np.isnan(found.drawn[:, :, 3:]).all()
    assert (found.sweep().vectors <= 3).all()


def test_what_cannot_be_counted_is_named(tmp_path: Path) -> None:
    save_adapter(tmp_path, dict.fromkeys(NAMES, (20, 20, 4)))
    for option in ("draws", "leading_vectors", "against"):
        refused(f"{option} is 0; it must be 1 or more", found_by, tmp_path, weights_like((20, 20)), **{option: 0})
    refused("is 20 x 20, the base weight 20 x 21", found_by, tmp_path, weights_like((20, 21)), error=AdapterError)
    seen: list[str] = []
    found = found_by(tmp_path, weights_like((20, 20)), draws=1, progress=seen.append, keep="spectrum")
    assert seen == NAMES and set(found.sweep().k) == {1, 2, 5, 10}
    assert found_by(tmp_path, weights_like((20, 20)), leading_vectors=4).sweep().k.max() == 2


def test_kinds_of_random_changes_asked_together_are_those_asked_one_by_one(tmp_path: Path) -> None:
    save_adapter(tmp_path, dict.fromkeys(NAMES, (20, 30, 4)))
    weights, rng, together = weights_like((20, 30)), np.random.default_rng(0), np.random.default_rng(0)
    found = shift.intruders_beside(tmp_path, weights.__getitem__, ["norm", "spectrum"], rng=together, draws=3)
    for keep in ("norm", "spectrum"):
        alone = found_by(tmp_path, weights, keep=keep, rng=rng, draws=3)
        np.testing.assert_array_equal(found[keep].drawn, alone.drawn)
        assert found[keep].cosines.equals(alone.cosines)
    assert rng.random() == together.random(), "what is drawn afterwards is the same too"
