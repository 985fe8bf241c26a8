"""How good scores of fact lines are, on prompts that are written again without the lines."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from workbench.attribution import fit_surrogate, logit_of_logprob
from workbench.attribution.faithfulness import measured
from workbench.bench.contenders import Asked, Given
from workbench.explain import first_flips
from workbench.game import Restricted
from workbench.stats import ranking

QUALITY = ("top_k_drop", "comprehensiveness", "lds", "flips", "until_flip")


@dataclass(frozen=True)
class Quality:
    """Measures of one case. value, decision: its games between the facts, shared by all who are measured.

    size: members of the smallest flip set known, None where there is none. masks: held-out ones for the lds.
    """

    value: Restricted
    decision: Restricted
    seed: int
    size: int | None
    masks: int = 64
    k: int = 3

    @classmethod
    def of(cls, asked: Asked, *, size: int | None, masks: int = 64) -> Quality:
        """The measures of a case."""
        game = asked.game()
        decision = Restricted(game.view(form="decision"), asked.facts)
        return cls(Restricted(game, asked.facts), decision, asked.seed, size, masks)

    def __call__(self, scores: np.ndarray) -> dict[str, float | None]:
        """Of scores (facts,): what `measured` says; `until_flip`: how many facts go, highest score first, until the
        toolchain changes, all where no number of them changes it; and `flips`: 1.0 where it has changed once as many go
        as the smallest flip set has. A search for flip sets was told what flips, scores were not.
        """
        flips, order = None, ranking(scores, rng=np.random.default_rng(self.seed))
        if self.size is not None:
            left = ~np.isin(np.arange(len(order)), order[: self.size])
            flips = float(self.decision(left[None])[0] <= 0)
        told = measured(self.value, scores, seed=self.seed, k=self.k, masks=self.masks, keep=0.5)
        return {**told, "flips": flips, "until_flip": first_flips([self.decision], [order])[0] or len(order)}


def largest_difference(asked: Asked, given: Given, ours: Given) -> float:
    """Largest absolute difference of a score to ours on the same masks: on those a package drew, or all the same."""
    if given.masks is None:
        return float(np.abs(given.scores - ours.scores).max())
    target = logit_of_logprob(asked.part()(given.masks))
    again = fit_surrogate(given.masks, target, tokens=len(asked.answer))
    return float(np.abs(given.scores - again.scores).max())
