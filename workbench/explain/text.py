"""Words of texts and their TF-IDF weights, as scikit-learn's TfidfVectorizer has them by default."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from itertools import groupby

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
