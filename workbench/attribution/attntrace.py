"""AttnTrace: attention to the strongest tokens of a text, averaged over random parts of the context
(Wang, Geng, Chen, Jia 2025)."""

from __future__ import annotations

from typing import Any

import numpy as np

from workbench.attribution.oracle import able
from workbench.cases import Case


def attn_trace(
    game: Any,
    case: Case,
    *,
    rng: np.random.Generator,
    draws: int = 30,
    share: float = 0.4,
    tokens: int = 5,
) -> np.ndarray:
    """Mean over the draws that show an element of the mean attention to its `tokens` strongest tokens. `draws` rows.

    A draw shows `share` of the facts (rounded down, one at least) in their order; all nodes stay, for only lines are
    texts. A node's tokens are those of all its shown facts. An element that no draw shows scores 0.
    """
    if draws < 1 or tokens < 1 or not 0 < share <= 1:
        raise ValueError(f"draws and tokens must be 1 or more, share in (0, 1]: {draws}, {tokens}, {share}")
    found = able(game, "token_attention")
    nodes, facts = len(case.nodes), len(case.facts)
    total, shown = np.zeros(nodes + facts), np.zeros(nodes + facts)
    for _ in range(draws):
        keep = np.arange(nodes + facts) < nodes
        keep[nodes + rng.permutation(facts)[: max(1, int(share * facts))]] = True
        for i, weights in enumerate(found.token_attention(keep)):
            if len(weights):
                total[i] += np.sort(weights)[-tokens:].mean()
                shown[i] += 1
    return total / np.maximum(shown, 1)
