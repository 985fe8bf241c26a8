"""The embedded reader: random graphs, seed-exact and resumable training, the shipped file's claims."""

import json

import numpy as np
import pytest
import torch
from safetensors import safe_open

from workbench import pretrain, reader
from workbench.pretrain import PretrainConfig, Pretraining, held_out, is_path
from workbench.randomgraphs import (
    FAR,
    FORMATS,
    SOURCE,
    N,
    count_paths,
    distances,
    draw_graphs,
    draw_questions,
    recall_rows,
    token_rows,
)

SMALL = PretrainConfig(hidden=64, layers=1, heads=2, batch=8, recall_steps=4, path_steps=6, grow_steps=4)


def test_distances_and_path_counts_by_hand():
    adjacent = np.zeros((1, N, N), bool)
    for a, b in ((SOURCE, 0), (0, FORMATS), (FORMATS, 1), (0, FORMATS + 1), (FORMATS + 1, 1), (1, 0)):
        adjacent[0, a, b] = True
    steps = distances(adjacent, np.array([SOURCE]))[0]
    assert (steps[0], steps[FORMATS], steps[1], steps[2]) == (1, 2, 3, FAR)
    assert count_paths(adjacent[0], 1, limit=9) == 2 and count_paths(adjacent[0], 2) == 0


def test_every_drawn_answer_is_a_shortest_shown_path():
    rng = np.random.default_rng(0)
    graphs = draw_graphs(rng, 300)
    questions = draw_questions(rng, graphs)
    rows = np.nonzero(questions.usable)[0]
    drawn = token_rows(rng, graphs, questions, rows)
    assert len(rows) > 200 and graphs.real.sum(1).max() == 24
    for i, (prompt, answer) in zip(rows, drawn, strict=True):
        assert is_path(answer[:-1], prompt, answer) and not is_path(answer[:-2], prompt, answer)
        assert len(answer) - 1 == distances(graphs.adjacent[i : i + 1], np.array([SOURCE]))[0, questions.target[i]]
        names = [t for t in prompt if t >= reader.FIRST_ENTITY]
        assert max(names) < reader.FIRST_ENTITY + reader.POOL


def test_recall_rows_ask_for_listed_values():
    ids, labels = recall_rows(np.random.default_rng(0), 5, pairs=4)
    for row, asked in zip(ids, labels, strict=True):
        listed = dict(zip(row[6:18:3], row[7:18:3], strict=True))
        queries = dict(zip(row[19::2], row[20::2], strict=True))
        assert queries == listed and (asked[20::2] == row[20::2]).all() and (asked != -100).sum() == 4


def test_a_resumed_training_is_the_same_training(tmp_path, monkeypatch):
    monkeypatch.setattr(pretrain, "RECALLED", -1.0)  # a tiny model goes on to paths after one step
    whole = Pretraining(SMALL, tmp_path / "whole").run(save_every=2)

    class Stop(Exception):
        pass

    def stop(progress, loss):
        if progress.step == 3:
            raise Stop

    with pytest.raises(Stop):
        Pretraining(SMALL, tmp_path / "cut").run(save_every=2, listen=stop)
    cut = Pretraining(SMALL, tmp_path / "cut")
    assert cut.progress.step == 2
    for a, b in zip(whole.parameters(), cut.run(save_every=2).parameters(), strict=True):
        assert torch.equal(a, b)
    with pytest.raises(ValueError, match="other settings"):
        Pretraining(PretrainConfig(), tmp_path / "cut")


def test_recall_that_does_not_come_is_an_error(tmp_path):
    with pytest.raises(RuntimeError, match="not learned in 4 steps with seed 0; use another --seed"):
        Pretraining(SMALL, tmp_path).run()


def test_the_shipped_reader_is_small_and_safe():
    weights = reader.folder() / "model.safetensors"
    assert sum(p.stat().st_size for p in reader.folder().iterdir()) <= 8 * 2**20
    assert {p.suffix for p in reader.folder().iterdir()} <= {".safetensors", ".json"}
    with safe_open(weights, "pt") as file:
        rows = file.get_tensor("model.embed_tokens.weight").shape[0]
    assert rows == reader.FIRST_ENTITY + reader.POOL and reader.POOL >= 1024
    card = reader.card()
    assert {"config", "data", "held_out", "train_seconds"} <= set(card)
    assert card["config"]["seed"] is not None and json.loads(json.dumps(card)) == card


def test_the_shipped_reader_reads_graphs_it_has_not_seen():
    """On other graphs than those of the card: the card's intervals hold, and without forks every chain is found."""
    from transformers import LlamaForCausalLM

    model = LlamaForCausalLM.from_pretrained(reader.folder(), use_safetensors=True)
    figures, claimed = held_out(model, seed=10_001, count=800), reader.card()["held_out"]
    for key in ("exact_unique", "valid_not_unique"):
        assert figures[key]["n"] > 30
        assert figures[key]["high"] >= claimed[key]["low"] and figures[key]["low"] <= claimed[key]["high"]
    assert figures["by_forks"][0]["share"] >= 0.98
    assert figures["by_forks"][1]["share"] < figures["by_forks"][0]["share"]  # it does not look ahead
