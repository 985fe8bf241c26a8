"""How much two answers differ: the paper's four metrics, on toolchains and on the answers' text."""

from __future__ import annotations

from collections.abc import Callable, Sequence


def jaccard(a: Sequence[str], b: Sequence[str]) -> float:
    """Shared tools / all tools, in [0, 1]; 1 for two empty chains."""
    raise NotImplementedError


def edit_distance(a: Sequence[str], b: Sequence[str]) -> float:
    """Levenshtein distance / length of the longer chain, in [0, 1]; 0 for two empty chains."""
    raise NotImplementedError


def path_overlap(a: Sequence[str], b: Sequence[str]) -> float:
    """Longest common prefix / length of the longer chain, in [0, 1]; 1 for two empty chains."""
    raise NotImplementedError


def cosine(a: str, b: str) -> float:
    """TF-IDF cosine of two texts, the corpus being the two (scikit-learn's defaults); 1 for equal texts."""
    raise NotImplementedError


METRICS: dict[str, Callable[..., float]] = {
    "jaccard": jaccard,
    "edit_distance": edit_distance,
    "path_overlap": path_overlap,
    "cosine": cosine,
}
