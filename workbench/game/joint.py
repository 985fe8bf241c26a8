"""The games of many cases asked in shared batches: small cases are answered several times as fast together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from workbench.game.case_game import Game
from workbench.game.passes import Asked, decide


def values_together(games: Sequence[Game], keeps: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Per game the values (m,) of its masks (m, n), as `game(keep)` gives them; a game may come more than once.

    Decision games by deletion, of one engine, of the tuned model and without doses or spans, are decided together;
    others, and those whose rows go on from keys and values that are kept, are asked one by one.

    Examples:
        >>> from workbench.game.example_game import example_game
        >>> engine, case = example_game().engine, example_game().case
        >>> game = Game.of(engine, case, form="decision")
        >>> keeps = [np.ones((1, 7), bool), np.zeros((1, 7), bool)]
        >>> together = values_together([game, game], keeps)
        >>> [bool((game(keep) > 0) == (values > 0)) for keep, values in zip(keeps, together)]
        [True, True]
    """
    facts = [game.shown(keep) for game, keep in zip(games, keeps, strict=True)]
    _decide([(game, mask) for game, masks in zip(games, facts, strict=True) if _plain(game) for mask in masks])
    return [game.values(masks) for game, masks in zip(games, facts, strict=True)]


def _plain(game: Game) -> bool:
    return game.whole_decision and game.adapter and game.dose is None and not game.passes.pays


def _decide(asked: Sequence[tuple[Game, np.ndarray]]) -> None:
    """Decisions about fact masks (facts,), into the memories of their games."""
    new = {(id(game.memory), game.passes.row_key(mask, game.answer)): (game, mask) for game, mask in asked}
    new = {key: one for key, one in new.items() if one[0].memory.same(key[1]) is None}
    for longest in {game.max_new_tokens for game, _ in new.values()}:
        some = [(key, *one) for (_, key), one in new.items() if one[0].max_new_tokens == longest]
        questions = [Asked(game.case, mask > 0, game.answer, game.path) for _, game, mask in some]
        found = decide(some[0][1].engine, questions, max_new_tokens=longest)
        for (key, game, _), one in zip(some, found, strict=True):
            game.memory.learn(key, *one)
