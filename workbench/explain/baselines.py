"""The paper's seven baselines: removals of the same size, at random, aligned to what Gc removed, or by attention."""

from __future__ import annotations

from collections.abc import Callable

from workbench.explain.counterfactual import Element

Baseline = Callable[..., tuple[Element, ...]]
"""`f(engine, case, *, size, reference, rng) -> elements`.

size: how many elements to take (all there are, where there are fewer). reference: the elements that Gc removed.
attention: per fact (facts,), for the two that rank by it; computed where it is not given.
"""

BASELINES: dict[str, Baseline] = {}
"""random_node, random_edge, random_both, aligned_node, aligned_both, attention_highest, attention_lowest."""
