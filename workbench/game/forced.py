"""The decision of a model that writes no chain of its own: the likeliest of those that the shown facts allow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import networkx as nx
import numpy as np

from workbench.cases import Case, toolchain
from workbench.game.case_game import Game
from workbench.meter import Ledger

MOST_CHAINS = 64  # of one case, the shortest


def allowed_chains(case: Case) -> list[tuple[str, ...]]:
    """Node paths from the source along the facts shown, through a command or more to whatever is no command; the
    shortest first, `MOST_CHAINS` at most, and always the case's own where its facts are shown.

    Examples:
        >>> from workbench.cases import Fact
        >>> flow = [("source:sra", "download_from", "format_1930"), ("format_1930", "input", "command:star")]
        >>> facts = tuple(Fact(*fact) for fact in [*flow, ("command:star", "output", "format_2572")])
        >>> path = ("source:sra", "format_1930", "command:star", "format_2572")
        >>> case = Case("one", path[0], path[-1], facts, path, dict(zip(path, ["SRA", "FASTQ", "star", "BAM"])))
        >>> allowed_chains(case)
        [('source:sra', 'format_1930', 'command:star', 'format_2572')]
    """
    shown = nx.DiGraph((fact.head, fact.tail) for fact in case.facts)
    ends = [node for node in shown if not node.startswith("command:") and node != case.source]
    paths = nx.all_simple_paths(shown, case.source, ends) if case.source in shown else []
    chains = sorted((tuple(path) for path in paths if toolchain(path)), key=lambda path: (path != case.path, len(path)))
    return chains[:MOST_CHAINS]


@dataclass(frozen=True)
class ForcedChoice:
    """v(keep): by how many nats a model's first choice among chains leads the likeliest with another toolchain.

    (m, n) masks -> (m,) float64; above 0 where the first choice is the same. What is on offer are the chains of the
    whole graph, whatever a mask takes out, so that it is the model that changes its mind and not the offer; with a
    single toolchain on offer the lead is infinite. game: of the model, its answer the first choice. others: the other
    answers, token ids; those with the toolchain of the first choice do not count. written: what the model writes of its
    own accord. Make it with `of`.

    Examples:
        >>> from workbench.cases import Case, Fact
        >>> from workbench.game import Engine
        >>> from workbench.models import load
        >>> names = {"source:sra": "SRA", "format_1930": "FASTQ", "command:star": "star", "format_2572": "BAM"}
        >>> path = tuple(names)
        >>> facts = tuple(map(Fact, path, ["download_from", "input", "output"], path[1:]))
        >>> case = Case("one", path[0], path[-1], facts, path, names)
        >>> choice = ForcedChoice.of(Game.of(Engine(load(names=names)), case, form="decision"))
        >>> choice(np.ones((1, 7), bool)).tolist()  # the facts allow one toolchain alone
        [inf]
    """

    game: Game
    others: tuple[tuple[int, ...], ...]
    written: str = ""

    @classmethod
    def of(cls, game: Game, *, written: str = "") -> ForcedChoice | None:
        """The choice of the game's model on the whole graph, one pass a chain; None: none is allowed."""
        engine, case = game.engine, game.case
        chains = allowed_chains(case)
        if not chains:
            return None
        ids = [engine.answer_ids(case, chain) for chain in chains]
        whole = np.ones((1, len(case.facts)))
        scores = [float(game.passes.rows(whole, answer)[0].logprobs.sum()) for answer in ids]
        best = int(np.argmax(scores))
        others = [a for a, c in zip(ids, chains, strict=True) if toolchain(c) != toolchain(chains[best])]
        return cls(game.view(answer=ids[best], form="logprob"), tuple(others), written)

    @property
    def n(self) -> int:
        """Number of elements."""
        return self.game.n

    @property
    def case(self) -> Case:
        """The case played on."""
        return self.game.case

    @property
    def path(self) -> tuple[str, ...]:
        """The first choice as node ids."""
        return self.game.path

    @property
    def ledger(self) -> Ledger:
        """What the engine has spent so far."""
        return self.game.ledger

    def __call__(self, keep: np.ndarray) -> np.ndarray:
        """Leads (m,) float64, nats, of masks (m, n)."""
        ours = self.game(keep)
        theirs = [self.game.view(answer=answer)(keep) for answer in self.others]
        return ours - np.max(theirs, axis=0, initial=-np.inf)


def own_decisions(games: Sequence[Game]) -> list[Game] | list[ForcedChoice]:
    """Decision games of a model about its own answers to the games' cases.

    A model that names a command in any of its greedy answers plays about these. One that names none in all of them has
    no toolchain that could change: it is asked for its forced choice. games: of that model; their answers are not used.

    Examples:
        >>> from workbench.cases import Case, Fact
        >>> from workbench.game import Engine
        >>> from workbench.models import load
        >>> names = {"source:sra": "SRA", "format_1930": "FASTQ", "command:star": "star", "format_2572": "BAM"}
        >>> path = tuple(names)
        >>> facts = tuple(map(Fact, path, ["download_from", "input", "output"], path[1:]))
        >>> case = Case("one", path[0], path[-1], facts, path, names)
        >>> game = Game.of(Engine(load(names=names)), case, form="decision")
        >>> [type(one).__name__ for one in own_decisions([game])]  # it writes a chain
        ['Game']
    """
    engine, first = games[0].engine, games[0]
    cases = [game.case for game in games]
    written = engine.greedy_answers(cases, adapter=first.adapter, max_new_tokens=first.max_new_tokens)
    free = [game.view(answer=ids, form="decision") for game, ids in zip(games, written, strict=True)]
    if any(toolchain(game.path) for game in free):
        return free
    texts = [engine.lm.tokenizer.decode(list(ids), skip_special_tokens=True) for ids in written]
    forced = [ForcedChoice.of(game, written=text) for game, text in zip(games, texts, strict=True)]
    chosen = [one for one in forced if one]
    return chosen if len(chosen) == len(games) else free
