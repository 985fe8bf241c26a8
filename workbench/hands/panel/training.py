"""The training view: loss and held-out loss as they fall, speed, time left, drawn again while a cell is running.

A kernel that trains hears no button until the cell is done; what it does hear is an interrupt. So the stop is that of
JupyterLab (the square, or `I` twice), and `train(..., stoppable=by_hand())` makes it a clean one.
"""

from __future__ import annotations

import os
import time
from html import escape
from pathlib import Path
from typing import Any

from IPython.display import DisplayHandle

from workbench.artifacts.runs import by_hand as by_hand
from workbench.figures.core import Figure
from workbench.figures.learning import loss_curve
from workbench.hands.headless.watch import clock
from workbench.hands.panel.explorer import write
from workbench.train import TrainResult
from workbench.train.progress import Progress

DRAWING_SHARE = 0.01  # of the time that drawing may take: with a hundredfold pause after each
WAITING = "Nothing is trained yet."


def words(progress: Progress, *, held_out: str = "held-out cases") -> str:
    """How far a training is, in one line; held_out: which cases are scored along the way."""
    said = [f"step {progress.step:,} of {progress.steps:,}", f"{clock(progress.seconds)} spent"]
    if progress.left is not None and progress.step < progress.steps:
        said.append(f"about {clock(progress.left)} left")
    if progress.tokens_per_second:
        said.append(f"{progress.tokens_per_second:,.0f} tokens a second")
    for name, rows in (("loss", progress.history), (f"loss on {held_out}", progress.held_out)):
        if rows:
            said.append(f"{name} {rows[-1]['loss']:.3f} nats a token")
    if progress.here[1] > 0 and progress.scoring:
        said.append(f"scoring took {progress.scoring / progress.here[1]:.1%} of the time")
    return ", ".join(said).replace("%", " %")


class TrainingView:
    """Give it to `train` as `show`. steps: those planned; held_out: what its held-out cases are called.

    It draws itself again so seldom that drawing takes a hundredth of the time. Headless, the last state stays as a
    still picture.
    """

    def __init__(self, *, steps: int, held_out: str = "held-out cases"):
        self.steps, self.called = steps, held_out
        self.curves: dict[str, Any] = {"history": [], "held_out": []}
        self.said = WAITING
        self._status, self._curve = DisplayHandle(), DisplayHandle()
        self._next = 0.0

    @property
    def figure(self) -> Figure:
        """The curves so far."""
        return loss_curve(steps=self.steps, called=self.called, **self.curves)

    def display(self) -> None:
        """Shows it below the cell; from then on it changes by itself."""
        self._status.display(self._line(), raw=True)
        self._curve.display(self.figure)

    def __call__(self, progress: Progress) -> None:
        """Takes a state of the training."""
        self.said = words(progress, held_out=self.called)
        self.curves = {"history": progress.history, "held_out": progress.held_out}
        self._status.update(self._line(), raw=True)
        started = time.perf_counter()
        if started >= self._next:
            self._curve.update(self.figure)
            now = time.perf_counter()
            self._next = now + (now - started) / DRAWING_SHARE

    def finish(self, result: TrainResult) -> None:
        """The last state, as it came out."""
        early = f"; stopped before step {self.steps:,}" if result.steps < self.steps else ""
        self.said = f"{self.said}{early}"
        self._status.update(self._line(), raw=True)
        self.curves = {"history": result.history, "held_out": result.held_out}
        self._curve.update(self.figure)

    def export(self, stem: str | os.PathLike[str]) -> list[Path]:
        """Writes `<stem>.png`, `.svg` and `.csv` (`curve, step, loss`), and returns their paths."""
        rows = ["curve,step,loss"]
        for name, part in (("training", "history"), (self.called, "held_out")):
            rows += [f"{name},{r['step']:.0f},{r['loss']:.6g}" for r in self.curves[part]]
        figure = self.figure
        return write(stem, {".png": figure.png(), ".svg": figure.svg(), ".csv": ("\n".join(rows) + "\n").encode()})

    def _line(self) -> dict[str, Any]:
        return {"text/html": f'<p role="status">{escape(self.said)}</p>', "text/plain": self.said}

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        figure = self.figure
        return figure._repr_mimebundle_() | {"text/plain": f"{self.said}. {figure.alt}"}
