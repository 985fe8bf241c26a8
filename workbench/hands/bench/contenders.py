"""Who is compared in `bench peers`; how good scores of fact lines are, on prompts written without the lines, and what
they cost: forward passes counted from outside, whoever makes them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Self

import numpy as np
import torch

from workbench.attribution import METHODS, fit_surrogate, logit_of_logprob
from workbench.attribution.faithfulness import measured
from workbench.cases import Case
from workbench.explain import ElementSet, first_flips, minimal_flip_set, smallest_flip_set
from workbench.explain.sets.minimal import gradient_order
from workbench.game import Engine, Game, Restricted
from workbench.hands.bench.packages import captum_scores, context_cite_scores
from workbench.models import LanguageModel
from workbench.stats import ranking
from workbench.stats.games import Ledger

OURS = "workbench"
PERMUTATIONS = 5  # of Shapley sampling: as many as captum is asked for
SAMPLES = 128  # of KernelSHAP, where both are asked for as many


@dataclass(frozen=True)
class Asked:
    """One case as everyone gets it: the engine, the case, the answer's tokens, whether the model gives this answer by
    itself, and a seed.
    """

    engine: Engine
    case: Case
    answer: tuple[int, ...]
    own: bool = True
    seed: int = 0

    def game(self, **how) -> Game:
        """The case's game, of which nothing is known yet."""
        return Game(self.engine, self.case, self.answer, **how)

    @property
    def facts(self) -> np.ndarray:
        """Element numbers of the facts: the players, for these are the lines that packages can ablate."""
        return np.arange(len(self.case.nodes), len(self.case.elements))

    def part(self, **how) -> Restricted:
        """The game between the facts."""
        return Restricted(self.game(**how), self.facts)


@dataclass(frozen=True)
class Given:
    """Scores (facts,). found: the set, where the contender looks for one. masks: those asked, (m, facts) bool, where
    they are known.
    """

    scores: np.ndarray
    found: ElementSet | None = None
    masks: np.ndarray | None = None


@dataclass(frozen=True)
class Contender:
    """A row of the comparison. like: our row that does the same. exact: on the same masks both must give the same
    numbers. dear: token by token where many passes are needed; asked of few cases.
    """

    name: str
    package: str
    like: str
    ask: Callable[[Asked], Given] = field(repr=False)
    exact: bool = False
    dear: bool = False


def method(name: str, asked: Asked, **settings) -> Given:
    """One of `workbench.attribution.METHODS` on the facts."""
    return Given(METHODS[name](asked.part(), rng=np.random.default_rng(asked.seed), **settings).scores)


def flip_set(asked: Asked, *, smallest: bool) -> Given:
    """A certified flip set; a member's score is 1."""
    part = asked.part(form="decision")
    found = smallest_flip_set(part, part.n) if smallest else minimal_flip_set(part, part.n, order=gradient_order(part))
    return Given(np.isin(np.arange(part.n), found.elements).astype(float), found)


def captum(name: str, asked: Asked, **call) -> Given:
    """One of captum's perturbation methods under its `LLMAttribution`."""
    return Given(captum_scores(asked.engine.lm, asked.case, asked.answer, method=name, seed=asked.seed, **call))


def cited(asked: Asked) -> Given:
    """context-cite with its defaults; it generates the answer itself."""
    found = context_cite_scores(asked.engine.lm, asked.case, None if asked.own else asked.answer)
    return Given(found.scores, masks=found.masks)


# captum asks token by token and keeps a cache, unless it is told otherwise. Captum 0.9 under transformers 5 reads the
# whole text again on top of that cache, so that its default scores are not those of the model
NO_CACHE: dict[str, Any] = {"use_cached_outputs": False}
ONE_PASS: dict[str, Any] = {"forward_in_tokens": False}

CONTENDERS: dict[str, Contender] = {
    one.name: one
    for one in (
        Contender("leave_one_out", OURS, "leave_one_out", partial(method, "leave_one_out")),
        Contender("context_cite", OURS, "context_cite", partial(method, "context_cite")),
        Contender("kernel_shap", OURS, "kernel_shap", partial(method, "kernel_shap", samples=SAMPLES)),
        Contender("shapley_sampling", OURS, "shapley_sampling",
                  partial(method, "shapley_sampling", permutations=PERMUTATIONS)),
        Contender("gradient_gate", OURS, "gradient_gate", partial(method, "gradient_gate")),
        Contender("certified_flip_set", OURS, "certified_flip_set", partial(flip_set, smallest=False)),
        Contender("smallest_flip_set", OURS, "smallest_flip_set", partial(flip_set, smallest=True)),
        Contender("FeatureAblation", "captum", "leave_one_out", partial(captum, "FeatureAblation"), exact=True),
        Contender("FeatureAblation, no cache", "captum", "leave_one_out",
                  partial(captum, "FeatureAblation", **NO_CACHE), exact=True),
        Contender("FeatureAblation, one pass", "captum", "leave_one_out",
                  partial(captum, "FeatureAblation", **ONE_PASS), exact=True),
        Contender("ShapleyValueSampling", "captum", "shapley_sampling",
                  partial(captum, "ShapleyValueSampling", n_samples=PERMUTATIONS), dear=True),
        Contender("ShapleyValueSampling, one pass", "captum", "shapley_sampling",
                  partial(captum, "ShapleyValueSampling", n_samples=PERMUTATIONS, **ONE_PASS)),
        Contender("KernelShap", "captum", "kernel_shap", partial(captum, "KernelShap"), dear=True),
        Contender("KernelShap, one pass", "captum", "kernel_shap",
                  partial(captum, "KernelShap", n_samples=SAMPLES, **ONE_PASS)),
        Contender("ContextCiter", "context-cite", "context_cite", cited, exact=True),
    )
}  # fmt: skip


def available(versions: dict[str, str | None], *, dear: bool = True) -> list[Contender]:
    """Our rows, and those of the packages that are installed. dear: with the dear ones."""
    present: Sequence[str] = [OURS, *(name for name, version in versions.items() if version)]
    return [one for one in CONTENDERS.values() if one.package in present and (dear or not one.dear)]


QUALITY = ("top_k_drop", "comprehensiveness", "lds", "flips", "until_flip")


class Quality:
    """Measures of one case, whose games between the facts are shared by all who are measured.

    size: members of the smallest flip set known, None where there is none. masks: held-out ones for the lds.
    """

    def __init__(self, asked: Asked, *, size: int | None, masks: int = 64):
        game = asked.game()
        self.value, self.decision = (Restricted(one, asked.facts) for one in (game, game.view(form="decision")))
        self.seed, self.size, self.masks = asked.seed, size, masks

    def __call__(self, scores: np.ndarray) -> dict[str, float | None]:
        """Of scores (facts,): what `measured` says; `until_flip`: how many facts go, highest score first, until the
        toolchain changes, all where no number of them changes it; and `flips`: 1.0 where it has changed once as many go
        as the smallest flip set has. A search for flip sets was told what flips, scores were not.
        """
        flips, order = None, ranking(scores, rng=np.random.default_rng(self.seed))
        if self.size is not None:
            left = ~np.isin(np.arange(len(order)), order[: self.size])
            flips = float(self.decision(left[None])[0] <= 0)
        told = measured(self.value, scores, seed=self.seed, masks=self.masks, keep=0.5)
        return {**told, "flips": flips, "until_flip": first_flips([self.decision], [order])[0] or len(order)}


def largest_difference(asked: Asked, given: Given, ours: Given) -> float:
    """Largest absolute difference of a score to ours on the same masks: on those a package drew, or all the same."""
    if given.masks is None:
        return float(np.abs(given.scores - ours.scores).max())
    target = logit_of_logprob(asked.part()(given.masks))
    again = fit_surrogate(given.masks, target, tokens=len(asked.answer))
    return float(np.abs(given.scores - again.scores).max())


class Counter:
    """Counts what a language model computes while a block runs, at whose end `spent` is complete.

    The hook sits on the input embeddings: a package that calls `model.forward` passes by the hooks of the model itself.
    """

    def __init__(self, lm: LanguageModel):
        self.lm, self.spent = lm, Ledger()

    def __enter__(self) -> Self:
        self.hook = self.lm.model.get_input_embeddings().register_forward_pre_hook(self._see)
        self.began = now(self.lm.device)
        return self

    def __exit__(self, *_: object) -> None:
        self.spent.seconds = now(self.lm.device) - self.began
        self.hook.remove()

    def _see(self, _module: torch.nn.Module, inputs: tuple[Any, ...]) -> None:
        ids = inputs[0]
        self.spent.calls += 1
        self.spent.rows += len(ids)
        self.spent.tokens += int((ids != self.lm.tokenizer.pad_token_id).sum())


def now(device: torch.device) -> float:
    """Seconds, once the device has done what it was asked."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()
