"""A method as an object, a named function and what a reader must know before calling it, and all methods by name, those
of chance among them: scores matched to a reference set in type or in degree."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from workbench.attribution import inside, linear, perturbation, shapley
from workbench.attribution.result import Attribution, Oracle, inner, player_indices
from workbench.cases import Case, Fact
from workbench.explain.baselines import element_type
from workbench.game import Restricted
from workbench.stats.games import Ledger, booked

NEEDS = ("case", "prompt", "attention", "gradients", "reference")
PLAYERS = ("elements", "facts")


@dataclass(frozen=True)
class Method:
    """One way to score elements: `method(game, case, rng=..., **settings).scores`, (n,), higher = matters more.

    needs, of `NEEDS`: `case` = a graph; `prompt`, `attention`, `gradients` = a language model's game; `reference` = the
    elements to be matched, as a setting.
    plays: who can be removed on a case. Methods made for texts play the `facts`, whose lines are the texts: with all
    nodes in the game too, a fact would be shown only where three elements are kept. A node then gets the sum of its
    facts' scores, for deleting it deletes them all. Without a case all n elements play.

    Examples:
        >>> from workbench.attribution import METHODS
        >>> def votes(keep):
        ...     return keep @ np.array([3.0, 1.0]) - 0.5
        >>> votes.n = 2
        >>> METHODS["leave_one_out"](votes).scores.tolist()
        [3.0, 1.0]
    """

    name: str
    function: Callable[..., np.ndarray] = field(repr=False)
    source: str
    rows: str  # how many masks are evaluated, as a formula
    needs: tuple[str, ...] = ()
    stochastic: bool = False
    plays: str = "elements"

    def __post_init__(self) -> None:
        unknown = set(self.needs) - set(NEEDS)
        if unknown or self.plays not in PLAYERS:
            raise ValueError(f"method {self.name!r} has unknown needs {sorted(unknown)} or players {self.plays!r}")

    def __call__(
        self, game: Any, case: Case | None = None, *, rng: np.random.Generator | None = None, **settings
    ) -> Attribution:
        """Scores (n,) float64, and what they cost by the game's own ledger, where it keeps one.

        game: an oracle with `n`, a Meter around one, or a language model's game.

        case: None where the game has one or needs none. rng: None means the generator of seed 0.
        ValueError: a game without n, a case that does not fit, something missing, scores that are not finite.
        """
        n = game_size(game)
        case = own_case(game) if case is None else case
        self._check(case, n, settings)
        if self.stochastic:
            settings["rng"] = np.random.default_rng(0) if rng is None else rng
        before = booked(inner(game)) or Ledger()
        if case is not None and self.plays == "facts":
            facts = Restricted(game, np.arange(len(case.nodes), n))
            scores = spread(self.function(facts, case, **settings), case)
        else:
            scores = np.asarray(self.function(game, case, **settings), dtype=np.float64)
        if scores.shape != (n,) or not np.isfinite(scores).all():
            raise ValueError(f"{self.name} gave scores of shape {scores.shape} for {n} elements, or not finite ones")
        return Attribution(self.name, scores, ledger=(booked(inner(game)) or Ledger()) - before)

    def _check(self, case: Case | None, n: int, settings: dict) -> None:
        if case is not None and len(case.elements) != n:
            raise ValueError(f"case {case.id!r} has {len(case.elements)} elements, its game {n}; give the game's case")
        if case is None and "case" in self.needs:
            raise ValueError(f"{self.name} needs a case, and this game has none; use a workbench.game.Game")
        if "reference" in self.needs and settings.get("reference") is None:
            raise ValueError(f"{self.name} matches the elements of a reference set; give reference=...")


def own_case(game: Any) -> Case | None:
    """The game's case; None where it has none, or where only some of the case's elements play."""
    case = getattr(inner(game), "case", None)
    everyone = case is not None and np.array_equal(player_indices(game), np.arange(len(case.elements)))
    return case if everyone else None


def game_size(game: Any) -> int:
    """The game's number of players. ValueError: it does not say."""
    n = getattr(game, "n", None)
    if not isinstance(n, int | np.integer) or n < 1:
        raise ValueError(
            f"a game must have n, its number of players, 1 or more, not {n!r}; wrap it in a Meter(game, n)"
        )
    return int(n)


def spread(facts: np.ndarray, case: Case) -> np.ndarray:
    """Scores of the facts as scores of all elements: a node gets the sum of its facts'."""
    ends = [(fact.head, fact.tail) for fact in case.facts]
    nodes = [sum(s for s, both in zip(facts, ends, strict=True) if node in both) for node in case.nodes]
    return np.array([*nodes, *facts], dtype=np.float64)


Reference = Iterable[int | str | Fact]
"""Elements of a case: their indices, or node ids and facts."""


def uniform(game: Oracle, case: Case | None = None, *, rng: np.random.Generator) -> np.ndarray:
    """Scores drawn from [0, 1)."""
    return rng.random(game.n)


def aligned(game: Oracle, case: Case, *, rng: np.random.Generator, reference: Reference) -> np.ndarray:
    """For each member of the reference one element of the same type (node type, or relation of an edge) scores above 1,
    where there are enough; all others below."""
    kinds = [element_type(e) for e in case.elements]
    distance = np.array([[float(a != b) for b in kinds] for a in kinds])
    return _matched(distance, members(case, reference), rng=rng)


def degree_matched(game: Oracle, case: Case, *, rng: np.random.Generator, reference: Reference) -> np.ndarray:
    """For each member of the reference one element of its kind (node, edge) with the nearest degree scores above 1.

    The degree of a node is its number of shown facts, that of an edge the sum of its ends'.
    """
    degree = Counter(end for f in case.facts for end in (f.head, f.tail))
    size = np.array(
        [float(degree[n]) for n in case.nodes] + [float(degree[f.head] + degree[f.tail]) for f in case.facts]
    )
    edge = np.arange(len(size)) >= len(case.nodes)
    unlike = edge[:, None] != edge[None, :]
    return _matched(np.abs(size[:, None] - size) + unlike * (1 + 2 * size.max()), members(case, reference), rng=rng)


def members(case: Case, reference: Reference) -> list[int]:
    """The reference as indices into `case.elements`. ValueError: one that the case does not show."""
    index = {e: i for i, e in enumerate(case.elements)}
    out = []
    for one in reference:
        if isinstance(one, int | np.integer) and 0 <= one < len(index):
            out.append(int(one))
        elif isinstance(one, str | Fact) and one in index:
            out.append(index[one])
        else:
            raise ValueError(f"case {case.id!r} has no element {str(one)[:200]}; the reference must be of its elements")
    return list(dict.fromkeys(out))


def _matched(distance: np.ndarray, reference: Sequence[int], *, rng: np.random.Generator) -> np.ndarray:
    """Scores (n,): 1 more for each element drawn as the nearest of one of the reference, ties by chance."""
    scores = rng.random(len(distance))
    free = np.ones(len(distance), dtype=bool)
    for member in reference:
        if not free.any():
            break
        nearest = distance[member][free].min()
        drawn = rng.choice(np.flatnonzero(free & (distance[member] == nearest)))
        free[drawn] = False
        scores[drawn] += 1
    return scores


THE_PAPER = "Wang, Chen, Kabir 2025, arXiv:2509.21241"

METHODS: dict[str, Method] = {
    method.name: method
    for method in (
        Method("random", uniform, "chance", "0", stochastic=True),
        Method("random_aligned", aligned, THE_PAPER, "0", needs=("case", "reference"), stochastic=True),
        Method("random_degree", degree_matched, "chance", "0", needs=("case", "reference"), stochastic=True),
        Method("attention_highest", inside.attention_highest, THE_PAPER, "1", needs=("attention",)),
        Method("attention_lowest", inside.attention_lowest, THE_PAPER, "1", needs=("attention",)),
        Method("gradient_gate", inside.gradient_gate, "Shrikumar et al. 2016, arXiv:1605.01713", "1",
               needs=("gradients",)),
        Method("integrated_gradients", inside.integrated_gradients, "Sundararajan, Taly, Yan 2017, arXiv:1703.01365",
               "steps", needs=("gradients",)),
        Method("leave_one_out", perturbation.leave_one_out, "Li, Monroe, Jurafsky 2016, arXiv:1612.08220", "n + 1"),
        Method("feature_ablation", perturbation.leave_one_out, "Captum, Kokhlikyan et al. 2020, arXiv:2009.07896",
               "n + 1"),
        Method("single_fact", perturbation.single_fact, "AttriBoT, Liu, Kandpal, Raffel 2024, arXiv:2411.15102",
               "n + 1", plays="facts"),
        Method("context_cite", linear.context_cite, "Cohen-Wang et al. 2024, arXiv:2409.00729", "masks",
               stochastic=True, plays="facts"),
        Method("kernel_shap", shapley.kernel_shap,
               "Lundberg, Lee 2017, arXiv:1705.07874; Covert, Lee 2021, arXiv:2012.01536", "samples + 2",
               stochastic=True),
        Method("shapley_sampling", shapley.shapley_sampling,
               "Castro et al. 2009; Mitchell et al. 2022, arXiv:2104.12199",
               "permutations * (n - 1) + 2 at most", stochastic=True),
        Method("tracllm", perturbation.tracllm, "Wang, Zou, Geng, Jia 2025, arXiv:2506.04202",
               "(2 + 4 groups + 2 groups * permutations) * (log2(n / groups) + 1)", stochastic=True, plays="facts"),
        Method("attn_trace", inside.attn_trace, "Wang, Geng, Chen, Jia 2025, arXiv:2508.03793", "draws",
               needs=("case", "attention"), stochastic=True),
        Method("reagent", perturbation.reagent, "Zhao, Shan 2024, arXiv:2402.00794", "2 probes * steps + 2 at most",
               stochastic=True, plays="facts"),
        Method("lima", perturbation.lima, "Chen et al. 2025, arXiv:2504.00470", "n^2 / 2 + n * candidates",
               plays="facts"),
        Method("cf_gnn", inside.cf_gnn, "Lucic et al. 2022, arXiv:2102.03322", "2 steps", needs=("gradients",)),
        Method("paper_masks", inside.paper_masks, THE_PAPER, "0", needs=("case", "prompt"), stochastic=True),
        Method("loop_masks", inside.loop_masks, "this project: the paper's objective with the model in the loop",
               "steps", needs=("case", "prompt", "gradients"), stochastic=True),
    )
}  # fmt: skip
