"""Names, counts and intervals as they stand in sentences, and one glossary of the words that explorers and report use.

Names come from a graph: they are shortened, what cannot be printed is left out, and a name that is written from right
to left is kept apart from the words around it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from html import escape
from itertools import groupby
from typing import Any

from workbench.cases import FEW, Case, Fact

LONGEST = 40  # characters of a name
LONG_CHAIN = 7  # steps of a toolchain that are named
MOST = 4  # names in a list before the rest is counted
SURE = 0.05  # p-value below which a difference counts, divided by the number of comparisons where there are several
SMALL = 0.01  # nats: what is nearer to 0 carries nothing worth a name


def clean(name: str, longest: int = LONGEST) -> str:
    """A name as one short line of letters that can be printed."""
    line = " ".join("".join(mark if mark.isprintable() else " " for mark in name).split()) or "(no name)"
    if len(line) > longest:
        line = f"{line[: longest * 2 // 3]}…{line[-(longest // 3) :]}"
    turned = any(unicodedata.bidirectional(mark) in ("R", "AL", "AN") for mark in line)
    return f"\u2068{line}\u2069" if turned else line


def element(case: Case, one: int | str | Fact) -> str:
    """An element, or its number, by name: a node's, or a fact as `FASTQ → hisat2`."""
    given = case.elements[one] if isinstance(one, int) else one
    ends = (given.head, given.tail) if isinstance(given, Fact) else (given,)
    return " → ".join(clean(case.names[end]) for end in ends)


def named(case: Case, elements: Iterable[int | str | Fact]) -> str:
    """All of them: `hisat2, SAM → samtools sort`."""
    return ", ".join(element(case, one) for one in elements)


def listed(names: Iterable[str], *, none: str = "nothing") -> str:
    """`a, b and c`; of many the first few and how many more."""
    known = list(names)
    if len(known) > MOST:
        known = [*known[: MOST - 1], f"{len(known) - MOST + 1} more"]
    return f"{', '.join(known[:-1])} and {known[-1]}" if len(known) > 1 else known[0] if known else none


def chain(path: Iterable[str], names: Mapping[str, str]) -> str:
    """A toolchain: `hisat2 → samtools sort × 2`; of a long one the first and the last steps."""
    named = steps(path, names)
    if len(named) > LONG_CHAIN:
        named[LONG_CHAIN - 2 : -1] = [f"({len(named) - LONG_CHAIN + 1} more)"]
    return " → ".join(named) or "no command"


def steps(path: Iterable[str], names: Mapping[str, str]) -> list[str]:
    """Commands of an answer by name; one that repeats itself stands once, with how often."""
    runs = ((node, len(list(some))) for node, some in groupby(path))
    return [f"{clean(names.get(node, node))}{f' × {times}' if times > 1 else ''}" for node, times in runs]


def count(number: int, word: str) -> str:
    """`1 element`, `2 elements`."""
    return f"{number:,} {word}{'' if number == 1 else 's'}"


def between(row: Mapping[str, Any], name: str = "mean", *, form: str = ".2f") -> str:
    """`0.42 [0.31, 0.53]`: a figure of a row, and its 95 % interval, `low` and `high` or `<name>_low` and so on; of few
    cases, `n`, their number: `0.42 (n = 2)`."""
    if few(row):
        return f"{row[name]:{form}} (n = {row['n']:.0f})"
    return f"{row[name]:{form}} [{_end(row, name, 'low'):{form}}, {_end(row, name, 'high'):{form}}]"


def apart(one: Mapping[str, Any], other: Mapping[str, Any], name: str = "mean") -> bool:
    """Whether the intervals of two rows do not meet; of few cases they tell nothing apart."""
    ends = [(_end(row, name, "low"), _end(row, name, "high")) for row in (one, other)]
    return not (few(one) or few(other)) and (ends[0][0] > ends[1][1] or ends[1][0] > ends[0][1])


def few(row: Mapping[str, Any]) -> bool:
    """Whether a row, with its number of cases as `n`, is of so few that an interval over them says nothing."""
    return bool(row.get("n", FEW) < FEW)


def blind(n: int, level: float) -> bool:
    """Whether a sign-flip test of n pairs cannot come below a level: its least two-sided p is 2 ** (1 - n)."""
    return 2.0 ** (1 - n) >= level


def _end(row: Mapping[str, Any], name: str, end: str) -> float:
    return float(row.get(f"{name}_{end}", row.get(end)))


GLOSSARY = {
    "node": "what facts join: a source, format, command, kind of data, tool, operation, topic or licence",
    "fact": "one edge of the graph, one line of the prompt",
    "G": "the graph of the case: every fact that the prompt shows",
    "Gc": "the counterfactual graph: G without what is taken out",
    "toolchain": "the commands of an answer, in order",
    "needed": "the right answer runs through this fact",
    "withheld": "needed facts that the prompt leaves out, so that a model must remember them",
    "mask": "a degree of removal for every node and fact, learned so that removing little changes much",
    "m": "degree of removal: 0 keeps it, 1 removes it",
    "flip set": "what has to be taken out for the toolchain to change; in a minimal one no member can be put back",
    "sufficient set": "facts that keep the toolchain when nothing else is shown; in a minimal one none can be dropped",
    "certified": "asked of the model itself, not inferred: the set holds, and without any one member it does not",
    "lead": "by how much the least sure token of an answer is likelier than the next best one, in nats",
    "nat": "unit of log p by the natural logarithm: one nat less is a probability lower by a factor of 2.7",
    "log p": "logarithm of the probability that the model gives to the whole answer",
    "exact": "the commands of the answer are those of the right one, in order",
    "base": "the model as it was before tuning: the adapter switched off",
    "tuned": "the same model with the adapter switched on",
    "adapter": "thin matrices (LoRA) that tuning adds to the weights of the base model",
    "module": "one weight matrix of the model, with its own part of the adapter",
    "dose": "what the update of every module is multiplied by: 0 is the base, 1 the model as trained",
    "Delta": "by how much tuning made an answer likelier, in nats",
}
"""Term -> its meaning, in plain words."""

_WORD = re.compile(rf"(?<![\w-])({'|'.join(map(re.escape, sorted(GLOSSARY, key=len, reverse=True)))})(?=s?(?![\w-]))")


def glossed(text: str) -> str:
    """A text as HTML: the first of each word of the glossary in it shows its meaning to mouse, finger and keyboard.

    The text that can be read stays as it was; the style sheets of explorers and report draw the meaning.

    Examples:
        >>> glossed("2 modules < 3")
        '2 <dfn class="term" tabindex="0" data-means="one weight matrix ... of the adapter">module</dfn>s &lt; 3'
    """
    parts, seen = _WORD.split(text), set[str]()
    for i, part in enumerate(parts):
        parts[i] = escape(part)
        if i % 2 and part not in seen:
            seen.add(part)
            parts[i] = f'<dfn class="term" tabindex="0" data-means="{escape(GLOSSARY[part])}">{escape(part)}</dfn>'
    return "".join(parts)


def paragraph(text: str) -> str:
    """The same as a paragraph."""
    return f"<p>{glossed(text)}</p>"
