"""Learning soft removal masks: binary-concrete samples of node and edge logits, Adam, all cases at once."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from workbench.artifacts.checks import check_number, check_seed, check_whole
from workbench.cases import Case
from workbench.explain.metrics import Divergence, LoopDivergence, TextDivergence
from workbench.explain.terms import Layout, Sample, Weights, evaluate, total
from workbench.game import Engine
from workbench.models.prompts import Template

DECAY = 0.9  # of the loss curve's exponential moving average
START = -1.0  # logits at the start: m = 0.27, more kept than removed
WARM = 1.0  # temperature at which learning with the model in the loop starts

Listener = Callable[[dict[str, float]], None]
"""Called after every step with one row, the mean over cases: `step` (from 1), `loss`, `loss_ema`, and every term."""


@dataclass(frozen=True)
class Masks:
    """Learned degrees of removal of one case, m = sigma(theta) in (0, 1), and how the learning went.

    Examples:
        >>> Masks(np.array([0.1, 0.9]), np.array([0.5])).order.tolist()
        [1, 2, 0]
    """

    nodes: np.ndarray  # (V,) float64, in the order of case.nodes
    edges: np.ndarray  # (E,) float64, in the order of case.facts
    history: list[dict[str, float]] = field(default_factory=list, repr=False)  # a row a step

    @property
    def elements(self) -> np.ndarray:
        """(n,) in the order of case.elements."""
        return np.concatenate([self.nodes, self.edges])

    @property
    def order(self) -> np.ndarray:
        """(n,) numbers of elements, the highest degree of removal first, of equal ones the first."""
        return np.argsort(-self.elements, kind="stable")


def learn_masks(
    cases: Sequence[Case],
    weights: Weights,
    divergence: Divergence,
    *,
    template: Template,
    steps: int,
    learning_rate: float,
    seed: int = 0,
    warm: float | None = None,
    listen: Listener | None = None,
) -> list[Masks]:
    """Minimises the objective of `terms` for every case. The noise of a case depends on seed and case id alone.

    The terms in a history are unweighted (see `terms.total`), those of that step's sample; `loss_ema` is the loss
    smoothed with decay 0.9. warm: temperature of the first step, from which it falls geometrically to `weights.tau` at
    the last; None: `weights.tau` throughout. ValueError: steps, learning rate or seed out of range, or a case without
    facts.

    Examples:
        >>> from workbench.cases import example_case
        >>> from workbench.models.prompts import ReaderTemplate
        >>> case, how = example_case(), {"template": ReaderTemplate(), "steps": 2, "learning_rate": 0.3}
        >>> (masks,) = learn_masks([case], Weights(), TextDivergence([case], how["template"]), **how)
        >>> masks.elements.shape
        (7,)
    """
    _check(cases, steps=steps, learning_rate=learning_rate, seed=seed)
    layout = Layout.of(cases, template)
    real = torch.cat([layout.node_real, layout.edge_real], 1)
    theta = torch.full(real.shape, START, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.Adam([theta], lr=learning_rate)
    generators = [np.random.default_rng([seed, zlib.crc32(c.id.encode())]) for c in cases]
    columns: list[dict[str, torch.Tensor]] = []
    for step in range(steps):
        noise = torch.zeros(real.shape, dtype=torch.float64)  # log u - log(1 - u), each case's from its own generator
        drawn = [rng.logistic(size=len(c.elements)) for rng, c in zip(generators, cases, strict=True)]
        noise[real] = torch.from_numpy(np.concatenate(drawn))
        m = torch.sigmoid((theta + noise) / temperature(weights.tau, warm, step, steps)) * real
        nodes, edges = m.split([layout.node_real.shape[1], layout.edge_real.shape[1]], dim=1)
        sample = Sample(nodes, edges, divergence(layout.keep_facts(nodes, edges)))
        terms = evaluate(sample, layout)
        loss = total(terms, weights)
        optimizer.zero_grad()
        loss.sum().backward()
        optimizer.step()
        now = loss.detach()
        smoothed = DECAY * columns[-1]["loss_ema"] + (1 - DECAY) * now if columns else now
        columns.append({"loss": now, "loss_ema": smoothed} | {name: one.detach() for name, one in terms.items()})
        if listen:
            listen({"step": float(len(columns))} | {name: float(value.mean()) for name, value in columns[-1].items()})
    degrees = [torch.sigmoid(row)[there].numpy() for row, there in zip(theta.detach(), real, strict=True)]
    split = [np.split(row, [len(c.nodes)]) for row, c in zip(degrees, cases, strict=True)]
    return [Masks(nodes, edges, _history(columns, i)) for i, (nodes, edges) in enumerate(split)]


def paper_masks(
    cases: Sequence[Case],
    weights: Weights,
    *,
    template: Template,
    steps: int = 120,
    learning_rate: float = 0.3,
    **how: Any,
) -> list[Masks]:
    """Masks by the paper's objective: D is the divergence of the prompt texts; no model is run. how: `seed`, `listen`;
    see `learn_masks`.

    Examples:
        >>> from workbench.cases import example_case
        >>> from workbench.models.prompts import ReaderTemplate
        >>> case = example_case()
        >>> (masks,) = paper_masks([case], Weights(), template=ReaderTemplate(), steps=5)
        >>> masks.elements.shape, len(masks.history)
        ((7,), 5)
    """
    how |= {"template": template, "steps": steps, "learning_rate": learning_rate}
    return learn_masks(cases, weights, TextDivergence(cases, template), **how)


def loop_masks(
    engine: Engine,
    cases: Sequence[Case],
    weights: Weights,
    *,
    answers: Sequence[Sequence[int]] | None = None,
    steps: int = 60,
    learning_rate: float = 0.4,
    seed: int = 0,
    listen: Listener | None = None,
) -> list[Masks]:
    """Masks by the same objective with the tuned model in the loop. answers: see `LoopDivergence`. Errors as those of
    `learn_masks`, before the model is asked.

    Examples:
        >>> from workbench.game.case_game import example_game
        >>> engine, case = example_game().engine, example_game().case
        >>> (masks,) = loop_masks(engine, [case], Weights(), steps=2)
        >>> bool(((masks.elements > 0) & (masks.elements < 1)).all())
        True
    """
    how: dict[str, Any] = {"steps": steps, "learning_rate": learning_rate, "seed": seed}
    _check(cases, **how)  # the divergence asks the model already
    how |= {"template": engine.lm.template, "warm": WARM, "listen": listen}
    return learn_masks(cases, weights, LoopDivergence(engine, cases, answers), **how)


def temperature(tau: float, warm: float | None, step: int, steps: int) -> float:
    """Temperature at `step` of 0 .. steps - 1: from warm down to tau in equal ratios."""
    if warm is None or steps < 2:
        return tau
    return warm * (tau / warm) ** (step / (steps - 1))


def _check(cases: Sequence[Case], *, steps: int, learning_rate: float, seed: int) -> None:
    check_whole("steps", steps, low=0)
    check_number("learning_rate", learning_rate, without_low=True)
    check_seed(seed)
    for case in cases:
        if not case.facts:
            raise ValueError(f"case {case.id!r} shows no facts; there is nothing to remove")


def _history(columns: list[dict[str, torch.Tensor]], i: int) -> list[dict[str, float]]:
    """The rows of case i."""
    return [
        {"step": float(step)} | {name: float(value[i]) for name, value in row.items()}
        for step, row in enumerate(columns, start=1)
    ]
