"""Adapters that are damaged, dangerous or of another model: refused with the reason, before they are loaded."""

import json
import pickle
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny import NAMES, save_tiny

from workbench import models
from workbench.artifacts import runs
from workbench.models import ModelError

A = "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight"
B = A.replace("lora_A", "lora_B")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny base model in `base`, and a sound adapter of it in `adapter`."""
    folder = tmp_path_factory.mktemp("adapters")
    save_tiny(folder / "base", "llama")
    lm = models.load(str(folder / "base"), names=NAMES)
    models.add_adapter(lm, rank=4, alpha=8, modules=("q_proj",), dropout=0.0, seed=0)
    lm.model.save_pretrained(folder / "adapter", safe_serialization=True)
    return folder


@pytest.fixture
def adapter(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made / "adapter", tmp_path / "adapter"))


def change(adapter: Path, **tensors: torch.Tensor | None) -> None:
    """Replace weights of layer 0 by name (A, B), or add others; None takes one away."""
    weights = load_file(adapter / "adapter_model.safetensors")
    for name, value in tensors.items():
        full = {"A": A, "B": B}.get(name, name)
        weights.pop(full, None)
        if value is not None:
            weights[full] = value
    save_file(weights, adapter / "adapter_model.safetensors")


def configure(adapter: Path, **changes: object) -> None:
    path = adapter / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def pickled(adapter: Path) -> None:
    (adapter / "adapter_model.safetensors").unlink()

    class Evil:
        def __reduce__(self):
            return (Path.touch, (adapter / "ran",))

    (adapter / "adapter_model.bin").write_bytes(pickle.dumps(Evil()))


DAMAGE = {
    "pickled": (pickled, r"pickled.*can run code"),
    "no weights": (lambda a: (a / "adapter_model.safetensors").unlink(), r"there is no adapter_model\.safetensors"),
    "no config": (lambda a: (a / "adapter_config.json").unlink(), r"there is no adapter_config\.json"),
    "torn config": (lambda a: (a / "adapter_config.json").write_text("{"), "cannot be read"),
    "deep config": (lambda a: (a / "adapter_config.json").write_text("[" * 100_000), "cannot be read"),
    "list": (lambda a: (a / "adapter_config.json").write_text("[]"), "no LoRA adapter"),
    "other kind": (lambda a: configure(a, peft_type="PREFIX_TUNING"), "no LoRA adapter"),
    "names code": (lambda a: configure(a, megatron_config={"x": 1}, megatron_core="antigravity"), "names a library"),
    "torn": (lambda a: (a / "adapter_model.safetensors").write_bytes(b"\xff" * 64), "cannot be read"),
    "empty": (lambda a: save_file({}, a / "adapter_model.safetensors"), "is empty"),
    "not a number": (lambda a: change(a, A=torch.full((4, 64), float("nan"))), "NaN or infinite.*diverged"),
    "infinite": (lambda a: change(a, B=torch.full((64, 4), float("-inf"))), "NaN or infinite"),
    "wide": (lambda a: change(a, A=torch.zeros(4, 128)), r"shape \(4, 128\).*in_features 64.*another model"),
    "flat": (lambda a: change(a, A=torch.zeros(4)), r"shape \(4,\)"),
    "more layers": (
        lambda a: change(a, **{A.replace("layers.0", "layers.7"): torch.zeros(4, 64)}),
        "layers.7.*does not have: the adapter is of another model",
    ),
    "fewer layers": (
        lambda a: change(a, A=None, B=None),
        r"no weights for 2 of 4 places.*layers\.0.*of another model, or a part is missing",
    ),
    "rank changed": (lambda a: configure(a, r=2**40), r"says rank 1099511627776, the weights have \['4'\]"),
    "another rank": (lambda a: configure(a, r=8), "says rank 8"),
    "odd config": (lambda a: configure(a, target_modules=7), "peft refuses it"),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_adapter_is_refused_with_the_reason(made: Path, adapter: Path, kind: str) -> None:
    damage, reason = DAMAGE[kind]
    damage(adapter)
    with pytest.raises(ModelError, match=rf"adapter .*adapter cannot be loaded onto .*base'.*{reason}"):
        models.load(str(made / "base"), names=NAMES, adapter=adapter, four_bit=False)
    assert not (adapter / "ran").exists(), "what was pickled has run"


def test_a_sound_adapter_is_loaded(made: Path) -> None:
    lm = models.load(str(made / "base"), names=NAMES, adapter=made / "adapter", four_bit=False)
    assert sum("lora_A" in name for name, _ in lm.model.named_parameters()) == 2


def test_an_adapter_of_another_base_of_the_same_shape_is_refused(made: Path, tmp_path: Path) -> None:
    other = Path(shutil.copytree(made / "base", tmp_path / "other"))
    weights = load_file(other / "model.safetensors")
    save_file({name: value + 1 for name, value in weights.items()}, other / "model.safetensors", {"format": "pt"})
    folder = runs.open_stage(tmp_path, "adapter")
    for file in (made / "adapter").iterdir():
        shutil.copy(file, folder)
    how = {"config": {}, "metrics": {}, "seed": 0, "device": "cpu"}
    runs.write_manifest(tmp_path, "adapter", inputs={"model": str(made / "base")}, **how)
    models.load(str(made / "base"), names=NAMES, adapter=folder, four_bit=False)
    with pytest.raises(ModelError, match=r"it was trained on .*base, not on .*other; give that as the model"):
        models.load(str(other), names=NAMES, adapter=folder, four_bit=False)


CONFIGS: dict[str, dict] = {
    "code of its own": {"auto_map": {"AutoModelForCausalLM": "evil.Model"}},
    "unknown kind": {"model_type": "../../evil"},
    "endless layers": {"num_hidden_layers": 10**9},
    "layers in words": {"num_hidden_layers": "many"},
    "no width": {"hidden_size": 0},
    "negative width": {"hidden_size": -64},
    "width in words": {"hidden_size": "wide"},
    "other width": {"hidden_size": 128},
    "heads that do not fit": {"num_attention_heads": 7},
    "no words": {"vocab_size": -1},
    "not a number": {"rms_norm_eps": "nan"},
}


@pytest.mark.parametrize("kind", CONFIGS)
def test_a_model_whose_config_is_hostile_is_refused(made: Path, tmp_path: Path, kind: str) -> None:
    folder = Path(shutil.copytree(made / "base", tmp_path / "model"))
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | CONFIGS[kind]))
    (folder / "evil.py").write_text("raise SystemExit('ran')")
    with pytest.raises(ModelError, match=r"model .*(cannot be loaded|no readable config|code of its own|layers)"):
        models.load(str(folder), names=NAMES, four_bit=False)
