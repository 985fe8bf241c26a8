"""Adapters that are damaged, dangerous or of another model: refused with the reason, before they are loaded."""

import pickle
import shutil
from pathlib import Path

import pytest
import tiny
import torch
from peft import LoraConfig, get_peft_model
from peft.tuners.lora import LoraLayer
from refusals import refused
from safetensors.torch import load_file, save_file
from tiny import NAMES, save_tiny
from transformers import AutoModelForCausalLM

from workbench import models
from workbench.artifacts import runs
from workbench.models import ModelError
from workbench.models.adapter_folder import WEIGHTS, AdapterError, AdapterFolder, check_loaded
from workbench.shift import read_factors

Q = "model.layers.0.self_attn.q_proj"
A = f"base_model.model.{Q}.lora_A.weight"
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
    weights = load_file(adapter / WEIGHTS)
    for name, value in tensors.items():
        full = {"A": A, "B": B}.get(name, name)
        weights.pop(full, None)
        if value is not None:
            weights[full] = value
    save_file(weights, adapter / WEIGHTS)


def configure(adapter: Path, **changes: object) -> None:
    tiny.configure(adapter / "adapter_config.json", **changes)


def pickled(adapter: Path) -> None:
    (adapter / WEIGHTS).unlink()

    class Evil:
        def __reduce__(self):
            return (Path.touch, (adapter / "ran",))

    (adapter / "adapter_model.bin").write_bytes(pickle.dumps(Evil()))


def other_scale(adapter: Path, key: str, value: object) -> None:
    configure(adapter, **{key: {"q_proj": value}})


FOLDER = {
    "pickled": (pickled, r"adapter_model\.bin is a pickle, which can run code"),
    "no weights": (lambda a: (a / WEIGHTS).unlink(), r"adapter_model\.safetensors does not exist"),
    "no config": (lambda a: (a / "adapter_config.json").unlink(), r"adapter_config\.json does not exist"),
    "torn config": (lambda a: (a / "adapter_config.json").write_text("{"), "cannot be read as JSON"),
    "deep config": (lambda a: (a / "adapter_config.json").write_text("[" * 100_000), "cannot be read as JSON"),
    "list": (lambda a: (a / "adapter_config.json").write_text("[]"), "must hold a JSON object"),
    "other kind": (lambda a: configure(a, peft_type="PREFIX_TUNING"), "peft_type is 'PREFIX_TUNING'; it must be LORA"),
    "other task": (lambda a: configure(a, task_type="SEQ_CLS"), "task_type is 'SEQ_CLS'"),
    "names code": (lambda a: configure(a, megatron_config={"x": 1}, megatron_core="antigravity"), "names a library"),
    "torn": (lambda a: (a / WEIGHTS).write_bytes(b"\xff" * 64), "cannot be read as safetensors"),
    "empty": (lambda a: save_file({}, a / WEIGHTS), "holds no tensors"),
    "not a number": (lambda a: change(a, A=torch.full((4, 64), float("nan"))), "not finite, NaN or infinite.*diverged"),
    "infinite": (lambda a: change(a, B=torch.full((64, 4), float("-inf"))), "NaN or infinite"),
    "huge": (
        lambda a: change(a, A=torch.full((4, 64), 1e300, dtype=torch.float64)), r"up to 1e\+300.*beyond 3\.4e\+38"
    ),
    "huge together": (
        lambda a: change(a, A=torch.full((4, 64), 1e25), B=torch.full((64, 4), 1e25)), "the change s B A .* beyond"
    ),
    "whole numbers": (lambda a: change(a, A=torch.ones(4, 64, dtype=torch.int8)), "of the type I8, not one of"),
    "half a pair": (lambda a: change(a, B=None), "has no lora_B"),
    "a tensor of another kind": (
        lambda a: change(a, **{"base_model.model.lm_head.weight": torch.ones(4, 9)}), "lm_head.weight' is no factor"
    ),
    "rank changed": (lambda a: configure(a, r=2**40), "must share the rank 1099511627776"),
    "alpha no number": (lambda a: configure(a, lora_alpha=float("nan")), "lora_alpha .* finite number, not nan"),
    "alpha endless": (lambda a: configure(a, lora_alpha=10**400), "lora_alpha .* finite number, not 1000"),
    "ranks in a list": (lambda a: configure(a, rank_pattern=[4]), r"rank_pattern is \[4\]; it must be an object"),
    "alphas in words": (lambda a: configure(a, alpha_pattern="q_proj"), "alpha_pattern is 'q_proj'; it must be"),
    "a rank in words": (lambda a: other_scale(a, "rank_pattern", "4"), "rank of .* must be a whole number"),
    "no pattern": (lambda a: configure(a, alpha_pattern={"(": 3}), "alpha_pattern .* has a key that is no pattern"),
    "rslora in words": (lambda a: configure(a, use_rslora="no"), "use_rslora is 'no'; it must be true or false"),
    "dora": (lambda a: configure(a, use_dora=True), "use_dora is True; DoRA also rescales"),
    "other layers": (
        lambda a: configure(a, layers_to_transform=[1], layers_pattern="layers"),
        r"layers_to_transform \[1\].*leave out 1 of 2 modules .* such as model\.layers\.0\.self_attn\.q_proj",
    ),
    "excluded": (lambda a: configure(a, exclude_modules=["q_proj"]), r"exclude_modules \['q_proj'\] leave out 2 of 2"),
    "other targets": (lambda a: configure(a, target_modules=["v_proj"]), r"target_modules \['v_proj'\] leave out 2"),
    "odd targets": (lambda a: configure(a, target_modules=7), "target_modules.*peft refuses them"),
    "rank of nothing": (lambda a: configure(a, r=0), "rank of .* must be a whole number of 1 or more, not 0"),
    "no alpha": (lambda a: configure(a, lora_alpha=None), "lora_alpha of .* must be a finite number, not None"),
    "a convolution": (lambda a: change(a, A=torch.ones(4, 64, 1, 1)), r"A \(4, 64, 1, 1\) .*; only linear layers"),
    "ranks apart": (lambda a: change(a, A=torch.ones(3, 64)), "must share the rank 4"),
    "no width": (lambda a: change(a, A=torch.ones(4, 0)), r"A \(4, 0\) .* must be matrices"),
    **{
        name: (lambda a, name=name: change(a, **{f"base_model.model.{name}": torch.ones(4, 9)}), reason)
        for name, reason in {
            f"{Q}.lora_magnitude_vector": "lora_magnitude_vector.*no factor of a linear layer",
            f"{Q}.lora_B.bias": "lora_B.bias",
            "model.embed_tokens.lora_embedding_A": "lora_embedding_A",
            "wte.lora_embedding_B": "changes an embedding table",
            "lm_head.modules_to_save.weight": "replaces a layer of the base",
        }.items()
    },
    **{
        name: (lambda a, name=name: (a / WEIGHTS).rename(a / name), "lie in several files")
        for name in ("adapter_model-00001-of-00002.safetensors", "adapter_model.safetensors.index.json")
    },
    "another start": (
        lambda a: configure(a, init_lora_weights="pissa_niter_4"), "pissa_niter_4.*this start rewrites W0"
    ),
    **{
        name: (lambda a, name=name, value=value: configure(a, **{name: value}), f"{name} is ")
        for name, value in {
            "bias": "all",
            "lora_bias": True,
            "modules_to_save": ["lm_head"],
            "trainable_token_indices": [3],
            "target_parameters": ["mlp.experts"],
            "layer_replication": [[0, 2], [1, 2]],
            "alora_invocation_tokens": [1, 2],
            "use_qalora": True,
            "use_bdlora": {"nblocks": 2},
            "kasa_config": {"beta": 1.0},
            "ensure_weight_tying": True,
            "a_setting_of_tomorrow": 3,
        }.items()
    },
}  # fmt: skip
"""What is wrong with a folder whatever the base: refused by the loader and by the reader of factors alike."""


@pytest.mark.parametrize("kind", FOLDER)
def test_a_damaged_adapter_is_refused_by_both_readers_for_one_reason(made: Path, adapter: Path, kind: str) -> None:
    damage, reason = FOLDER[kind]
    damage(adapter)
    with pytest.raises(ModelError, match=rf"adapter .*adapter cannot be loaded onto .*base'.*{reason}"):
        models.load(str(made / "base"), names=NAMES, adapter=adapter, four_bit=False)
    refused(reason, lambda: list(read_factors(adapter)), error=AdapterError)
    assert not (adapter / "ran").exists(), "what was pickled has run"


SEVENTH = A.replace("layers.0", "layers.7")
BASE = {
    "wide": (lambda a: change(a, A=torch.zeros(4, 128)), "128 wide.*in_features 64.*another model"),
    "more layers": (
        lambda a: change(a, **{SEVENTH: torch.zeros(4, 64), SEVENTH.replace("lora_A", "lora_B"): torch.zeros(64, 4)}),
        "does not have the module model.layers.7.*the adapter is of another model",
    ),
    "fewer layers": (
        lambda a: change(a, A=None, B=None),
        r"no weights for 1 of 2 places.*layers\.0.*of another model, or a part is missing",
    ),
    "turned": (lambda a: configure(a, fan_in_fan_out=True), r"fan_in_fan_out is true.*\(out, in\)"),
}


@pytest.mark.parametrize("kind", BASE)
def test_an_adapter_of_another_base_is_refused_with_the_reason(made: Path, adapter: Path, kind: str) -> None:
    damage, reason = BASE[kind]
    damage(adapter)
    with pytest.raises(ModelError, match=rf"adapter .*adapter cannot be loaded onto .*base'.*{reason}"):
        models.load(str(made / "base"), names=NAMES, adapter=adapter, four_bit=False)


SOUND: dict[str, dict] = {
    "plain": {},
    "rslora": {"use_rslora": True},
    "patterns": {"rank_pattern": {"layers.1.self_attn.q_proj": 2}, "alpha_pattern": {r".*\.1\..*q_proj": 5}},
    "one layer": {"layers_to_transform": [1], "layers_pattern": "layers"},
    "all but one": {"exclude_modules": ["model.layers.0.self_attn.q_proj"]},
    "a regular expression": {"target_modules": r".*\.(q|v)_proj"},
    "started otherwise": {"init_lora_weights": "gaussian"},
}


@pytest.mark.parametrize(
    ("kind", "dtype"),
    [*((kind, torch.float32) for kind in SOUND), ("plain", torch.bfloat16), ("patterns", torch.float64)],
)
def test_a_sound_adapter_answers_as_it_did_when_it_was_saved(
    made: Path, tmp_path: Path, kind: str, dtype: torch.dtype
) -> None:
    base = AutoModelForCausalLM.from_pretrained(made / "base", dtype=torch.float32)
    settings = {"r": 4, "lora_alpha": 6, "target_modules": ["q_proj"], **SOUND[kind]}
    tuned = get_peft_model(base, LoraConfig(task_type="CAUSAL_LM", **settings)).eval()
    torch.manual_seed(1)
    for name, parameter in tuned.named_parameters():
        if "lora_" in name:
            parameter.data = torch.randn_like(parameter).bfloat16().float()  # what every type holds exactly
    tuned.save_pretrained(tmp_path)
    save_file({k: v.to(dtype) for k, v in load_file(tmp_path / WEIGHTS).items()}, tmp_path / WEIGHTS)
    lm = models.load(str(made / "base"), names=NAMES, adapter=tmp_path, four_bit=False)
    ids = torch.arange(5, 60)[None]
    with torch.no_grad():
        assert torch.equal(lm.model(ids).logits, tuned(ids).logits)
    layers = {n: m for n, m in tuned.base_model.model.named_modules() if isinstance(m, LoraLayer)}
    read = {one.module: one for one in read_factors(tmp_path)}
    assert read.keys() == layers.keys()
    for name, layer in layers.items():
        change = read[name].scaling * read[name].B @ read[name].A
        torch.testing.assert_close(torch.tensor(change).float(), layer.get_delta_weight("default").detach())


def test_what_peft_put_on_the_model_is_compared_with_the_folder(made: Path) -> None:
    folder = AdapterFolder.open(made / "adapter")
    lm = models.load(str(made / "base"), names=NAMES, adapter=made / "adapter", four_bit=False)
    check_loaded(folder, lm.model)
    layer = lm.model.get_submodule("base_model.model.model.layers.1.self_attn.q_proj")
    layer.scaling["default"] *= 2
    with pytest.raises(AdapterError, match=r"model\.layers\.1\..*came out otherwise than the folder says"):
        check_loaded(folder, lm.model)
    layer.scaling["default"] /= 2
    layer.lora_A["default"].weight.data[0, 0] += 1e-3
    refused("came out otherwise", check_loaded, folder, lm.model, error=AdapterError)


def test_an_adapter_of_another_base_of_the_same_shape_is_refused(made: Path, tmp_path: Path) -> None:
    other = Path(shutil.copytree(made / "base", tmp_path / "other"))
    weights = load_file(other / "model.safetensors")
    save_file({name: value + 1 for name, value in weights.items()}, other / "model.safetensors", {"format": "pt"})
    folder = runs.open_stage(tmp_path, "adapter")
    for file in (made / "adapter").iterdir():
        shutil.copy(file, folder)
    how = {"config": {}, "metrics": {}, "seed": 0, "device": "cpu"}
    runs.write_manifest(tmp_path, "adapter", inputs={"model": str(made / "base")}, **how)
    folder = runs.stage_folder(tmp_path, "adapter")
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
    tiny.configure(folder / "config.json", **CONFIGS[kind])
    (folder / "evil.py").write_text("raise SystemExit('ran')")
    with pytest.raises(ModelError, match=r"model .*(cannot be loaded|no readable config|code of its own|layers)"):
        models.load(str(folder), names=NAMES, four_bit=False)
