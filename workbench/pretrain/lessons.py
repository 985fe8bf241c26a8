"""The three lessons as batches: recall of listed pairs, recall in both directions, shortest paths.

The third lesson comes with hints, which nodes lead to a node in one step, in two, in three: looking ahead, taught layer
by layer. At a fork the reader must know which branch leads to the target. Of itself it does not learn that: no single
step of the search helps the answer before the others are there. So each step is taught where it can be taken. Where a
node is asked about (`to x`), layer l + 1 is to know the nodes l steps before x: one more look-up backwards a layer.
Where the answer is written, one layer is to know the target and the next the nodes near it. What a layer knows is read
from its hidden state by a linear map and the word embeddings; these maps are thrown away after the training.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import nn
from transformers import LlamaForCausalLM

from workbench.models.reader import BOS, FIRST_ENTITY, PAD, POOL
from workbench.pretrain.randomgraphs import HOPS, TOKEN, PathRow, draw_graphs, draw_questions, path_rows

LESSONS = ("recall", "both_ways", "paths")
PAIRS = 12  # listed in a prompt of the first two lessons
FORWARD = 4  # of them asked forwards in the second lesson, lest that be forgotten
FORK_WEIGHT = 4.0  # in the loss, of an answer token at which more than one fact leads on


@dataclass
class Batch:
    """ids, labels (rows, length) int64, labels -100 where nothing is asked; weights (rows, length) of the loss.

    hints: (row, position, tokens that lead there in 1, 2, ... steps) for nodes that are asked about. answers: (row,
    position, target token, the target's hints) for every position that predicts a token of an answer.
    """

    ids: torch.Tensor
    labels: torch.Tensor
    weights: torch.Tensor
    hints: list[tuple[int, int, list[list[int]]]] = field(default_factory=list)
    answers: list[tuple[int, int, int, list[list[int]]]] = field(default_factory=list)


def draw(lesson: str, rng: np.random.Generator, count: int) -> list[Batch]:
    """One step's rows, in parts of like length: less padding."""
    if lesson != "paths":
        return [recall(rng, count, both_ways=lesson == "both_ways")]
    graphs = draw_graphs(rng, 3 * count)
    questions = draw_questions(rng, graphs)
    # long chains are rare and hard: a row is drawn with a weight that grows with its number of tools
    weight = np.where(questions.usable, questions.steps - 1.0, 0.0)
    drawn = np.argsort(rng.exponential(size=len(weight)) / np.maximum(weight, 1e-9))[:count]
    rows = sorted(path_rows(rng, graphs, questions, drawn[questions.usable[drawn]]), key=lambda row: len(row.prompt))
    half = len(rows) // 2
    return [paths(rows[:half]), paths(rows[half:])]


def recall(rng: np.random.Generator, count: int, *, both_ways: bool, pairs: int = PAIRS) -> Batch:
    """Pairs `k v` are listed as facts, then asked for in another order: `k` for v; both ways also `to v` for k.

    One relation word throughout, so that the place of a pair's end is easy to find; the third lesson mixes them.
    """
    names = np.argsort(rng.random((count, POOL)), 1)[:, : 2 * pairs] + FIRST_ENTITY
    rows, asked = [], []
    for keys, values in zip(names[:, :pairs].tolist(), names[:, pairs:].tolist(), strict=True):
        row = [TOKEN[w] for w in (BOS, "to", "from", "to", "from", ":")]
        row += [t for k, v in zip(keys, values, strict=True) for t in (k, v, TOKEN["input"])] + [TOKEN["?"]]
        mark = [False] * len(row)
        order = rng.permutation(pairs).tolist()
        queries = [([keys[i]], values[i]) for i in order]
        if both_ways:
            queries = queries[:FORWARD] + [([TOKEN["to"], values[i]], keys[i]) for i in rng.permutation(pairs)]
            queries = [queries[i] for i in rng.permutation(len(queries))]
        for query, reply in queries:
            row += [*query, reply]
            mark += [False] * len(query) + [True]
        rows.append(row)
        asked.append(mark)
    ids = torch.tensor(rows)
    labels = torch.where(torch.tensor(asked), ids, -100)
    return Batch(ids, labels, torch.ones(ids.shape))


def paths(rows: list[PathRow]) -> Batch:
    """Questions and answers, then, unasked, further nodes `to x` to give hints on."""
    width = max(len(r.prompt) + len(r.answer) + 2 * len(r.others) for r in rows)
    ids = torch.full((len(rows), width), TOKEN[PAD])
    labels, weights = torch.full((len(rows), width), -100), torch.ones(len(rows), width)
    batch = Batch(ids, labels, weights)
    for k, row in enumerate(rows):
        start, end = len(row.prompt), len(row.prompt) + len(row.answer)
        ids[k, :end] = torch.tensor(row.prompt + row.answer)
        labels[k, start:end] = torch.tensor(row.answer)
        weights[k, start:end] = torch.where(torch.tensor(row.forks), FORK_WEIGHT, 1.0)
        batch.hints.append((k, start - 3, row.hops))  # the target stands third from the end of the prompt
        batch.answers += [(k, i, row.prompt[-3], row.hops) for i in range(start - 1, end - 1)]
        for i, (node, hops) in enumerate(row.others):
            at = end + 2 * i
            ids[k, at : at + 2] = torch.tensor([TOKEN["to"], node])
            batch.hints.append((k, at + 1, hops))
    return batch


class Hints(nn.Module):
    """The maps, and the loss of what they read. `HOPS` + 3 layers are taught all of it, fewer layers less."""

    def __init__(self, hidden: int, layers: int):
        super().__init__()
        self.hops = nn.ModuleList(nn.Linear(hidden, hidden, bias=False) for _ in range(max(0, min(HOPS, layers - 3))))
        self.target, self.near = nn.Linear(hidden, hidden, bias=False), nn.Linear(hidden, hidden, bias=False)
        for weight in self.parameters():
            nn.init.eye_(weight)

    def forward(self, model: LlamaForCausalLM, states: tuple[torch.Tensor, ...], batch: Batch) -> torch.Tensor:
        """Loss in nats. states: hidden states after 0, 1, ... layers, each (rows, length, hidden)."""
        loss = torch.zeros(())
        if not batch.hints:
            return loss
        at = torch.tensor([(row, position) for row, position, _ in batch.hints]).T
        for k, linear in enumerate(self.hops):
            known = [hops[k] for _, _, hops in batch.hints]
            loss = loss + 0.5 * self.read(model, linear, states[k + 2][at[0], at[1]], known)
        if not self.hops:
            return loss
        at = torch.tensor([(row, position) for row, position, _, _ in batch.answers]).T
        near = [[node for level in hops[: len(self.hops)] for node in level] for _, _, _, hops in batch.answers]
        loss = loss + self.read(model, self.target, states[-3][at[0], at[1]], [[t] for _, _, t, _ in batch.answers])
        return loss + self.read(model, self.near, states[-2][at[0], at[1]], near)

    @staticmethod
    def read(model: LlamaForCausalLM, linear: nn.Linear, states: torch.Tensor, known: list[list[int]]) -> torch.Tensor:
        """Mean cross-entropy (nats) of states (P, hidden) with the even distribution over each one's known tokens."""
        rows = torch.tensor([i for i, tokens in enumerate(known) for _ in tokens])
        columns = torch.tensor([token for tokens in known for token in tokens])
        share = torch.tensor([1 / len(tokens) for tokens in known for _ in tokens])
        read = nn.functional.rms_norm(linear(states), states.shape[-1:])
        return -(model.lm_head(read).log_softmax(-1)[rows, columns] * share).sum() / max(1, sum(map(bool, known)))
