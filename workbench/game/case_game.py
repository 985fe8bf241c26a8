"""The element game of a case: what the model's answer is worth when elements of the graph are taken out.

Players are the case's elements, nodes first, then facts. A fact stays when its edge and both ends stay, so that masks
with the same facts are one prompt: they are asked once. The answer y is fixed: the tuned model's greedy answer to the
whole graph, unless one is given.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import torch

from workbench.cases import Case, example_case
from workbench.game.attention import attention_received, element_attention, token_attention
from workbench.game.doses import as_tensor, dose_row
from workbench.game.engine import Engine
from workbench.game.passes import Passes
from workbench.game.rows import MAX_NEW_TOKENS, runner_up, token_logprobs, token_margins
from workbench.models import add_adapter, load
from workbench.stats.games import Ledger

FORMS = ("logprob", "margin", "decision")
REMOVALS = ("delete", "gate")
TIE = 1e-9  # nats: stands for a margin of 0, which has no sign


@dataclass(frozen=True)
class Game(Passes):
    """v(keep): (m, n) masks -> (m,) values, float64.

    form: `logprob` = log p(y | z) over the span, nats; `margin` = log p(y | z) - log p(other | z), nats, where `other`
    is the strongest answer with another toolchain; `decision` = the smallest token margin of y, nats, above 0 exactly
    where the greedy toolchain is still that of y.
    removal: `delete` renders the prompt again, bool masks; `gate` scales attention, float masks, differentiable.
    adapter: tuned or base. dose: with the adapter on, its strength: one factor, or one a module or a rank-one part, see
    `workbench.game.doses`; None: 1.
    span: (start, stop) of y's tokens that count for `logprob` and `decision`; None: all. See `span_of`.
    shared_prefix: keep the full prompt's keys and values for values that are no decision; None: where it pays.
    max_new_tokens: the longest answer; answers that are compared with y end there as y did.
    Build it with `Game.of(engine, case)`. ValueError: an unknown form or removal, an empty answer, a wrong
    span or dose.

    Examples:
        >>> from workbench.cases import example_case
        >>> from workbench.models import load
        >>> case = example_case()
        >>> game = Game.of(Engine(load(names=case.names)), case, form="logprob")
        >>> keep = np.array([[True] * 7, [True] * 6 + [False]])  # all, and without the last fact
        >>> whole, less = game(keep)
        >>> bool(whole > less)
        True
    """

    def __post_init__(self) -> None:
        for name, allowed in (("form", FORMS), ("removal", REMOVALS)):
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name} must be one of {', '.join(allowed)}, not {getattr(self, name)!r}")
        if not self.answer:
            raise ValueError(
                f"the answer of case {self.case.id!r} has no tokens; give at least the end-of-sequence one"
            )
        if not self.case.facts:
            raise ValueError(f"case {self.case.id!r} shows no facts; there is nothing to take out")
        start, stop = self.span or (0, len(self.answer))
        if not 0 <= start < stop <= len(self.answer):
            raise ValueError(f"span must lie within the answer's {len(self.answer)} tokens, not {self.span!r}")
        if self.dose is not None:
            object.__setattr__(self, "dose", tuple(dose_row(self.engine.lm.model, self.dose).tolist()))

    @classmethod
    def of(cls, engine: Engine, case: Case, *, path: Sequence[str] | None = None, **how) -> Game:
        """A case's game. path: the answer as node ids; None: what the tuned model answers. how: fields of `Game`."""
        if path is not None:
            return cls(engine, case, engine.answer_ids(case, path), **how)
        longest = how.get("max_new_tokens", MAX_NEW_TOKENS)
        return cls(engine, case, engine.greedy_answers([case], max_new_tokens=longest)[0], **how)

    def view(self, **changes) -> Game:
        """The same case, answer and memory under another form, removal, adapter or span: known passes cost nothing."""
        return replace(self, **changes)

    @property
    def n(self) -> int:
        """Number of elements."""
        return len(self.case.elements)

    @property
    def elements(self) -> tuple:
        """Nodes first, then facts."""
        return self.case.elements

    @property
    def ledger(self) -> Ledger:
        """What the engine has spent so far, on this game and on others."""
        return self.engine.ledger

    def __call__(self, keep: np.ndarray) -> np.ndarray:
        """Values (m,) float64 of masks (m, n), bool for `delete`, bool or in [0, 1] for `gate`."""
        return self.values(self.shown(keep))

    def values(self, facts: np.ndarray, doses: np.ndarray | None = None) -> np.ndarray:
        """Values (m,) float64 of fact masks (m, facts) with the adapter at doses (m, units); None: at the game's."""
        doses = self._doses(len(facts)) if doses is None else doses
        if self.form == "margin":
            ours, theirs = self.rows_of_each(facts, (self.answer, self.other), doses)
            return np.array([a.logprobs.sum() - b.logprobs.sum() for a, b in zip(ours, theirs, strict=True)])
        same = self.decisions(facts, doses) if self.whole_decision else None
        rows = self.rows(facts, self.answer, doses)
        start, stop = self.span or (0, len(self.answer))
        if self.form == "logprob":
            return np.array([r.logprobs[start:stop].sum() for r in rows])
        margins = np.array([r.margins[start:stop].min() for r in rows])
        return margins if same is None else np.where(same, 1, -1) * np.maximum(abs(margins), TIE)

    def answers(self, keep: np.ndarray) -> list[tuple[str, ...]]:
        """What the model answers to masks (m, n) by deletion, as node ids, source first. Decisions of the same masks
        cost nothing then."""
        facts, game = self.shown(keep), self.view(removal="delete")
        doses = self._doses(len(facts))
        keys = game.keys(facts, self.answer, self.models(facts, doses))
        return game._decide(keys, facts, doses, whole=True)

    def token_logprobs(self, keep: np.ndarray) -> np.ndarray:
        """Log-probability (m, T) float64, nats, of every answer token: any span of the answer from the same passes."""
        facts = self.shown(keep)
        return np.array([r.logprobs for r in self.rows(facts, self.answer, self._doses(len(facts)))])

    def gradients(self, keep: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Values (m,) of the gated game at float masks (m, n), and their gradients (m, n) in the masks."""
        self._check(keep)
        return self._gradients(np.asarray(keep, float), lambda mask: self.graph(self.case.keep_facts(mask)))

    def dose_gradients(self, doses: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Values (m,) of the whole graph with the adapter at doses (m, units), and their gradients in the doses."""
        return self._gradients(np.asarray(doses, np.float32), lambda row: self.graph(doses=row))

    def _gradients(
        self, at: np.ndarray, graph: Callable[[torch.Tensor], torch.Tensor]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Values (m,) and gradients of `graph` at points (m, k); as many rows at once as the memory is there for."""
        values, slopes = np.zeros(len(at)), np.zeros(at.shape)
        length = len(self.engine.prompt(self.case).ids) + len(self.answer)
        for rows in self.engine.batches([length] * len(at), gradients=True):
            point = torch.tensor(at[rows], requires_grad=True)
            value = graph(point)
            (slope,) = self.engine.backward(value.sum(), [point])
            values[rows], slopes[rows] = value.detach().double().cpu().numpy(), slope.double().cpu().numpy()
        return values, slopes

    def graph(self, gates: torch.Tensor | None = None, doses: torch.Tensor | None = None) -> torch.Tensor:
        """Values (m,) of gates (m, facts) with the adapter at doses (m, units), with the graph that leads back to those
        of the two that are given; no gates: all facts, without gates."""
        if doses is None and gates is not None:
            doses = as_tensor(self._doses(len(gates)))
        logits = self._logits(gates, self.answer, doses)
        scored = token_logprobs(logits, self.answer)
        start, stop = self.span or (0, len(self.answer))
        if self.form == "logprob":
            return scored[:, start:stop].sum(1)
        if self.form == "margin":
            theirs = self._logits(gates, self.other, doses)
            return scored.sum(1) - token_logprobs(theirs, self.other).sum(1)
        return token_margins(logits, self.answer)[:, start:stop].amin(1)

    def attention(self, keep: np.ndarray | None = None) -> np.ndarray:
        """Attention (n,) that the answer's positions pay to each element, mean over layers, heads and positions.

        A fact gets the sum over its tokens, a node the mean over its facts; what is not kept (n,) gets 0.
        """
        shown = np.ones(len(self.case.facts), bool) if keep is None else self.shown(np.asarray(keep)[None])[0] > 0
        left = replace(self.case, facts=tuple(f for f, k in zip(self.case.facts, shown, strict=True) if k))
        facts = np.zeros(len(shown))
        if shown.any():
            with self._at_dose():
                facts[shown] = attention_received(self.engine, [left], [self.answer], adapter=self.adapter)[0]
        return element_attention(self.case, facts)

    def token_attention(self, keep: np.ndarray | None = None) -> list[np.ndarray]:
        """Per element the attention that each token of its shown lines receives; see `attention`."""
        shown = np.ones(len(self.case.facts), bool) if keep is None else self.shown(np.asarray(keep)[None])[0] > 0
        with self._at_dose():
            return token_attention(self.engine, self.case, self.answer, shown, adapter=self.adapter)

    def span_of(self, node: str) -> tuple[int, int]:
        """The answer tokens that name `node`, as a span. ValueError: the answer does not name it."""
        lm = self.engine.lm
        named = self.engine.text(self.answer[: k + 1] for k in range(len(self.answer)))
        before = [set(lm.template.parse(self.case, text, lm.ids)) - {self.case.source} for text in ("", *named)]
        # where the name is complete, and where the step before it was
        stop = next((k for k in range(1, len(before)) if node in before[k] and node not in before[k - 1]), None)
        if stop is None:
            raise ValueError(f"the answer {self.path!r} does not name {node[:200]!r}; give a node of it")
        start = next((k for k in range(stop - 1, 0, -1) if before[k] != before[k - 1]), 0)
        return start, stop

    @property
    def other(self) -> tuple[int, ...]:
        """Tokens of the tuned model's strongest answer with another toolchain; see `runner_up`."""
        if not self.memory.other:
            self.memory.other = runner_up(self.engine, self.case, self.answer, max_new_tokens=self.max_new_tokens)
        return self.memory.other

    def _check(self, keep: np.ndarray) -> None:
        """ValueError when masks do not fit the game."""
        keep = np.asarray(keep)
        if keep.ndim != 2 or keep.shape[1] != self.n:
            raise ValueError(f"masks must be of shape (m, {self.n}) for case {self.case.id!r}, not {keep.shape}")
        if keep.dtype != bool and (self.removal == "delete" and not np.isin(keep, (0, 1)).all()):
            raise ValueError("removal `delete` takes masks of 0 and 1; use removal='gate' for degrees between them")
        if keep.dtype != bool and not ((keep >= 0) & (keep <= 1)).all():
            raise ValueError(
                f"keep-degrees must lie in [0, 1], not {float(keep[~((keep >= 0) & (keep <= 1))].flat[0])}"
            )

    def shown(self, keep: np.ndarray) -> np.ndarray:
        """Fact keep-masks (m, facts) float64 of element masks (m, n)."""
        self._check(keep)
        return np.asarray(self.case.keep_facts(np.asarray(keep, float)))

    @property
    def whole_decision(self) -> bool:
        """Whether values have the sign of the decision: on rendered texts, by the whole answer."""
        return self.form == "decision" and self.removal == "delete" and self.span is None

    def _doses(self, rows: int) -> np.ndarray | None:
        """The game's dose for so many rows, (rows, units); the base has none."""
        return np.tile(np.asarray(self.dose, float), (rows, 1)) if self.adapter and self.dose is not None else None

    def _at_dose(self) -> AbstractContextManager[None]:
        """The model at the game's dose, for passes of one row."""
        return self.engine.switched(self.adapter, as_tensor(self._doses(1)))


@cache
def example_game() -> Game:
    """The smallest case on the embedded reader with an untrained adapter, which changes nothing yet: always the same.

    Examples:
        >>> example_game().n
        7
    """
    case = example_case()
    lm = add_adapter(load(names=case.names), rank=2, alpha=2, modules=("q_proj", "v_proj"), dropout=0.0, seed=0)
    return Game.of(Engine(lm), case, form="logprob")
