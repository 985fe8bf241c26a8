"""What a training tells while it runs: loss, loss on held-out rows, speed, time left; and how it is stopped early.

Watching changes nothing in what is trained: held-out rows are scored without gradients, in evaluation mode, beside the
random numbers of the training, and mode and random state come back afterwards.
"""

from __future__ import annotations

import contextlib
import math
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from accelerate.utils import wait_for_everyone
from transformers import TrainerCallback

from workbench.train.config import Checkpoints, is_main, world

Row = dict[str, list[int]]  # input_ids and labels of one text, as `train.Views` gives them
Collate = Callable[[Sequence[Row]], dict[str, Any]]

HELD_OUT_ROWS = 32  # scored at a time
SCORING_SHARE = 0.02  # of the training's time that scoring may take
FORWARD = 0.4  # seconds of a pass without gradients over those of a training step with as many rows
HELD_OUT = "held_out_loss"


@dataclass(frozen=True)
class Progress:
    """A training at one moment.

    history: rows with `step`, `loss` (nats a token), `learning_rate`; held_out: rows with `step`, `loss`. seconds: of
    training so far, parts before an interruption included. here: steps, seconds and tokens (padding not counted) since
    this part of it began; scoring: seconds of these that held-out rows took.
    """

    step: int
    steps: int
    history: list[dict[str, float]]
    held_out: list[dict[str, float]]
    seconds: float
    here: tuple[int, float, int]
    scoring: float

    @property
    def tokens_per_second(self) -> float:
        """Tokens trained on a second, scoring included in the time; 0 before the first step."""
        return self.here[2] / self.here[1] if self.here[0] else 0.0

    @property
    def left(self) -> float | None:
        """Seconds until the end, at the pace of this part; None before its first step."""
        done, seconds, _ = self.here
        return seconds / done * (self.steps - self.step) if done else None


@dataclass
class HeldOut:
    """Rows that are not trained on, and the batches they are scored in."""

    rows: Sequence[Row]
    collate: Collate
    batch: int

    def loss(self, model: torch.nn.Module) -> float:
        """Mean negative log-probability (nats) of the rows' labelled tokens. The model's mode and all random states
        are what they were."""
        training, total, count = model.training, 0.0, 0
        device = next(model.parameters()).device
        with torch.random.fork_rng([device] if device.type == "cuda" else []), torch.no_grad():
            model.eval()
            try:
                for start in range(0, len(self.rows), self.batch):
                    some = self.rows[start : start + self.batch]
                    given = {k: v.to(device) if hasattr(v, "to") else v for k, v in self.collate(some).items()}
                    tokens = sum(label >= 0 for row in some for label in row["labels"])
                    total, count = total + float(model(**given).loss) * tokens, count + tokens
            finally:
                model.train(training)
        return total / count

    def every(self, logging: int) -> int:
        """Steps between two scorings, a multiple of those between two logged rows: at most `SCORING_SHARE` of the
        time."""
        least = FORWARD * len(self.rows) / self.batch / SCORING_SHARE
        return logging * math.ceil(least / logging)


@dataclass(eq=False)
class Watch(TrainerCallback):
    """The Trainer's callback: hands a `Progress` to `show`, scores held-out rows, ends the training with a checkpoint
    where a stop is asked for, and notes each checkpoint with the seconds up to it.

    limit: seconds after which the training has come to its end."""

    checkpoints: Checkpoints
    show: Callable[[Progress], None] | None = None
    held_out: HeldOut | None = None
    limit: float = math.inf
    stop: bool = False  # asked for: after the step it is at
    tokens: int | torch.Tensor = 0
    scoring: float = 0.0

    def __post_init__(self) -> None:
        self.before, self.first, self.started = self.checkpoints.seconds, 0, time.perf_counter()

    @property
    def seconds(self) -> float:
        """Seconds of training so far, those before an interruption included up to its last checkpoint."""
        return self.before + time.perf_counter() - self.started

    @property
    def over(self) -> bool:
        """Whether the time is up."""
        return self.seconds >= self.limit

    @contextlib.contextmanager
    def on_interrupt(self, wanted: bool) -> Iterator[None]:
        """While the block runs, an interrupt (SIGINT) asks for the stop; a second one interrupts as it always does.

        Nothing changes where it is not wanted, or outside the main thread, where no signals arrive.
        """
        if not wanted or threading.current_thread() is not threading.main_thread():
            yield
            return
        before = signal.getsignal(signal.SIGINT)

        def ask(number: int, frame: Any) -> None:
            self.stop = True
            signal.signal(signal.SIGINT, before)

        signal.signal(signal.SIGINT, ask)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)

    @contextlib.contextmanager
    def counting(self, model: torch.nn.Module) -> Iterator[None]:
        """While the block runs, the tokens that the model trains on are counted, on its device: a GPU is not waited
        for."""

        def count(module: torch.nn.Module, _args: tuple, given: dict[str, Any]) -> None:
            if module.training:
                mask = given.get("attention_mask")
                self.tokens = self.tokens + (given["input_ids"].numel() if mask is None else mask.detach().sum())

        with model.register_forward_pre_hook(count, with_kwargs=True):
            yield

    def on_train_begin(self, args, state, control, model=None, **kwargs):
        self.first, self.started = state.global_step, time.perf_counter()
        if self.held_out and not state.global_step:
            self._score(state, model)
        self._tell(state)

    def on_step_end(self, args, state, control, model=None, **kwargs):
        if self.stop or self.over:
            control.should_training_stop = control.should_save = control.should_log = True
        if self.held_out:
            last = control.should_training_stop or state.global_step >= state.max_steps
            if last or state.global_step % self.held_out.every(int(state.logging_steps)) == 0:
                self._score(state, model)

    def on_log(self, args, state, control, logs=None, **kwargs):
        if logs and "loss" in logs:
            self._tell(state)

    def on_save(self, args, state, control, **kwargs):
        wait_for_everyone()
        if is_main():
            self.checkpoints.note(state.global_step, self.seconds)

    def _score(self, state, model) -> None:
        started = time.perf_counter()
        loss = self.held_out.loss(model) if self.held_out else math.nan
        state.log_history.append({"step": state.global_step, HELD_OUT: loss})  # checkpoints keep it
        self.scoring += time.perf_counter() - started

    def _tell(self, state) -> None:
        if self.show:
            here = (state.global_step - self.first, time.perf_counter() - self.started, int(self.tokens) * world())
            log, steps = state.log_history, (state.global_step, state.max_steps)
            self.show(Progress(*steps, losses(log), held_out_losses(log), self.seconds, here, self.scoring))


def losses(log: Sequence[dict]) -> list[dict[str, float]]:
    """Of the Trainer's log, the rows of the loss, with plain numbers."""
    return [{key: float(row[key]) for key in ("step", "loss", "learning_rate")} for row in log if "loss" in row]


def held_out_losses(log: Sequence[dict]) -> list[dict[str, float]]:
    """Of the Trainer's log, the losses on held-out rows: `step`, `loss`."""
    return [{"step": float(row["step"]), "loss": float(row[HELD_OUT])} for row in log if HELD_OUT in row]
