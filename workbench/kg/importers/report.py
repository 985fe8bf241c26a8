"""The report of an import: what was found wrong, where, and what was done about it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from workbench.artifacts.files import atomic_write_text
from workbench.kg.tsv import shorten

ACTIONS = ("kept", "repaired", "dropped")


class Line(NamedTuple):
    """One finding. place: a line number, JSON path or XML path within `file`; value: clipped, as `repr` shows it."""

    file: str
    place: str
    rule: str
    value: str
    action: str


@dataclass
class Report:
    """Collects the findings of an import and counts its records.

    progress: called with (records read, the file being read) after every record.
    """

    progress: Callable[[int, str], None] | None = None
    lines: list[Line] = field(default_factory=list)
    records: int = 0
    _told: set[tuple[str, str, str]] = field(default_factory=set)

    def at(self, file: str | Path, place: str | int = "") -> Spot:
        """A place of a file to which findings can be noted."""
        return Spot(self, str(file), str(place))

    def record(self, file: str | Path = "") -> None:
        """One more record was read, whatever became of it."""
        self.records += 1
        if self.progress:
            self.progress(self.records, str(file))

    @property
    def counts(self) -> dict[str, int]:
        """Findings by `rule (action)`, most frequent first."""
        found = Counter(f"{line.rule} ({line.action})" for line in self.lines)
        return dict(sorted(found.items(), key=lambda pair: (-pair[1], pair[0])))

    @property
    def actions(self) -> dict[str, int]:
        """Findings by action, in the order of `ACTIONS`."""
        found = Counter(line.action for line in self.lines)
        return {action: found[action] for action in ACTIONS}


@dataclass(frozen=True)
class Spot:
    """A place in a file: `at` goes deeper, the actions note a finding there."""

    report: Report
    file: str
    place: str

    def at(self, *more: str | int) -> Spot:
        """The place below this one: names are joined by a dot, indices set in brackets."""
        place = self.place
        for step in more:
            place += f"[{step}]" if isinstance(step, int) else f".{step}" if place else step
        return Spot(self.report, self.file, place)

    def kept(self, rule: str, value: object = "") -> None:
        """Something odd that stays as it is."""
        self._note(rule, value, "kept")

    def kept_once(self, rule: str, value: str) -> None:
        """As `kept`, but told at the first place of a file only."""
        key = (self.file, rule, value)
        if key not in self.report._told:
            self.report._told.add(key)
            self.kept(rule, value)

    def repaired(self, rule: str, value: object = "") -> None:
        """Something wrong that was put right."""
        self._note(rule, value, "repaired")

    def dropped(self, rule: str, value: object = "") -> None:
        """Something wrong that was left out."""
        self._note(rule, value, "dropped")

    def _note(self, rule: str, value: object, action: str) -> None:
        text = value if isinstance(value, str) else _plain(value)
        self.report.lines.append(
            Line(shorten(self.file, 400)[1:-1], shorten(self.place, 400)[1:-1], rule, shorten(text), action)
        )


def _plain(value: object) -> str:
    """A value as text, no more of it than is shown: a deep or huge one is named by its type."""
    if isinstance(value, bool | int | float) or value is None:
        return str(value) if not isinstance(value, int) or abs(value) < 10**30 else "a huge number"
    size = f" of {len(value)}" if isinstance(value, list | tuple | dict | set | bytes) else ""
    return f"<{type(value).__name__}{size}>"


def write_report(report: Report, path: str | Path) -> Path:
    """Writes the findings in one step: a table for a name that ends in .tsv, JSON lines for any other.

    JSON lines close with `{"records": n, "counts": {...}, "actions": {...}}`; a table has the findings alone.
    """
    rows = "\n".join([*_rows(report, tsv=Path(path).suffix.lower() == ".tsv"), ""])
    return atomic_write_text(path, rows)


def _rows(report: Report, *, tsv: bool) -> Iterator[str]:
    if tsv:
        yield "\t".join(Line._fields)
        for line in report.lines:
            yield "\t".join(" ".join(cell.split()) for cell in line)
        return
    for line in report.lines:
        yield json.dumps(line._asdict(), ensure_ascii=False)
    yield json.dumps({"records": report.records, "counts": report.counts, "actions": report.actions})
