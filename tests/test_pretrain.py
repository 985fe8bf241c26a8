"""The embedded reader: random graphs, seed-exact and resumable training, the shipped file's claims."""

import json

import numpy as np
import pytest
import torch
from refusals import refused
from safetensors import safe_open
from transformers import LlamaForCausalLM

from workbench.models import reader
from workbench.pretrain import PretrainConfig, Pretraining, held_out, randomgraphs, teaching
from workbench.pretrain.lessons import FORK_WEIGHT, Hints, draw, paths, recall
from workbench.pretrain.randomgraphs import FORMATS, SOURCE, N

RESERVED = reader.RESERVED
SMALL = PretrainConfig(hidden=64, layers=4, heads=2, batch=8, recall_steps=4, path_steps=6)


def drawn(seed: int, count: int):
    """Random graphs, questions on them, and the numbers and rows of those that can be asked."""
    rng = np.random.default_rng(seed)
    graphs = randomgraphs.draw_graphs(rng, count)
    questions = randomgraphs.draw_questions(rng, graphs)
    numbers = np.flatnonzero(questions.usable)
    return graphs, questions, numbers, randomgraphs.path_rows(rng, graphs, questions, numbers)


def test_distances_and_path_counts_by_hand():
    adjacent = np.zeros((1, N, N), bool)
    for a, b in ((SOURCE, 0), (0, FORMATS), (FORMATS, 1), (0, FORMATS + 1), (FORMATS + 1, 1), (1, 0)):
        adjacent[0, a, b] = True
    steps = randomgraphs.distances(adjacent, np.array([SOURCE]))[0]
    assert (steps[0], steps[FORMATS], steps[1], steps[2]) == (1, 2, 3, randomgraphs.FAR)
    assert randomgraphs.count_paths(adjacent[0], 1, limit=9) == 2 and randomgraphs.count_paths(adjacent[0], 2) == 0


def test_every_drawn_answer_is_a_shortest_shown_path():
    graphs, questions, numbers, rows = drawn(0, 300)
    assert len(rows) > 200 and graphs.real.sum(1).max() == 24
    for i, (prompt, answer, *_) in zip(numbers, rows, strict=True):
        assert teaching.is_path(answer[:-1], prompt, answer) and not teaching.is_path(answer[:-2], prompt, answer)
        steps = randomgraphs.distances(graphs.adjacent[i : i + 1], np.array([SOURCE]))
        assert len(answer) - 1 == steps[0, questions.target[i]]
        names = [t for t in prompt if t >= reader.FIRST_ENTITY]
        assert max(names) < reader.FIRST_ENTITY + reader.POOL


def test_levels_are_distances_backwards():
    adjacent = randomgraphs.draw_graphs(np.random.default_rng(3), 20).adjacent
    found = randomgraphs.levels(adjacent)
    for node in range(N):
        steps = randomgraphs.distances(adjacent.transpose(0, 2, 1), np.full(20, node))
        for d in range(1, randomgraphs.HOPS + 1):
            assert (found[:, d - 1, node] == (steps == d)).all()


@pytest.mark.parametrize("both_ways", [False, True])
def test_recall_asks_for_listed_pairs(both_ways):
    batch = recall(np.random.default_rng(0), 5, both_ways=both_ways, pairs=6)
    for row, asked in zip(batch.ids.tolist(), batch.labels.tolist(), strict=True):
        listed = dict(zip(row[6:24:3], row[7:24:3], strict=True))
        backwards = {v: k for k, v in listed.items()}
        at = [i for i, label in enumerate(asked) if label != -100]
        assert len(at) == (10 if both_ways else 6) and all(asked[i] == row[i] for i in at)
        for i in at:
            reverse = row[i - 2] == RESERVED.index("to")
            assert row[i] == (backwards if reverse else listed)[row[i - 1]]


def test_hints_tell_what_leads_to_a_node_by_the_facts_of_the_prompt():
    for batch in draw("paths", np.random.default_rng(1), 12):
        ids = batch.ids.tolist()
        for row, position, hops in batch.hints:
            facts = ids[row][6 : ids[row].index(RESERVED.index("?"))]
            before = {t: {h for h, x in zip(facts[::3], facts[1::3], strict=True) if x == t} for t in facts[1::3]}
            assert ids[row][position - 1] == RESERVED.index("to")
            assert set(hops[0]) == before[ids[row][position]] - {ids[row][position]}
            assert set(hops[1]) <= {h for node in hops[0] for h in before.get(node, set())}
        for row, position, target, _ in batch.answers:
            assert batch.labels[row, position + 1] != -100 and ids[row][2] == target


def test_forks_weigh_more():
    *_, rows = drawn(2, 40)
    batch = paths(rows)
    heavy = 0
    for k, row in enumerate(rows):
        facts = row.prompt[6 : row.prompt.index(RESERVED.index("?"))]
        for i, here in enumerate([row.prompt[-1], *row.answer[:-2]]):
            fork = len({t for h, t in zip(facts[::3], facts[1::3], strict=True) if h == here}) > 1
            assert batch.weights[k, len(row.prompt) + i] == (FORK_WEIGHT if fork else 1)
            heavy += fork
    assert heavy > 5


def test_hints_fall_when_they_are_followed_and_reach_every_layer_they_teach():
    torch.manual_seed(0)
    config = reader.reader_config(hidden=64, layers=6, heads=2)
    model, hints = LlamaForCausalLM(config), Hints(64, 6)
    optimizer = torch.optim.Adam([*model.parameters(), *hints.parameters()], lr=3e-3)
    (batch, _) = draw("paths", np.random.default_rng(0), 4)
    losses = []
    for _ in range(30):
        states = model.model(batch.ids, output_hidden_states=True).hidden_states
        loss = hints(model, states, batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in hints.parameters())
    taught = [p for name, p in model.named_parameters() if "layers.4." in name]
    assert all(p.grad.abs().sum() > 0 for p in taught)


def test_a_resumed_training_is_the_same_training(tmp_path, monkeypatch):
    monkeypatch.setattr(teaching, "RECALLED", -1.0)  # a tiny model goes on to paths after two steps
    whole = Pretraining(SMALL, tmp_path / "whole").run(save_every=2)

    def stop(progress, loss):
        if progress.step == 3:
            raise TimeoutError("stopped")

    refused("stopped", Pretraining(SMALL, tmp_path / "cut").run, save_every=2, listen=stop, error=TimeoutError)
    cut = Pretraining(SMALL, tmp_path / "cut")
    assert cut.progress.step == 2
    for a, b in zip(whole.parameters(), cut.run(save_every=2).parameters(), strict=True):
        assert torch.equal(a, b)
    refused("other settings", Pretraining, PretrainConfig(), tmp_path / "cut")


def test_recall_that_does_not_come_is_an_error(tmp_path):
    with pytest.raises(RuntimeError, match="recall was not learned in 4 steps with seed 0; use another --seed"):
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
    """On other graphs than those of the card: the card's intervals hold, every chain without forks is found, and at a
    fork it does better than to guess."""
    model = LlamaForCausalLM.from_pretrained(reader.folder(), use_safetensors=True)
    figures, claimed = held_out(model, seed=10_001, count=500), reader.card()["held_out"]
    for key in ("exact_unique", "valid_not_unique"):
        assert figures[key]["n"] > 30
        assert figures[key]["high"] >= claimed[key]["low"] and figures[key]["low"] <= claimed[key]["high"]
    assert figures["by_forks"][0]["share"] >= 0.98
    assert figures["by_forks"][1]["low"] > 0.55  # two ways, mostly
    assert claimed["exact_unique"]["low"] >= 0.85 and claimed["valid_not_unique"]["low"] >= 0.8
