"""Base weights from a model and from files, the change's share of them, leading directions in all three ways."""

from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from peft import LoraConfig, get_peft_model
from refusals import refused
from safetensors.torch import load_file, save_file
from shift_adapters import conv_model, dense, one_module, save_adapter
from tiny import NAMES, save_tiny, tiny_reader

from workbench import models
from workbench.models import ModelError, reader
from workbench.shift import AdapterError, Factors, base_shares, base_weights, read_factors
from workbench.shift import base as base_module
from workbench.shift.base import _shares, leading

Q = one_module()
WAYS = {"dense": (256, 2048), "gram": (1, 2048), "lanczos": (1, 1)}  # DENSE and GRAM that lead there


def go(patch: pytest.MonkeyPatch, way: str) -> None:
    for name, size in zip(("DENSE", "GRAM"), WAYS[way], strict=True):
        patch.setattr(base_module, name, size)


def test_a_four_bit_model_is_dequantised_with_its_adapter_on_top() -> None:
    lm = models.load(names=NAMES)
    bare = base_weights(lm)(Q)
    layer = lm.model.get_submodule(Q)
    with torch.no_grad():
        by_running = layer(torch.eye(layer.in_features)).T.double().numpy()
    assert bare.dtype == np.float64 and bare.shape == (128, 128)
    np.testing.assert_allclose(bare, by_running, atol=1e-5)
    models.add_adapter(lm, rank=4, alpha=8, modules=("q_proj",), dropout=0.0, seed=0)
    np.testing.assert_array_equal(base_weights(lm)(Q), bare)
    np.testing.assert_array_equal(base_weights(lm.model)(Q), bare)
    assert not np.allclose(bare, base_weights("reader")(Q), atol=1e-3), "the rounding to four bits is seen"
    np.testing.assert_allclose(base_weights("reader", four_bit=True)(Q), bare, atol=1e-6)


def test_files_hold_what_the_model_holds(tmp_path: Path) -> None:
    stored = load_file(reader.folder() / "model.safetensors")[f"{Q}.weight"].double().numpy()
    np.testing.assert_array_equal(base_weights(reader.folder())(Q), stored)
    lm = models.load(str(save_tiny(tmp_path / "one", "llama")), names=NAMES, four_bit=False)
    lm.model.save_pretrained(tmp_path / "many", max_shard_size="60KB")
    assert (tmp_path / "many" / "model.safetensors.index.json").exists()
    for module in (Q, one_module(1, "v_proj"), "model.layers.1.mlp.up_proj"):
        expected = lm.model.get_submodule(module).weight.detach().double().numpy()
        for base in (lm, tmp_path / "one", tmp_path / "many"):
            np.testing.assert_array_equal(base_weights(base)(module), expected)


def test_turned_weights_come_as_out_by_in(tmp_path: Path) -> None:
    model, module = conv_model(), "transformer.h.0.attn.c_proj"  # square, so the shape alone says nothing
    with torch.no_grad():
        layer = model.get_submodule(module)
        expected = (layer(torch.eye(32)) - layer.bias).T.double().numpy()
    np.testing.assert_allclose(base_weights(model)(module), expected, atol=1e-6)
    tensors = {name.removeprefix("transformer."): value.clone() for name, value in model.state_dict().items()}
    save_file(tensors, tmp_path / "model.safetensors")  # as the first GPT-2 was published: without the first part
    np.testing.assert_allclose(base_weights(tmp_path, transposed=True)(module), expected, atol=1e-6)
    config = LoraConfig(r=2, target_modules=["c_proj"], fan_in_fan_out=True, init_lora_weights="gaussian")
    get_peft_model(conv_model(), config).save_pretrained(tmp_path / "adapter")
    by_files, by_model = (base_shares(tmp_path / "adapter", base) for base in (tmp_path, conv_model()))
    np.testing.assert_allclose(by_files.base_spectral, by_model.base_spectral)
    assert list(by_files.module) == ["transformer.h.0.attn.c_proj", "transformer.h.0.mlp.c_proj"]


def test_what_is_no_base_is_named(tmp_path: Path) -> None:
    refused(r"holds no model\.safetensors", base_weights, tmp_path, error=ModelError)
    weights = base_weights(tiny_reader())
    refused("the model has no module nowhere", weights, "nowhere", error=ModelError)
    refused(r"shape \(64,\); only matrices", weights, "model.norm", error=ModelError)
    refused(r"is a SiLU.* and has no weight", weights, "model.layers.0.mlp.act_fn", error=ModelError)
    merged = get_peft_model(tiny_reader().model, LoraConfig(r=2, target_modules=["q_proj"]))
    merged.merge_adapter()
    refused(r"merged into .*unmerge", base_weights(merged), Q, error=ModelError)
    save_file({f"{Q}.weight": torch.ones(8, 1, dtype=torch.uint8)}, tmp_path / "model.safetensors")
    refused(r"packed \(U8\); give the loaded model", base_weights(tmp_path), Q, error=ModelError)
    refused("holds no weight of other", base_weights(tmp_path), "other", error=ModelError)
    (tmp_path / "model.safetensors").unlink()
    index = tmp_path / "model.safetensors.index.json"
    for content, words in (
        ('{"weight_map": {"w.weight": "../secret.safetensors"}}', "must lie in the folder itself"),
        ('{"weight_map": {"w.weight": 3}}', "names the file 3"), ("[1]", "cannot be read"), ("{", "cannot be read"),
    ):  # fmt: skip
        index.write_text(content)
        refused(words, base_weights, tmp_path, error=ModelError)
    index.unlink()
    (tmp_path / "model.safetensors").write_bytes(b"no tensors")
    refused("cannot be read", base_weights, tmp_path, error=ModelError)


def test_another_base_is_refused(tmp_path: Path) -> None:
    save_adapter(tmp_path, {Q: (64, 48, 4)})
    with pytest.raises(AdapterError, match="is 64 x 48, the base weight 64 x 64; give the base model"):
        base_shares(tmp_path, tiny_reader())
    refused("top is 0", base_shares, tmp_path, tiny_reader(), top=0)


@pytest.mark.parametrize("shape", [(20, 30, 3), (30, 20, 25), (16, 16, 16)])
@pytest.mark.parametrize("way", WAYS)
def test_shares_are_those_of_the_dense_matrices(tmp_path: Path, monkeypatch, shape: tuple, way: str) -> None:
    go(monkeypatch, way)
    save_adapter(tmp_path, {Q: shape}, r=shape[2])
    weight = np.random.default_rng(1).standard_normal(shape[:2])
    (factors,) = read_factors(tmp_path)
    change = factors.scaling * factors.B @ factors.A
    (row,) = base_shares(tmp_path, lambda module: weight, top=4).itertuples()
    u, s, vt = np.linalg.svd(weight)
    left, right = u[:, :4] @ u[:, :4].T, vt[:4].T @ vt[:4]
    size = np.linalg.norm(change)
    own_u, own_s, own_vt = np.linalg.svd(change, full_matrices=False)
    k = int((own_s > 1e-9 * own_s[0]).sum())
    met = np.linalg.norm(own_u[:, :k].T @ weight @ own_vt[:k].T)
    expected = {
        "base_frobenius": np.linalg.norm(weight), "base_spectral": s[0], "share_frobenius": size / np.linalg.norm(s),
        "share_spectral": own_s[0] / s[0], "amplification": size / met, "top": 4,
        "written_inside": np.linalg.norm(left @ change) ** 2 / size**2, "written_chance": 4 / shape[0],
        "read_inside": np.linalg.norm(change @ right) ** 2 / size**2, "read_chance": 4 / shape[1],
        "inside": np.linalg.norm(left @ change @ right) ** 2 / size**2, "inside_chance": 16 / (shape[0] * shape[1]),
    }  # fmt: skip
    for name, value in expected.items():
        assert getattr(row, name) == pytest.approx(value, rel=1e-5), name


def test_a_change_of_the_base_itself_lies_inside_it(tmp_path: Path) -> None:
    tensors = save_adapter(tmp_path, {Q: (20, 30, 4)})
    weight = dense(tensors, Q, 5)  # of rank 4, five halves of the change (s = 2)
    (row,) = base_shares(tmp_path, lambda module: weight).itertuples()
    assert row.top == 4  # the base has no more directions
    assert (row.share_frobenius, row.amplification) == pytest.approx((0.4, 0.4))
    assert (row.written_inside, row.read_inside, row.inside) == pytest.approx((1, 1, 1))
    (none,) = base_shares(tmp_path, lambda module: np.zeros((20, 30))).itertuples()
    assert np.isinf([none.share_frobenius, none.share_spectral, none.amplification]).all() and none.inside == 0


def test_random_changes_lie_inside_by_chance() -> None:
    rng = np.random.default_rng(0)
    weight, found = rng.standard_normal((24, 16)), []
    for _ in range(300):
        change = Factors(Q, 0, "q_proj", 3, 1.0, rng.standard_normal((3, 16)), rng.standard_normal((24, 3)))
        found.append(_shares(change, weight, 4))
    for part in ("written", "read"):
        mean = np.mean([one[f"{part}_inside"] for one in found])
        assert mean == pytest.approx(found[0][f"{part}_chance"], rel=0.1)


@given(st.integers(2, 40), st.integers(2, 40), st.integers(1, 8), st.integers(1, 12), st.integers(0, 2**32))
def test_leading_directions_are_the_dense_ones(out: int, into: int, rank: int, k: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    weight = rng.standard_normal((out, into)) * 0.8 ** np.arange(into)  # values that stand apart
    change = Factors(Q, 0, "q_proj", rank, 0.5, rng.standard_normal((rank, into)), rng.standard_normal((out, rank)))
    for update, matrix in ((None, weight), (change, weight + 0.5 * change.B @ change.A)):
        u, s, vt = np.linalg.svd(matrix, full_matrices=False)
        n = min(k, len(s))
        for way, count in product(("gram", "lanczos"), (k, None)):
            with pytest.MonkeyPatch.context() as patch:
                go(patch, way)
                found = leading(weight, count, update=update).first(n)
            np.testing.assert_allclose(found.values, s[:n], rtol=1e-7, atol=1e-9 * s[0])
            # as projections: close values may mix their directions
            np.testing.assert_allclose(found.left * found.values @ found.right.T, u[:, :n] * s[:n] @ vt[:n], atol=1e-4)


def test_directions_without_values_are_left_out() -> None:
    rng = np.random.default_rng(0)
    weight = rng.standard_normal((300, 5)) @ rng.standard_normal((5, 280))
    for way, k in product(WAYS, (None, 12)):
        with pytest.MonkeyPatch.context() as patch:
            go(patch, way)
            found = leading(weight, k)
        assert found.left.shape == (300, 5) and found.right.shape == (280, 5)
        np.testing.assert_allclose(found.left * found.values @ found.right.T, weight, atol=1e-9)
    assert leading(np.zeros((4, 3)), 2).values.shape == (0,)
