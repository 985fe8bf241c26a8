"""QLoRA training: rows, loss, checkpoints and resume, judgement of answers."""

import dataclasses
import itertools
import json
import shutil
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from refusals import refused
from safetensors.torch import load_file
from tiny import NAMES, chain_case, tiny_reader
from torch.utils.data import DataLoader
from transformers import get_cosine_schedule_with_warmup

from workbench import models
from workbench.cases import Case
from workbench.game import Engine
from workbench.game.memory import MemoryShort
from workbench.models.reader import FIRST_ENTITY, reader_word
from workbench.train import GROUP, TrainConfig, Views, collate, is_valid, labelled, progress, score, shares_right, train
from workbench.train.config import rate

TINY = TrainConfig(rank=4, alpha=8, steps=6, batch=4, checkpoint_every=2, seed=5)


def adapter(folder):
    return load_file(folder / "adapter_model.safetensors")


@pytest.fixture
def load(model):
    return lambda: models.load(str(model), names=NAMES)


class Whole:
    """One training to its end. before: the model's weights, copied, as they were loaded."""

    def __init__(self, lm, folder):
        self.lm, self.folder = lm, folder
        self.before = {name: weight.detach().clone() for name, weight in lm.model.named_parameters()}
        self.result = train(lm, [chain_case()], TINY, folder=folder)


@pytest.fixture(scope="module")
def whole(model, tmp_path_factory):
    """Only looked at: who writes into its folder copies it."""
    return Whole(models.load(str(model), names=NAMES), tmp_path_factory.mktemp("whole") / "out")


def test_rows_are_the_same_in_every_run_and_ask_for_answers_only():
    lm = tiny_reader()
    config = TrainConfig(steps=5, batch=4, shares=(0.0, 0.5), replay=0, seed=1)
    views, again = (Views([chain_case()], lm, config=config) for _ in range(2))
    assert len(views) == 20
    assert [views[i] for i in range(20)] == [again[i] for i in range(20)]
    assert len({len(views[i]["input_ids"]) for i in range(20)}) > 1  # some have facts withheld
    answer = Engine(lm).answer_ids(chain_case(), chain_case().path)
    for i in range(20):
        assert tuple(t for t in views[i]["labels"] if t != -100) == answer
        assert tuple(views[i]["input_ids"][-len(answer) :]) == answer


def test_a_batch_holds_rows_of_like_length_and_nothing_is_lost_to_sorting():
    short = dataclasses.replace(chain_case(), facts=chain_case().facts[:4])
    config = TrainConfig(steps=GROUP, batch=8, shares=(0.0,), replay=0, seed=0)
    views = Views([chain_case(), short], tiny_reader(), config=config)
    lengths = [len(views[i]["input_ids"]) for i in range(len(views))]
    batches = [lengths[i : i + 8] for i in range(0, len(lengths), 8)]
    assert sum(len(set(batch)) > 1 for batch in batches) <= 1  # at most one where the two lengths meet
    assert 0.3 < sum(n == min(lengths) for n in lengths) / len(lengths) < 0.7
    assert len({tuple(views[i]["input_ids"]) for i in range(len(views))}) > 40  # 24 orders of the short one


def test_rows_are_the_same_whichever_process_makes_them():
    views = Views([chain_case()], tiny_reader(), config=TrainConfig(steps=2 * GROUP + 1, batch=4, seed=3))
    here = [views[i] for i in range(len(views))]
    for workers, start in ((3, "fork"), (1, "spawn")):  # what is not forked is sent the rows' recipe
        batches = DataLoader(views, batch_size=4, num_workers=workers, collate_fn=list, multiprocessing_context=start)
        assert [row for batch in batches for row in batch] == here


def test_a_training_is_the_same_whichever_processes_make_its_rows(load, whole, tmp_path, monkeypatch):
    monkeypatch.setattr("workbench.train.config.row_workers", lambda: 2)
    helped = train(load(), [chain_case()], TINY, folder=tmp_path / "helped")
    assert helped.history == whole.result.history


def test_a_share_of_rows_is_read_under_made_up_names_with_nothing_withheld():
    lm, case = tiny_reader(), chain_case()
    own = set(lm.tokenizer.convert_tokens_to_ids([reader_word(name) for name in NAMES.values()]))
    rows = Views([case], lm, config=TrainConfig(steps=50, batch=8, shares=(0.6,), replay=0.25, seed=2))
    length = len(labelled(case, lm)["input_ids"])
    replayed = []
    for row in map(rows.__getitem__, range(len(rows))):
        entities = {token for token in row["input_ids"] if token >= FIRST_ENTITY}
        if new := frozenset(entities - own):
            assert len(row["input_ids"]) == length and len(entities) == len(case.nodes)
            replayed.append((new, bool(entities & own)))
        else:
            assert len(row["input_ids"]) < length
    assert 70 <= len(replayed) <= 130 and len({new for new, _ in replayed}) > 0.9 * len(replayed)
    assert 0.3 < np.mean([known for _, known in replayed]) < 0.7  # among these are names of the graph


@pytest.mark.parametrize("pad", [0, 2])
def test_a_batch_has_the_loss_of_its_rows(load, pad):
    """Against rows one by one with logits at every position, by the plain definition."""
    lm = load()
    rows = [labelled(replace(chain_case(), facts=chain_case().facts[:n]), lm) for n in (9, 4, 6)]
    batch = collate(rows, pad)
    assert batch["attention_mask"].sum(1).tolist() == [len(row["input_ids"]) for row in rows]
    assert batch["logits_to_keep"].numel() < batch["input_ids"].shape[1] / 2
    total, count = 0.0, 0
    for row in rows:
        logits = lm.model(input_ids=torch.tensor([row["input_ids"]])).logits[0, :-1].log_softmax(-1)
        asked = [(k, label) for k, label in enumerate(row["labels"][1:]) if label != -100]
        total -= sum(logits[k, label].item() for k, label in asked)
        count += len(asked)
    assert lm.model(**batch).loss.item() == pytest.approx(total / count, rel=1e-5)
    assert int((batch["shift_labels"] != -100).sum()) == count


def test_the_rate_is_that_of_the_trainers_cosine():
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    schedule = get_cosine_schedule_with_warmup(optimizer, 10, 200)
    for step in range(201):
        assert rate(step / 200) == pytest.approx(schedule.get_last_lr()[0], abs=1e-9)
        optimizer.step()
        schedule.step()


def test_a_training_whose_time_is_up_has_ended_with_its_rate(load, tmp_path, monkeypatch):
    """By a clock that goes on at each look at it."""
    looks = itertools.count()
    monkeypatch.setattr(progress, "time", SimpleNamespace(perf_counter=lambda: next(looks) / 100))
    config = replace(TINY, steps=10**6, seconds=0.7, checkpoint_every=1000)
    result = train(load(), [chain_case()], config, folder=tmp_path / "out", held_out=[chain_case()])
    rates = [row["learning_rate"] for row in result.history]
    assert 1 < result.steps < 10**6 and len(result.held_out) >= 2
    assert rates[-1] < 0.1 * config.learning_rate
    assert (tmp_path / "out" / "adapter_model.safetensors").is_file()
    assert not list((tmp_path / "out").rglob("*.pt")), "the optimizer's state is gone: the training is done"


def test_products_in_16_bits_end_with_the_training(model, tmp_path):
    lm = models.load(str(model), names=NAMES, four_bit=False)
    lm.model.bfloat16()
    result = train(lm, [chain_case()], TINY, folder=tmp_path / "out")
    assert result.history[-1]["loss"] < result.history[0]["loss"]
    assert {p.dtype for n, p in lm.model.named_parameters() if "lora_" in n} == {torch.float32}
    assert lm.model(input_ids=torch.tensor([[5, 6]])).logits.dtype == torch.bfloat16


def short_of_memory(lm, most: int) -> list[int]:
    """The model fails as on a full GPU when it trains on more than so many cases at once; batches it was asked for."""
    seen: list[int] = []

    def full(module, args):
        if module.training:
            seen.append(len(args[0]))
            if len(args[0]) > most:
                raise torch.OutOfMemoryError("CUDA out of memory")

    lm.model.get_input_embeddings().register_forward_pre_hook(full)
    return seen


def test_a_step_that_does_not_fit_is_taken_in_parts(load, whole, tmp_path, caplog):
    lm = load()
    seen = short_of_memory(lm, 1)
    again = train(lm, [chain_case()], TINY, folder=tmp_path / "parts", held_out=[chain_case()])
    assert seen[:2] == [4, 2] and set(seen[2:]) == {1} and len(seen) == 2 + 4 * 6
    assert [r["loss"] for r in again.history] == pytest.approx([r["loss"] for r in whole.result.history], abs=1e-4)
    same = [adapter(folder) for folder in (whole.folder, tmp_path / "parts")]
    assert all(torch.allclose(same[0][name], same[1][name], atol=2e-3) for name in same[0])
    assert [r.getMessage() for r in caplog.records if "memory ran out" in r.getMessage()] == [
        "the memory ran out in a training step of 4 cases at a time: it takes 2 from here on, and adds them up",
        "the memory ran out in a training step of 2 cases at a time: it takes 1 from here on, and adds them up",
    ]


def test_memory_that_is_short_for_a_single_case_is_told_with_what_to_do(load, tmp_path):
    lm = load()
    short_of_memory(lm, 0)
    said = "with one case at a time; take a smaller model"
    refused(said, train, lm, [chain_case()], TINY, folder=tmp_path / "out", error=MemoryShort)


def test_a_finished_training_asked_again_keeps_the_adapters_along_the_way(load, whole, tmp_path):
    out = shutil.copytree(whole.folder, tmp_path / "out")
    adapters = {p.parent.name: adapter(p.parent) for p in out.glob("checkpoints/*/*.safetensors")}
    assert adapters.keys() == {"checkpoint-2", "checkpoint-4", "checkpoint-6"}
    again = train(load(), [chain_case()], TINY, folder=out)
    assert again.steps == 6
    for name, weights in adapters.items():
        now = adapter(out / "checkpoints" / name)
        assert all(torch.equal(weights[key], now[key]) for key in weights)


def test_training_moves_only_the_adapter_and_resumes_from_its_last_checkpoint(load, whole, tmp_path):
    history = whole.result.history
    assert history[0]["loss"] > history[-1]["loss"] and whole.result.seconds > 0
    for name, weight in whole.lm.model.named_parameters():
        if "lora" not in name:
            plain = name.removeprefix("base_model.model.").replace(".base_layer", "")
            assert torch.equal(whole.before[plain], weight)

    def stop(progress):
        if progress.step == 5:
            raise TimeoutError("stopped")

    refused("stopped", train, load(), [chain_case()], TINY, folder=tmp_path / "cut", show=stop, error=TimeoutError)
    assert (tmp_path / "cut/checkpoints/checkpoint-4").is_dir() and not (tmp_path / "cut/adapter_config.json").exists()
    steps = []
    again = train(load(), [chain_case()], TINY, folder=tmp_path / "cut", show=lambda told: steps.append(told.step))
    assert steps == [4, 5, 6]  # the first four were not done again
    assert [row["step"] for row in again.history] == [1, 2, 3, 4, 5, 6]
    left, cut = adapter(whole.folder), adapter(tmp_path / "cut")
    assert left.keys() == cut.keys() and all(torch.equal(left[k], cut[k]) for k in left)


def test_what_is_left_is_safe_to_read_anywhere(whole):
    files = [p for p in whole.folder.rglob("*") if p.is_file()]
    assert {p.suffix for p in files} <= {".safetensors", ".json", ".md"}
    names = sorted(p.parent.name for p in files if p.suffix == ".safetensors")
    assert names == ["checkpoint-2", "checkpoint-4", "checkpoint-6", "out"]
    config = json.loads((whole.folder / "adapter_config.json").read_text())
    assert config["r"] == 4 and set(config["target_modules"]) == {"q_proj", "v_proj"}


def test_answers_are_judged_by_toolchain_and_by_edges():
    case = chain_case()
    edges = {(f.head, f.tail) for f in case.facts}
    assert is_valid(case.path, case, edges)
    assert not is_valid(case.path[:-1], case, edges)
    assert not is_valid((case.path[0], *case.path[2:]), case, edges)
    assert not is_valid(case.path[1:], case, edges)
    assert not is_valid((), case, edges)


def test_base_and_tuned_are_scored_on_the_same_prompts():
    seen: list[list[Case]] = []

    class Told(Engine):
        def answers(self, cases, **how):
            seen.append(list(cases))
            return [c.path if how["adapter"] else c.path[:1] for c in cases]

    engine = Told(tiny_reader())
    how = {"share": 0.5, "edges": {(f.head, f.tail) for f in chain_case().facts}, "seed": 2}
    tuned, base = (score(engine, [chain_case()] * 3, adapter=on, **how) for on in (True, False))
    assert seen[0] == seen[1] and len({c.withheld for c in seen[0]}) > 1
    assert [r["exact"] and r["valid"] for r in tuned] == [True] * 3
    assert [r["exact"] or r["valid"] for r in base] == [False] * 3
    assert all(r["withheld"] == 4 for r in tuned)


def test_shares_right_are_means_of_their_own_cases_with_their_number():
    rng = np.random.default_rng(0)
    draws = [(split, bool(rng.random() < 0.7), bool(rng.random() < 0.2)) for split in "abbaabbbaa" * 4]
    answers = [{"split": split, "model": "base", "exact": exact, "valid": valid} for split, exact, valid in draws]
    rows = shares_right(answers, by=("split", "model"))
    assert [(row["split"], row["metric"]) for row in rows] == [(s, m) for s in "ab" for m in ("exact", "valid")]
    for row in rows:
        some = [answer[row["metric"]] for answer in answers if answer["split"] == row["split"]]
        assert (row["mean"], row["n"], row["model"]) == (pytest.approx(np.mean(some)), len(some), "base")
        assert row["low"] < row["mean"] < row["high"]
    assert shares_right([]) == []
