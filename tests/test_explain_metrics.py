"""The paper's four metrics against values worked out by hand, and against scikit-learn."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.feature_extraction.text import TfidfVectorizer

from workbench.explain.metrics import METRICS, cosine, edit_distance, jaccard, path_overlap

chains = st.lists(st.sampled_from("abcde"), max_size=6)
CHAIN_METRICS = (jaccard, edit_distance, path_overlap)


def test_jaccard() -> None:
    assert jaccard("abc", "bcd") == 2 / 4
    assert jaccard("aab", "ab") == 1
    assert jaccard("ab", "cd") == 0
    assert jaccard("ab", "") == 0
    assert jaccard("", "") == 1


def test_edit_distance() -> None:
    assert edit_distance("kitten", "sitting") == 3 / 7
    assert edit_distance("abcd", "abd") == 1 / 4
    assert edit_distance("ab", "ba") == 1
    assert edit_distance("abc", "") == 1
    assert edit_distance("", "") == 0


def test_path_overlap() -> None:
    assert path_overlap("abcd", "abxd") == 2 / 4
    assert path_overlap("abc", "abcdef") == 3 / 6
    assert path_overlap("abc", "xbc") == 0
    assert path_overlap("abc", "") == 0
    assert path_overlap("", "") == 1


@settings(max_examples=80, deadline=None)
@given(chains, chains)
def test_they_are_symmetric_bounded_and_know_equal_chains(a: list[str], b: list[str]) -> None:
    for metric in CHAIN_METRICS:
        assert metric(a, b) == metric(b, a)
        assert 0 <= metric(a, b) <= 1
    assert (jaccard(a, a), edit_distance(a, a), path_overlap(a, a)) == (1, 0, 1)
    assert (edit_distance(a, b) == 0) == (a == b) == (path_overlap(a, b) == 1)
    assert edit_distance(a, b) <= 1 - path_overlap(a, b) + 1e-9  # a shared prefix needs no edits


@settings(max_examples=40, deadline=None)
@given(chains, chains, chains)
def test_unnormalised_edit_distance_obeys_the_triangle_rule(a: list[str], b: list[str], c: list[str]) -> None:
    def steps(x: list[str], y: list[str]) -> float:
        return edit_distance(x, y) * max(len(x), len(y), 1)

    assert steps(a, c) <= steps(a, b) + steps(b, c) + 1e-9


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("SRA FASTQ hisat2 SAM", "SRA FASTQ bwa mem SAM"),
        ("hisat2 SAM samtools sort BAM", "hisat2 SAM samtools sort BAM BAM"),
        ("alpha beta", "gamma delta"),
    ],
)
def test_cosine_is_that_of_scikit_learn(a: str, b: str) -> None:
    first, second = TfidfVectorizer().fit_transform([a, b]).toarray()
    assert cosine(a, b) == pytest.approx(first @ second, abs=1e-12)


def test_cosine_of_texts_without_words() -> None:
    assert cosine("", "") == 1
    assert cosine("hisat2", "") == 0
    assert cosine("a b", "c d") == 0  # words of one letter do not count


def test_every_metric_has_its_name() -> None:
    assert {name: f.__name__ for name, f in METRICS.items()} == {name: name for name in METRICS}
    assert list(METRICS) == ["jaccard", "edit_distance", "path_overlap", "cosine"]
