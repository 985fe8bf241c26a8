"""Reading files that may hold anything: lines, JSON, YAML, each with limits and every failure a finding."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from workbench.kg.importers.core import Unit
from workbench.kg.importers.report import Report, Spot

MAX_LINE = 16 * 2**20  # bytes of one line


def numbered_lines(path: Path, name: str, note: Report) -> Iterator[tuple[Spot, str]]:
    """Every line that is not blank, with its place; bytes that are no UTF-8 are told and shown as replaced."""
    try:
        with path.open("rb") as stream:
            for number, raw in enumerate(iter(lambda: stream.readline(MAX_LINE + 1), b""), start=1):
                spot = note.at(name, f"line {number}")
                if len(raw) > MAX_LINE:
                    spot.dropped(f"line of more than {MAX_LINE} bytes")
                    _skip_line(stream)
                elif line := _decode(raw, spot, first=number == 1):
                    yield spot, line
    except OSError as problem:
        note.at(name).dropped("file cannot be read", problem.strerror or "")


def json_lines(unit: Unit, note: Report) -> Iterator[tuple[Spot, Any]]:
    """The JSON values of a file of lines; a line that is none is told. Every line counts as a record."""
    for spot, line in numbered_lines(unit.path, unit.name, note):
        note.record(unit.name)
        try:
            yield spot, json.loads(line)
        except (ValueError, RecursionError):
            spot.dropped("not JSON", line)


def _decode(raw: bytes, spot: Spot, *, first: bool) -> str:
    try:
        line = raw.decode("utf-8-sig" if first else "utf-8")
    except UnicodeDecodeError:
        line = raw.decode("utf-8", errors="replace")
        spot.repaired("not UTF-8, characters replaced", line)
    return line.rstrip("\r\n") if line.strip() else ""


def _skip_line(stream: Any) -> None:
    while chunk := stream.readline(MAX_LINE):
        if chunk.endswith(b"\n"):
            return
