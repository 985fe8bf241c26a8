"""The parts of `bench gpu` at the size of an 8B model: rows, tokens, gradients, decisions, certified sets; QLoRA beside
a plain Trainer on the same rows, and SmolLM2-135M."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from workbench.explain import ElementSet
from workbench.game import Game
from workbench.hands.bench.contenders import Counter
from workbench.hands.bench.gpu.shared import Bench, Row, Steps, summary
from workbench.hands.bench.gpu.subject import HELD, SEVEN, Subject, random_lm, smollm2_config, tiny_config
from workbench.hands.bench.oracles import SEARCHES, PlantedGame, planted_game
from workbench.hands.bench.train import CONTENDERS, PLAIN, real_tokens
from workbench.models import LanguageModel
from workbench.models.checkpoint import release
from workbench.stats.games import Ledger
from workbench.train import TrainConfig


def rows(bench: Bench) -> Steps:
    """Teacher-forced rows of prompts with facts deleted."""
    for weights in HELD:
        for tokens in bench.size.batch_tokens:
            yield f"rows, {weights}, passes of {tokens} tokens", partial(deleted, bench, weights, tokens)


def deleted(bench: Bench, weights: str, batch_tokens: int) -> Row:
    """Rows by deletion."""
    weights = bench.model.hold(HELD[weights])
    engine = bench.engine(batch_tokens)
    prompts, answer, tokens = bench.asked(bench.masks(bench.size.rows))
    spent = bench.clock.timed(lambda: engine.logprobs(prompts, [answer] * len(prompts)))
    how = {"weights": weights, "batch_tokens": batch_tokens, "batch_tokens_after": engine.batch_tokens}
    return how | bench.rates(spent, rows=len(prompts), tokens=tokens)


def generation(bench: Bench) -> Steps:
    """Greedy answers of random prompts; the time to read the prompt is part of it."""
    for weights in HELD:
        for count in bench.size.together:
            yield f"generation, {weights}, {count} at once", partial(generated, bench, weights, count)


def generated(bench: Bench, weights: str, count: int) -> Row:
    """Tokens a second of `count` rows together."""
    weights = bench.model.hold(HELD[weights])
    engine, new = bench.engine(), bench.size.new_tokens
    prompts, _, _ = bench.asked(bench.masks(count))
    told: list[tuple[int, ...]] = []

    def generate() -> None:
        told[:] = engine.generate(prompts, max_new_tokens=new)

    spent = bench.clock.timed(generate)
    tokens = sum(map(len, told))
    how = {"weights": weights, "rows": count, "tokens": tokens}
    rate = {"rate": tokens / spent["seconds"], "unit": "tokens/s"}
    return how | spent | rate | {"step_seconds": spent["seconds"] / new}


def gates(bench: Bench) -> Steps:
    """Gradients of the answer's log-probability in the gates of all facts."""
    for weights in HELD:
        yield f"gate gradients, {weights}", partial(gated, bench, weights)


def gated(bench: Bench, weights: str) -> Row:
    """Forward and backward; 4 FLOP a parameter and token."""
    weights = bench.model.hold(HELD[weights])
    engine, case = bench.engine(), bench.model.case
    _, answer, tokens = bench.asked(np.ones((bench.size.gates, len(case.facts)), bool))
    game = Game(engine, case, answer, form="logprob", removal="gate")
    keep = np.ones((bench.size.gates, game.n))
    spent = bench.clock.timed(lambda: game.gradients(keep))
    return {"weights": weights, **bench.rates(spent, rows=len(keep), tokens=tokens, flop=4.0)}


def decisions(bench: Bench) -> Steps:
    """Does the greedy toolchain stay when facts are deleted? Beside the same prompts' teacher-forced rows."""
    count, facts = bench.size.masks, len(bench.model.case.facts)
    few = np.ones((count, facts), bool)
    few[np.arange(count), np.arange(count) * facts // count] = False
    for name, masks in (("a tenth of the facts out", bench.masks(count)), ("one fact out", few)):
        yield f"decisions, held, {name}", partial(decided, bench, masks)


def decided(bench: Bench, masks: np.ndarray) -> Row:
    """Decisions a second of a game that knows nothing yet, and what share of the rows' rate that is."""
    weights = bench.model.hold(True)
    engine, case = bench.engine(), bench.model.case
    answer = engine.greedy_answers([case], max_new_tokens=bench.size.answer_tokens)[0]
    keep = np.concatenate([np.ones((len(masks), len(case.nodes)), bool), masks], axis=1)
    prompts = [engine.prompt(case, mask) for mask in masks]
    rows = bench.clock.timed(lambda: engine.logprobs(prompts, [answer] * len(prompts)))
    values = np.zeros(len(masks))

    def decide() -> None:
        values[:] = Game(engine, case, answer, form="decision", max_new_tokens=len(answer))(keep)

    engine.ledger = Ledger()
    spent = bench.clock.timed(decide)
    asked = engine.ledger.rows / len(masks) / (1 + spent["n"])  # the call that warms up counts too
    rates = {"rate": len(masks) / spent["seconds"], "unit": "decisions/s", "ratio": rows["seconds"] / spent["seconds"]}
    told = {"decisions": len(masks), "kept": float((values > 0).mean()), "rows_a_decision": asked}
    return {"weights": weights, **spent, **rates, **told, "rows_seconds": rows["seconds"], "answer_tokens": len(answer)}


def certified(bench: Bench) -> Steps:
    """Certified sets of facts: the decision is planted on the masks, and real rows are computed for every ask."""
    for kind in SEARCHES:
        yield f"certified {kind} set, held", partial(searched, bench, kind)


def searched(bench: Bench, kind: str) -> Row:
    """Seconds of a search, over decisions planted on three facts (`a and b and c`)."""
    weights = bench.model.hold(True)
    n, seeds = bench.size.elements, range(bench.seed, bench.seed + bench.size.searches)
    games = [Asked(bench, planted_game("and", n, rng=np.random.default_rng(seed))) for seed in seeds]
    games[0].rows(np.ones((n, n), bool))  # warms up
    found: list[ElementSet] = []
    bench.clock.forget_peak()
    spent = summary([bench.clock.seconds(lambda: found.append(SEARCHES[kind](game, n))) for game in games])  # noqa: B023
    right = [set(one.elements) in game.planted.minimal(kind) for one, game in zip(found, games, strict=True)]
    told = {"masks": [one.calls for one in found], "asks": [g.asks for g in games], "elements": n}
    sure = {"certified": all(one.certified for one in found), "right": all(right)}
    return {"weights": weights, **spent, **bench.clock.memory(), **told, **sure}


class Asked:
    """A planted game over the long case's first facts that computes the rows of every mask that it is asked."""

    def __init__(self, bench: Bench, planted: PlantedGame):
        self.bench, self.planted, self.asks = bench, planted, 0
        self.engine = bench.engine()

    def __call__(self, keep: np.ndarray) -> np.ndarray:
        """Planted values (m,) of masks (m, n)."""
        self.asks += 1
        self.rows(keep)
        return self.planted(keep)

    def rows(self, keep: np.ndarray) -> None:
        """Computes the rows of masks (m, n)."""
        masks = np.ones((len(keep), len(self.bench.model.case.facts)), bool)
        masks[:, : self.planted.n] = keep
        prompts, answer, _ = self.bench.asked(masks)
        self.engine.logprobs(prompts, [answer] * len(prompts))


class StepCounter(Counter):
    """Seconds and real tokens of every step of a training, as its input embeddings see them.

    A step lasts until the next one begins, so the last has no end here. Counting the tokens waits for the device.
    """

    def __init__(self, lm: LanguageModel):
        super().__init__(lm)
        self.began_at: list[tuple[float, int]] = []

    def _see(self, module: torch.nn.Module, inputs: tuple) -> None:
        before = self.spent.tokens
        super()._see(module, inputs)
        self.began_at.append((time.perf_counter(), self.spent.tokens - before))

    def steps(self) -> list[dict]:
        """`seconds` and `tokens` of each."""
        pairs = zip(self.began_at, self.began_at[1:], strict=False)
        return [{"seconds": after - before, "tokens": tokens} for (before, tokens), (after, _) in pairs]


def qlora(bench: Bench) -> Steps:
    """A plain script with the transformers Trainer, and the project's training, packed and padded."""
    yield from trainings(bench, bench.model, (PLAIN, "packed", "padded"), title="QLoRA", learning_rate=1e-4)


def smollm2(bench: Bench) -> Steps:
    """A random model of the shape of SmolLM2-135M with an adapter on all seven projections."""
    bench.subject = None
    release()
    shape = tiny_config() if bench.quick else smollm2_config()
    lm = random_lm(shape, bench.world.names, name="random-smollm2", folder=bench.folder / "small", seed=bench.seed)
    small = Subject(lm, bench.world, facts=bench.size.facts)
    yield from trainings(bench, small, ("packed", "padded"), title="SmolLM2", learning_rate=1e-3, modules=SEVEN)


def trainings(bench: Bench, subject: Subject, names: Sequence[str], *, title: str, **settings: Any) -> Steps:
    """Trainings of one model, without a checkpoint on the way. names: of `CONTENDERS`."""
    steps, plain = bench.size.steps, dict[str, float]()
    common: dict[str, Any] = {"steps": steps, "checkpoint_every": steps, "batch": bench.size.batch, "seed": bench.seed}
    config = TrainConfig(**common, **settings)
    for name in names:
        yield f"{title}, {name}, 4-bit", partial(trained, bench, subject, name, config, plain)


def trained(bench: Bench, subject: Subject, name: str, config: TrainConfig, plain: dict[str, float]) -> Row:
    """Median tokens and rows a second of the steps after the first few; the ratio is to the plain script, where there
    is one. plain: the rate of that script is kept here."""
    subject.bare()
    weights = subject.hold(False)
    bench.clock.forget_peak()
    counter = StepCounter(subject.lm)
    try:
        with counter, tempfile.TemporaryDirectory() as folder:
            CONTENDERS[name](subject.lm, subject.world.cases, config, Path(folder))
    finally:
        subject.bare()
    tokens, steps = real_tokens(subject.lm, subject.world.cases, config), counter.steps()
    row = step_rates(steps[bench.size.unsteady :], a_row=tokens / (config.steps * config.batch))
    if name == PLAIN:
        plain[name] = row["rate"]
    ratio = row["rate"] / plain[PLAIN] if plain else None
    how = {"model": subject.lm.name, "weights": weights, "batch": config.batch, "parameters": subject.parameters}
    return {**how, **row, "ratio": ratio, **bench.clock.memory(), "steps": steps}


def step_rates(steps: list[dict], *, a_row: float) -> Row:
    """Median tokens a second of steps, and their spread. a_row: real tokens of a row, in the mean."""
    rates = [step["tokens"] / step["seconds"] for step in steps]
    middle = float(np.median(rates))
    seconds = {"seconds": float(np.median([step["seconds"] for step in steps])), "n": len(steps)}
    rate = {"rate": middle, "unit": "tokens/s", "rate_low": min(rates), "rate_high": max(rates)}
    return {**seconds, **rate, "rows_per_second": middle / a_row, "tokens_a_row": a_row}
