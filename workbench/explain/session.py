"""What explanations of the same cases share: answers on G, masks, attention; each computed once, when needed."""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from workbench.artifacts.files import untimed
from workbench.cases import Case, toolchain
from workbench.checks import check_number, check_whole
from workbench.explain.baselines import BASELINES
from workbench.explain.counterfactual import (
    Change,
    certified_change,
    change,
    removed_elements,
    verified_change,
    without,
)
from workbench.explain.masks import Listener, Masks, loop_masks, paper_masks
from workbench.explain.metrics import METRICS
from workbench.explain.result import Explanation
from workbench.explain.sets import ElementSet
from workbench.explain.smallest import smallest_flip_set
from workbench.explain.terms import Weights
from workbench.game import Engine, Game, attention_received

LEARNED = ("paper", "in_loop")
CERTIFIED = "certified"
METHODS = (*LEARNED, CERTIFIED, *BASELINES)

Progress = Callable[[str, dict[str, float]], None]
"""Called with a method and a row: of a learning step (see `masks.Listener`), {"case": k} after the k-th certified set,
or {"done": 1.0} when the method is through."""


@dataclass(frozen=True)
class ExplainConfig:
    """Settings of the explanations."""

    weights: Weights = field(default_factory=Weights)
    paper_steps: int = 120
    paper_learning_rate: float = 0.3
    loop_steps: int = 60
    loop_learning_rate: float = 0.4
    threshold: float = 0.5  # of the paper's mask: an element goes when its degree of removal is above it
    certified_budget: int = 2000  # most rows asked for the certified set of one case
    reference: str = "in_loop"  # learned method whose removals give the baselines their size and types
    max_new_tokens: int = 32

    def __post_init__(self) -> None:
        if self.reference not in LEARNED:
            raise ValueError(f"reference must be one of {', '.join(LEARNED)}, not {self.reference!r}")
        check_number("threshold", self.threshold, high=1)
        for name in ("paper_steps", "loop_steps", "certified_budget", "max_new_tokens"):
            check_whole(name, getattr(self, name))
        for name in ("paper_learning_rate", "loop_learning_rate"):
            check_number(name, getattr(self, name), without_low=True)


class Session:
    """Explanations of the same cases by several methods."""

    def __init__(
        self,
        engine: Engine,
        cases: Sequence[Case],
        *,
        seed: int = 0,
        config: ExplainConfig | None = None,
        progress: Progress | None = None,
    ):
        self.engine, self.cases, self.seed = engine, list(cases), seed
        self.config = config or ExplainConfig()
        self.progress = progress or (lambda method, row: None)
        self._masks: dict[str, list[Masks]] = {}
        self._changes: dict[str, list[Change]] = {}
        ids = [c.id for c in self.cases]
        if not ids or len(set(ids)) < len(ids):
            raise ValueError(
                f"cases must be one or more with unlike ids; got {len(ids)} cases with {len(set(ids))} ids"
            )
        empty = [c.id for c in self.cases if not c.facts]
        if empty:
            raise ValueError(f"case {empty[0]!r} shows no facts; there is nothing to remove")

    @staticmethod
    def check(methods: Sequence[str]) -> None:
        """ValueError: a method that does not exist."""
        for method in methods:
            if method not in METHODS:
                raise ValueError(f"unknown method {method!r}; the methods are {', '.join(METHODS)}")

    def explanations(self, method: str, *, with_base: bool) -> list[Explanation]:
        """One explanation a case, in the order of the cases."""
        self.check([method])
        started, before = time.perf_counter(), self.engine.ledger.copy()
        changes = self.changes(method)
        answers = {"tuned_full": self.full, "tuned_changed": self._answers(changes, adapter=True)}
        if with_base:
            answers |= {"base_full": self.base_full, "base_changed": self._answers(changes, adapter=False)}
        ledger = (self.engine.ledger - before).to_dict()
        ledger |= {"seconds": time.perf_counter() - started, "cases": len(self.cases)}
        self.progress(method, {"done": 1.0})
        return [
            self._explanation(i, method, changes[i], {key: paths[i] for key, paths in answers.items()}, ledger)
            for i in range(len(self.cases))
        ]

    def changes(self, method: str) -> list[Change]:
        """What the method removes from each case."""
        if method not in self._changes:
            self._changes[method] = self._find_changes(method)
        return self._changes[method]

    def _find_changes(self, method: str) -> list[Change]:
        if method == CERTIFIED:
            return [certified_change(game, one) for game, one in zip(self.games, self.certified, strict=True)]
        if method in LEARNED:
            pairs = zip(self.games, self.masks(method), strict=True)
            return [
                # the paper's mask never sees the model, and its threshold does not either
                removed_elements(g.case, m, self.config.threshold) if method == "paper" else verified_change(g, m)
                for g, m in pairs
            ]
        out = []
        for i, (case, reference) in enumerate(zip(self.cases, self.changes(self.config.reference), strict=True)):
            elements = BASELINES[method](
                self.engine,
                case,
                size=len(reference.elements),
                reference=reference.elements,
                rng=np.random.default_rng([self.seed, *(zlib.crc32(name.encode()) for name in (method, case.id))]),
                attention=self.attention[i] if method.startswith("attention") else None,
            )
            out.append(change(case, elements))
        return out

    def masks(self, method: str) -> list[Masks]:
        """Masks of a learned method."""
        if method not in self._masks:
            listen: Listener = lambda row: self.progress(method, row)  # noqa: E731
            self._masks[method] = self._learn(method, listen)
        return self._masks[method]

    def _learn(self, method: str, listen: Listener) -> list[Masks]:
        config, cases = self.config, self.cases
        if method == "paper":
            return paper_masks(
                cases,
                config.weights,
                template=self.engine.lm.template,
                steps=config.paper_steps,
                learning_rate=config.paper_learning_rate,
                seed=self.seed,
                listen=listen,
            )
        return loop_masks(
            self.engine,
            cases,
            config.weights,
            answers=self.full_ids,
            steps=config.loop_steps,
            learning_rate=config.loop_learning_rate,
            seed=self.seed,
            listen=listen,
        )

    @cached_property
    def games(self) -> list[Game]:
        """The decision game of every case, with the tuned model's answer to G."""
        return [
            Game(self.engine, c, ids, form="decision", max_new_tokens=self.config.max_new_tokens)
            for c, ids in zip(self.cases, self.full_ids, strict=True)
        ]

    @cached_property
    def certified(self) -> list[ElementSet]:
        """The smallest flip set of every case, as far as the budget goes."""
        found = []
        for game in self.games:
            rng = np.random.default_rng(self.seed)
            found.append(smallest_flip_set(game, game.n, budget=self.config.certified_budget, rng=rng))
            self.progress(CERTIFIED, {"case": float(len(found))})
        return found

    @cached_property
    def full_ids(self) -> list[tuple[int, ...]]:
        """The tuned model's greedy answers to G as tokens."""
        return self.engine.greedy_answers(self.cases, max_new_tokens=self.config.max_new_tokens)

    @cached_property
    def full(self) -> list[tuple[str, ...]]:
        """The same answers as node paths."""
        lm = self.engine.lm
        texts = [lm.tokenizer.decode(ids, skip_special_tokens=True) for ids in self.full_ids]
        return [lm.template.parse(c, text, lm.ids) for c, text in zip(self.cases, texts, strict=True)]

    @cached_property
    def base_full(self) -> list[tuple[str, ...]]:
        """The base model's greedy answers to G as node paths."""
        return self.engine.answers(self.cases, adapter=False, max_new_tokens=self.config.max_new_tokens)

    @cached_property
    def attention(self) -> list[np.ndarray]:
        """Attention that each fact receives while the tuned model answers, (facts,) a case."""
        return attention_received(self.engine, self.cases, self.full_ids)

    def _answers(self, changes: Sequence[Change], *, adapter: bool) -> list[tuple[str, ...]]:
        changed = [without(c, x.elements) for c, x in zip(self.cases, changes, strict=True)]
        return self.engine.answers(changed, adapter=adapter, max_new_tokens=self.config.max_new_tokens)

    def _explanation(
        self, i: int, method: str, change: Change, answers: dict[str, tuple[str, ...]], ledger: dict[str, float]
    ) -> Explanation:
        case, learned = self.cases[i], method in LEARNED
        gone = set(change.elements)
        masks = self.masks(method)[i] if learned else None
        return Explanation(
            case=case,
            method=method,
            degrees=tuple(masks.elements.tolist()) if masks else tuple(float(e in gone) for e in case.elements),
            removed=change.elements,
            flags=change.flags,
            answers=answers,
            toolchains={key: toolchain(path) for key, path in answers.items()},
            metrics=self._metrics(answers["tuned_full"], answers["tuned_changed"]),
            weights=self.config.weights.to_dict() if learned else {},
            seed=self.seed,
            history=masks.history if masks else [],
            ledger=ledger,
            certificate=untimed(self.certified[i].to_dict()) if method == CERTIFIED else {},
        )

    def _metrics(self, full: tuple[str, ...], changed: tuple[str, ...]) -> dict[str, float]:
        """The paper's four, of two answers."""
        names = self.engine.lm.names
        texts = [" ".join(names.get(node, node) for node in path) for path in (full, changed)]
        chains = [toolchain(path) for path in (full, changed)]
        return {name: f(*texts) if name == "cosine" else f(*chains) for name, f in METRICS.items()}
