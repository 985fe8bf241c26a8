"""Adapters compared: cosines and principal angles against dense matrices, the null, and drift of a real training."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from refusals import refused
from safetensors.torch import load_file, save_file
from scipy.linalg import subspace_angles
from scipy.stats import ks_2samp
from shift_adapters import one_module, save_adapter
from table_games import rng
from tiny import NAMES, chain_case, save_tiny

from workbench import models, shift
from workbench.shift import AdapterError, Factors, read_factors
from workbench.shift.spectrum import random_directions
from workbench.shift.subspaces import difference, random_meetings
from workbench.train import TrainConfig, train

MODULES = [one_module(layer, p) for layer in (0, 1) for p in ("q_proj", "v_proj")]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An adapter of a real, short training of a 4-bit Llama with grouped heads, and its checkpoints."""
    folder = tmp_path_factory.mktemp("trained")
    lm = models.load(str(save_tiny(folder / "llama", "llama")), names=NAMES)
    config = TrainConfig(rank=4, alpha=8, steps=6, batch=4, checkpoint_every=2, learning_rate=1e-2, seed=5)
    train(lm, [chain_case()], config, folder=folder / "adapter")
    return folder / "adapter"


def product(factors: Factors) -> np.ndarray:
    return factors.scaling * factors.B @ factors.A


def dense_pair(one: np.ndarray, two: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
    """Cosine and principal angles from the matrices themselves."""
    spaces = []
    for matrix in (one, two):
        u, s, vt = np.linalg.svd(matrix)
        k = int((s > 1e-10 * s[0]).sum())
        spaces.append((u[:, :k], vt[:k].T))
    columns, rows = (subspace_angles(spaces[0][side], spaces[1][side])[::-1] for side in (0, 1))
    return float((one * two).sum() / np.linalg.norm(one) / np.linalg.norm(two)), columns, rows


def same_as_dense(row, one: np.ndarray, two: np.ndarray) -> None:
    cosine, columns, rows = dense_pair(one, two)
    assert row.cosine == pytest.approx(cosine, rel=1e-5, abs=1e-12)
    np.testing.assert_allclose(row.column_angles, columns, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(row.row_angles, rows, rtol=1e-5, atol=1e-7)
    assert row.column_overlap == pytest.approx(np.mean(np.cos(columns) ** 2), rel=1e-5)
    assert row.row_overlap == pytest.approx(np.mean(np.cos(rows) ** 2), rel=1e-5)


@given(*[st.integers(1, 70)] * 2, *[st.integers(1, 64)] * 2, st.integers(0, 2**32), st.sampled_from([0.0, 0.01, 1.0]))
def test_any_pair_is_compared_as_its_dense_matrices_are(out, into, first, second, seed, apart):
    """apart: how far the second one's factors are from the first one's, as far as the ranks are shared."""
    draw = np.random.default_rng(seed)
    one, two = (
        Factors(MODULES[0], 0, "q_proj", r, s, draw.standard_normal((r, into)), draw.standard_normal((out, r)))
        for r, s in ((first, -0.5), (second, 2.0))
    )
    k = min(first, second)
    if apart < 1:
        two.A[:k], two.B[:, :k] = one.A[:k] + apart * two.A[:k], one.B[:, :k] + apart * two.B[:, :k]
    a, b = shift.directions(one), shift.directions(two)
    cosine, columns, rows = dense_pair(product(one), product(two))
    assert shift.update_cosine(a, b) == pytest.approx(cosine, rel=1e-5, abs=1e-9)
    np.testing.assert_allclose(shift.principal_angles(a.left, b.left), columns, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(shift.principal_angles(a.right, b.right), rows, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(product(difference(one, two)), product(one) - product(two), atol=1e-10)


def test_known_angles() -> None:
    plane = np.eye(4)[:, :2]
    assert shift.principal_angles(plane, plane[:, ::-1]) == pytest.approx([0, 0], abs=1e-12)
    assert shift.principal_angles(plane, np.eye(4)[:, 2:]) == pytest.approx([np.pi / 2] * 2)
    turned = np.array([[1.0, 0, 0, 0], [0, np.cos(1e-6), np.sin(1e-6), 0]]).T
    np.testing.assert_allclose(shift.principal_angles(plane, turned), [0, 1e-6], rtol=1e-9, atol=1e-15)
    assert shift.principal_angles(plane, np.zeros((4, 0))).shape == (0,) and np.isnan(shift.overlap(np.zeros(0)))
    assert shift.overlap(np.array([0, np.pi / 2])) == pytest.approx(0.5)


def test_a_table_has_a_row_a_module_and_pair(tmp_path: Path) -> None:
    folders = {}
    for i, rank in enumerate((2, 4, 16)):
        folders[f"rank {rank}"] = tmp_path / str(rank)
        save_adapter(tmp_path / str(rank), dict.fromkeys(MODULES, (20, 14, rank)), seed=i, r=rank)
    table = shift.compare(folders, rng=rng(), draws=5)
    assert len(table) == 4 * 3 and list(table.module[::3]) == MODULES
    assert list(zip(table["first"], table["second"], strict=True))[:3] == [
        ("rank 2", "rank 4"), ("rank 2", "rank 16"), ("rank 4", "rank 16"),
    ]  # fmt: skip
    changes = {(name, f.module): product(f) for name, folder in folders.items() for f in read_factors(folder)}
    for row in table.itertuples():
        one, two = changes[row.first, row.module], changes[row.second, row.module]
        same_as_dense(row, one, two)
        assert (row.norm_first, row.norm_second) == pytest.approx((np.linalg.norm(one), np.linalg.norm(two)))
    for row in shift.compare(folders, rng=rng(), draws=2, top=2).itertuples():
        one, two = changes[row.first, row.module], changes[row.second, row.module]
        leading = [np.linalg.svd(matrix)[0][:, :2] for matrix in (one, two)]
        np.testing.assert_allclose(row.column_angles, subspace_angles(*leading)[::-1], rtol=1e-5)
        assert row.cosine == pytest.approx(dense_pair(one, two)[0])  # of the whole changes
    full = table[table["second"] == "rank 16"]  # of the whole input space: any row space lies in it
    assert full.row_overlap.to_numpy() == pytest.approx(1) and full.row_null.to_numpy() == pytest.approx(1)


def test_the_null_is_that_of_random_adapters(tmp_path: Path) -> None:
    """Means of closed form: overlap max(k1, k2) / d; a random adapter passes the 95 % mark about 1 time in 20."""
    shape, above, overlaps = (24, 16), [], []
    for seed in range(40):
        save_adapter(tmp_path / "one", dict.fromkeys(MODULES, (*shape, 3)), seed=100 + seed, r=3)
        save_adapter(tmp_path / "two", dict.fromkeys(MODULES, (*shape, 5)), seed=seed, r=5)
        table = shift.compare({name: tmp_path / name for name in ("one", "two")}, rng=rng(seed), draws=99)
        above += list(table.cosine.abs() > table.cosine_null)
        overlaps += list(zip(table.column_overlap, table.row_overlap, strict=True))
    assert 0.01 <= np.mean(above) <= 0.12
    np.testing.assert_allclose(np.mean(overlaps, axis=0), [5 / 24, 5 / 16], rtol=0.06)
    # mean 0 and variance 1 / (out in) give 1.96 standard deviations as the 95 % mark, nearly
    np.testing.assert_allclose(table.cosine_null.mean(), 1.96 / np.sqrt(24 * 16), rtol=0.2)


@pytest.mark.parametrize(("k1", "k2", "d"), [(3, 2, 9), (2, 4, 5), (4, 4, 4), (1, 1, 1), (1, 1, 2)])
def test_random_meetings_are_distributed_as_those_of_random_frames(k1: int, k2: int, d: int) -> None:
    draws, draw = 4000, rng()
    quick = random_meetings(k1, k2, d, draws=draws, rng=draw)
    frames = [random_directions(np.ones(k2), out=d, into=k2, rng=draw).left[:k1] for _ in range(draws)]
    assert quick.shape == (draws, k1, k2)
    for statistic in (
        lambda m: m[:, 0, 0],
        lambda m: m[:, -1, -1] ** 2,
        lambda m: (m**2).sum((1, 2)),
        lambda m: np.linalg.norm(m, 2, axis=(1, 2)),
        lambda m: m[:, 0, 0] * m[:, -1, 0] * m[:, 0, -1] * m[:, -1, -1],
    ):
        found, expected = statistic(quick), statistic(np.array(frames))
        if expected.std() < 1e-9:  # the whole space is always met
            np.testing.assert_allclose(found, expected, atol=1e-9)
        else:
            assert ks_2samp(found, expected).pvalue > 1e-3


def test_an_adapter_is_the_same_as_itself_in_other_factors(trained: Path, tmp_path: Path) -> None:
    """B C and C^-1 A make the same change, as do -s and -B; twice the change points the same way."""
    shutil.copy(trained / "adapter_config.json", tmp_path)
    tensors, mix = load_file(trained / "adapter_model.safetensors"), np.random.default_rng(0)
    for name in [name for name in tensors if "lora_A" in name]:
        a, b = tensors[name], tensors[other := name.replace("lora_A", "lora_B")]
        c = a.new_tensor(mix.standard_normal((4, 4))).double()
        tensors[name], tensors[other] = c.inverse() @ a.double(), 2 * b.double() @ c
    save_file(tensors, tmp_path / "adapter_model.safetensors")
    table = shift.compare({"one": trained, "twice": tmp_path}, rng=rng(), draws=19)
    assert len(table) == 4 and set(table.projection) == {"q_proj", "v_proj"}
    np.testing.assert_allclose(table.cosine, 1, rtol=1e-9)
    np.testing.assert_allclose(table.norm_second, 2 * table.norm_first, rtol=1e-9)
    assert max(angles.max() for angles in (*table.column_angles, *table.row_angles)) < 1e-6
    assert (table.cosine_null < 0.5).all() and (table.row_null < 0.5).all()


def test_drift_of_a_training_is_that_of_the_dense_matrices(trained: Path) -> None:
    table = shift.drift(trained)
    assert list(table.step.unique()) == [2, 4, 6] == list(shift.checkpoints(trained)) and len(table) == 12
    final = {f.module: product(f) for f in read_factors(trained)}
    steps = {(s, f.module): product(f) for s, place in shift.checkpoints(trained).items() for f in read_factors(place)}
    for row in table.itertuples():
        one, end = steps[row.step, row.module], final[row.module]
        same_as_dense(row, one, end)
        sizes = [np.linalg.norm(x) for x in (one, end, one - end)]
        assert row.frobenius == pytest.approx(sizes[0], rel=1e-5)
        assert row.relative_norm == pytest.approx(sizes[0] / sizes[1], rel=1e-5)
        assert row.distance == pytest.approx(sizes[2] / sizes[1], rel=1e-5, abs=1e-9)
    last = table[table.step == 6]  # the checkpoint of the last step is the final adapter
    assert last.distance.max() < 1e-9 and last.cosine.min() > 1 - 1e-9
    assert table[table.step == 2].distance.min() > 0.1
    np.testing.assert_allclose(shift.spectra(trained).frobenius, last.frobenius)


def test_changes_that_are_zero_have_no_direction(tmp_path: Path) -> None:
    save_adapter(tmp_path, dict.fromkeys(MODULES, (12, 10, 4)))
    save_adapter(tmp_path / "zero", dict.fromkeys(MODULES, (12, 10, 4)), lora_alpha=0)
    table = shift.compare({"one": tmp_path, "zero": tmp_path / "zero"}, rng=rng(), draws=3)
    assert table[["cosine", "cosine_null", "column_overlap", "row_null"]].isna().all(axis=None)
    assert (table.norm_second == 0).all() and all(len(angles) == 0 for angles in table.row_angles)
    save_adapter(tmp_path / "zero" / "checkpoints" / "checkpoint-5", dict.fromkeys(MODULES, (12, 10, 4)))
    table = shift.drift(tmp_path / "zero")
    assert table[["relative_norm", "cosine", "distance"]].isna().all(axis=None) and (table.frobenius > 0).all()
    assert shift.drift(tmp_path).empty and list(shift.drift(tmp_path).columns) == list(table.columns)


def test_drift_follows_the_checkpoints_in_order_of_steps(tmp_path: Path) -> None:
    save_adapter(tmp_path, {MODULES[0]: (12, 10, 4)})
    for step in (1000, 250, 500):
        save_adapter(tmp_path / "checkpoints" / f"checkpoint-{step}", {MODULES[0]: (12, 10, 4)}, seed=step)
    (tmp_path / "checkpoints" / "checkpoint-broken").mkdir()
    assert list(shift.drift(tmp_path).step) == [250, 500, 1000]
    found = [(step, place.name) for step, place in shift.checkpoints(tmp_path).items()]
    assert found == [(step, f"checkpoint-{step}") for step in (250, 500, 1000)]


def test_what_cannot_be_compared_is_named(tmp_path: Path) -> None:
    save_adapter(tmp_path / "a", {MODULES[0]: (12, 10, 4), MODULES[1]: (8, 10, 4)})
    for name, module in (("b", MODULES[0]), ("c", MODULES[1])):
        save_adapter(tmp_path / name, {module: (12, 10, 4)})
    refused("1 adapter given; a comparison needs two", shift.compare, {"a": tmp_path / "a"}, rng=rng())
    refused("b, c change no module in common", shift.compare, {name: tmp_path / name for name in "bc"}, rng=rng())
    with pytest.raises(AdapterError, match=r"unlike shapes \(a 8 x 10, c 12 x 10\)"):
        shift.compare({name: tmp_path / name for name in "ac"}, rng=rng())
    table = shift.compare({name: tmp_path / name for name in "ab"}, rng=rng(), draws=0)
    assert list(table.module) == MODULES[:1] and table.cosine_null.isna().all()
