"""What a method does not show, each with a planted case on which it fails: a rule that we know, played at once.

The games are those of `bench planted`, of `N` facts of which a few matter; weights and doses are planted as numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from workbench.attribution import METHODS, linear_surrogate
from workbench.explain import changed_sets
from workbench.hands.bench.oracles import FORMULAS, PlantedGame
from workbench.stats import auroc, spearman
from workbench.stats.games import alone, losses, only, without, without_first

N = 8  # elements; those that matter come first: a is 0, b is 1 and so on


@dataclass(frozen=True)
class Limit:
    """A planted case. says: a figure that the method gives; truth: what it would have to be. lesson: what follows."""

    method: str
    planted: str
    said: str
    says: float
    truth: float
    lesson: str

    @property
    def fails(self) -> bool:
        """Whether the method is wrong here."""
        return not np.isclose(self.says, self.truth)

    def __str__(self) -> str:
        verdict = "it fails here" if self.fails else "it does not fail here"
        return (
            f"What this does not show ({self.method}). Planted: {self.planted}. {self.said}: {self.says:.3g}, where "
            f"the truth is {self.truth:.3g}: {verdict}. {self.lesson}"
        )

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        head, _, rest = str(self).partition(" Planted: ")
        return {"text/markdown": f"> **{head}** Planted: {rest}", "text/plain": str(self)}


def limit(method: str, **given: Any) -> Limit:
    """The box of a method, played now. given: what its case is made with, such as the degrees of a mask.

    KeyError: no such method.

    >>> box = limit("leave_one_out")
    >>> box.planted, box.says, box.truth
    ('a or b', 0.0, 2.0)
    """
    return LIMITS[method](**given)


def planted(name: str) -> PlantedGame:
    """A rule of `bench.oracles` on the first of `N` elements."""
    return PlantedGame(name, N, tuple(range(FORMULAS[name].roles)))


def _paper(degrees: np.ndarray) -> Limit:
    first = int(np.argmax(degrees))
    hit = np.mean([np.argmax(degrees) == read for read in range(len(degrees))])
    return Limit(
        "the paper's mask", f"{len(degrees)} models, each of which reads another one of the elements and no more",
        f"The mask has seen none of them and begins with element {first} for all; share in which that is right",
        float(hit), 1.0, "It tells what weighs in the text, not what a model reads.",
    )  # fmt: skip


def _in_loop() -> Limit:
    game = planted("dnf")
    taken = 1 + int(np.argmax(game(without_first(N, range(N), range(1, N + 1))) <= 0))
    return Limit(
        "an order, cut where the answer turns", game.formula.says,
        "In the order a, b, c, d the answer turns after so many removals", taken, min(map(len, game.minimal("flip"))),
        "A member that came too early stays in the set: an order is no set, and its size is no proof.",
    )  # fmt: skip


def _certified() -> Limit:
    game, whole = planted("xor"), (0, 1, 2)
    back = [tuple(m for m in whole if m != one) for one in whole]
    values = game(without(N, [whole, *back]))
    proved = values[0] <= 0 and (values[1:] > 0).all()
    return Limit(
        "a certificate", game.formula.says,
        "Without a, b, c the answer turns, with any one put back it stays: certified, of size",
        len(whole) if proved else 0, min(map(len, game.minimal("flip"))),
        "It asks no set in between; where showing less can help, a smaller set may turn the answer.",
    )  # fmt: skip


def _sufficient() -> Limit:
    game = planted("inhibitor")
    (enough,) = game.minimal("sufficient")
    values = game(only(N, [enough, {*enough, 1}]))
    return Limit(
        "a sufficient set", game.formula.says,
        f"Alone, a keeps the answer ({values[0]:+g}); the value with b shown beside it", values[1], values[0],
        "Enough alone is not enough in company: what is shown beside it may mislead.",
    )  # fmt: skip


def _shapley() -> Limit:
    game = planted("xor")
    line = linear_surrogate(game, N, rng=np.random.default_rng(0), masks=256, held_out=128)
    return Limit(
        "one score for each element", game.formula.says, "LDS of the fitted line, which adds scores up",
        round(line.lds, 2), 1.0,
        "Where elements act together, no sum of single scores foretells a removal; ask for sets.",
    )  # fmt: skip


def _leave_one_out() -> Limit:
    game = planted("or")
    score = METHODS["leave_one_out"](game, rng=np.random.default_rng(0)).scores[0]
    return Limit(
        "leave one out", game.formula.says, "Score of a, while without a and b as much goes as the truth says",
        float(score), float(losses(game, N, [(0, 1)])[0]),
        "What can stand in for another hides it: both get nothing, and both gone, the answer goes.",
    )  # fmt: skip


def _changed() -> Limit:
    tuned, base = planted("dnf"), PlantedGame("and", N, (0, 1, 4))
    found = changed_sets(tuned, base, N, alone=True)
    return Limit(
        "added, kept, dropped", f"the base needs a and b and e; tuned, it is {tuned.formula.says}",
        "Elements that tuning is said to have dropped", len(found.dropped), 1,
        "Only e is read no more: beside a second way, no element of the first flips the tuned model alone.",
    )  # fmt: skip


def _norm() -> Limit:
    inputs = np.eye(4)[:2]  # nothing ever comes along the last two axes
    changes = [10 * np.outer(np.ones(2), np.eye(4)[3]), np.outer(np.ones(2), np.eye(4)[0])]
    norms, effects = np.linalg.norm(changes, axis=(1, 2)), np.array([np.abs(inputs @ m.T).sum() for m in changes])
    return Limit(
        "the size of a change", "two changes of weights, one ten times as large along an axis that no input has",
        "Effect of the larger one", effects[norms.argmax()], effects.max(),
        "Size and shape say where to look, not what it does: switch it off and see.",
    )  # fmt: skip


def _token_shift() -> Limit:
    read, moved = np.array([1.0, 0.0]), np.array([[0.0, 5.0], [0.5, 0.0]])
    lengths, effects = np.linalg.norm(moved, axis=1), moved @ read
    return Limit(
        "the shift of a token",
        "the first axis alone is read on; one token moves by 5 along the second, another by 0.5 along the first",
        "Effect on the answer of the token that moves most", effects[lengths.argmax()], effects.max(),
        "A token can be moved far along directions that nobody reads.",
    )  # fmt: skip


def _slope() -> Limit:
    def value(dose: float) -> float:  # nats, as of a token that is learned by half the dose
        return -float(np.log1p(np.exp(-20 * (dose - 0.5))))

    slope = (value(1.01) - value(0.99)) / 0.02
    return Limit(
        "the first order", "a value that has risen to its top at half the dose",
        "Gain that the slope at dose 1 gives to the whole adapter, nats", round(slope, 2),
        round(value(1) - value(0), 2),
        "A derivative tells of small steps; where the curve is flat, all of the adapter may still be needed.",
    )  # fmt: skip


def _switch() -> Limit:
    game = planted("or")
    off = losses(game, N, [*alone(N), (0, 1)])
    return Limit(
        "one switch at a time", "two modules, either of which does the work",
        "Sum of what goes with each module off alone", off[:-1].sum(), off[-1],
        "Modules that stand in for one another look idle; switch pairs off, or read *on alone*.",
    )  # fmt: skip


def _agreement() -> Limit:
    place = np.arange(N, 0.0, -1)  # two measures of the place in the prompt; what matters comes last
    agree = spearman(place, np.sqrt(place))
    return Limit(
        "agreement", "two measures of where a fact stands in the prompt, and an answer that rests on the last two",
        f"They agree (rank correlation {agree:g}); share of pairs in the right order",
        auroc(place, np.array([N - 2, N - 1])), 1.0,
        "Measures that share a cause agree and may both be wrong; ask the model.",
    )  # fmt: skip


def _reduced() -> Limit:
    kinds = np.array([0] * 10 + [1] * 2)  # of cases: the first needs part a of the adapter, the second part b
    right = lambda parts: np.isin(kinds, parts)  # noqa: E731
    return Limit(
        "the smallest part that is enough", "ten cases that need part a of an adapter, two that need part b",
        f"Part a keeps {right([0]).mean():.0%} of all cases; of the second kind", right([0])[kinds == 1].mean(), 1.0,
        "Enough is enough on the mean of the cases that were asked; a rare kind of case may be lost whole.",
    )  # fmt: skip


LIMITS: dict[str, Callable[..., Limit]] = {
    "paper": _paper, "in_loop": _in_loop, "certified": _certified, "sufficient": _sufficient, "shapley": _shapley,
    "changed": _changed, "leave_one_out": _leave_one_out, "norm": _norm, "token_shift": _token_shift, "slope": _slope,
    "switch": _switch, "agreement": _agreement, "reduced": _reduced,
}  # fmt: skip
"""Method -> its box."""
