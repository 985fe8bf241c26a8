"""Training on a GPU: QLoRA at 8B beside a plain Trainer on the same rows, and SmolLM2-135M."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch

from workbench import models
from workbench.bench.gpu.shared import Bench, Row, Steps
from workbench.bench.gpu.subject import HELD, SEVEN, Subject, random_lm, smollm2_config, tiny_config
from workbench.bench.passes import Counter
from workbench.bench.train import CONTENDERS, PLAIN, real_tokens
from workbench.game.memory import release
from workbench.models import LanguageModel
from workbench.train import TrainConfig

QLORA = ((PLAIN, "4-bit"), ("packed", "4-bit"), ("padded", "4-bit"))


class StepCounter(Counter):
    """Seconds and real tokens of every step of a training, as its input embeddings see them.

    A step lasts until the next one begins, so the last has no end here. Counting the tokens waits for the device.
    """

    def start(self) -> None:
        """Sets the hook and the clock."""
        self.began_at: list[tuple[float, int]] = []
        super().start()

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
    rates: dict[str, float] = {}
    config = TrainConfig(**settings(bench), learning_rate=1e-4)
    for name, weights in QLORA:
        yield f"QLoRA, {name}, {weights}", partial(trained, bench, lambda: bench.model, name, weights, config, rates)


def smollm2(bench: Bench) -> Steps:
    """SmolLM2-135M with an adapter on all seven projections: of a folder, or a random model of its shape."""
    bench.subject = None
    release()
    rates: dict[str, float] = {}
    config = TrainConfig(**settings(bench), modules=SEVEN, learning_rate=1e-3)
    small: list[Subject] = []

    def subject() -> Subject:
        if not small:
            small.append(Subject.of(smollm2_lm(bench), bench.world, facts=bench.size.facts))
        return small[0]

    for name, weights in (("packed", "4-bit"), ("padded", "4-bit")):
        yield f"SmolLM2, {name}, {weights}", partial(trained, bench, subject, name, weights, config, rates)


def settings(bench: Bench) -> dict:
    """Of all trainings here: no checkpoint on the way."""
    steps = bench.size.steps
    return {"steps": steps, "checkpoint_every": steps, "batch": bench.size.batch, "seed": bench.seed}


def smollm2_lm(bench: Bench) -> LanguageModel:
    """As `models.load` loads the folder; without one, random."""
    if bench.smollm2:
        return models.load(bench.smollm2, names=bench.world.names)
    config = tiny_config() if bench.quick else smollm2_config()
    name = "random-smollm2"
    return random_lm(config, bench.world.names, name=name, folder=bench.folder / name, seed=bench.seed)


def trained(
    bench: Bench, find: Callable[[], Subject], name: str, weights: str, config: TrainConfig, rates: dict[str, float]
) -> Row:
    """Median tokens and rows a second of the steps after the first few; the ratio is to the plain script, where there
    is one."""
    subject = find()
    subject.bare()
    weights = subject.hold(HELD[weights])
    bench.clock.forget_peak()
    counter = StepCounter(subject.lm)
    counter.start()
    try:
        with tempfile.TemporaryDirectory() as folder:
            CONTENDERS[name](subject.lm, subject.world.cases, config, Path(folder))
    finally:
        counter.stop()
        subject.bare()
    tokens = real_tokens(subject.lm, subject.world.cases, config)
    steps = counter.steps()
    row = step_rates(steps[bench.size.unsteady :], a_row=tokens / (config.steps * config.batch))
    rates[name] = max(rates.get(name, 0.0), row["rate"])
    ratio = row["rate"] / rates[PLAIN] if PLAIN in rates else None
    how = {"model": subject.lm.name, "weights": weights, "batch": config.batch, "parameters": subject.parameters}
    return {**how, **row, "ratio": ratio, **bench.clock.memory(), "steps": steps}


def step_rates(steps: list[dict], *, a_row: float) -> Row:
    """Median tokens a second of steps, and their spread. a_row: real tokens of a row, in the mean."""
    rates = [step["tokens"] / step["seconds"] for step in steps]
    middle = float(np.median(rates))
    seconds = {"seconds": float(np.median([step["seconds"] for step in steps])), "n": len(steps)}
    rate = {"rate": middle, "unit": "tokens/s", "rate_low": min(rates), "rate_high": max(rates)}
    return {**seconds, **rate, "rows_per_second": middle / a_row, "tokens_a_row": a_row}
