"""A record as a prompt: what a template writes, in segments of which each knows the fact that it states.

A fact's piece is the turn of the loop that states it and no other; outside of such a turn it is the fact's own words.
Taking a fact out takes its piece out, and leaves every other as it was.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

from workbench.logs import sandbox
from workbench.logs.records import Fault, Record
from workbench.models.chat import apart
from workbench.models.prompts import Segment

DEFAULT = "Facts:\n{% for fact in facts %}\n- {{ fact }}\n{% endfor %}\nQuestion: {{ question }}\n{{ how }}"
SECONDS = 3  # of a processor, for a template to write one prompt
WIDEST = 20  # times as long as what it is given, and a hundred thousand characters, may a template's text be
MEND = "write {% for fact in facts %}...{{ fact }}...{% endfor %}"


class Mark(NamedTuple):
    """A mark at a place of the text without marks. fact: its number; `sandbox.TURN`: the mark of a loop's turn."""

    at: int
    fact: int
    part: int
    end: bool


def segments(record: Record, template: str | None, *, how: str = "") -> list[Segment]:
    """The record's prompt in segments. template: Jinja; None: the record's own, or that of the package.

    It sees `question`, `facts`, `how` (what kind of answer is wanted) and the record's fields of its own. Fault: it
    fails, does not end, or does not state every fact once, as it is.
    """
    given = template or record.prompt
    values = {**record.more, "question": record.question, "how": how}
    facts = [(fact.text, *(fact.triple or ())) for fact in record.facts]
    said = json.dumps([values, facts, given])
    number = int(hashlib.sha256(said.encode()).hexdigest(), 16)
    mark = f"{number % 10**24:024}"  # these digits stand in what they are the digest of by no chance that matters
    text = _apart(given, values, facts, mark) if given else sandbox.written(DEFAULT, values, facts, mark)
    return _split(text, facts, mark)


def _apart(template: str, values: Mapping[str, Any], facts: Sequence[Sequence[str]], mark: str) -> str:
    longest = 100_000 + WIDEST * len(json.dumps([template, values, facts]))
    program, arguments = Path(sandbox.__file__).read_text("utf-8"), json.dumps([template, values, facts, mark])
    text, fault = apart(program, arguments, longest=longest, seconds=SECONDS)
    if fault or len(text) > longest:
        fault = fault or f"it writes more than {longest:,} characters"
        raise Fault("prompt", "be a template that can be used", do=MEND, why=" ".join(fault.split()))
    return text


def _split(marked: str, facts: Sequence[Sequence[str]], mark: str) -> list[Segment]:
    """The text in segments, its marks taken out."""
    text, *rest = re.split(rf"{mark}(\d{{5}})(\d)([01])", marked)
    marks = list[Mark]()
    for number, part, end, behind in zip(rest[::4], rest[1::4], rest[2::4], rest[3::4], strict=True):
        marks.append(Mark(len(text), int(number), int(part), end == "1"))
        text += behind
    if mark in text:
        raise _misused("leave every fact as it is, and it cuts one")
    owner = [-1] * len(text)
    turns = _turns(marks)
    for fact, parts in enumerate(facts):
        first, last = _piece(fact, parts, text, marks, turns)
        owner[first:last] = [fact] * (last - first)
    runs = groupby(range(len(text)), key=owner.__getitem__)
    return [Segment("".join(map(text.__getitem__, places)), fact) for fact, places in runs]


def _turns(marks: Sequence[Mark]) -> list[tuple[int, int]]:
    """(first, last) number of the marks around each turn of a loop, inner turns before those around them."""
    open_, found = list[int](), list[tuple[int, int]]()
    for place, one in enumerate(marks):
        if one.fact == sandbox.TURN and not one.end:
            open_.append(place)
        elif one.fact == sandbox.TURN and open_:  # a mark that a template repeats by itself closes nothing
            found.append((open_.pop(), place))
    return found


def _piece(
    number: int, parts: Sequence[str], text: str, marks: Sequence[Mark], turns: Sequence[tuple[int, int]]
) -> tuple[int, int]:
    """Where the fact's piece begins and ends in the text. Fault: it is not there once, as it is."""
    name = f"facts[{number}]"
    places = [place for place, one in enumerate(marks) if one.fact == number]
    if not places:
        raise _misused(f"state every fact, and leaves {name} out", parts[0])
    used = [marks[place].part for place in places[::2]]
    if len({*used}) < len(used) or (0 in used and len(used) > 1):
        raise _misused(f"state every fact once, and states {name} {len(used)} times", parts[0])
    for first, last in zip(places[::2], places[1::2], strict=False):
        one, other = marks[first], marks[last]
        if (one.part, one.end, other.end) != (other.part, False, True) or text[one.at : other.at] != parts[one.part]:
            raise _misused(f"leave every fact as it is, and it changes {name}", parts[0])
    if len(places) % 2:
        raise _misused(f"leave every fact as it is, and it cuts {name}", parts[0])

    def among(first: int, last: int) -> set[int]:
        return {one.fact for one in marks[first : last + 1]} - {sandbox.TURN}

    first, last = next(
        (turn for turn in turns if turn[0] < places[0] and places[-1] < turn[1] and among(*turn) == {number}),
        (places[0], places[-1]),
    )
    if among(first, last) != {number}:
        raise _misused(f"state one fact after another, and mixes {name} with others", parts[0])
    return marks[first].at, marks[last].at


def _misused(rule: str, fact: str | None = None) -> Fault:
    return Fault("prompt", rule, fact, do=MEND)
