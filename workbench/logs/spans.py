"""Pieces of an answer, each asked about in its own right: a word, what an expression finds, an argument of a tool call.

A piece that is no longer there, or another one, counts as changed; an answer that cannot be read is neither, as ever.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from workbench.logs import decisions
from workbench.logs.records import Record

GONE = ""  # what a piece is decided to be that is not there
EACH = "json:*"


class Span(NamedTuple):
    """name: as it was asked for, or found. find: an answer's piece, None where it has none."""

    name: str
    find: Callable[[str], str | None]

    def read(self, whole: Callable[[str], str | None]) -> Callable[[str], str | None]:
        """The piece as a decision. whole: the decision of answers, which says whether one can be read."""
        return lambda text: None if whole(text) is None else self.find(text) or GONE


def spans_of(answer: str, asked_for: Sequence[str]) -> Iterator[Span]:
    """The spans of an answer. asked_for: a text; `regex:...`; `json:a.b.0`, a path in the answer's JSON; `json:*`, each
    argument of its tool call, or each member. ValueError: no regular expression."""
    for name in dict.fromkeys(asked_for):
        if name == EACH:
            yield from (Span(path, _at(path)) for path in _paths(answer))
        elif name.startswith("json:"):
            yield Span(name.removeprefix("json:"), _at(name.removeprefix("json:")))
        elif name.startswith("regex:"):
            yield Span(name, decisions.by_regex(name.removeprefix("regex:"), NO_RECORD).parse)
        else:
            yield Span(name, lambda text, name=name: next(iter(decisions.found_names(text, [name])), None))  # type: ignore[misc]


def checked_spans(asked_for: Sequence[str], decision: str) -> list[str]:
    """The spans to ask about: those asked for, else each argument of a JSON answer. ValueError: one that can be in no
    answer."""
    for name in asked_for:
        if not decisions.plain(name.removeprefix("regex:").removeprefix("json:")) and name != EACH:
            raise ValueError(f"the span {name!r} must hold a letter or digit; give a text, regex:..., or json:path")
    list(spans_of("", asked_for))
    return list(asked_for) or ([EACH] if decision == "json" else [])


NO_RECORD = Record(0, "", "", ())


def _value(text: str) -> Any:
    said = decisions.by_json("", NO_RECORD).parse(text)
    return None if said is None else json.loads(said)


def _paths(answer: str) -> list[str]:
    value = _value(answer)
    inner = value.get("arguments") if isinstance(value, dict) and isinstance(value.get("name"), str) else None
    members = [f"arguments.{key}" for key in inner] if isinstance(inner, dict) else []
    if members:
        return ["name", *members]
    return list(value) if isinstance(value, dict) else [str(i) for i in range(len(value or ()))]


def _at(path: str) -> Callable[[str], str | None]:
    """What stands at a path, as JSON; of two ways to read it, such as a key with a full stop, the longest key wins."""

    def find(text: str) -> str | None:
        found = list(_walk(_value(text), path))
        return json.dumps(found[0], sort_keys=True, ensure_ascii=False) if found else None

    return find


def _walk(value: Any, path: str) -> Iterator[Any]:
    if isinstance(value, list):
        key, _, rest = path.partition(".")
        if key.isdecimal() and key.isascii() and len(key) < 9 and int(key) < len(value):
            yield from _walk(value[int(key)], rest) if rest else [value[int(key)]]
    elif isinstance(value, dict):
        if path in value:
            yield value[path]
        for key in sorted(value, key=len, reverse=True):
            if path.startswith(f"{key}."):
                yield from _walk(value[key], path[len(key) + 1 :])


ABBREVIATIONS = (
    "dr mr mrs ms prof st sr jr no nos vol fig figs eq eqs sec ch pp ed eds al etc vs v cf ca approx e.g i.e u.s u.k "
    "inc ltd co corp jan feb mar apr jun jul aug sep sept oct nov dec"
).split()
"""Words that a full stop behind them shortens, in small letters."""

END = re.compile(
    r"""(?P<mark>[.!?]+["'\)\]\N{RIGHT DOUBLE QUOTATION MARK}\N{RIGHT SINGLE QUOTATION MARK}]*)(?=\s+\S)"""
    r"|[\N{IDEOGRAPHIC FULL STOP}\N{FULLWIDTH EXCLAMATION MARK}\N{FULLWIDTH QUESTION MARK}]+(?=\s*\S)"
    r"|(?=\s*\n\s*\n\s*\S)"
)
WORD = re.compile(r"[^\s(\[\"']*\Z")


def sentences_of(text: str) -> list[tuple[int, int]]:
    """(begin, end) of each sentence, which follow one another without a gap: a blank belongs to what stands behind it.

    A sentence ends with `.`, `!` or `?` before a blank, unless a small letter comes next or the full stop shortens a
    word (`ABBREVIATIONS`) or a name's first letter; with a full-width mark; and with a paragraph.

    Examples:
        >>> said = "Dr. Li wrote bwa 0.7. It reads FASTQ (e.g. of SRA). Fast!"
        >>> [said[a:b] for a, b in sentences_of(said)]
        ['Dr. Li wrote bwa 0.7.', ' It reads FASTQ (e.g. of SRA).', ' Fast!']
    """
    cuts = [0]
    for found in END.finditer(text):
        end = found.end()
        if text[cuts[-1] : end].strip() and not _goes_on(text, found):
            cuts.append(end)
    return [(a, b) for a, b in zip(cuts, [*cuts[1:], len(text)], strict=True) if a < b] or [(0, len(text))]


def _goes_on(text: str, end: re.Match[str]) -> bool:
    """Whether what looks like an end is none."""
    mark = end["mark"]
    if not mark:
        return False
    rest = text[end.end() :].lstrip()
    word = WORD.search(text[: end.start()][-40:])
    before = word[0] if word else ""
    shortens = mark == "." and (before.lower() in ABBREVIATIONS or (len(before) == 1 and before.isupper()))
    return rest[0].islower() or shortens
