"""The decision of a model that writes no chain of its own: which it writes where those that the shown facts allow are
all that may be written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count

import networkx as nx
import numpy as np

from workbench.cases import Case, toolchain
from workbench.game.case_game import TIE, Game
from workbench.game.decoding import agreement
from workbench.game.derived import Derived

MOST_CHAINS = 64  # of one case, the shortest
PROMPTS = 8  # of a large model, whose keys and values are kept at once


def allowed_chains(case: Case) -> list[tuple[str, ...]]:
    """Node paths from the source along the facts shown, through a command or more to whatever is no command; the
    shortest first, `MOST_CHAINS` at most, and always the case's own where its facts are shown.

    Examples:
        >>> from workbench.cases import example_case
        >>> case = example_case()
        >>> allowed_chains(case)
        [('source:sra', 'format_1930', 'command:star', 'format_2572')]
    """
    shown = nx.DiGraph((fact.head, fact.tail) for fact in case.facts)
    ends = [node for node in shown if not node.startswith("command:") and node != case.source]
    paths = nx.all_simple_paths(shown, case.source, ends) if case.source in shown else []
    chains = sorted((tuple(path) for path in paths if toolchain(path)), key=lambda path: (path != case.path, len(path)))
    return chains[:MOST_CHAINS]


def chosen(answers: Sequence[Sequence[int]], scores: Sequence[np.ndarray]) -> int:
    """Number of the answer that greedy decoding writes where nothing but these may be written.

    Token by token the likeliest that still leads to one of them, as in De Cao et al. 2021 (arXiv 2010.00904). answers:
    token ids, unlike, each with its end-of-sequence; scores: log-probabilities (T,) of the tokens of each, nats.
    """
    left = list(range(len(answers)))
    for t in count():
        if len(left) == 1:
            break
        first = {answers[k][t]: k for k in reversed(left)}
        best = max(first.values(), key=lambda k: scores[k][t])
        left = [k for k in left if answers[k][t] == answers[best][t]]
    return left[0]


@dataclass(frozen=True)
class ForcedChoice(Derived):
    """v(keep): by how many nats a model's first choice among chains leads at its closest fork to another toolchain.

    (m, n) masks -> (m,) float64; above 0 where the choice names the same toolchain. It is made as the model writes,
    step by step, to go on or to end among them (`chosen`). The likeliest whole answer would be no choice, since each
    further step costs probability: of 36 cases that need two commands or more and have several toolchains on offer,
    untuned SmolLM2 takes one command alone in all and is right in 1. Step by step it does in 10, and is right in 21.

    What is on offer are the chains of the whole graph, whatever a mask takes out, so that it is the model that changes
    its mind and not the offer; with a single toolchain on offer the lead is infinite. game: of the model, its answer
    the first choice. offered: token ids of an answer -> node ids. written: what the model writes of its own accord.
    Make it with `of`.

    Examples:
        >>> from workbench.game.case_game import example_game
        >>> engine, case = example_game().engine, example_game().case
        >>> choice = ForcedChoice.of(Game.of(engine, case, form="decision"))
        >>> choice(np.ones((1, 7), bool)).tolist()  # the facts allow one toolchain alone
        [inf]
    """

    offered: Mapping[tuple[int, ...], tuple[str, ...]]
    written: str = ""

    @classmethod
    def of(cls, game: Game, *, written: str = "") -> ForcedChoice | None:
        """The choice of the game's model on the whole graph, one pass a chain; None: none is allowed."""
        engine, case = game.engine, game.case
        offered = {engine.answer_ids(case, chain): chain for chain in reversed(allowed_chains(case))}
        if not offered:
            return None
        whole = np.ones((1, len(case.facts)))
        scores = [game.rows(whole, answer)[0].logprobs for answer in offered]
        first = list(offered)[chosen(list(offered), scores)]
        return cls(game.view(answer=first, form="logprob"), offered, written)

    @property
    def others(self) -> list[tuple[int, ...]]:
        """The answers on offer with another toolchain."""
        return [answer for answer, path in self.offered.items() if toolchain(path) != toolchain(self.path)]

    @property
    def path(self) -> tuple[str, ...]:
        """The first choice as node ids."""
        return self.game.path

    def __call__(self, keep: np.ndarray) -> np.ndarray:
        """Leads (m,) float64, nats, of masks (m, n)."""
        games = [self.game.view(answer=answer) for answer in self.offered]
        # of a large model few prompts are kept: all answers to these are read before the next ones
        some = PROMPTS if self.game.engine.slow else max(1, len(keep))
        parts = [keep[i : i + some] for i in range(0, len(keep), some)]
        read = [[game.token_logprobs(part) for game in games] for part in parts]
        return np.array([self._lead(list(scores)) for part in read for scores in zip(*part, strict=True)])

    def _lead(self, scores: Sequence[np.ndarray]) -> float:
        """The lead in one prompt. scores: log-probabilities (T,) of every answer on offer."""
        ours, others, by = self.game.answer, self.others, dict(zip(self.offered, scores, strict=True))
        if not others:
            return np.inf
        forks = [(agreement(one, ours), one) for one in others]
        lead = min(by[ours][t] - by[one][t] for t, one in forks)
        now = list(self.offered)[chosen(list(self.offered), scores)]
        return max(abs(lead), TIE) * (-1 if now in others else 1)


def own_decisions(games: Sequence[Game]) -> list[Game] | list[ForcedChoice]:
    """Decision games of a model about its own answers to the games' cases.

    A model that names a command in any of its greedy answers plays about these. One that names none in all of them has
    no toolchain that could change: it is asked for its forced choice. games: of that model; their answers are not used.

    Examples:
        >>> from workbench.game.case_game import example_game
        >>> engine, case = example_game().engine, example_game().case
        >>> game = Game.of(engine, case, form="decision")
        >>> [type(one).__name__ for one in own_decisions([game])]  # it writes a chain
        ['Game']
    """
    engine, first = games[0].engine, games[0]
    cases = [game.case for game in games]
    written = engine.greedy_answers(cases, adapter=first.adapter, max_new_tokens=first.max_new_tokens)
    free = [game.view(answer=ids, form="decision") for game, ids in zip(games, written, strict=True)]
    if any(toolchain(game.path) for game in free):
        return free
    forced = [ForcedChoice.of(game, written=text) for game, text in zip(games, engine.text(written), strict=True)]
    chosen = [one for one in forced if one]
    return chosen if len(chosen) == len(games) else free
