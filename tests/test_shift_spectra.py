"""Singular values and norms against the dense product, scaling as PEFT has it; which adapters are read, one module at a
time (what is refused: `test_adapter_check`)."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from peft import LoraConfig, get_peft_model
from refusals import refused
from safetensors.torch import save_file
from shift_adapters import conv_model, dense, one_module, save_adapter
from tiny import tiny_reader

from workbench import shift
from workbench.models.adapter_folder import AdapterFolder
from workbench.shift import AdapterError, Factors, read_factors


@st.composite
def changes(draw: st.DrawFn) -> Factors:
    """Any shape, ranks 1 to 64, factors from nearly parallel columns to independent ones, scales far apart."""
    out, into, rank = (draw(st.integers(1, most)) for most in (96, 96, 64))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    a, b = rng.standard_normal((rank, into)), rng.standard_normal((out, rank))
    b += draw(st.sampled_from([0.0, 10.0, 1000.0])) * b[:, :1]
    scaling = draw(st.sampled_from([1e-4, -0.5, 2.0, 1e3]))
    return Factors(one_module(), 0, "q_proj", rank, scaling, a, b)


@settings(max_examples=60, deadline=None)
@given(changes())
def test_any_change_has_the_values_norms_and_directions_of_its_product(change: Factors) -> None:
    matrix = change.scaling * change.B @ change.A
    expected = np.linalg.svd(matrix, compute_uv=False)[: min(*matrix.shape, change.rank)]
    values = shift.singular_values(change)
    np.testing.assert_allclose(values, expected, rtol=1e-5, atol=1e-12 * expected[0])
    assert (np.diff(values) <= 0).all() and values.dtype == np.float64
    size, top = np.linalg.norm(matrix), np.linalg.norm(matrix, 2)
    assert (shift.frobenius_norm(values), shift.spectral_norm(values)) == pytest.approx((size, top), rel=1e-9)
    assert shift.stable_rank(values) == pytest.approx(size**2 / top**2, rel=1e-6)
    found = shift.directions(change)
    np.testing.assert_allclose(found.left * found.values @ found.right.T, matrix, atol=1e-11 * expected[0])
    for frame in (found.left, found.right):
        np.testing.assert_allclose(frame.T @ frame, np.eye(len(found.values)), atol=1e-10)
    shares = shift.energy(values)
    np.testing.assert_allclose(shares, np.cumsum(expected**2) / np.sum(matrix**2), rtol=1e-5)


def test_more_columns_stand_after_the_usual_ones(tmp_path: Path) -> None:
    save_adapter(tmp_path, {one_module(): (12, 10, 4)})
    plain, more = shift.spectra(tmp_path), shift.spectra(tmp_path, more=True)
    assert list(more.columns) == [*plain.columns, "effective_rank", "energy"]
    assert more.effective_rank[0] == shift.effective_rank(more.singular_values[0])
    assert more.energy[0][-1] == pytest.approx(1) and more.energy[0][0] == pytest.approx(1 / more.stable_rank[0])
    assert not shift.energy(np.zeros(3)).any()


def test_a_table_has_one_row_a_module_in_order_of_layers(tmp_path: Path) -> None:
    names = [one_module(layer, p) for layer in (10, 2, 0) for p in ("v_proj", "q_proj")] + ["lm_head"]
    save_adapter(tmp_path, dict.fromkeys(names, (12, 10, 4)))
    table = shift.spectra(tmp_path)
    assert list(table.columns) == [
        "module", "layer", "projection", "rank", "frobenius", "spectral", "stable_rank", "singular_values",
    ]  # fmt: skip
    assert list(table.layer) == [-1, 0, 0, 2, 2, 10, 10]
    assert list(table.projection) == ["lm_head", *["q_proj", "v_proj"] * 3]
    assert set(table.module) == set(names)


SCALINGS = [
    ({}, 8 / 4),
    ({"use_rslora": True}, 8 / 2),
    ({"lora_alpha": 3.5}, 3.5 / 4),
    ({"lora_alpha": 0}, 0.0),
    ({"alpha_pattern": {"q_proj": 6}}, 6 / 4),
    ({"alpha_pattern": {"layers.0.self_attn.q_proj": 6, "q_proj": 99}}, 6 / 4),
    ({"alpha_pattern": {"proj": 99, "k_proj": 99}}, 8 / 4),
    ({"r": 9, "rank_pattern": {r"self_attn\.q_proj": 4}}, 8 / 4),
    ({"r": 9, "rank_pattern": {"q_proj": 4}, "use_rslora": True}, 8 / 2),
    *(({"init_lora_weights": start}, 8 / 4) for start in (True, False, "gaussian", "eva", "orthogonal")),
]


@pytest.mark.parametrize(("config", "expected"), SCALINGS)
def test_scaling_is_read_from_the_config(tmp_path: Path, config: dict, expected: float) -> None:
    save_adapter(tmp_path, {one_module(): (12, 10, 4)}, **config)
    (factors,) = read_factors(tmp_path)
    assert factors.scaling == pytest.approx(expected) and len(shift.spectra(tmp_path)) == 1


PATTERNS = {"rank_pattern": {"layers.1.self_attn.q_proj": 6}, "alpha_pattern": {"v_proj": 20}}


ADAPTED = [
    (lambda: tiny_reader().model, {"target_modules": ["q_proj", "v_proj"], **PATTERNS}),
    (lambda: tiny_reader().model, {"target_modules": ["q_proj", "v_proj"], **PATTERNS, "use_rslora": True}),
    (conv_model, {"target_modules": ["c_attn", "c_proj"], "fan_in_fan_out": True}),
]


@pytest.mark.parametrize(("base", "config"), ADAPTED)
def test_scaling_and_change_are_those_of_peft_itself_where_weights_are_kept_turned_too(tmp_path, base, config):
    torch.manual_seed(1)
    model = get_peft_model(base(), LoraConfig(r=4, lora_alpha=12, **config))
    for name, parameter in model.named_parameters():
        if "lora_" in name:
            torch.nn.init.normal_(parameter)
    model.save_pretrained(tmp_path)
    adapter, turned = AdapterFolder.open(tmp_path), base is conv_model
    assert adapter.transposed == turned and len(adapter.scalings) == (3 if turned else 4)
    for factors in adapter:
        module = model.get_base_model().get_submodule(factors.module)
        assert factors.scaling == pytest.approx(module.scaling["default"])
        delta = module.get_delta_weight("default").detach().double().numpy()
        expected = delta.T if turned else delta
        np.testing.assert_allclose(factors.scaling * factors.B @ factors.A, expected, rtol=1e-4, atol=1e-5)


def test_an_adapter_that_changes_nothing_has_zeros_everywhere(tmp_path: Path) -> None:
    name = one_module()
    tensors = save_adapter(tmp_path, {name: (12, 10, 4)})
    tensors[f"base_model.model.{name}.lora_B.weight"].zero_()
    save_file(tensors, tmp_path / "adapter_model.safetensors")
    (row,) = shift.spectra(tmp_path).itertuples()
    assert (row.frobenius, row.spectral, row.stable_rank) == (0, 0, 0)
    assert row.singular_values.shape == (4,) and not row.singular_values.any()
    assert shift.effective_rank(row.singular_values) == 0


@pytest.mark.parametrize(
    ("values", "stable", "effective"),
    [([3, 3, 3], 3, 3), ([5, 0], 1, 1), ([2, 1], 1.25, np.exp(np.log(3) - 2 / 3 * np.log(2))), ([1e-200] * 2, 2, 2)],
)
def test_ranks_of_known_spectra(values: list[float], stable: float, effective: float) -> None:
    assert shift.stable_rank(np.array(values, float)) == pytest.approx(stable)
    assert shift.effective_rank(np.array(values, float)) == pytest.approx(effective)


@pytest.mark.parametrize("shape", [(40, 30, 4), (3, 30, 5), (12, 2, 4)])
def test_random_spectra_are_those_of_random_factors(shape: tuple[int, int, int]) -> None:
    out, into, rank = shape
    factors = Factors("m", 0, "m", rank, 1.0, np.ones((rank, into)), np.ones((out, rank)))
    rng = np.random.default_rng(0)
    drawn = shift.random_spectra(factors, draws=3000, rng=rng)
    again = [shift.random_spectra(factors, draws=3, rng=np.random.default_rng(1)) for _ in range(2)]
    np.testing.assert_array_equal(*again)
    factor_by_factor = np.array([shift.singular_values(shift.random_factors(factors, rng=rng)) for _ in range(3000)])
    assert drawn.shape == factor_by_factor.shape
    size = np.linalg.norm(factors.B @ factors.A)
    np.testing.assert_allclose(np.linalg.norm(drawn, axis=1), size)
    for share in (0.1, 0.5, 0.9):
        by_roots, by_factors = (np.quantile(values, share, axis=0) / size for values in (drawn, factor_by_factor))
        np.testing.assert_allclose(by_roots, by_factors, atol=0.02)


@pytest.mark.parametrize("keep", ["norm", "spectrum"])
def test_random_changes_keep_what_they_say(tmp_path: Path, keep: str) -> None:
    save_adapter(tmp_path, {one_module(): (40, 30, 4)})
    (factors,) = read_factors(tmp_path)
    drawn = shift.random_factors(factors, rng=np.random.default_rng(0), keep=keep)
    matrix = drawn.scaling * drawn.B @ drawn.A
    assert matrix.shape == (40, 30) and np.linalg.matrix_rank(matrix) == 4
    assert np.linalg.norm(matrix) == pytest.approx(shift.spectra(tmp_path).frobenius[0])
    same = np.allclose(shift.singular_values(drawn), shift.singular_values(factors))
    assert same == (keep == "spectrum")
    refused("keep is 'all'", shift.random_factors, factors, rng=np.random.default_rng(0), keep="all")


def test_random_directions_prefer_nothing() -> None:
    """The mean of u u^T over draws is I / out, for the first column as for the last."""
    change, rng = Factors("m", 0, "m", 3, 1.0, np.eye(3, 5), np.eye(4, 3) * [3, 2, 1]), np.random.default_rng(0)
    found = [shift.directions(shift.random_factors(change, rng=rng, keep="spectrum")).left for _ in range(4000)]
    for j in (0, 2):
        mean = np.mean([np.outer(u[:, j], u[:, j]) for u in found], axis=0)
        np.testing.assert_allclose(mean, np.eye(4) / 4, atol=0.02)


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16, torch.float64])
def test_factors_of_every_float_type_are_read(tmp_path: Path, kind: torch.dtype) -> None:
    tensors = {key: value.to(kind) for key, value in save_adapter(tmp_path, {one_module(): (12, 10, 4)}).items()}
    save_file(tensors, file := tmp_path / "adapter_model.safetensors")
    saved = file.read_bytes()
    expected = np.linalg.svd(dense(tensors, one_module(), 2.0), compute_uv=False)[:4]
    (row,) = shift.spectra(tmp_path).itertuples()
    assert file.read_bytes() == saved, "reading changes nothing"
    np.testing.assert_allclose(row.singular_values, expected, rtol=1e-6)
    norms = shift.frobenius_norm(expected), shift.spectral_norm(expected), shift.stable_rank(expected)
    assert row.rank == 4 and (row.frobenius, row.spectral, row.stable_rank) == pytest.approx(norms)


def test_one_module_at_a_time_is_read(tmp_path: Path) -> None:
    """The header is enough for the checks: what a later module holds is met when the iterator gets there."""
    late = {f"base_model.model.{one_module(1)}.lora_{x}.weight": torch.full((4, 4), torch.inf) for x in "AB"}
    save_adapter(tmp_path, {one_module(0): (12, 10, 4)}, extra=late)
    factors = read_factors(tmp_path)
    assert next(factors).module == one_module(0)
    refused("not finite", next, factors, error=AdapterError)
