"""Cases: a question about the graph, the facts shown with it, and the facts withheld from it.

A case asks for the toolchain that leads from a source to a target, or another kind of question
(`workbench.cases.sampler`). The shown facts hold one shortest chain and distractors that do not open a second one.
Withholding removes needed facts, so that the answer must come from memory.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import SequenceMatcher
from pathlib import Path
from typing import NamedTuple

import numpy as np

from workbench.artifacts.files import atomic_path

CHAIN, GOAL, STEP = "chain", "goal", "step"
QUESTIONS = (CHAIN, GOAL, STEP)
"""Kinds of question; see `workbench.cases.sampler`."""
FEW = 5  # cases below which an interval over cases says nothing: it is neither told nor drawn


class Fact(NamedTuple):
    """One edge of the graph: `head -relation-> tail`, both ends node ids.

    Examples:
        >>> Fact("source:sra", "download_from", "format_1930").tail
        'format_1930'
    """

    head: str
    relation: str
    tail: str


@dataclass(frozen=True)
class Case:
    """A question (`source`, `target`), the facts shown with it and the node path that answers it.

    path: node ids from source to target, commands and formats in turn. names: display name of every node named here.
    kind: of question; whole: of a missing step the chain of which path is a stretch, shown in the question without it.

    Examples:
        >>> flow = [("source:sra", "download_from", "format_1930"), ("format_1930", "input", "command:star")]
        >>> facts = tuple(Fact(*fact) for fact in [*flow, ("command:star", "output", "format_2572")])
        >>> path = ("source:sra", "format_1930", "command:star", "format_2572")
        >>> case = Case("one", path[0], path[-1], facts, path, dict(zip(path, ["SRA", "FASTQ", "star", "BAM"])))
        >>> case.toolchain, len(case.elements), case.label(facts[0])
        (('command:star',), 7, 'SRA → FASTQ')
        >>> keep = np.ones((1, 7), bool)
        >>> keep[0, 1] = False  # without FASTQ both facts about it are gone
        >>> case.keep_facts(keep).tolist()
        [[False, False, True]]
    """

    id: str
    source: str
    target: str
    facts: tuple[Fact, ...]
    path: tuple[str, ...]
    names: Mapping[str, str] = field(repr=False)
    withheld: tuple[Fact, ...] = ()
    split: str = "train"
    kind: str = CHAIN
    whole: tuple[str, ...] = ()

    @property
    def nodes(self) -> tuple[str, ...]:
        """Nodes of the shown facts, in order of first mention."""
        return tuple(dict.fromkeys(end for fact in self.facts for end in (fact.head, fact.tail)))

    @property
    def elements(self) -> tuple[str | Fact, ...]:
        """What an explanation may remove: nodes first, then facts (edges), n = len(nodes) + len(facts)."""
        return self.nodes + self.facts

    def label(self, element: str | Fact) -> str:
        """An element in words: a node's name, or a fact as `FASTQ → hisat2`."""
        if isinstance(element, Fact):
            return f"{self.names[element.head]} → {self.names[element.tail]}"
        return self.names[element]

    @property
    def toolchain(self) -> tuple[str, ...]:
        """The commands of the path, in order: what an answer is judged by."""
        return toolchain(self.path)

    @property
    def sequence(self) -> tuple[str, ...]:
        """The commands that question and answer name in a row."""
        return toolchain(self.whole or self.path)

    @property
    def pair(self) -> tuple[str, str]:
        """The ends of the chain that the question is about."""
        chain = self.whole or self.path
        return chain[0], chain[-1]

    @property
    def gapped(self) -> tuple[str | None, ...]:
        """The chain that a missing step is left out of, None in its place."""
        return tuple(None if node in self.toolchain else node for node in self.whole)

    @property
    def question(self) -> tuple[str, ...]:
        """What tells the question from others: source and target, and what another kind says beside them."""
        return (self.source, self.target, *((self.kind, *self.whole) if self.kind != CHAIN else ()))

    @property
    def needed(self) -> tuple[Fact, ...]:
        """The facts of the path, shown or withheld, in path order."""
        by_ends = {(f.head, f.tail): f for f in (*self.facts, *self.withheld)}
        return tuple(by_ends[step] for step in zip(self.path, self.path[1:], strict=False) if step in by_ends)

    def keep_facts(self, keep: np.ndarray) -> np.ndarray:
        """Element keep-mask (m, n) -> fact keep-mask (m, facts): a fact stays if its edge and both ends stay.

        Works on bool and on float masks (a product of keep-degrees) and on torch tensors, gradients included.
        """
        index = {node: i for i, node in enumerate(self.nodes)}
        heads = [index[f.head] for f in self.facts]
        tails = [index[f.tail] for f in self.facts]
        return keep[:, len(index) :] * keep[:, heads] * keep[:, tails]

    def to_dict(self) -> dict:
        """Plain JSON types; `Case.from_dict` reads it back."""
        # field by field: `asdict` would copy every name of every case
        facts = {key: [list(fact) for fact in getattr(self, key)] for key in ("facts", "withheld")}
        rest = {"path": list(self.path), "names": dict(self.names), "whole": list(self.whole)}
        data = vars(self) | facts | rest
        return data if self.kind != CHAIN else {k: v for k, v in data.items() if k not in ("kind", "whole")}

    @classmethod
    def from_dict(cls, data: Mapping) -> Case:
        """The inverse of `to_dict`; KeyError names a missing field, ValueError a kind of question that is none."""
        if data.get("kind", CHAIN) not in QUESTIONS:
            raise ValueError(f"kind must be one of {', '.join(QUESTIONS)}, not {data['kind']!r}")
        facts = {key: tuple(Fact(*f) for f in data[key]) for key in ("facts", "withheld")}
        return cls(**{**data, **facts, "path": tuple(data["path"]), "whole": tuple(data.get("whole", ()))})


def example_case() -> Case:
    """The smallest case there is, of one command and three facts, with names for a model.

    Examples:
        >>> case = example_case()
        >>> " -> ".join(case.names[node] for node in case.path), len(case.elements)
        ('SRA -> FASTQ -> star -> BAM', 7)
    """
    names = {"source:sra": "SRA", "format_1930": "FASTQ", "command:star": "star", "format_2572": "BAM"}
    path = tuple(names)
    facts = tuple(map(Fact, path, ("download_from", "input", "output"), path[1:]))
    return Case("one", path[0], path[-1], facts, path, names)


def toolchain(path: Iterable[str]) -> tuple[str, ...]:
    """The commands among node ids, in order.

    Examples:
        >>> toolchain(["source:sra", "format_1930", "command:star", "format_2572"])
        ('command:star',)
    """
    return tuple(node for node in path if node.startswith("command:"))


def aligned(before: Sequence[str], after: Sequence[str]) -> list[tuple[str, str]]:
    """Two answers as one row of steps in order, each with `lost` (only before), `new` (only after) or an empty mark.

    Examples:
        >>> aligned(["star", "sort"], ["hisat2", "sort"])
        [('star', 'lost'), ('hisat2', 'new'), ('sort', '')]
    """
    steps: list[tuple[str, str]] = []
    for same, i, j, k, n in SequenceMatcher(a=before, b=after, autojunk=False).get_opcodes():
        steps += [(node, "" if same == "equal" else "lost") for node in before[i:j]]
        steps += [(node, "new") for node in after[k:n] if same != "equal"]
    return steps


def withhold(case: Case, share: float, *, rng: np.random.Generator, always_shown: Sequence[str] = ()) -> Case:
    """The case with `share` of its needed facts (rounded) moved from shown to withheld.

    Facts are taken evenly: no command loses a second fact before every command of the path has lost one, so that a
    command is still named as long as that is possible. Facts of the commands in `always_shown` stay: of a tool that
    was kept out of the training nothing can be remembered.

    Examples:
        >>> case = example_case()
        >>> less = withhold(case, 0.34, rng=np.random.default_rng(0))
        >>> len(less.facts), len(less.withheld), less.path == case.path
        (2, 1, True)
    """
    if not 0 <= share <= 1:
        raise ValueError(f"share of withheld facts must lie in [0, 1], not {share!r}")
    needed = case.needed
    count = int(np.floor(share * len(needed) + 0.5))
    free = [f for f in needed if not {f.head, f.tail} & set(always_shown)]
    taken: list[Fact] = []
    losses: dict[str, int] = {}
    while free and len(taken) < count:
        owner = {f: next((e for e in (f.head, f.tail) if e.startswith("command:")), f.head) for f in free}
        least = min(losses.get(owner[f], 0) for f in free)
        pick = [f for f in free if losses.get(owner[f], 0) == least]
        fact = pick[int(rng.integers(len(pick)))]
        losses[owner[fact]] = losses.get(owner[fact], 0) + 1
        taken.append(fact)
        free.remove(fact)
    shown = tuple(f for f in case.facts if f not in taken)
    return replace(case, facts=shown, withheld=case.withheld + tuple(taken))


def mixed(cases: Sequence[Case]) -> list[Case]:
    """The cases in an order of chance, always the same one. The sampler puts chains of one length together, and where
    the first few stand for all, there should be some of every length among them.

    Examples:
        >>> sorted(mixed(list("abc")), key=str)
        ['a', 'b', 'c']
    """
    return [cases[i] for i in np.random.default_rng(0).permutation(len(cases))]


def save_cases(path: Path, cases: Iterable[Case]) -> None:
    """One JSON object a line, written to `path` one case at a time, in the end at once or not at all.

    Examples:
        >>> import tempfile
        >>> case = Case("one", "a", "b", (Fact("a", "input", "b"),), ("a", "b"), {"a": "A", "b": "B"})
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     save_cases(Path(folder, "cases.jsonl"), [case])
        ...     load_cases(Path(folder, "cases.jsonl")) == [case]
        True
    """
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as opened:
        opened.writelines(json.dumps(case.to_dict(), ensure_ascii=False) + "\n" for case in cases)


def iter_cases(path: Path) -> Iterator[Case]:
    """The cases `save_cases` wrote, one at a time: memory for one, however many there are. `.gz` files are unpacked.

    ValueError names the line that is no case.

    Examples:
        >>> from workbench.models import shipped
        >>> next(iter_cases(shipped("narrow") / "cases_held_out.jsonl.gz")).split
        'held_out'
    """
    unpacked = gzip.open if Path(path).suffix == ".gz" else open
    with unpacked(path, "rt", encoding="utf-8", newline="\n") as opened:  # names may hold other marks that end a line
        for number, line in enumerate(opened, start=1):
            try:
                yield Case.from_dict(json.loads(line))
            except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
                problem = f"line {number} is no case ({type(error).__name__}: {error})"
                raise ValueError(f"{path}: {problem}; make the file again with save_cases") from error


def load_cases(path: Path) -> list[Case]:
    """All cases of a file; see `iter_cases`.

    Examples:
        >>> from workbench.models import shipped
        >>> cases = load_cases(shipped("narrow") / "cases_held_out.jsonl.gz")
        >>> len({case.id for case in cases}) == len(cases) > 0
        True
    """
    return list(iter_cases(path))
