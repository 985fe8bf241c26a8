"""What large models on a processor have said of prompts: no game of a case, nor a later one, asks it again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

MOST = 4096  # rows that are kept, and decisions: some 15 MB


@dataclass
class Known:
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
    unused: bool = False

    def keep(self, among: dict[tuple, Any], key: tuple, value: Any) -> None:
        """Keeps a value, for the first one that was kept where there is no room."""
        among[key] = value
        if len(among) > MOST:
            del among[next(iter(among))]

    @contextmanager
    def left_out(self) -> Iterator[None]:
        """Inside the block nothing is known beforehand, for those who tell what an answer costs."""
        before, self.unused = self.unused, True
        try:
            yield
        finally:
            self.unused = before
