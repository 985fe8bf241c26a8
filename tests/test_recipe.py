"""The recipe's command from first word to last, on a tiny language model."""

import argparse
import json
import shutil
from dataclasses import replace

import pytest
from safetensors.torch import load_file
from tiny import graph_words, save_tiny

from workbench.cases import load_cases
from workbench.stats import proportion
from workbench.train import TrainConfig
from workbench.train.__main__ import add_options, main, recipe_of
from workbench.train.making import PRESETS, SHARES, Splits

FEW = "--train-cases 300 --held-out-cases 3 --held-out-sequences 6 --held-out-tool-cases 2".split()
TOPICS = ["--topics", "Gene transcripts", "Mapping", "Sequence assembly"]
SMALL = "--steps 4 --batch 4 --rank 4 --modules q_proj down_proj --checkpoint-every 2 --seed 3".split()


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("recipe")


@pytest.fixture(scope="module")
def model(place):
    return str(save_tiny(place / "llama", "llama", words=graph_words()))


@pytest.fixture(scope="module")
def drawn(place, model):
    """A folder of cases, drawn and nothing else."""
    assert main(["--model", model, *TOPICS, *FEW, "--seed", "3", "--draw-only", "--out", str(place / "cases")]) == 0
    return place / "cases"


@pytest.mark.slow
def test_a_folder_of_cases_becomes_an_adapter_with_its_card(place, model, drawn, capsys):
    words = ["--model", model, "--cases", str(drawn), *SMALL, "--out", str(place / "out")]
    assert main(words) == 0
    said = capsys.readouterr().out
    assert "step 4 of 4" in said and "rows/s" in said and "it/s" not in said
    folder, card = place / "out", json.loads((place / "out" / "card.json").read_text())
    weights = load_file(folder / "adapter_model.safetensors")
    assert {name.split(".")[-3] for name in weights} == {"q_proj", "down_proj"}
    assert card["trainable_parameters"] == sum(value.numel() for value in weights.values())
    assert card["training"]["steps"] == 4 and card["training"]["rows"] == 16 and card["training"]["rows_per_second"] > 0
    assert card["train"]["replay"] == PRESETS["smollm2"].train.replay and card["train"]["seed"] == 3
    assert card["cases"]["sampling"]["train"] == 300 and card["cases"]["topics"] == TOPICS[1:]
    assert card["base"]["sha256"].keys() == {"model.safetensors"}
    splits = {"held_out_sequences", "held_out", "held_out_tools", "showcase"}
    asked = {(row["split"], row["model"], row["share"]) for row in card["scores"]}
    models = ("tuned", "base")
    assert asked == {(s, m, q) for s in splits for m in models for q in SHARES} | {("made_up", m, 0.0) for m in models}
    answers = [json.loads(line) for line in (folder / "answers.jsonl").read_text().splitlines()]
    for row in card["scores"]:
        some = [a[row["metric"]] for a in answers if all(a[key] == row[key] for key in ("split", "model", "share"))]
        assert (row["mean"], row["low"], row["n"]) == (proportion(some).share, proportion(some).low, len(some))
    for split in splits - {"showcase"}:
        assert load_cases(folder / f"cases_{split}.jsonl") == load_cases(drawn / f"cases_{split}.jsonl")
    assert not (folder / "cases_train.jsonl").exists()


@pytest.mark.slow
def test_what_is_finished_is_not_done_again_and_what_is_left_is(place, model, drawn, capsys):
    folder, words = place / "again", ["--model", model, "--cases", str(drawn), *SMALL, "--out", str(place / "again")]
    shutil.copytree(place / "out", folder)
    card = json.loads((folder / "card.json").read_text())
    cut = {key: value for key, value in card.items() if key != "scores"}
    (folder / "card.json").write_text(json.dumps(cut))
    before = (folder / "adapter_model.safetensors").read_bytes()
    assert main([*words, "--no-base"]) == 0
    assert "nothing is trained" in capsys.readouterr().out
    assert (folder / "adapter_model.safetensors").read_bytes() == before
    scores = json.loads((folder / "card.json").read_text())["scores"]
    assert scores == [row for row in card["scores"] if row["model"] == "tuned"]


def test_drawn_cases_are_those_of_the_recipe_and_come_back_from_their_folder(drawn):
    recipe = replace(PRESETS["smollm2"], topics=tuple(TOPICS[1:])).with_settings(
        {"sampling": {"train": 300, "held_out": 3, "held_out_sequences": 6, "held_out_tools": 2, "seed": 3}}
    )
    here, read = Splits.drawn(recipe), Splits.read(drawn)
    assert here == read
    assert (len(here.cases["train"]), len(here.cases["held_out"]), len(here.cases["showcase"])) == (300, 3, 1)
    showcase = here.cases["showcase"][0]
    assert (showcase.source, showcase.target) not in {(c.source, c.target) for c in here.cases["train"]}
    taught = {step for case in here.cases["train"] for step in zip(case.path, case.path[1:], strict=False)}
    assert taught <= here.edges


def test_settings_come_from_preset_run_json_and_options_in_this_order(tmp_path):

    def asked(*words):
        parser = argparse.ArgumentParser()
        add_options(parser)
        return recipe_of(parser.parse_args(["--out", "x", *words]))

    assert asked("--model", "smollm2") == PRESETS["smollm2"] and asked() == PRESETS["reader"]
    assert asked("--model", "some/other") == replace(PRESETS["smollm2"], model="some/other")
    assert asked("--model", "smollm2", "--topics", "Mapping").sampling.in_field
    assert not asked("--model", "smollm2").sampling.in_field and not asked("--topics").sampling.in_field
    run = tmp_path / "run"
    (run / "kg").mkdir(parents=True)
    (run / "kg" / "graph.json").write_text("{}")
    (run / "adapter").mkdir()
    config = {"train": TrainConfig(steps=7, rank=2, shares=(0.5,)).to_dict(), "topics": []}
    config["sampling"] = {"train": 9, "questions": ["step"]}
    (run / "adapter" / "manifest.json").write_text(json.dumps({"config": config | {"model": "reader"}}))
    found = asked("--run", str(run), "--settings", '{"train": {"rank": 3}}', "--learning-rate", "0.5", "--seed", "4")
    assert found.table == str(run / "kg" / "graph.json") and found.topics == () and found.sampling.train == 9
    assert found.train == TrainConfig(steps=7, rank=3, shares=(0.5,), learning_rate=0.5, seed=4)
    assert found.sampling.seed == 4 and found.sampling.questions == ("step",)
    assert asked("--run", str(run), "--questions", "goal", "chain").sampling.questions == ("goal", "chain")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "arguments are required: --out"),
        (["--out", "x", "--rank", "0"], "rank must be 1 or more"),
        (["--out", "x", "--settings", '{"training": {}}'], "settings are model, table"),
        (["--out", "x", "--cases", "nowhere"], "nowhere must hold cases_train.jsonl"),
        (["--out", "x", "--run", "nowhere"], "nowhere holds no graph"),
        (["--out", "x", "nowhere"], "unrecognized arguments: nowhere"),
    ],
)
def test_what_cannot_be_trained_is_refused(tmp_path, monkeypatch, capsys, words, said):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2 and said in " ".join(capsys.readouterr().err.split())
    assert not list(tmp_path.iterdir())
