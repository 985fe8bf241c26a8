"""What an answer decides, by name: what is compared between answers, whatever words they use.

A decision reads an answer's text and gives what it says as a text, or None where that cannot be read: an answer that
cannot be read is neither the same as another nor changed. Packages add their own as entry points of
`workbench.decisions`: name -> f(argument, record) -> `Decision`.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, NamedTuple

import regex

from workbench.logs.records import DEEPEST, Fault, Record, named

GROUP = "workbench.decisions"
LONGEST = 10_000  # characters of an answer that are read
SECONDS = 1.0  # for a regular expression on one answer


class Decision(NamedTuple):
    """How to read answers. how: a sentence of the prompt that asks for such an answer. settled: whether an answer that
    is being written decides the same however it goes on; None: that is known of whole answers alone."""

    parse: Callable[[str], str | None]
    how: str = ""
    settled: Callable[[str], bool] | None = None


Maker = Callable[[str, Record], Decision]
"""f(argument, record): the argument stands behind the name and a colon."""


def decision(name: str, record: Record) -> Decision:
    """The decision `name`, such as `yesno` or `regex:[0-9]+`, for a record. Fault: what it needs is not there."""
    kind, _, argument = name.partition(":")
    return maker(kind)(argument, record)


def maker(kind: str) -> Maker:
    """The maker of decisions of one name. ValueError: there is none."""
    return named(kind, DECISIONS, group=GROUP, what="decision")


def plain(text: str) -> str:
    """A text as it is compared: letters in one form and case, one blank between words, no marks around it."""
    return re.sub(r"^[\s\W_]+|[\s\W_]+$", "", _one_form(text))


def _one_form(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def _said(text: str) -> str:
    """What of an answer counts: what a model writes behind its thoughts."""
    return text.rpartition("</think>")[2][:LONGEST]


def _settled(text: str, sure: Callable[[str], bool]) -> bool:
    """Whether what counts of an answer that is being written is sure; a thought that has not ended is no part of it."""
    said = text.rpartition("</think>")[2]
    return "<think>" not in said and sure(said[:LONGEST])


def found_names(text: str, names: Iterable[str]) -> list[str]:
    """Which of the names stand in a text as whole words, each where it is no part of a longer one, in text order."""
    known = {plain(name): name for name in names if plain(name)}
    longest = sorted(known, key=len, reverse=True)
    pattern = "|".join(map(re.escape, longest)) or r"(?!)"
    hits = re.findall(rf"(?<!\w)(?:{pattern})(?!\w)", f" {plain(_said(text))} ")
    return list(dict.fromkeys(known[hit] for hit in hits))


def _begun(text: str) -> str:
    """What of a text that is being written stays as it is: its last letter may be half of one."""
    return text.rstrip("\N{REPLACEMENT CHARACTER}")[:-1]


def _only(text: str, names: Iterable[str]) -> str | None:
    found = found_names(text, names)
    return found[0] if len(found) == 1 else None


def _distinct(name: str, given: Any) -> list[str]:
    if not isinstance(given, list | tuple) or not given or not all(isinstance(x, str) and plain(x) for x in given):
        raise Fault(name, "be a list of texts that hold a letter or digit", given, do=f"add `{name}` to the record")
    if len({*map(plain, given)}) < len({*given}):
        raise Fault(name, "differ in more than case and marks", list(given), do="reword one of them")
    return list(given)


def option(argument: str, record: Record) -> Decision:
    """One of given options: those of the argument, parted by `|`, or of the record's field `options`."""
    options = _distinct("options", argument.split("|") if argument else record.more.get("options"))
    return Decision(partial(_only, names=options), f"Answer with one of: {', '.join(options)}.")


def yesno(_argument: str, _record: Record) -> Decision:
    """Yes or no: the first word where it is one of the two, else the only one of the two that the answer has."""

    def parse(text: str) -> str | None:
        first = re.match(r"\W*(yes|no)\b", plain(_said(text)))
        return first[1] if first else _only(text, ("yes", "no"))

    def sure(said: str) -> bool:
        return bool(re.match(r"[\W_]*(yes|no)\W", _one_form(_begun(said))))

    return Decision(parse, "Answer yes or no.", partial(_settled, sure=sure))


def entities(_argument: str, record: Record) -> Decision:
    """Which entities the answer names, whatever the order: of the record's `entities`, or the ends of its triples."""
    ends = dict.fromkeys(end for fact in record.facts if fact.triple for end in (fact.triple[0], fact.triple[2]))
    names = _distinct("entities", record.more.get("entities", [name for name in ends if plain(name)]))
    return Decision(lambda text: "; ".join(sorted(found_names(text, names))) or None, "Answer with names alone.")


def text(_argument: str, _record: Record) -> Decision:
    """A short text: the first line that says something, as it is compared (`plain`)."""

    def parse(text: str) -> str | None:
        return next(filter(None, map(plain, _said(text).splitlines())), None)

    def sure(said: str) -> bool:
        return parse(_begun(said).rpartition("\n")[0]) is not None

    return Decision(parse, "Answer in a few words.", partial(_settled, sure=sure))


def by_regex(argument: str, _record: Record) -> Decision:
    """What a regular expression finds first: its groups, or all of it. One that takes too long finds nothing."""
    try:
        pattern = regex.compile(argument)
    except (regex.error, RecursionError, OverflowError) as error:
        raise ValueError(f"the decision regex:{argument!r:.80} is no regular expression: {error}") from None

    def parse(text: str) -> str | None:
        try:
            found = pattern.search(_said(text), timeout=SECONDS)
        except TimeoutError:
            return None
        said = [one for one in found.groups() or [found[0]] if one is not None] if found else []
        return "; ".join(map(_one_form, said)) if any(map(_one_form, said)) else None

    return Decision(parse)


def by_json(_argument: str, _record: Record) -> Decision:
    """The first JSON object or list in the answer; of a tool call its name and arguments. Written in one way."""
    sure = partial(_settled, sure=lambda said: _first_json(said, 1) is not None)
    return Decision(lambda text: _first_json(_said(text)), "Answer with JSON alone.", sure)


def _first_json(text: str, most: int = DEEPEST) -> str | None:
    """The first of so many places where JSON may begin at which it does, written in one way."""
    decoder = json.JSONDecoder(parse_constant=_refuse)
    for found in list(re.finditer(r"[{\[]", text))[:most]:
        try:
            value, _ = decoder.raw_decode(text, found.start())
            said = json.dumps(_call(value), sort_keys=True, ensure_ascii=False, allow_nan=False)
            return said.encode("utf-8").decode("utf-8")  # half of a letter is no text
        except (ValueError, RecursionError):
            continue
    return None


def _refuse(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


ARGUMENTS = ("arguments", "parameters")  # what makes an object with a name the call of a tool


def _call(value: Any) -> Any:
    """A tool call as its name and arguments, which some models write as a text of JSON; anything else as it is."""
    if not isinstance(value, dict) or not isinstance(value.get("name"), str) or value.keys().isdisjoint(ARGUMENTS):
        return value
    given = value.get("arguments", value.get("parameters"))
    return {"name": value["name"], "arguments": json.loads(given) if isinstance(given, str) else given}


DECISIONS: dict[str, Maker] = {
    "option": option, "entities": entities, "yesno": yesno, "text": text, "regex": by_regex, "json": by_json,
}  # fmt: skip
