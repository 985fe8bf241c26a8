"""What explanations of the same cases share: answers on G, masks, attention; each computed once, when needed."""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable, Sequence
from functools import cached_property, partial
from typing import Any

import numpy as np

from workbench.artifacts.files import untimed
from workbench.cases import Case, Fact, toolchain
from workbench.explain.baselines import BASELINES, CERTIFIED, LEARNED, METHODS, ExplainConfig
from workbench.explain.counterfactual import (
    Change,
    Explanation,
    certified_change,
    change,
    removed_elements,
    verified_changes,
    without,
)
from workbench.explain.masks import Masks, loop_masks, paper_masks
from workbench.explain.metrics import METRICS
from workbench.explain.sets import ElementSet
from workbench.explain.sets.minimal import smallest_flip_set
from workbench.game import Engine, Game, attention_received

Progress = Callable[[str, dict[str, float]], None]
"""Called with a method and a row: of a learning step (see `masks.Listener`), {"case": k} after the k-th certified set,
or {"done": 1.0} when the method is through."""


class Session:
    """Explanations of the same cases by several methods.

    Examples:
        >>> from workbench.game.case_game import example_game
        >>> game = example_game().view(form="decision")
        >>> session = Session(game.engine, [game.case])
        >>> [one.certified for one in session.certified], len(session.changes("certified")[0].elements)
        ([True], 1)
    """

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
        self._answered: dict[tuple[bool, str, tuple[Fact, ...]], str] = {}
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

    def explanations(self, method: str, *, with_base: bool, until_flip: bool = False) -> list[Explanation]:
        """One explanation a case, in the order of the cases.

        until_flip: under the stopping rule that is the same for all methods, see `verified`.
        """
        self.check([method])
        started, before = time.perf_counter(), self.engine.ledger.copy()
        changes = self.verified(method) if until_flip else self.changes(method)
        changed = [without(c, x.elements) for c, x in zip(self.cases, changes, strict=True)]
        texts = {"tuned_full": self.engine.text(self.full_ids), "tuned_changed": self._written(changed, adapter=True)}
        if with_base:
            whole = self._written(self.cases, adapter=False)
            texts |= {"base_full": whole, "base_changed": self._written(changed, adapter=False)}
        ledger = (self.engine.ledger - before).to_dict()
        ledger |= {"seconds": time.perf_counter() - started, "cases": len(self.cases)}
        self.progress(method, {"done": 1.0})
        return [
            self._explanation(i, method, changes[i], {key: said[i] for key, said in texts.items()}, ledger)
            for i in range(len(self.cases))
        ]

    def changes(self, method: str) -> list[Change]:
        """What the method removes from each case: a baseline as many elements as the reference did."""
        if method not in self._changes:
            self._changes[method] = self._find_changes(method)
        return self._changes[method]

    def _find_changes(self, method: str) -> list[Change]:
        if method == CERTIFIED:
            return [certified_change(game, one) for game, one in zip(self.games, self.certified, strict=True)]
        if method == "paper":  # its mask never sees the model, and its threshold does not either
            pairs = zip(self.cases, self.masks(method), strict=True)
            return [removed_elements(c, m, self.config.threshold) for c, m in pairs]
        if method in LEARNED:
            return self.verified(method)
        sizes = [len(one.elements) for one in self.changes(self.config.reference)]
        rows = zip(self.cases, self.orders(method), sizes, strict=True)
        return [change(c, [c.elements[i] for i in order[:size]]) for c, order, size in rows]

    def verified(self, method: str) -> list[Change]:
        """The first elements of the method's order, until the toolchain changes: the same rule for every method.

        The certified set is searched for and no order: it is what it is.
        """
        if method == CERTIFIED:
            return self.changes(method)
        return verified_changes(self.games, self.orders(method))

    def orders(self, method: str) -> list[list[int]]:
        """Numbers of each case's elements in the order in which a mask or a baseline takes them out.

        Of a baseline for nodes or edges alone these alone. One that is aligned begins with the types that the reference
        removed. ValueError: the method has no order.
        """
        if method in LEARNED:
            return [mask.order.tolist() for mask in self.masks(method)]
        if method not in BASELINES:
            raise ValueError(f"{method!r} takes out a set, in no order; ask {', '.join((*LEARNED, *BASELINES))}")
        return [
            BASELINES[method](
                case,
                reference=reference.elements,
                rng=np.random.default_rng([self.seed, *(zlib.crc32(name.encode()) for name in (method, case.id))]),
                attention=self.attention[i] if method.startswith("attention") else None,
            )
            for i, (case, reference) in enumerate(zip(self.cases, self.changes(self.config.reference), strict=True))
        ]

    def masks(self, method: str) -> list[Masks]:
        """Masks of a learned method."""
        if method not in self._masks:
            config, how = self.config, dict[str, Any](seed=self.seed, listen=partial(self.progress, method))
            if method == "paper":
                how |= {"steps": config.paper_steps, "learning_rate": config.paper_learning_rate}
                found = paper_masks(self.cases, config.weights, template=self.engine.lm.template, **how)
            else:
                how |= {"steps": config.loop_steps, "learning_rate": config.loop_learning_rate}
                found = loop_masks(self.engine, self.cases, config.weights, answers=self.full_ids, **how)
            self._masks[method] = found
        return self._masks[method]

    @cached_property
    def games(self) -> list[Game]:
        """The decision game of every case, with the tuned model's answer to G."""
        return [
            Game(self.engine, c, ids, form="decision", max_new_tokens=self.config.max_new_tokens)
            for c, ids in zip(self.cases, self.full_ids, strict=True)
        ]

    @cached_property
    def certified(self) -> list[ElementSet]:
        """The smallest flip set of every case, of what sets are made of, as far as the budget goes."""
        found = []
        for game in self.games:
            allowed, rng = self.config.members(game.case), np.random.default_rng(self.seed)
            budget = self.config.certified_budget
            found.append(smallest_flip_set(game, game.n, allowed=allowed, budget=budget, rng=rng))
            self.progress(CERTIFIED, {"case": float(len(found))})
        return found

    @cached_property
    def full_ids(self) -> list[tuple[int, ...]]:
        """The tuned model's greedy answers to G as tokens."""
        return self.engine.greedy_answers(self.cases, max_new_tokens=self.config.max_new_tokens)

    @cached_property
    def attention(self) -> list[np.ndarray]:
        """Attention that each fact receives while the tuned model answers, (facts,) a case."""
        return attention_received(self.engine, self.cases, self.full_ids)

    def _written(self, cases: Sequence[Case], *, adapter: bool) -> list[str]:
        """What is written of each case, whole or what is left of it; what several methods ask is answered once."""
        keys = [(adapter, c.id, c.facts) for c in cases]
        new = {key: c for key, c in zip(keys, cases, strict=True) if key not in self._answered}
        if new:
            longest = self.config.max_new_tokens
            said = self.engine.written(list(new.values()), adapter=adapter, max_new_tokens=longest)
            self._answered |= zip(new, said, strict=True)
        return [self._answered[key] for key in keys]

    def _explanation(
        self, i: int, method: str, change: Change, texts: dict[str, str], ledger: dict[str, float]
    ) -> Explanation:
        case, learned, template = self.cases[i], method in LEARNED, self.engine.lm.template
        answers = dict(zip(texts, self.engine.parsed([case] * len(texts), [*texts.values()]), strict=True))
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
            thoughts={key: said for key, text in texts.items() if (said := template.thought(text))},
        )

    def _metrics(self, full: tuple[str, ...], changed: tuple[str, ...]) -> dict[str, float]:
        """The paper's four, of two answers."""
        names = self.engine.lm.names
        texts = [" ".join(names.get(node, node) for node in path) for path in (full, changed)]
        chains = [toolchain(path) for path in (full, changed)]
        return {name: f(*texts) if name == "cosine" else f(*chains) for name, f in METRICS.items()}
