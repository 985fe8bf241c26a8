"""Games whose minimal sets are known: rules planted on a few of n elements, and certificates of such games under noise.

Noise-free values are +1 where the decision is kept and -1 where it is not, except for `additive`, where they come as
near to 0 as 0.3. Elements without a role have no effect at all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count

import numpy as np

from workbench.explain.sets import ElementSet, minimal_flip_set, minimal_sufficient_set
from workbench.hands.bench import Say
from workbench.stats.games import Oracle
from workbench.stats.intervals import wilson

Rule = Callable[[np.ndarray], np.ndarray]
"""Kept roles (m, k) bool -> noise-free values (m,) float."""

Roles = tuple[tuple[int, ...], ...]
"""Sets of roles: a is 0, b is 1 and so on."""


@dataclass(frozen=True)
class Formula:
    """A rule on k roles, with all of its minimal flip sets and minimal sufficient sets, and the rule in words."""

    rule: Rule
    roles: int
    flips: Roles
    sufficient: Roles
    says: str

    @property
    def matters(self) -> tuple[int, ...]:
        """Roles in some minimal flip set: what an attribution should find."""
        return tuple(sorted({role for one in self.flips for role in one}))


WEIGHTS = np.array([1.2, 1.0, 0.8])
THRESHOLD = 1.5


def _signed(rule: Callable[[np.ndarray], np.ndarray | np.bool]) -> Rule:
    """Values of a rule that holds or does not."""
    return lambda z: np.where(rule(z), 1.0, -1.0)


PAIRS = ((0, 1), (0, 2), (1, 2))
SINGLES = ((0,), (1,), (2,))
FORMULAS = {
    # any two of three; margins 0.3, 0.5, 0.7 and 1.5
    "additive": Formula(lambda z: z @ WEIGHTS - THRESHOLD, 3, PAIRS, PAIRS, "1.2 a + b + 0.8 c > 1.5"),
    "and": Formula(_signed(lambda z: z.all(axis=1)), 3, SINGLES, ((0, 1, 2),), "a and b and c"),
    "or": Formula(_signed(lambda z: z.any(axis=1)), 2, ((0, 1),), ((0,), (1,)), "a or b"),
    "dnf": Formula(
        _signed(lambda z: (z[:, 0] & z[:, 1]) | (z[:, 2] & z[:, 3])),
        4, ((0, 2), (0, 3), (1, 2), (1, 3)), ((0, 1), (2, 3)), "(a and b) or (c and d)",
    ),
    # b stands in the way unless c is shown, so not monotone; b is in no minimal set: with everything kept, c has
    # silenced it
    "inhibitor": Formula(
        _signed(lambda z: z[:, 0] & ~(z[:, 1] & ~z[:, 2])),
        3, ((0,), (2,)), ((0,),), "a and not (b and not c)",
    ),
    # not monotone: removing one flips, removing two does not; any one alone is odd, so it is enough
    "xor": Formula(_signed(lambda z: z.sum(1) % 2 == 1), 3, SINGLES, SINGLES, "a xor b xor c"),
}  # fmt: skip


@dataclass(frozen=True)
class PlantedGame:
    """A formula with its roles played by some of n elements: call it with masks (m, n) for values (m,) float64.

    elements: who plays role a, b, c ... noise: standard deviation of the Gaussian noise that every value gets, anew
    each time it is asked, from `rng`. ValueError: elements that do not fit, noise without `rng`.
    """

    name: str
    n: int
    elements: tuple[int, ...]
    noise: float = 0.0
    rng: np.random.Generator | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        roles, given = self.formula.roles, set(self.elements)
        if len(self.elements) != roles or len(given) != roles or not given <= set(range(self.n)):
            raise ValueError(f"{self.name} needs {roles} different elements below {self.n}, not {self.elements}")
        if self.noise < 0 or (self.noise and self.rng is None):
            raise ValueError(f"noise must be 0 or more, and with noise an rng is needed; noise is {self.noise!r}")

    @property
    def formula(self) -> Formula:
        """The rule that is planted."""
        return FORMULAS[self.name]

    def minimal(self, kind: str) -> frozenset[frozenset[int]]:
        """All minimal sets of element numbers; kind: flip or sufficient."""
        sets = self.formula.flips if kind == "flip" else self.formula.sufficient
        return frozenset(frozenset(self.elements[role] for role in one) for one in sets)

    def quiet(self, keep: np.ndarray) -> np.ndarray:
        """Noise-free values (m,) of masks (m, n); a float mask keeps what is above 0.5."""
        return self.formula.rule(np.asarray(keep)[:, list(self.elements)] > 0.5)

    def __call__(self, keep: np.ndarray) -> np.ndarray:
        """Values (m,) of masks (m, n), with noise."""
        values = self.quiet(keep)
        return values if self.rng is None else values + self.noise * self.rng.standard_normal(len(values))


def planted_game(name: str, n: int, *, rng: np.random.Generator, noise: float = 0.0) -> PlantedGame:
    """The formula `name` on elements drawn from n. ValueError: no such formula."""
    if name not in FORMULAS:
        raise ValueError(f"a planted game must be one of {', '.join(FORMULAS)}, not {name[:50]!r}")
    return PlantedGame(name, n, tuple(rng.permutation(n)[: FORMULAS[name].roles].tolist()), noise, rng)


SEARCHES: dict[str, Callable[..., ElementSet]] = {"flip": minimal_flip_set, "sufficient": minimal_sufficient_set}
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
        kept = found.kind != "flip"  # the members; the others are not
        keep = np.full((2 + len(found.elements), self.n), not kept)
        keep[0] = True
        keep[1:, list(found.elements)] = kept
        keep[np.arange(2, len(keep)), list(found.elements)] = not kept
        whole, held, *without = (self.quiet(keep) > 0) == kept
        return bool(whole == kept and held and not any(without))


def near_sum(n: int, *, rng: np.random.Generator) -> Oracle:
    """A sum of weights less a threshold that lies within 0.1 or so of the sum of random elements."""
    weights = rng.uniform(0.5, 1.5, n)
    threshold = min(weights[rng.random(n) < 0.5].sum() + rng.normal(0, 0.1), weights.sum() - MARGIN)
    return lambda keep: keep @ weights - threshold


def certificates(*, certified: int, seed: int, progress: Say = lambda line: None) -> list[dict]:
    """A row for each noise and search, over so many certified searches, each on a game of its own: the shares of
    searches that are certified and of certificates that are right, with 95 % intervals, and asks."""
    rows = []
    for place, (name, noise) in enumerate(NOISES.items()):
        for kind in SEARCHES:
            rows.append({"noise": name, "search": kind, **measured(kind, noise, certified, seed=[seed, place])})
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
