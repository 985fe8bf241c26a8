"""How often the two searches for minimal sets find a true one, and at how many calls."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from workbench.bench.oracles import FORMULAS, PlantedGame, planted_game
from workbench.explain.sets import ElementSet, minimal_flip_set, minimal_sufficient_set
from workbench.stats import proportion

SEARCHES: dict[str, Callable[..., ElementSet]] = {
    "flip": minimal_flip_set,
    "sufficient": minimal_sufficient_set,
}
REPEATS = 30  # most asks of one mask under noise: with 15, half of the sets at a margin of one deviation stay unproved


@dataclass(frozen=True)
class Grid:
    """What is measured: every game at every n and noise (standard deviation), `seeds` draws of elements and noise."""

    games: Sequence[str] = tuple(FORMULAS)
    sizes: Sequence[int] = (16, 64, 256)
    noises: Sequence[float] = (0.0, 0.1, 0.3)
    seeds: int = 200
    repeats: int = REPEATS


def measure_searches(grid: Grid | None = None, *, progress: Callable[[dict], None] | None = None) -> list[dict]:
    """One row for each search, game, n and noise; progress: called with each row.

    `exact`: share that is one of the game's true minimal sets, with its Wilson 95 % interval `low`, `high`;
    `certified`: share with a certificate; `wrong`: certificates on sets that are no true minimal set; `calls`: median,
    and `calls_90`: the 90th percentile.
    """
    grid = grid or Grid()
    rows = []
    for n in grid.sizes:
        for noise in grid.noises:
            for game in grid.games:
                for search in SEARCHES:
                    row = {
                        "search": search,
                        "game": game,
                        "n": n,
                        "noise": noise,
                        **_cell(search, game, n, noise, grid),
                    }
                    rows.append(row)
                    if progress:
                        progress(row)
    return rows


def _cell(search: str, name: str, n: int, noise: float, grid: Grid) -> dict:
    """The figures of one search on one game."""
    found, exact = [], []
    for seed in range(grid.seeds):
        game = planted_game(name, n, rng=np.random.default_rng(seed), noise=noise)
        found.append(SEARCHES[search](game, n, repeats=grid.repeats if noise else 1))
        exact.append(found[-1].found and frozenset(found[-1].elements) in _truth(search, game))
    calls = [one.calls for one in found]
    share = proportion(exact)
    return {
        "seeds": grid.seeds,
        "exact": share.share,
        "low": share.low,
        "high": share.high,
        "certified": float(np.mean([one.certified for one in found])),
        "wrong": sum(one.certified and not true for one, true in zip(found, exact, strict=True)),
        "calls": float(np.median(calls)),
        "calls_90": float(np.percentile(calls, 90)),
    }


def _truth(search: str, game: PlantedGame) -> frozenset[frozenset[int]]:
    return game.flips if search == "flip" else game.sufficient
