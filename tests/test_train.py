"""QLoRA training: rows, loss, checkpoints and resume, judgement of answers."""

import dataclasses
import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tiny import NAMES, chain_case, save_tiny, tiny_reader

from workbench import models
from workbench.cases import Case
from workbench.game import Engine
from workbench.game.memory import MemoryShort
from workbench.train import GROUP, TrainConfig, Views, collate, is_valid, score, shares_right, train

TINY = TrainConfig(rank=4, alpha=8, steps=6, batch=4, checkpoint_every=2, seed=5)


class Interrupted(Exception):
    pass


def adapter(folder):
    return load_file(folder / "adapter_model.safetensors")


def load(tmp_path):
    folder = tmp_path / "llama"
    return models.load(str(folder if folder.is_dir() else save_tiny(folder, "llama")), names=NAMES)


def test_rows_are_the_same_in_every_run_and_ask_for_answers_only():
    lm = tiny_reader()
    config = TrainConfig(steps=5, batch=4, shares=(0.0, 0.5), seed=1)
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
    config = TrainConfig(steps=GROUP, batch=8, shares=(0.0,), seed=0)
    views = Views([chain_case(), short], tiny_reader(), config=config)
    lengths = [len(views[i]["input_ids"]) for i in range(len(views))]
    batches = [lengths[i : i + 8] for i in range(0, len(lengths), 8)]
    assert sum(len(set(batch)) > 1 for batch in batches) <= 1  # at most one where the two lengths meet
    assert 0.3 < sum(n == min(lengths) for n in lengths) / len(lengths) < 0.7
    assert len({tuple(views[i]["input_ids"]) for i in range(len(views))}) > 40  # 24 orders of the short one


def test_collate_pads_on_the_right_and_masks_it():
    batch = collate([{"input_ids": [5, 6], "labels": [-100, 6]}, {"input_ids": [7], "labels": [7]}], pad=0)
    assert batch["input_ids"].tolist() == [[5, 6], [7, 0]]
    assert batch["labels"].tolist() == [[-100, 6], [7, -100]]
    assert batch["attention_mask"].tolist() == [[1, 1], [1, 0]]


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


def test_a_step_that_does_not_fit_is_taken_in_parts(tmp_path, caplog):
    whole = train(load(tmp_path), [chain_case()], TINY, folder=tmp_path / "whole", held_out=[chain_case()])
    lm = load(tmp_path)
    seen = short_of_memory(lm, 1)
    again = train(lm, [chain_case()], TINY, folder=tmp_path / "parts", held_out=[chain_case()])
    assert seen[:2] == [4, 2] and set(seen[2:]) == {1} and len(seen) == 2 + 4 * 6
    assert [r["loss"] for r in again.history] == pytest.approx([r["loss"] for r in whole.history], abs=1e-4)
    same = [adapter(tmp_path / name) for name in ("whole", "parts")]
    assert all(torch.allclose(same[0][name], same[1][name], atol=2e-3) for name in same[0])
    assert [r.getMessage() for r in caplog.records if "memory ran out" in r.getMessage()] == [
        "the memory ran out in a training step of 4 cases at a time: it takes 2 from here on, and adds them up",
        "the memory ran out in a training step of 2 cases at a time: it takes 1 from here on, and adds them up",
    ]


def test_memory_that_is_short_for_a_single_case_is_told_with_what_to_do(tmp_path):
    lm = load(tmp_path)
    short_of_memory(lm, 0)
    with pytest.raises(MemoryShort, match="with one case at a time; take a smaller model"):
        train(lm, [chain_case()], TINY, folder=tmp_path / "out")


def test_a_finished_training_asked_again_keeps_the_adapters_along_the_way(tmp_path):
    train(load(tmp_path), [chain_case()], TINY, folder=tmp_path / "out")
    adapters = {p.parent.name: adapter(p.parent) for p in tmp_path.glob("out/checkpoints/*/*.safetensors")}
    assert adapters.keys() == {"checkpoint-2", "checkpoint-4", "checkpoint-6"}
    again = train(load(tmp_path), [chain_case()], TINY, folder=tmp_path / "out")
    assert again.steps == 6
    for name, weights in adapters.items():
        now = adapter(tmp_path / "out" / "checkpoints" / name)
        assert all(torch.equal(weights[key], now[key]) for key in weights)


def test_training_moves_only_the_adapter_and_resumes_from_its_last_checkpoint(tmp_path):
    lm = load(tmp_path)
    before = {n: p.detach().clone() for n, p in lm.model.named_parameters()}
    result = train(lm, [chain_case()], TINY, folder=tmp_path / "whole")
    assert result.history[0]["loss"] > result.history[-1]["loss"] and result.seconds > 0
    for name, parameter in lm.model.named_parameters():
        if "lora" not in name:
            assert torch.equal(before[name.removeprefix("base_model.model.").replace(".base_layer", "")], parameter)

    def stop(rows):
        if rows[-1]["step"] == 5:
            raise Interrupted

    with pytest.raises(Interrupted):
        train(load(tmp_path), [chain_case()], TINY, folder=tmp_path / "cut", listen=stop)
    assert (tmp_path / "cut/checkpoints/checkpoint-4").is_dir() and not (tmp_path / "cut/adapter_config.json").exists()
    steps = []
    again = train(
        load(tmp_path),
        [chain_case()],
        TINY,
        folder=tmp_path / "cut",
        listen=lambda rows: steps.append(rows[-1]["step"]),
    )
    assert steps == [5, 6]  # the first four were not done again
    assert [row["step"] for row in again.history] == [1, 2, 3, 4, 5, 6]
    whole, cut = adapter(tmp_path / "whole"), adapter(tmp_path / "cut")
    assert whole.keys() == cut.keys() and all(torch.equal(whole[k], cut[k]) for k in whole)


def test_what_is_left_is_safe_to_read_anywhere(tmp_path):
    train(load(tmp_path), [chain_case()], TINY, folder=tmp_path / "out")
    files = [p for p in (tmp_path / "out").rglob("*") if p.is_file()]
    assert {p.suffix for p in files} <= {".safetensors", ".json", ".md"}
    names = sorted(p.parent.name for p in files if p.suffix == ".safetensors")
    assert names == ["checkpoint-2", "checkpoint-4", "checkpoint-6", "out"]
    config = json.loads((tmp_path / "out/adapter_config.json").read_text())
    assert config["r"] == 4 and set(config["target_modules"]) == {"q_proj", "v_proj"}


def test_checkpoints_of_another_training_are_not_taken_up(tmp_path):
    def stop(rows):
        if rows[-1]["step"] == 3:
            raise Interrupted

    changed = TrainConfig(rank=4, steps=6, batch=4, checkpoint_every=1)
    with pytest.raises(Interrupted):
        train(load(tmp_path), [chain_case()], changed, folder=tmp_path / "o", listen=stop)
    other = train(load(tmp_path), [chain_case()], TINY, folder=tmp_path / "o")
    fresh = train(load(tmp_path), [chain_case()], TINY, folder=tmp_path / "fresh")
    assert [r["loss"] for r in other.history] == [r["loss"] for r in fresh.history]


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


def test_settings_out_of_range_are_named():
    for wrong in ({"rank": 0}, {"learning_rate": 0.0}, {"modules": ()}, {"shares": (1.5,)}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            TrainConfig(**wrong)
