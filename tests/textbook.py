"""The textbook: what a practitioner answers (`textbook.tsv`; toward a goal, `goals.tsv`) and what nobody may be told
(`never.tsv`).

A chain is steps parted by ` > `; a step is a command, alternatives parted by `|`, `tool:name` for any command of a
tool, or `*` for any; what stands in brackets may be left out, several steps too: `[fastp|cutadapt] > bwa mem >
[samtools sort]`. Chains of one cell are parted by ` || `. A start is ports as a table writes them, or a source's node.
"""

import csv
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from workbench.kg.columns import is_ports, parse_ports
from workbench.kg.links import Flow, Links
from workbench.kg.plan import Planner

HERE = Path(__file__).parent
ANSWERS = 3
_STEP = re.compile(r"(\[?)([^\[\]]+)(\]?)")


@dataclass(frozen=True)
class Question:
    """Of either file. chains: accepted ones, or stretches that must not occur. note: the source, or why not.

    field: of biology; in the never list "anywhere" (in no answer to anything) or "here" (in none to this question).
    """

    id: str
    field: str
    start: str
    target: str
    chains: str
    note: str


@dataclass(frozen=True)
class Answered:
    """A question, the commands of each plan in their order, and which of the plans are accepted."""

    question: Question
    plans: tuple[tuple[str, ...], ...]
    accepted: tuple[bool, ...]


def questions(file: str) -> list[Question]:
    """The rows of a file of this folder."""
    with (HERE / file).open(encoding="utf-8", newline="") as lines:
        return [Question(*row) for row in list(csv.reader(lines, delimiter="\t", quoting=csv.QUOTE_NONE))[1:]]


def starts(links: Links, text: str) -> list[str | Flow]:
    """What a planner begins with."""
    if not is_ports(text):
        return [text]
    return [links.flow(port.formats, port.kinds, port.states) for port in parse_ports(text)]


def ask(planner: Planner, question: Question, *, k: int = ANSWERS) -> list[tuple[str, ...]]:
    """The `k` cheapest plans, as names of commands."""
    plans = planner.plans(starts(planner.links, question.start), question.target, k=k).plans
    return [tuple(command.removeprefix("command:") for command in plan.commands) for plan in plans]


def answered(planner: Planner, asked: Iterable[Question], *, k: int = ANSWERS) -> list[Answered]:
    """Every question with its plans."""
    tools = tool_names(planner)
    found = []
    for question in asked:
        plans = ask(planner, question, k=k)
        found.append(Answered(question, tuple(plans), tuple(matches(question.chains, plan, tools) for plan in plans)))
    return found


def tool_names(planner: Planner) -> dict[str, str]:
    """Command -> tool, names without what node ids begin with."""
    pairs = [edge[:2] for edge in planner.graph.edges(keys=True) if edge[2] == "command_of"]
    return {command.removeprefix("command:"): tool.removeprefix("tool:") for command, tool in pairs}


def matches(chains: str, plan: Sequence[str], tools: Mapping[str, str], *, within: bool = False) -> bool:
    """Whether a plan is one of the chains. within: or has one of them as a stretch."""
    tokens = "".join(f"<{tools.get(command, '')}/{command}>" for command in plan)
    search = re.search if within else re.fullmatch
    return any(search(pattern, tokens) for pattern in patterns(chains))


@cache
def patterns(chains: str) -> tuple[re.Pattern[str], ...]:
    """A regular expression per chain, over plans spelled `<tool/command>` step by step. ValueError: an empty step."""
    return tuple(re.compile("".join(_pattern(step) for step in chain.split(" > "))) for chain in chains.split(" || "))


def _pattern(step: str) -> str:
    found = _STEP.fullmatch(step.strip())
    if not found:
        raise ValueError(f"no step: {step!r}")
    opening, names, closing = found.groups()
    either = "|".join(_name(name.strip()) for name in names.split("|"))
    return f"{'(?:' if opening else ''}<(?:{either})>{')?' if closing else ''}"


def _name(name: str) -> str:
    if name == "*":
        return "[^<>]+"
    tool = name.removeprefix("tool:")
    return rf"{re.escape(tool)}/[^<>]+" if tool != name else rf"[^<>/]*/{re.escape(name)}"


def commands_of(chains: str) -> set[str]:
    """The names that chains use, `tool:` ones with it."""
    return {name.strip() for name in re.split(r" \|\| | > |\|", re.sub(r"[\[\]]", "", chains))} - {"*"}


def first_share(answers: Sequence[Answered]) -> float:
    """Questions whose first answer is accepted, of all."""
    return sum(one.accepted[:1] == (True,) for one in answers) / len(answers)


def any_share(answers: Sequence[Answered]) -> float:
    """Questions with an accepted answer among those given, of all."""
    return sum(any(one.accepted) for one in answers) / len(answers)


def never_told(planner: Planner, answers: Sequence[Answered]) -> list[tuple[str, tuple[str, ...]]]:
    """(id of a row of the never list, plan with such a stretch), among the answers and those to the list's own rows."""
    tools, rows = tool_names(planner), questions("never.tsv")
    told = []
    for own in answered(planner, rows):
        elsewhere = [plan for one in answers for plan in one.plans] if own.question.field == "anywhere" else []
        told += [(own.question.id, plan) for plan in (*own.plans, *elsewhere) if _holds(own.question, plan, tools)]
    return told


def _holds(row: Question, plan: Sequence[str], tools: Mapping[str, str]) -> bool:
    return matches(row.chains, plan, tools, within=True)
