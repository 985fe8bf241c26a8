"""How much two answers differ: the paper's four metrics, on toolchains and on the answers' text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import takewhile

from workbench.explain.text import tfidf, words


def jaccard(a: Sequence[str], b: Sequence[str]) -> float:
    """Shared tools / all tools, in [0, 1]; 1 for two empty chains.

    Examples:
        >>> jaccard(["star", "sort"], ["star", "index"])  # one of three
        0.3333333333333333
    """
    everything = set(a) | set(b)
    return len(set(a) & set(b)) / len(everything) if everything else 1.0


def edit_distance(a: Sequence[str], b: Sequence[str]) -> float:
    """Levenshtein distance / length of the longer chain, in [0, 1]; 0 for two empty chains.

    Examples:
        >>> edit_distance(["star", "sort"], ["star", "index"])
        0.5
    """
    above = list(range(len(b) + 1))  # distances of the prefix of a seen so far to every prefix of b
    for i, x in enumerate(a, start=1):
        row = [i]
        for j, y in enumerate(b, start=1):
            row.append(min(above[j] + 1, row[j - 1] + 1, above[j - 1] + (x != y)))
        above = row
    return above[-1] / max(len(a), len(b), 1)


def path_overlap(a: Sequence[str], b: Sequence[str]) -> float:
    """Longest common prefix / length of the longer chain, in [0, 1]; 1 for two empty chains.

    Examples:
        >>> path_overlap(["star", "sort"], ["star", "index"]), path_overlap(["sort"], ["star", "sort"])
        (0.5, 0.0)
    """
    longest = max(len(a), len(b))
    shared = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(a, b, strict=False)))
    return shared / longest if longest else 1.0


def cosine(a: str, b: str) -> float:
    """TF-IDF cosine of two texts, the corpus being the two (scikit-learn's defaults); 1 for equal texts.

    Examples:
        >>> cosine("star then sort", "star then sort"), cosine("star", "hisat2")
        (1.0, 0.0)
    """
    if a == b:
        return 1.0  # texts without words, too
    first, second = tfidf([words(a), words(b)])
    return float(min(1.0, first @ second))


METRICS: dict[str, Callable[..., float]] = {
    "jaccard": jaccard,
    "edit_distance": edit_distance,
    "path_overlap": path_overlap,
    "cosine": cosine,
}
"""Name -> function. The first three compare toolchains, `cosine` compares the answers' text."""
