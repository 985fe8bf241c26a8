"""Certificates under noise: how many searches end in one, and how many of these say what is true."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import count

import numpy as np

from workbench.bench.oracles import planted_game
from workbench.explain.sets import ElementSet, minimal_flip_set, minimal_sufficient_set
from workbench.meter import Oracle
from workbench.stats.intervals import wilson

SEARCHES: dict[str, Callable[..., ElementSet]] = {
    "flip": minimal_flip_set,
    "sufficient": minimal_sufficient_set,
}
N = 10  # elements
PLAIN, MARGIN = ("and", "or", "dnf", "inhibitor", "xor"), 0.2  # formulas of values +1 and -1; of a sum with all kept
MOST = 20  # searches for each certified one that is wanted, before a kind is given up


@dataclass(frozen=True)
class Noise:
    """What an ask adds to a game. below, above: shares of answers whose sign flips, where the truth is not above 0 and
    where it is; sd: of Gaussian noise; sums: of a sum of weights near its threshold, not of a planted formula;
    repeats: most asks of a mask."""

    below: float = 0.0
    above: float = 0.0
    sd: float = 0.0
    sums: bool = False
    repeats: int = 25

    def game(self, rng: np.random.Generator, *, n: int = N) -> NoisyGame:
        """A game drawn anew, whose noise comes from `rng`."""
        quiet = near_sum(n, rng=rng) if self.sums else planted_game(str(rng.choice(PLAIN)), n, rng=rng).quiet
        return NoisyGame(quiet, n, self, rng)


NOISES = {
    "gaussian": Noise(sd=0.5),
    "10 % flips": Noise(below=0.1, above=0.1),
    "25 % flips": Noise(below=0.25, above=0.25, repeats=100),
    "20 % flips below": Noise(below=0.2, repeats=50),
    "20 % flips above": Noise(above=0.2, repeats=50),
    "near-threshold sums": Noise(sd=0.5, sums=True, repeats=50),
}


@dataclass(frozen=True)
class NoisyGame:
    """Call it with masks (m, n) for values (m,): those of the quiet game under noise, drawn anew with each ask."""

    quiet: Oracle
    n: int
    noise: Noise
    rng: np.random.Generator

    def __call__(self, keep: np.ndarray) -> np.ndarray:
        """Values (m,) of masks (m, n)."""
        values = self.quiet(keep)
        flip = self.rng.random(len(values)) < np.where(values > 0, self.noise.above, self.noise.below)
        return np.where(flip, -values, values) + self.noise.sd * self.rng.standard_normal(len(values))

    def proves(self, found: ElementSet) -> bool:
        """Whether what a certificate says of the set is true: everything keeps the decision, the set holds, and without
        any one member it does not."""
        keep = np.full((2 + len(found.elements), self.n), found.kind == "flip")
        keep[0] = True
        keep[1:, list(found.elements)] = found.kind != "flip"
        for row, member in zip(keep[2:], found.elements, strict=True):
            row[member] = found.kind == "flip"
        whole, held, *without = (self.quiet(keep) > 0) == (found.kind != "flip")
        return bool(whole == (found.kind != "flip") and held and not any(without))


def near_sum(n: int, *, rng: np.random.Generator) -> Oracle:
    """A sum of weights less a threshold that lies within 0.1 or so of the sum of random elements."""
    weights = rng.uniform(0.5, 1.5, n)
    threshold = min(weights[rng.random(n) < 0.5].sum() + rng.normal(0, 0.1), weights.sum() - MARGIN)
    return lambda keep: keep @ weights - threshold


def certificates(*, certified: int, seed: int, progress: Callable[[str], None] | None = None) -> list[dict]:
    """A row for each noise and search, over so many certified searches, each on a game of its own: the shares of
    searches that are certified and of certificates that are right, with 95 % intervals, and asks."""
    rows = []
    for place, (name, noise) in enumerate(NOISES.items()):
        for kind in SEARCHES:
            rows.append({"noise": name, "search": kind, **measured(kind, noise, certified, seed=[seed, place])})
        if progress:
            progress(f"certificates under noise: {name}")
    return rows


def measured(kind: str, noise: Noise, certified: int, *, seed: list[int]) -> dict:
    """One row; see `certificates`."""
    asks, proved, right = [], 0, 0
    for number in count():
        game = noise.game(np.random.default_rng([*seed, number]))
        found = SEARCHES[kind](game, game.n, repeats=noise.repeats)
        asks.append(found.calls)
        proved += found.certified
        right += found.certified and game.proves(found)
        if proved == certified or len(asks) == MOST * certified:
            break
    return {
        "repeats": noise.repeats,
        "certified": wilson(proved, len(asks))._asdict(),
        "right": wilson(right, proved)._asdict(),
        "asks": float(np.median(asks)),
        "asks_p90": float(np.percentile(asks, 90)),
    }
