"""Pieces of an answer, and the facts that hold each of them."""

import numpy as np
import pytest
from log_speakers import Planted, found_of, minimal_sets, planted, question, rule_of

from workbench.logs.answers import Answers
from workbench.logs.spans import checked_spans
from workbench.stats import proportion

CALL = '{"name": "align", "arguments": {"reads": %s, "tool": %s, "at": 3}}'


def test_each_argument_of_a_tool_call_is_held_by_its_own_facts():
    """`reads` hangs on fact 0 or 1, `tool` on 2; without 3 the tool's argument is gone, without 4 it is no JSON."""

    def rule(kept: frozenset[int]) -> str:
        call = CALL % ('"SRA"' if kept & {0, 1} else '"none"', '"bwa"' if 2 in kept else '"star"')
        return "Hm." if 4 not in kept else call if 3 in kept else call.replace('"tool"', '"with"')

    answers = Answers(Planted(rule), question(6, "json"))
    found = found_of(answers, spans=["json:*", "SRA", r"regex:bwa|star", "json:arguments.nay"])
    spans = {one["span"]: one for one in found["spans"]}
    said = "name arguments.at arguments.reads arguments.tool SRA regex:bwa|star arguments.nay"
    assert list(spans) == said.split()
    flips = {name: [(one["facts"], one["to"]) for one in span.get("flips", [])] for name, span in spans.items()}
    assert flips["arguments.reads"] == [([0, 1], '"none"')] and flips["SRA"] == [([0, 1], "")]
    assert sorted(flips["arguments.tool"]) == [([2], '"star"'), ([3], "")]
    assert flips["regex:bwa|star"] == [([2], "star")]
    assert flips["name"] == flips["arguments.at"] == [] and spans["name"]["breaks"]["facts"] == [4]
    assert spans["arguments.nay"] == {"span": "arguments.nay", "decision": None}
    assert set(found["alone"]) == {2, 3} and all(f["certified"] for s in spans.values() for f in s.get("flips", []))


def test_planted_pieces_of_an_answer_are_held_by_exactly_their_facts():
    """67 answers of three words, each said while its own facts hold: every word's sets are minimal ones."""
    rng, hits = np.random.default_rng(3), []
    for number in range(67):
        drawn = rng.permutation(9).tolist()
        rules = [
            rule_of([drawn[3 * k : 3 * k + 1], drawn[3 * k + 1 : 3 * k + 3]], ("and_or", "or_and")[number % 2])
            for k in range(3)
        ]
        said = lambda kept: " ".join(f"word{k}" for k in range(3) if rules[k](kept) == "Yes.") or "none"  # noqa: B023, E731
        found = found_of(planted(9, said, decision="text"), spans=["word0", "word1", "word2"])
        for rule, span in zip(rules, found["spans"], strict=True):
            yes = lambda kept, rule=rule: rule(kept) == "Yes."  # noqa: E731
            flips = minimal_sets(9, lambda gone: not yes(frozenset(range(9)) - gone))  # noqa: B023
            told = {tuple(one["facts"]) for one in span["flips"] if one["certified"] and one["to"] == ""}
            right = bool(told) and told <= flips and tuple(span["sufficient"]["facts"]) in minimal_sets(9, yes)
            hits.append(right)
    share = proportion(hits)
    assert share.share == 1.0 and share.n == 201 and share.low > 0.95


@pytest.mark.parametrize("span", ["", "json:", "regex:(", "  ", "!"])
def test_a_span_that_can_be_in_no_answer_is_refused(span):
    with pytest.raises(ValueError, match=r"span|regular expression"):
        checked_spans([span], "text")
