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
    depth = level = number = 0  # level: the depth at which records start, 0 outside the list of them
    whole, record = ijson.ObjectBuilder(), None
    for prefix, event, what in ijson.parse(stream, multiple_values=True, use_float=True):
        starts, ends = event.startswith("start"), event.startswith("end")
        if level and depth == level and record is None and not ends:
            record = ijson.ObjectBuilder()
        (record or whole).event(event, what)
        depth += starts - ends
        if depth > MAX_DEPTH:
            raise ValueError(f"nested deeper than {MAX_DEPTH}")
        if record is not None:
            if depth == level:
                yield f"{key if level == 2 else ''}[{number}]", record.value
                record, number = None, number + 1
        elif event == "start_array" and (depth, prefix) in ((1, ""), (2, key)):
            level = depth
        elif ends and depth < level:
            level = 0
        if not depth:
            if not number and event != "end_array":
                yield "$", whole.value
            whole, number = ijson.ObjectBuilder(), 0
