"""A JSON file of records read one record at a time, so that its size does not matter."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, BinaryIO

import ijson

MAX_DEPTH = 100  # of nesting


def streamed(stream: BinaryIO, key: str) -> Iterator[tuple[str, Any]]:
    """(place, record) of every record: of a list, of the list at `key` of an object, or the value itself (place `$`).

    Several values may follow each other. Raises `ValueError` for what is nested deeper than `MAX_DEPTH` and
    `ijson.JSONError` where the file stops being JSON; the records before are given first.
    """
    if stream.read(3) != b"\xef\xbb\xbf":
        stream.seek(0)
    value = _Value(key)
    for event, what in ijson.basic_parse(stream, multiple_values=True, use_float=True):
        yield from value.take(event, what)
        if value.done:
            value = _Value(key)


class _Value:
    """One value of the file, event by event. `level` is the depth at which its records start, 0 where it has none."""

    def __init__(self, key: str) -> None:
        self.key = key
        self.depth = self.level = self.number = 0
        self.last_key = ""
        self.whole, self.record = ijson.ObjectBuilder(), None
        self.done = False

    def take(self, event: str, what: Any) -> Iterator[tuple[str, Any]]:
        """Takes an event in and gives the record that it ends, if it does."""
        if event == "map_key" and self.depth == 1:
            self.last_key = what
        ends = event in ("end_array", "end_map")
        if self.level and self.record is None and self.depth == self.level and not ends:
            self.record = ijson.ObjectBuilder()
        (self.record or self.whole).event(event, what)
        self._step(event, ends)
        if self.record is not None and self.depth == self.level:
            yield f"{self.key if self.level == 2 else ''}[{self.number}]", self.record.value
            self.record, self.number = None, self.number + 1
        self.done = self.depth == 0
        if self.done and not self.number and event != "end_array":
            yield "$", self.whole.value

    def _step(self, event: str, ends: bool) -> None:
        if ends:
            self.depth -= 1
            if self.record is None and self.depth < self.level:
                self.level = 0
        elif event.startswith("start"):
            at_key = self.depth == 1 and self.last_key == self.key and isinstance(self.whole.value, dict)
            if event == "start_array" and not self.level and (self.depth == 0 or at_key):
                self.level = self.depth + 1
            self.depth += 1
            if self.depth > MAX_DEPTH:
                raise ValueError(f"nested deeper than {MAX_DEPTH}")
