"""Reading files that may hold anything: lines, JSON, YAML, XML, each with limits and every failure a finding."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import ijson
import yaml
from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import DefusedXMLParser, ParseError, iterparse

from workbench.kg.importers.items import Report, Spot, Unit

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


MAX_LINE = 16 * 2**20  # bytes of one line
MAX_WHOLE = 64 * 2**20  # bytes of a JSON file that is read at once
MAX_YAML = 4 * 2**20  # bytes of one file
MAX_VALUES = 100_000  # of a YAML file, aliases counted as often as they are used
_MAX_ENTITIES, _MAX_ENTITY = 100, 300  # entities of an XML file and characters of each

XML_ERRORS = (ParseError, DefusedXmlException, ValueError, OSError, LookupError)


def in_words(problem: Exception) -> str:
    """What an error says, on one line; its type where it says nothing."""
    return " ".join(str(problem).split()) or type(problem).__name__


def numbered_lines(path: Path, name: str, note: Report) -> Iterator[tuple[Spot, str]]:
    """Every line that is not blank, with its place; bytes that are no UTF-8 are told and shown as replaced."""
    try:
        with path.open("rb") as stream:
            for number, raw in enumerate(iter(lambda: stream.readline(MAX_LINE + 1), b""), start=1):
                spot = note.at(name, f"line {number}")
                if len(raw) > MAX_LINE:
                    spot.dropped(f"line of more than {MAX_LINE} bytes")
                    while raw and not raw.endswith(b"\n"):
                        raw = stream.readline(MAX_LINE)
                elif line := _decode(raw, spot, first=number == 1):
                    yield spot, line
    except OSError as problem:
        note.at(name).dropped("file cannot be read", problem.strerror or "")


def table_rows(unit: Unit, note: Report, *, quoted: bool, by: str = "\t") -> Iterator[tuple[Spot, list[str]]]:
    """The cells of every row, with the place of its last line. quoted: CSV, where a cell may hold what parts them."""
    lines = numbered_lines(unit.path, unit.name, note)
    if not quoted:
        yield from ((spot, line.split(by)) for spot, line in lines)
        return
    spots: list[Spot] = [note.at(unit.name, "line 1")]

    def plain() -> Iterator[str]:
        for spot, line in lines:
            spots[:] = [spot]
            yield line.replace("\0", "") + "\n"

    reader = csv.reader(plain(), delimiter=by)
    while True:
        try:
            row = next(reader)  # the place is known only once the row is read
            yield spots[0], row
        except StopIteration:
            return
        except csv.Error as problem:
            spots[0].dropped("not a row of a table", str(problem))


def json_lines(unit: Unit, note: Report) -> Iterator[tuple[Spot, Any]]:
    """The JSON values of a file of lines; a line that is none is told. Every line counts as a record."""
    for spot, line in numbered_lines(unit.path, unit.name, note):
        note.record(unit.name)
        try:
            yield spot, json.loads(line)
        except (ValueError, RecursionError):
            spot.dropped("not JSON", line)


def json_records(unit: Unit, note: Report, *, key: str = "list") -> Iterator[tuple[Spot, Any]]:
    """The records of a JSON file of any size, one at a time: of a list, of the list at `key`, or the value itself.

    Several values may follow each other. Where the stream ends at something it cannot hold (a number too large, half a
    character), a file of moderate size is read as a whole; what comes after a place that is no JSON is lost and told.
    """
    number = 0
    try:
        with unit.path.open("rb") as stream:
            for place, value in streamed(stream, key):
                number += 1
                note.record(unit.name)
                yield note.at(unit.name, place), value
    except (ijson.JSONError, ValueError, RecursionError, OSError) as problem:
        for place, value in _whole(unit.path, key)[number:]:
            number = -1
            note.record(unit.name)
            yield note.at(unit.name, place), value
        if number >= 0:
            note.record(unit.name)
            note.at(unit.name).dropped(f"not JSON after {number} records", in_words(problem))


def _whole(path: Path, key: str) -> list[tuple[str, Any]]:
    """The records of a JSON file read at once, as `streamed` would give them; none of a large one or one of no JSON."""
    try:
        value = json.loads(path.read_bytes()) if path.stat().st_size <= MAX_WHOLE else []
    except (ValueError, RecursionError, OSError):
        return []
    inner = value.get(key) if isinstance(value, dict) else value
    if isinstance(inner, list):
        place = key if isinstance(value, dict) else ""
        return [(f"{place}[{index}]", one) for index, one in enumerate(inner)]
    return [("$", value)]


def levels(root: Any, inside: Callable[[Any], Iterable[Any]]) -> Iterator[tuple[int, list[Any]]]:
    """(depth, what lies there) of a tree from the root (1) on, without recursion. inside: the parts of one."""
    depth, level = 1, [root]
    while level:
        yield depth, level
        depth, level = depth + 1, [part for one in level for part in inside(one)]


def safe_json(content: bytes, spot: Spot) -> bool:
    """Whether JSON-LD has no context from elsewhere, which its reader would fetch, and nothing nested deeply."""
    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as problem:
        spot.dropped("not JSON", str(problem))
        return False
    for depth, level in levels(document, _inside):
        given = [one["@context"] for one in level if isinstance(one, dict) and "@context" in one]
        for context in given:
            parts = context if isinstance(context, list) else [context]
            if any(isinstance(one, str) or (isinstance(one, dict) and "@import" in one) for one in parts):
                spot.dropped("JSON-LD context at an address, which is not fetched; write it into the file", context)
                return False
        if depth > MAX_DEPTH:
            spot.dropped(f"JSON nested deeper than {MAX_DEPTH}")
            return False
    return True


def _inside(value: Any) -> Iterable[Any]:
    return value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()


def read_yaml(path: Path, spot: Spot) -> Any:
    """The value of a YAML file with every scalar as text, or None and a finding. No objects, no alias bombs."""
    try:
        if path.stat().st_size > MAX_YAML:
            return spot.dropped(f"YAML file of more than {MAX_YAML} bytes")
        content = path.read_text(encoding="utf-8-sig", errors="replace")
        if _too_deep(content):
            return spot.dropped(f"YAML nested deeper than {MAX_DEPTH}")
        value = yaml.load(content, Loader=_LOADER)  # builds texts, lists and dicts, nothing else
    except (yaml.YAMLError, ValueError, RecursionError, OSError) as problem:
        return spot.dropped("not YAML", in_words(problem))
    return value if _within(value) else spot.dropped(f"YAML of more than {MAX_VALUES} values, aliases counted")


_LOADER: Any = getattr(yaml, "CBaseLoader", yaml.BaseLoader)


def _too_deep(content: str) -> bool:
    """Asked before anything is built: building is recursive."""
    depth = 0
    for event in yaml.parse(content, Loader=_LOADER):
        starts = isinstance(event, yaml.SequenceStartEvent | yaml.MappingStartEvent)
        depth += starts - isinstance(event, yaml.SequenceEndEvent | yaml.MappingEndEvent)
        if depth > MAX_DEPTH:
            return True
    return False


def _within(value: Any) -> bool:
    """Whether walking the value, shared parts as often as they occur, ends within the limit."""
    waiting = [value]
    for one in waiting:  # grows while it is read
        waiting += _inside(one)
        if len(waiting) > MAX_VALUES:
            return False
    return True


class _Parser(DefusedXMLParser):
    """No external entity, no entity made of others; short plain ones are fine, ontologies abbreviate addresses so."""

    def __init__(self) -> None:
        super().__init__(forbid_dtd=False, forbid_entities=True, forbid_external=True)
        self.entities = 0

    def defused_entity_decl(
        self, name: Any, is_parameter_entity: Any, value: Any, base: Any, sysid: Any, pubid: Any, notation_name: Any
    ) -> None:
        self.entities += 1
        plain = value is not None and not is_parameter_entity and not set(value) & set("&%")
        if not plain or len(value) > _MAX_ENTITY or self.entities > _MAX_ENTITIES:
            super().defused_entity_decl(name, is_parameter_entity, value, base, sysid, pubid, notation_name)


def xml_events(path: Path, spot: Spot, *, keep: Callable[[Any], bool]) -> Iterator[Any]:
    """The elements that `keep` wants, each complete, in the order of their ends; others are freed as the file is read.

    A file that is not well-formed, has harmful entities or is nested too deeply ends early, which is told.
    """
    depth = held = 0
    try:
        for event, element in iterparse(path, events=("start", "end"), parser=_Parser()):
            if event == "start":
                depth += 1
                held += held > 0 or keep(element)
                if depth > MAX_DEPTH:
                    raise ValueError(f"nested deeper than {MAX_DEPTH}")
                continue
            depth -= 1
            held -= held > 0
            if not held:
                if keep(element):
                    yield element
                element.clear()
    except XML_ERRORS as problem:
        spot.dropped("not XML that can be read safely", in_words(problem))


def _decode(raw: bytes, spot: Spot, *, first: bool) -> str:
    try:
        line = raw.decode("utf-8-sig" if first else "utf-8")
    except UnicodeDecodeError:
        line = raw.decode("utf-8", errors="replace")
        spot.repaired("not UTF-8, characters replaced", line)
    return line.rstrip("\r\n") if line.strip() else ""
