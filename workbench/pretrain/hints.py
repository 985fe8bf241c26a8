"""Looking ahead, taught layer by layer.

At a fork the reader must know which branch leads to the target. Of itself it does not learn that: no single step of
the search helps the answer before the others are there. So each step is taught where it can be taken. Where a node is
asked about (`to x`), layer l + 1 is to know the nodes l steps before x: one more look-up backwards a layer. Where the
answer is written, one layer is to know the target and the next the nodes near it. What a layer knows is read from its
hidden state by a linear map and the word embeddings; these maps are thrown away after the training.
"""

from __future__ import annotations

import torch
from torch import nn
from transformers import LlamaForCausalLM

from workbench.pretrain.lessons import Batch
from workbench.randomgraphs import HOPS


class Hints(nn.Module):
    """The maps, and the loss of what they read. `HOPS` + 3 layers are taught all of it, fewer layers less."""

    def __init__(self, hidden: int, layers: int):
        super().__init__()
        self.hops = nn.ModuleList(nn.Linear(hidden, hidden, bias=False) for _ in range(max(0, min(HOPS, layers - 3))))
        self.target, self.near = nn.Linear(hidden, hidden, bias=False), nn.Linear(hidden, hidden, bias=False)
        for linear in self.children():
            for one in linear if isinstance(linear, nn.ModuleList) else [linear]:
                nn.init.eye_(one.weight)

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
