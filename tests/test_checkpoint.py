"""A base model is made of what lies in its files, all of it and nothing else; otherwise it is refused by name."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny import CHAT, NAMES, chain_case, configure, save_tiny
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerBase

from workbench import models
from workbench.game import Engine
from workbench.models import ModelError, chat

WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"
QUERY = "model.layers.0.self_attn.q_proj"
IDS = torch.arange(5, 60)[None]


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("base") / "llama", "llama")


@pytest.fixture
def folder(saved: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(saved, tmp_path / "model"))


def alter(folder: Path, *, drop: str = "", file: str = WEIGHTS, **tensors: torch.Tensor) -> None:
    """Take away the tensors whose names begin with `drop`, put in others (`__` for `.`)."""
    weights = {k: v for k, v in load_file(folder / file).items() if not drop or not k.startswith(drop)}
    weights |= {name.replace("__", "."): tensor for name, tensor in tensors.items()}
    save_file(weights, folder / file, {"format": "pt"})


def sharded(folder: Path) -> list[Path]:
    model = AutoModelForCausalLM.from_pretrained(folder)
    (folder / WEIGHTS).unlink()
    model.save_pretrained(folder, max_shard_size="100KB")
    return sorted(folder.glob("model-*.safetensors"))


GAPS: dict[str, tuple[Callable[[Path], object], str]] = {
    "no folder": (shutil.rmtree, "there is no such folder - give a Hugging Face id or a local folder"),
    "no head": (lambda f: alter(f, drop="lm_head"), r"weights lack 1 tensor \(lm_head\.weight\).*copy it again"),
    "no embedding": (lambda f: alter(f, drop="model.embed_tokens"), r"lack 1 tensor \(model\.embed_tokens\.weight\)"),
    "no projection": (lambda f: alter(f, drop=QUERY), rf"lack 1 tensor \({QUERY}\.weight\)"),
    "no layer": (lambda f: alter(f, drop="model.layers.1."), r"lack 9 tensors \(model\.layers\.1\..* and 6 more\)"),
    "tied to nothing": (
        lambda f: (alter(f, drop="model.embed_tokens"), alter(f, drop="lm_head"),
                   configure(f / "config.json", tie_word_embeddings=True)),
        r"lack \d tensor.*model\.embed_tokens\.weight",
    ),
    "more layers": (
        lambda f: configure(f / "config.json", num_hidden_layers=1), r"no place for 9 tensors \(model\.layers\.1\."
    ),
    "a bias": (
        lambda f: alter(f, model__layers__0__self_attn__q_proj__bias=torch.ones(64)), rf"no place for 1.*{QUERY}\.bias"
    ),
    "a wide norm": (
        lambda f: alter(f, model__norm__weight=torch.ones(65)),
        r"of another shape.*\(model\.norm\.weight \(65,\) in place of \(64,\)",
    ),
    "a projection of another shape": (
        lambda f: alter(f, model__layers__0__self_attn__q_proj__weight=torch.ones(32, 64)),
        rf"another shape.*\({QUERY}\.weight \(32, 64\) in place of \(64, 64\)",
    ),
    "a part of a shard": (lambda f: alter(f, drop=QUERY, file=holder(f)), rf"lack 1 tensor \({QUERY}"),
    "no shard": (lambda f: sharded(f)[1].unlink(), r"model-00002-of"),
    "an index out of the folder": (
        lambda f: (sharded(f), configure(f / INDEX, weight_map={"x": "../other.safetensors"})), "other.safetensors"
    ),
    "a file of its own": (
        lambda f: configure(f / "config.json", transformers_weights="other.safetensors"), "transformers_weights"
    ),
    "torn": (lambda f: (f / WEIGHTS).write_bytes(b"\xff" * 64), "cannot be (read|loaded)"),
    "pickled": (lambda f: (f / WEIGHTS).rename(f / "pytorch_model.bin"), "safetensors"),
    "an adapter beside it": (lambda f: (f / "adapter_config.json").write_text("{}"), "holds adapter_config.json"),
}  # fmt: skip


def holder(folder: Path) -> str:
    sharded(folder)
    return json.loads((folder / INDEX).read_text())["weight_map"][f"{QUERY}.weight"]


@pytest.mark.parametrize("kind", GAPS)
def test_a_model_that_would_run_on_random_weights_is_refused(
    folder: Path, kind: str, capfd: pytest.CaptureFixture
) -> None:
    damage, reason = GAPS[kind]
    damage(folder)
    capfd.readouterr()
    with pytest.raises(ModelError, match=reason):
        models.check_model(str(folder))
    assert capfd.readouterr().err == "", "the error is to be the only word"
    for four_bit in (True, False):
        with pytest.raises(ModelError, match=reason):
            models.load(str(folder), names=NAMES, four_bit=four_bit)


@pytest.mark.parametrize("value", [float("nan"), float("-inf"), 1e300])
def test_weights_that_are_no_numbers_are_refused(folder: Path, value: float) -> None:
    weight = torch.ones(64, 64, dtype=torch.float64)
    weight[3, 5] = value
    alter(folder, model__layers__0__self_attn__q_proj__weight=weight)
    for four_bit in (True, False):
        with pytest.raises(ModelError, match=rf"NaN, infinite or too large .*1 tensor \({QUERY}\.weight\)"):
            models.load(str(folder), names=NAMES, four_bit=four_bit)


def tied(folder: Path) -> None:
    configure(folder / "config.json", tie_word_embeddings=True)
    alter(folder, drop="lm_head")


SOUND: dict[str, Callable[[Path], object]] = {
    "as saved": lambda f: None,
    "tied": tied,
    "tied, with a head for another task": lambda f: (tied(f), alter(f, score__weight=torch.ones(2, 64))),
    "old rotary buffers": lambda f: alter(f, model__layers__0__self_attn__rotary_emb__inv_freq=torch.ones(8)),
    "several files": sharded,
    "half precision": lambda f: save_file(
        {k: v.bfloat16() for k, v in load_file(f / WEIGHTS).items()}, f / WEIGHTS, {"format": "pt"}
    ),
    "a vocabulary larger than the tokenizer": lambda f: (
        configure(f / "config.json", vocab_size=320),
        alter(f, lm_head__weight=torch.ones(320, 64), model__embed_tokens__weight=torch.ones(320, 64)),
    ),
}


@pytest.mark.parametrize("kind", SOUND)
def test_a_whole_model_is_taken_as_it_is(folder: Path, kind: str) -> None:
    SOUND[kind](folder)
    models.check_model(str(folder))
    plain = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    lm = models.load(str(folder), names=NAMES, four_bit=False)
    with torch.no_grad():
        assert torch.equal(lm.model(IDS).logits, plain(IDS).logits)
    four_bit = models.load(str(folder), names=NAMES)
    case = chain_case()
    assert Engine(four_bit).answers([case], max_new_tokens=2)[0][0] == case.source


def system_first(tokenizer: PreTrainedTokenizerBase) -> None:
    tokenizer.add_tokens(["<|system|>"], special_tokens=True)
    tokenizer.chat_template = "<|system|>" + CHAT


@pytest.mark.parametrize(
    ("change", "token"),
    [
        (lambda t: t.add_tokens(["FASTQ archive"]), "FASTQ archive"),
        (lambda t: t.add_special_tokens({"pad_token": "<|padding|>"}), "padding"),
        (lambda t: t.add_tokens(["<|user|>!"], special_tokens=True), None),
        (system_first, "system"),
    ],
    ids=["a word", "padding", "a special token that is never met", "a special token of the chat template"],
)
def test_a_tokenizer_larger_than_the_embedding_is_refused_where_it_is_met(
    folder: Path, change: Callable[[PreTrainedTokenizerBase], object], token: str | None
) -> None:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    rows = len(tokenizer)
    change(tokenizer)
    tokenizer.save_pretrained(folder)
    if token is None:
        models.check_model(str(folder))
        models.load(str(folder), names=NAMES, four_bit=False)
        return
    reason = rf"embeds {rows} tokens, and its tokenizer gives 1 more, such as .*{token}.*\({rows}\)"
    for refused in (models.check_model, lambda name: models.load(name, names=NAMES)):
        with pytest.raises(ModelError, match=reason):
            refused(str(folder))


TEMPLATES = {
    "reaches out": ("{{ ''.__class__.__mro__ }}{{ messages[0].content }}", "SecurityError"),
    "refuses": ("{{ raise_exception('say system first') }}", "TemplateError: say system first"),
    "loops": (
        "{% for a in range(99999) %}{% for b in range(99999) %}{% for c in range(99999) %}{% endfor %}{% endfor %}"
        "{% endfor %}{{ messages[0].content }}",
        "needs more than 3 s",
    ),
    "huge text": ("{{ 'a' * 10**11 }}{{ messages[0].content }}", "MemoryError|needs more than"),
    "long text": ("{{ 'a' * 10**6 }}{{ messages[0].content }}", "more than 100,000 characters"),
    "drops": ("{{ bos_token }}Hello", "drops, changes or repeats"),
    "escapes": ("{{ messages[0].content | e }}", "drops, changes or repeats"),
    "repeats": ("{{ messages[0].content }}{{ messages[0].content }}", "drops, changes or repeats"),
}


@pytest.mark.parametrize("kind", TEMPLATES)
def test_a_chat_template_that_cannot_be_used_is_refused(
    folder: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    template, reason = TEMPLATES[kind]
    monkeypatch.setattr(chat, "SECONDS", 3)
    (folder / "chat_template.jinja").write_text(template)
    with pytest.raises(ModelError, match=rf"its chat template cannot be used: .*({reason}).*take it away"):
        models.check_model(str(folder))
    with pytest.raises(ModelError, match="its chat template cannot be used"):
        models.load(str(folder), names=NAMES, four_bit=False)
