"""The games of many cases asked in shared batches: small cases are answered several times as fast together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from workbench.cases import toolchain
from workbench.game.case_game import Game
from workbench.game.rows import row_of

Asked = tuple[Game, np.ndarray]
"""A game and one fact mask (facts,) float64."""


def values_together(games: Sequence[Game], keeps: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Per game the values (m,) of its masks (m, n), as `game(keep)` gives them; a game may come more than once.

    Decision games by deletion, of one engine, of the tuned model and without doses or spans, are read together into
    their memories, unless their prompts are so long that a shared prefix pays; others are asked one by one.
    """
    facts = [game.shown(keep) for game, keep in zip(games, keeps, strict=True)]
    alike = [(game, mask) for game, masks in zip(games, facts, strict=True) if _plain(game) for mask in masks]
    _read([one for one in alike if _row(*one) not in one[0].memory.rows])
    turned = [(game, mask) for game, mask in alike if game.memory.rows[_row(game, mask)].margins.min() <= 0]
    _decide([one for one in turned if _decision(*one) not in one[0].memory.decided])
    return [game.values(masks) for game, masks in zip(games, facts, strict=True)]


def _plain(game: Game) -> bool:
    usual = game.form == "decision" and game.removal == "delete" and game.adapter
    return usual and game.dose is None and game.span is None and not game.passes.pays


def _row(game: Game, mask: np.ndarray) -> tuple:
    return game.passes.row_key(mask, game.answer)


def _decision(game: Game, mask: np.ndarray) -> tuple:
    return game.passes.decision_key(mask)


def _read(asked: Sequence[Asked]) -> None:
    """Rows of the masks, into the memories of their games."""
    new = {(id(game.memory), _row(game, mask)): (game, mask) for game, mask in asked}
    if not new:
        return
    prompts = [game.engine.prompt(game.case, mask > 0) for game, mask in new.values()]
    with torch.no_grad():
        logits = asked[0][0].engine.logits(prompts, [game.answer for game, _ in new.values()])
    for (_, key), (game, _), one in zip(new, new.values(), logits, strict=True):
        game.memory.rows[key] = row_of(one, game.answer)


def _decide(asked: Sequence[Asked]) -> None:
    """Whether the greedy answers still name the games' toolchains, into their memories."""
    new = {(id(game.memory), _decision(game, mask)): (game, mask) for game, mask in asked}
    for longest in {game.max_new_tokens for game, _ in new.values()}:
        some = [(key, *one) for (_, key), one in new.items() if one[0].max_new_tokens == longest]
        cases, keeps = [game.case for _, game, _ in some], [mask > 0 for _, _, mask in some]
        paths = asked[0][0].engine.answers(cases, keeps=keeps, max_new_tokens=longest)
        for (key, game, _), path in zip(some, paths, strict=True):
            game.memory.decided[key] = toolchain(path) == toolchain(game.path)
