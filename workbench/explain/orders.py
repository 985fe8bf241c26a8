"""A certificate is of the facts in the order shown. Does what was removed change the answer in other orders too?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from workbench.cases import Case, toolchain
from workbench.cases.sampling import with_order
from workbench.explain.counterfactual import without
from workbench.explain.result import Explanation
from workbench.game import Engine
from workbench.stats import bootstrap_mean, proportion


@dataclass(frozen=True)
class OtherOrders:
    """What one case's removal does under other orders of its facts, an entry an order.

    kept: whether the tuned model's toolchain on all facts is still the one on the order shown. flips: whether, in the
    same order, the toolchain without the removed elements is another than the one on all facts.
    """

    case: str
    kept: tuple[bool, ...]
    flips: tuple[bool, ...]


def other_orders(
    engine: Engine, explanations: Sequence[Explanation], *, orders: int = 5, seed: int = 0, max_new_tokens: int = 32
) -> list[OtherOrders]:
    """Every explanation's removal under so many random orders of the facts, of which none is the one shown.

    2 answers an order and case, in two batches. A case of one fact has no other order and is left out. ValueError:
    orders below 1.
    """
    if orders < 1:
        raise ValueError(f"orders must be 1 or more, not {orders!r}")
    group = [one for one in explanations if len(one.case.facts) > 1]
    rng = np.random.default_rng(seed)
    shuffled = [[_another(one.case, rng) for _ in range(orders)] for one in group]
    full = [case for row in shuffled for case in row]
    changed = [without(case, one.removed) for one, row in zip(group, shuffled, strict=True) for case in row]
    chains = [[toolchain(p) for p in engine.answers(c, max_new_tokens=max_new_tokens)] for c in (full, changed)]
    found = []
    for i, one in enumerate(group):
        before, after = (some[i * orders : (i + 1) * orders] for some in chains)
        kept = tuple(chain == one.toolchains["tuned_full"] for chain in before)
        flips = tuple(a != b for a, b in zip(before, after, strict=True))
        found.append(OtherOrders(one.case.id, kept, flips))
    return found


def order_shares(found: Sequence[OtherOrders], *, seed: int = 0) -> dict[str, Mapping[str, float]]:
    """Shares of the orders, mean over cases with its 95 % interval: `flips`, `kept`, and `flips_where_kept`, of the
    orders that keep the answer on all facts alone, over the cases that have one. Of no case there is none.

    Examples:
        >>> one = OtherOrders("one", kept=(True, True), flips=(True, False))
        >>> order_shares([one])["flips"]["mean"]
        0.5
    """
    both = [[f for f, k in zip(one.flips, one.kept, strict=True) if k] for one in found]
    rows: dict[str, Sequence[Sequence[bool]]] = {
        "flips": [one.flips for one in found],
        "kept": [one.kept for one in found],
        "flips_where_kept": both,
    }
    means = {name: [float(np.mean(some)) for some in row if some] for name, row in rows.items()}
    return {name: _share(values, seed=seed) for name, values in means.items() if values}


def _share(values: Sequence[float], *, seed: int) -> Mapping[str, float]:
    """Mean of shares; where all are 0, or all 1, resampling knows no doubt, and Wilson's interval of cases is given."""
    if set(values) in ({0.0}, {1.0}):
        found = proportion(values)
        return {"mean": found.share, "low": found.low, "high": found.high, "n": found.n}
    return bootstrap_mean(values, rng=np.random.default_rng(seed), within=(0, 1))._asdict()


def _another(case: Case, rng: np.random.Generator) -> Case:
    """The facts in another order than the one shown."""
    while (other := with_order(case, rng)).facts == case.facts:
        pass
    return other


def reordered(case: Case, *, rng: np.random.Generator) -> tuple[Case, np.ndarray]:
    """The case with its facts in random order, and `index` (n,): scores of it, as scores[index], fit the case given.

    For stability: nodes are numbered by first mention, so that another order of facts renumbers every element.

    Examples:
        >>> from workbench.cases import Fact
        >>> flow = [("source:sra", "download_from", "format_1930"), ("format_1930", "input", "command:star")]
        >>> facts = tuple(Fact(*fact) for fact in [*flow, ("command:star", "output", "format_2572")])
        >>> path = ("source:sra", "format_1930", "command:star", "format_2572")
        >>> case = Case("one", path[0], path[-1], facts, path, dict(zip(path, ["SRA", "FASTQ", "star", "BAM"])))
        >>> other, index = reordered(case, rng=np.random.default_rng(0))
        >>> tuple(other.elements[i] for i in index) == case.elements
        True
    """
    deal = rng.permutation(len(case.facts))
    other = replace(case, facts=tuple(case.facts[i] for i in deal))
    nodes = [other.nodes.index(node) for node in case.nodes]
    return other, np.array([*nodes, *(len(nodes) + np.argsort(deal))], dtype=int)
