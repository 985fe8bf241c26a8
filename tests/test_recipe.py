"""The recipe's command from first word to last, on a tiny language model; and trained by several processes under
`accelerate launch`: what one process trains, and what is refused."""

import argparse
import json
import shutil
import subprocess
import sys
from dataclasses import replace

import pytest
from refusals import refused
from safetensors.torch import load_file
from tiny import NAMES, chain_case, graph_words, save_tiny

from workbench import models
from workbench.cases import load_cases
from workbench.stats import proportion
from workbench.train import TrainConfig, train
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


REFUSED = [
    ([], "arguments are required: --out"),
    (["--out", "x", "--rank", "0"], "rank must be 1 or more"),
    (["--out", "x", "--settings", '{"training": {}}'], "settings are model, table"),
    (["--out", "x", "--cases", "nowhere"], "nowhere must hold cases_train.jsonl"),
    (["--out", "x", "--run", "nowhere"], "nowhere holds no graph"),
    (["--out", "x", "nowhere"], "unrecognized arguments: nowhere"),
]


@pytest.mark.parametrize(("words", "said"), REFUSED)
def test_what_cannot_be_trained_is_refused(tmp_path, monkeypatch, capsys, words, said):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2 and said in " ".join(capsys.readouterr().err.split())
    assert not list(tmp_path.iterdir())


FEWER = "--train-cases 40 --held-out-cases 2 --held-out-sequences 0 --held-out-tool-cases 0 --seed 3".split()
SMALLER = "--steps 4 --batch 4 --rank 4 --modules q_proj --checkpoint-every 2 --seed 3 --no-base".split()
LAUNCH = [sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes=2", "--num_machines=1"]
LAUNCH += ["--mixed_precision=no", "--dynamo_backend=no", "--main_process_port=0"]
PACKED = ("packed", "no-packed")

EACH = f"""
import runpy, sys
place, *words = sys.argv[1:]
for packed in {PACKED}:
    sys.argv[1:] = [*words, f"--{{packed}}", "--out", f"{{place}}/two {{packed}}"]
    try:
        runpy.run_module("workbench.train", run_name="__main__")
    except SystemExit as end:
        assert not end.code
"""
"""The command twice in the same two processes, of which each takes seconds to start."""


@pytest.mark.slow
def test_two_processes_train_what_one_does(tmp_path):
    base, cases = str(save_tiny(tmp_path / "llama", "llama")), str(tmp_path / "cases")
    assert main(["--model", base, "--topics", "Mapping", *FEWER, "--draw-only", "--out", cases]) == 0
    words = ["--model", base, "--cases", cases, *SMALLER]
    (tmp_path / "each.py").write_text(EACH)
    command = [*LAUNCH, str(tmp_path / "each.py"), str(tmp_path), *words]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.count("step 4 of 4") == 2  # one of the two processes tells
    for packed in PACKED:
        places = [tmp_path / f"one {packed}", tmp_path / f"two {packed}"]
        assert main([*words, f"--{packed}", "--out", str(places[0])]) == 0
        one, two = (json.loads((place / "card.json").read_text()) for place in places)
        assert [card["training"]["processes"] for card in (one, two)] == [1, 2]
        for history in ("loss", "held_out_loss"):
            losses = [[row["loss"] for row in card["training"][history]] for card in (one, two)]
            assert losses[0] == pytest.approx(losses[1], abs=1e-3)
        weights, again = (load_file(place / "adapter_model.safetensors") for place in places)
        assert all((weights[name] - again[name]).abs().max() < 2e-3 for name in weights)
        files = [{str(p.relative_to(place)) for p in place.rglob("*")} for place in places]
        assert files[0] == files[1] and two["scores"]


def test_what_processes_cannot_share_is_refused_before_any_work(tmp_path, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "3")
    how, lm = {"folder": tmp_path / "out"}, models.load(names=NAMES)
    said = "batch must be a multiple of the 3 processes.*not 4"
    refused(said, train, lm, [chain_case()], TrainConfig(steps=2, batch=4), **how)
    refused("seconds must be", train, lm, [chain_case()], TrainConfig(steps=2, batch=6, seconds=9), **how)
    assert not (tmp_path / "out").exists()
