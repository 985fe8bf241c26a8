"""What was found of a log's records, in a file: of any number, since only their places are in memory."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, overload

from workbench.artifacts.files import open_itself
from workbench.logs.summary import FAILED

Row = dict[str, Any]
Failed = Callable[[int, str, str, Exception], Row]
"""f(line, id, state, error): the row of a record that could not be explained."""


class Rows(Sequence[Row]):
    """Rows in a file of JSON lines, in the order of their `line`; of a row only its place is in memory. What a kill has
    cut off is passed over. but: as are rows of this state."""

    def __init__(self, file: Path, *, but: str | None = None):
        self.file, self.places, place = file, dict[int, int](), 0
        if file.is_file():
            with open(file, "rb") as lines:
                for text in lines:
                    if (row := _row(text)) is not None and (but is None or row.get("state") != but):
                        self.places[row["line"]] = place
                    place += len(text)

    @classmethod
    def of(cls, folder: Path, settings: object) -> Rows:
        """Those in a folder that were made with the same settings; what failed is to be asked again."""
        name = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:20]
        return cls(folder / f"rows-{name}.jsonl", but=FAILED)

    def add(self, rows: Iterable[Row]) -> None:
        """Appends rows; they are on the disk when this returns."""
        with open_itself(self.file, "ab") as out:
            out.write(b"\n")  # whatever a stop has left of the last one
            for row in rows:
                self.places[row["line"]] = out.tell()
                out.write(json.dumps(row, ensure_ascii=False).encode() + b"\n")

    def __len__(self) -> int:
        return len(self.places)

    def __contains__(self, line: object) -> bool:
        return line in self.places

    def __iter__(self) -> Iterator[Row]:
        with open(self.file, "rb") as file:
            for line in sorted(self.places):
                file.seek(self.places[line])
                yield json.loads(file.readline())

    @overload
    def __getitem__(self, at: int) -> Row: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[Row]: ...
    def __getitem__(self, at: int | slice) -> Row | Sequence[Row]:
        if isinstance(at, slice):
            return [self[i] for i in range(len(self))[at]]
        with open(self.file, "rb") as file:
            file.seek(self.places[sorted(self.places)[at]])
            return json.loads(file.readline())


def _row(text: bytes) -> Row | None:
    try:
        row = json.loads(text)
        return row if isinstance(row, dict) and isinstance(row.get("line"), int) else None
    except ValueError:
        return None
