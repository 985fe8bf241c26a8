"""Gc: what goes, what goes with it, and that a change is never empty."""

import numpy as np
import pytest
from explain_cases import CHAIN, MORE, case
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.cases import Fact
from workbench.explain import FLAGS, Masks, removed_elements, without
from workbench.prompts import ReaderTemplate, text


def masks(nodes: list[float], edges: list[float]) -> Masks:
    return Masks(np.array(nodes), np.array(edges))


def test_elements_above_the_threshold_go_highest_first() -> None:
    c = case()
    change = removed_elements(c, masks([0.1, 0.7, 0.1, 0.5, 0.1, 0.1], [0.2, 0.2, 0.9, 0.2, 0.2]))
    assert change.elements == (c.facts[2], c.nodes[1])  # 0.5 itself is not above 0.5
    assert change.flags == ()
    assert removed_elements(c, masks([0.4] + [0.1] * 5, [0.1] * 5), threshold=0.3).elements == (c.nodes[0],)


def test_a_change_is_never_empty_and_says_so() -> None:
    c = case()
    change = removed_elements(c, masks([0.1] * 6, [0.1, 0.4, 0.4, 0.1, 0.1]))
    assert change.elements == (c.facts[1],)  # of equal ones the first
    assert change.flags == ("below_threshold",)
    assert set(change.flags) <= set(FLAGS)


def test_a_change_that_leaves_nothing_says_so() -> None:
    change = removed_elements(case(), masks([0.9] * 6, [0.9] * 5))
    assert change.flags == ("nothing_left",)
    assert without(case(), change.elements).facts == ()


def test_an_edge_goes_alone_and_a_node_takes_its_edges_along() -> None:
    c = case(CHAIN + MORE)
    assert without(c, [CHAIN[2]]).facts == CHAIN[:2] + CHAIN[3:] + MORE
    assert without(c, ["format_2572"]).facts == CHAIN[:4] + MORE[1:]
    assert without(c, []).facts == c.facts


def test_removed_facts_are_gone_from_the_text_and_the_question_stays() -> None:
    c = case(CHAIN + MORE)
    rendered = text(without(c, ["command:hisat2"]), ReaderTemplate())
    assert "hisat2" not in rendered
    assert "samtools_sort BAM output" in rendered
    assert rendered.count("to Nucleic_acid_features from ENA_archive") == 2
    assert without(c, ["command:hisat2"]).path == c.path


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=15, max_size=15), st.floats(0, 1))
def test_what_stays_has_lost_neither_edge_nor_end(degrees: list[float], threshold: float) -> None:
    c = case(CHAIN + MORE)
    change = removed_elements(c, masks(degrees[:8], degrees[8:]), threshold)
    left = without(c, change.elements)
    assert change.elements and len(left.facts) < len(c.facts)
    gone = set(change.elements)
    for fact in c.facts:
        assert (fact in left.facts) == (not gone & {fact, fact.head, fact.tail})
    keep = c.keep_facts(np.array([[e not in gone for e in c.elements]]))[0]
    assert left.facts == tuple(f for f, k in zip(c.facts, keep, strict=True) if k)
    assert ("nothing_left" in change.flags) == (not left.facts)


def test_what_does_not_fit_is_refused() -> None:
    c = case()
    with pytest.raises(ValueError, match="does not show command:bwa"):
        without(c, ["command:bwa"])
    with pytest.raises(ValueError, match="does not show"):
        without(c, [Fact("format_1930", "output", "command:hisat2")])
    with pytest.raises(ValueError, match="5 nodes and 5 edges do not fit case 'one' with 6 and 5"):
        removed_elements(c, masks([0.1] * 5, [0.1] * 5))
    with pytest.raises(ValueError, match=r"threshold must lie in \[0, 1\]"):
        removed_elements(c, masks([0.1] * 6, [0.1] * 5), threshold=1.5)
