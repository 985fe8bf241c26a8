"""Made-up names for cases: what such a case asks for can be read, and cannot be remembered.

A model that is trained to remember forgets to read what it does not know. Rows with made-up names, others at each
sight, keep it reading. The embedded reader has tokens that no name of the graph uses; any other model gets
pronounceable words in the shape of the names that they stand for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from workbench.cases import Case
from workbench.models import LanguageModel
from workbench.models.prompts import ReaderTemplate
from workbench.models.reader import entity_words, reader_word

Draw = Callable[[np.random.Generator], str]

ONSETS = "b br c ch d dr f fl g gr h j k kl l m n p pl qu r s sh sk st t th tr v w z".split()
VOWELS = "a e i o u ai ea io oo".split()
ENDS = ["", "", "", "l", "m", "n", "r", "s", "t", "x"]
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


@dataclass(frozen=True)
class Names:
    """Draws made-up names for nodes: words of the reader, or pronounceable ones that are no names of the graph.

    taken: the graph's names, as `plain` gives them. spare, own: the reader's words for entities without and with a name
    in the graph; none for another model. No weights are held, so that worker processes can have it.
    """

    taken: frozenset[str]
    spare: tuple[str, ...] = ()
    own: tuple[str, ...] = ()

    @classmethod
    def of(cls, lm: LanguageModel) -> Names:
        """Those for a model."""
        taken = frozenset(map(plain, lm.names.values()))
        if not isinstance(lm.template, ReaderTemplate):
            return cls(taken)
        own = {reader_word(name) for name in lm.names.values()}
        return cls(taken, tuple(sorted(entity_words(lm.tokenizer) - own)), tuple(sorted(own)))

    def draw(self, nodes: Iterable[str], rng: np.random.Generator) -> dict[str, str]:
        """node id -> name, each another. Where the reader has too few words to spare for so many nodes, all of its
        words are dealt among them: then a name may be one of the graph, though hardly its own."""
        nodes = sorted(nodes)
        if self.spare or self.own:
            pool = self.spare if len(self.spare) >= len(nodes) else self.spare + self.own
            return {node: pool[i] for node, i in zip(nodes, rng.permutation(len(pool)), strict=False)}
        found: dict[str, str] = {}
        for node in nodes:
            shape = SHAPES.get(node.replace("_", ":").partition(":")[0], _format)
            while plain(name := shape(rng)) in self.taken or name in found.values():
                pass
            found[node] = name
        return found

    def of_case(self, case: Case, rng: np.random.Generator) -> Case:
        """The case with a made-up name for every node or, as often, for some commands of an otherwise known world.

        The first keep a model reading where it knows nothing, the second where a new tool stands among known formats.
        """
        nodes = list(case.names)
        if rng.random() < 0.5:
            commands = [node for node in nodes if node.startswith("command:")]
            share = rng.random()
            nodes = [node for node in commands if rng.random() < share] or commands
        return replace(case, names={**case.names, **self.draw(nodes, rng)})


def renamed(cases: Sequence[Case], lm: LanguageModel, *, seed: int) -> tuple[list[Case], LanguageModel]:
    """Cases of the graph as it would be if every name in it were made up, and the same model to ask about it."""
    names = Names.of(lm).draw(lm.names, np.random.default_rng(seed))
    other = ((case, {node: names[node] for node in case.names}) for case in cases)
    made_up = [replace(case, id=f"made_up-{case.id}", split="made_up", names=own) for case, own in other]
    return made_up, replace(lm, names=names)


def plain(name: str) -> str:
    """A name as names are told apart: the same whatever its case and white space."""
    return " ".join(name.split()).casefold()


def _word(rng: np.random.Generator, syllables: int) -> str:
    """A pronounceable word, such as `strelio`."""
    parts = [some[rng.integers(len(some))] for _ in range(syllables) for some in (ONSETS, VOWELS, ENDS)]
    return "".join(parts)


def _command(rng: np.random.Generator) -> str:
    """As `samtools sort`, or of a tool that is one command."""
    tool = _word(rng, int(rng.integers(2, 4)))
    return f"{tool} {_word(rng, int(rng.integers(1, 3)))}" if rng.random() < 0.5 else tool


def _format(rng: np.random.Generator) -> str:
    """As `FASTQ`."""
    return "".join(LETTERS[i] for i in rng.integers(len(LETTERS), size=rng.integers(3, 6)))


def _data(rng: np.random.Generator) -> str:
    """As `gene expression`."""
    return f"{_word(rng, 2)} {_word(rng, 2)}"


def _source(rng: np.random.Generator) -> str:
    """As `Sequence Archive`."""
    return _data(rng).title()


SHAPES: Mapping[str, Draw] = {"command": _command, "source": _source, "data": _data}
