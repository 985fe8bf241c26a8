"""How much two answers differ, by the paper's four metrics on toolchains and on the answers' text; and words of texts
with their TF-IDF weights, as scikit-learn's TfidfVectorizer has them by default.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import groupby, takewhile

import numpy as np

from workbench.cases import Case
from workbench.models.prompts import Template

WORD = re.compile(r"\b\w\w+\b")  # scikit-learn's own: to import all of it for one expression takes a second


def words(text: str) -> Counter[str]:
    """How often each word occurs: lower case, two or more letters, digits or underscores."""
    return Counter(WORD.findall(text.lower()))


def tfidf(documents: Sequence[Counter[str]]) -> np.ndarray:
    """TF-IDF vectors (documents, words) float64, the documents being the corpus; rows of length 1, or 0 without words.

    idf = ln((1 + documents) / (1 + documents with the word)) + 1.
    """
    column = {word: i for i, word in enumerate(sorted(set().union(*documents)))}
    counts = np.zeros((len(documents), len(column)))
    for row, document in zip(counts, documents, strict=True):
        for word, count in document.items():
            row[column[word]] = count
    scaled = counts * (np.log((1 + len(documents)) / (1 + (counts > 0).sum(0))) + 1)
    length = np.linalg.norm(scaled, axis=1, keepdims=True)
    return np.divide(scaled, length, out=scaled, where=length > 0)


def frame_words(case: Case, template: Template) -> Counter[str]:
    """Words of the prompt outside its facts."""
    runs = groupby(template.segments(case), key=lambda segment: segment.fact)
    return sum((words("".join(s.text for s in run)) for fact, run in runs if fact < 0), Counter())


def question_words(case: Case, template: Template) -> Counter[str]:
    """Words of the prompt outside its facts and markup: of the question."""
    return sum((words(s.text) for s in template.segments(case) if s.fact < 0 and not s.markup), Counter())


def fact_words(case: Case, template: Template) -> list[Counter[str]]:
    """Words of each fact's line, in the order of case.facts."""
    lines = {s.fact: words(s.text) for s in template.segments(case) if s.fact >= 0}
    return [lines[i] for i in range(len(case.facts))]


def relevance(case: Case, template: Template) -> np.ndarray:
    """(nodes,) in [0, 1]: TF-IDF cosine of each node's lines with the question, both among the lines of all nodes."""
    facts = fact_words(case, template)
    lines = {node: Counter[str]() for node in case.nodes}
    for fact, found in zip(case.facts, facts, strict=True):
        for node in {fact.head, fact.tail}:
            lines[node] += found
    vectors = tfidf([question_words(case, template), *lines.values()])
    return np.clip(vectors[1:] @ vectors[0], 0, 1)


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
