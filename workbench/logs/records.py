"""A log as JSON lines, one record a question with the facts that were shown; a bad record is a fault, and no more.

    {"question": "...", "facts": [["SRA", "delivers", "reads"], "a passage", {"text": "..."}], "answer": "...",
     "prompt": "a Jinja template", "id": "..."}

`question` and `facts` must be there. A fact is a text, or a triple: three texts in a list, or an object with `subject`,
`relation`, `object`. Any other field is kept. All of it is data, whatever it looks like. A file `*.json` is one record,
or a list of them.
"""

from __future__ import annotations

import json
import math
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

from workbench.artifacts.files import DATA

SAMPLE = DATA / "logs" / "sample.jsonl"  # of the embedded reader
LONGEST = 4 << 20  # bytes of a line
LARGEST = 256 << 20  # bytes of a file that is read as a whole
MOST_FACTS = 1000
DEEPEST = 50  # levels of lists and objects
TRIPLE = ("subject", "relation", "object")


class Fault(ValueError):
    """What is wrong with one record: where, the rule, the value, what to do, and `why` in somebody else's words.
    `told(private=True)` has neither value nor why."""

    def __init__(self, where: str, rule: str, value: object = None, *, do: str, why: str = ""):
        self.where, self.rule, self.value, self.do, self.why = where, rule, value, do, why
        super().__init__(where, rule, value, do)

    def __str__(self) -> str:
        return self.told()

    def told(self, *, private: bool = False) -> str:
        """The fault as a sentence."""
        found = "" if private or self.value is None else f", not {self.value!r:.80}"
        why = "" if private or not self.why else f" ({self.why})"
        return f"{self.where}: it must {self.rule}{why}{found}; {self.do}"


def named(name: str, ours: Mapping[str, Any], *, group: str, what: str) -> Any:
    """What is called so: ours, or an entry point of a package. ValueError: nothing is."""
    if name in ours:
        return ours[name]
    found = {one.name: one for one in entry_points(group=group)}
    if name not in found:
        raise ValueError(f"no {what} is called {name!r}; there are {', '.join([*ours, *found])}")
    return found[name].load()


@dataclass(frozen=True)
class Shown:
    """A fact that was shown: its text, the three parts of a triple, and what else the log says of it."""

    text: str
    triple: tuple[str, str, str] | None = None
    more: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Record:
    """A question, the facts that were shown with it, and what was answered. more: the fields of the log's own."""

    line: int
    id: str
    question: str
    facts: tuple[Shown, ...]
    answer: str | None = None
    prompt: str | None = None
    more: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """What `record_of` makes the record of again; plain JSON types."""
        facts = [
            dict(fact.more) | dict(zip(TRIPLE, fact.triple or (), strict=False)) | {"text": fact.text}
            for fact in self.facts
        ]
        given = {"answer": self.answer, "prompt": self.prompt}
        return {**self.more, "id": self.id, "question": self.question, "facts": facts, **given}


@dataclass(frozen=True)
class Refused:
    """A line that holds no record that can be used."""

    line: int
    id: str
    fault: Fault


def read_log(
    path: str | os.PathLike[str], *, made: Callable[[Any], Any] = lambda given: given
) -> Iterator[Record | Refused]:
    """The records of a log, one at a time, in order; blank lines are passed over.

    made: f(what a line holds) -> a record's fields. ValueError: there is no such file, it holds no line, or is no JSON.
    What is wrong with a single line comes as a `Refused`.
    """
    if not Path(path).is_file():
        raise ValueError(f"the log {os.fspath(path)!r} is not there, or no file; give a file of JSON lines")
    name, ids, number = Path(path).name, dict[str, int](), 0
    with open(path, "rb") as file:
        for number, given in _objects(Path(path), file):
            id = f"line {number}"
            try:
                record = record_of(made(given()), line=number)
                id = record.id
                if (first := ids.setdefault(id, number)) != number:
                    raise Fault("id", f"be of one record, and line {first} has it", id, do="give each record its own")
                yield record
            except Fault as fault:
                fault.where = f"{name}, line {number}, {fault.where}"
                yield Refused(number, id, fault)
    if not number:
        raise ValueError(f"the log {os.fspath(path)!r} holds no record; write one JSON object a line")


def _objects(path: Path, file: BinaryIO) -> Iterator[tuple[int, Callable[[], Any]]]:
    """Number and content of each line, or of each member of the list that a `.json` file holds."""
    if path.suffix != ".json":
        yield from ((number, partial(_parsed, line)) for number, line in _lines(file))
        return
    whole = file.read(LARGEST + 1)
    try:
        found = _parsed(whole if len(whole) <= LARGEST else None, longest=LARGEST)
    except Fault as fault:
        raise ValueError(f"the log {os.fspath(path)!r}: {str(fault).replace('the line', 'the file')}") from None
    for number, one in enumerate(found if isinstance(found, list) else [found], 1):
        yield number, lambda one=one: one  # type: ignore[misc]


def _lines(file: BinaryIO) -> Iterator[tuple[int, bytes | None]]:
    """Number and content of each line that is not blank; None of one that is too long."""
    number = 0
    while line := file.readline(LONGEST + 1):
        number += 1
        whole = len(line) <= LONGEST
        while not line.endswith(b"\n") and (rest := file.readline(LONGEST)):
            line = rest
        if not whole or line.strip():
            yield number, line.removeprefix(b"\xef\xbb\xbf" if number == 1 else b"") if whole else None


def _parsed(line: bytes | None, *, longest: int = LONGEST) -> Any:
    if line is None:
        raise Fault("the line", f"be at most {longest:,} bytes long", do="cut its passages, or leave fields out")
    how: dict[str, Any] = {"parse_constant": _no_number, "parse_float": _number, "object_pairs_hook": _object}
    try:
        return json.loads(line.decode("utf-8"), **how)
    except UnicodeDecodeError as error:
        raise Fault("the line", "be UTF-8", line[error.start : error.start + 8], do="save the log as UTF-8") from None
    except RecursionError:
        raise _too_deep() from None
    except Fault:
        raise
    except ValueError as error:
        raise Fault("the line", f"be one JSON object ({error})", do="write one record a line, as JSON") from None


def _no_number(name: str) -> NoReturn:
    raise Fault("a number", "be finite, as JSON has it", name, do="write null where there is none")


def _number(text: str) -> float:
    return value if math.isfinite(value := float(text)) else _no_number(text)


def _object(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = next(name for name, count in Counter(name for name, _ in pairs).items() if count > 1)
        raise Fault("an object", "have each name once", twice, do="leave one of the two out")
    return found


def _too_deep() -> Fault:
    return Fault("the line", f"nest at most {DEEPEST} levels", do="leave the deepest field out")


def record_of(given: Any, *, line: int = 1) -> Record:
    """A record from what a line of a log holds, plain JSON types. Fault: it is none; names the field and the rule."""
    if not isinstance(given, Mapping):
        raise Fault("the line", "be a JSON object", given, do="write {...} with `question` and `facts`")
    _check_plain(given)
    more = dict(given)
    question = _text("question", more.pop("question", None))
    facts = more.pop("facts", None)
    if not isinstance(facts, list | tuple) or not 0 < len(facts) <= MOST_FACTS:
        found = f"{len(facts)} of them" if isinstance(facts, list | tuple) else facts
        raise Fault("facts", f"be a list of 1 to {MOST_FACTS:,} facts", found, do="give the facts that were shown")
    id = more.pop("id", None)
    if isinstance(id, bool) or not isinstance(id, str | int | None) or len(str(id)) > 200:
        raise Fault("id", "be a text of at most 200 characters, or a number", id, do="shorten it, or leave it out")
    answer, prompt = (more.pop(name, None) for name in ("answer", "prompt"))
    return Record(
        line=line,
        id=f"line {line}" if id is None else str(id),
        question=question,
        facts=tuple(_fact(f"facts[{i}]", one) for i, one in enumerate(facts)),
        answer=None if answer is None else _text("answer", answer, empty=True),
        prompt=None if prompt is None else _text("prompt", prompt),
        more=more,
    )


def _check_plain(given: Any) -> None:
    """Fault: nested too deep, or a text that is no Unicode: half of a pair that stands for one letter."""
    level = [given]
    for _ in range(DEEPEST):
        inside = (one.values() if isinstance(one, Mapping) else one for one in level)
        level = [x for values in inside for x in values if isinstance(x, Mapping | list | tuple)]
    if level:
        raise _too_deep()
    try:
        json.dumps(given, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        raise Fault("a text", "be Unicode, no half of a surrogate pair", do="repair the text") from None
    except TypeError as error:
        raise Fault("a field", f"be of plain JSON types ({error})", do="give texts, numbers, lists, dicts") from None


def _fact(where: str, given: Any) -> Shown:
    if isinstance(given, str):
        return Shown(_text(where, given))
    if isinstance(given, list | tuple) and len(given) == 3:
        given = dict(zip(TRIPLE, given, strict=True))
    if not isinstance(given, Mapping) or not ("text" in given or all(name in given for name in TRIPLE)):
        rule = f"be a text, three texts, or an object with `text` or with {', '.join(TRIPLE)}"
        raise Fault(where, rule, given, do="write it as one of these")
    rest = {name: value for name, value in given.items() if name not in ("text", *TRIPLE)}
    if not all(name in given for name in TRIPLE):
        return Shown(_text(f"{where}.text", given["text"]), more=rest)
    head, relation, tail = (_text(f"{where}.{name}", given[name]) for name in TRIPLE)
    said = _text(f"{where}.text", given.get("text", f"{head} {relation.replace('_', ' ')} {tail}"))
    return Shown(said, (head, relation, tail), rest)


def _text(where: str, value: Any, *, empty: bool = False) -> str:
    if not isinstance(value, str) or not (empty or value.strip()):
        raise Fault(where, "be a text" if empty else "be a text that says something", value, do="give it in quotes")
    return value
