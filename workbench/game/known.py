"""What large models on a processor have said of prompts: no game of a case, nor a later one, asks it again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

MOST = 4096  # rows that are kept, and decisions: some 15 MB


@dataclass
class Kept:
    """What is kept to be faster, and can be left out for a while."""

    _left_out: int = field(default=0, init=False, repr=False, compare=False)
    _turn: Lock = field(default_factory=Lock, init=False, repr=False, compare=False)

    @property
    def unused(self) -> bool:
        """Whether someone wants nothing of it."""
        return self._left_out > 0

    @contextmanager
    def left_out(self) -> Iterator[None]:
        """Inside the block nothing is known beforehand: for who tells what an answer costs, or listens to modules."""
        with self._turn:
            self._left_out += 1
        try:
            yield
        finally:
            with self._turn:
                self._left_out -= 1


@dataclass
class Known(Kept):
    """Rows and decisions by model, prompt and answer, the latest `MOST` of each. decided: of rows in which a token
    changed, whether the toolchain did not.

    Examples:
        >>> known = Known()
        >>> known.keep(known.rows, ("tuned", (1, 2), (3,)), "what the pass said")
        >>> known.rows["tuned", (1, 2), (3,)]
        'what the pass said'
    """

    rows: dict[tuple, Any] = field(default_factory=dict)
    decided: dict[tuple, bool] = field(default_factory=dict)

    def keep(self, among: dict[tuple, Any], key: tuple, value: Any) -> None:
        """Keeps a value, for the first one that was kept where there is no room."""
        with self._turn:  # a panel asks on a thread of its own
            among[key] = value
            if len(among) > MOST:
                del among[next(iter(among))]
