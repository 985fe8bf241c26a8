"""Which adapters are read, as PEFT reads them and one module at a time; what is refused: `test_adapter_check`."""

from pathlib import Path

import numpy as np
import pytest
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from shift_adapters import dense, one_module, save_adapter
from transformers import GPT2Config, GPT2LMHeadModel

from workbench.models.adapter_folder import AdapterFolder
from workbench.shift import AdapterError, read_factors, spectra


@pytest.mark.parametrize("start", [True, False, "gaussian", "eva", "orthogonal"])
def test_starts_that_leave_the_base_alone_are_read(tmp_path: Path, start: bool | str) -> None:
    save_adapter(tmp_path, {one_module(): (12, 10, 4)}, init_lora_weights=start)
    assert len(spectra(tmp_path)) == 1


@pytest.mark.parametrize("kind", [torch.float16, torch.float64])
def test_factors_of_every_float_type_are_read(tmp_path: Path, kind: torch.dtype) -> None:
    tensors = {key: value.to(kind) for key, value in save_adapter(tmp_path, {one_module(): (12, 10, 4)}).items()}
    save_file(tensors, tmp_path / "adapter_model.safetensors")
    expected = np.linalg.svd(dense(tensors, one_module(), 2.0), compute_uv=False)[:4]
    np.testing.assert_allclose(spectra(tmp_path).singular_values[0], expected, rtol=1e-6)


def test_layers_that_keep_their_weights_turned_are_read_as_peft_reads_them(tmp_path: Path) -> None:
    torch.manual_seed(0)
    base = GPT2LMHeadModel(GPT2Config(n_embd=32, n_layer=1, n_head=2, vocab_size=50, n_positions=16))
    config = LoraConfig(r=3, lora_alpha=12, target_modules=["c_attn", "c_proj"], fan_in_fan_out=True)
    model = get_peft_model(base, config)
    for name, parameter in model.named_parameters():
        if "lora_" in name:
            torch.nn.init.normal_(parameter)
    model.save_pretrained(tmp_path)
    adapter = AdapterFolder.open(tmp_path)
    assert adapter.transposed and len(adapter.scalings) == 3
    for factors in adapter:
        delta = base.get_submodule(factors.module).get_delta_weight("default").detach().double().numpy()
        np.testing.assert_allclose(factors.scaling * factors.B @ factors.A, delta.T, rtol=1e-4, atol=1e-5)


def test_one_module_at_a_time_is_read(tmp_path: Path) -> None:
    """The header is enough for the checks: what a later module holds is met when the iterator gets there."""
    late = {f"base_model.model.{one_module(1)}.lora_{x}.weight": torch.full((4, 4), torch.inf) for x in "AB"}
    save_adapter(tmp_path, {one_module(0): (12, 10, 4)}, extra=late)
    factors = read_factors(tmp_path)
    assert next(factors).module == one_module(0)
    with pytest.raises(AdapterError, match="not finite"):
        next(factors)


def test_saved_factors_are_not_changed_by_reading(tmp_path: Path) -> None:
    before = save_adapter(tmp_path, {one_module(): (12, 10, 4)})
    spectra(tmp_path)
    after = load_file(tmp_path / "adapter_model.safetensors")
    assert all(torch.equal(before[name], after[name]) for name in before)
