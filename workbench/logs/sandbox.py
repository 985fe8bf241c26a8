"""Writes a prompt by a Jinja template, with marks around each fact's parts and each turn of a loop.

A template is a program of whoever wrote the log. It gets Jinja's sandbox, and this file's text is run in a process
of its own, with its time, memory and output bounded (`models.chat.apart`); so it imports nothing of the package.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from jinja2 import StrictUndefined, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

TURN = 99999  # stands for a number of a fact in the marks around a loop's turn


class Fact:
    """A fact as a template sees it: itself, `text`, and of a triple `subject`, `relation`, `object`, or unpacked.

    Each stands between marks. `about`, the bare subject, is for grouping.
    """

    def __init__(self, number: int, parts: Sequence[str], mark: str):
        names = ("text", "subject", "relation", "object")
        for part, (name, text) in enumerate(zip(names, parts, strict=False)):
            setattr(self, name, f"{mark}{number:05}{part}0{text}{mark}{number:05}{part}1")
        self.about = parts[1] if parts[1:] else ""

    def __str__(self) -> str:
        return self.text  # type: ignore[attr-defined]

    def __iter__(self) -> Iterator[str]:
        return iter((self.subject, self.relation, self.object))  # type: ignore[attr-defined]


def written(template: str, values: Mapping[str, Any], facts: Sequence[Sequence[str]], mark: str) -> str:
    """The template's text. facts: text, and of a triple its parts. mark: digits that stand in none of the values; each
    mark is these, the fact's number (5 digits), the part's, and 0 or 1 for its begin or end."""
    room = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined)
    tree = room.parse(template)
    for loop in list(tree.find_all(nodes.For)):
        ends = (nodes.Output([nodes.TemplateData(f"{mark}{TURN}0{end}")], lineno=loop.lineno) for end in (0, 1))
        begin, end = ends
        loop.body = [begin, *loop.body, end]
    shown = [Fact(number, parts, mark) for number, parts in enumerate(facts)]
    return room.from_string(tree).render({**values, "facts": shown})
