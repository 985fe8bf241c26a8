"""Decisions: what an answer says, by name; what cannot be read is a class of its own. Pieces of an answer, and the
facts that hold each of them."""

import json
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from log_speakers import InTurn, Planted, found_of, minimal_sets, planted, question, rule_of
from refusals import refused

from workbench.logs.answers import AGAIN, Answers
from workbench.logs.decisions import DECISIONS, decision, plain
from workbench.logs.records import Fault, record_of
from workbench.logs.spans import checked_spans
from workbench.stats import proportion

RECORD = record_of({
    "question": "Which?",
    "facts": [["SAM", "is read by", "samtools sort"], ["samtools", "writes", "BAM"], "a passage"],
    "options": ["Paris", "New York", "York", "C++"],
})  # fmt: skip
NAMES = ("option", "entities", "yesno", "text", "regex:(\\d+)-(\\d+)", "json")

READ = [
    ("yesno", "Yes.", "yes"),
    ("yesno", "**No**, because yes would be wrong", "no"),
    ("yesno", "I think the answer is no", "no"),
    ("yesno", "<think>yes</think>\n no", "no"),
    ("yesno", "yesterday", None),
    ("yesno", "It may be yes, it may be no", None),
    ("yesno", "nothing", None),
    ("yesno", "", None),
    ("option", "The city is PARIS!", "Paris"),
    ("option", "new  york", "New York"),  # not York, which is a part of it
    ("option", "Paris or York", None),
    ("option", "Parisian", None),
    ("entities", "First samtools sort, then BAM.", "BAM; samtools sort"),
    ("entities", "bam and SAMTOOLS SORT", "BAM; samtools sort"),
    ("entities", "none of them", None),
    ("text", "\n  The  Ｅnd. \nand more", "the end"),
    ("text", " ...\n", None),
    ("regex:(\\d+)-(\\d+)", "from 12-34 to 5-6", "12; 34"),
    ("regex:(\\d+)-(\\d+)", "from 12", None),
    ("regex:[A-Z]{3}", "to BAM", "bam"),
    ("json", 'Sure: ```json\n{"b": [1, 2], "a": null}\n``` done', '{"a": null, "b": [1, 2]}'),
    ("json", '{"name": "sort", "id": 4, "arguments": "{\\"k\\": 1}"}', '{"arguments": {"k": 1}, "name": "sort"}'),
    ("json", '{"name": "sort", "parameters": {"k": 1}}', '{"arguments": {"k": 1}, "name": "sort"}'),
    ("json", '{"name": "bwa", "license": "MIT"}', '{"license": "MIT", "name": "bwa"}'),
    ("json", '{"a": NaN}', None),
    ("json", "{not JSON}", None),
]


@pytest.mark.parametrize(("name", "text", "said"), READ)
def test_an_answer_says_this_or_cannot_be_read(name, text, said):
    assert decision(name, RECORD).parse(text) == said


def test_options_of_the_argument_go_before_those_of_the_record_and_must_differ():
    assert decision("option:left|right", RECORD).parse("to the left") == "left"
    assert decision("option:left|right", RECORD).how == "Answer with one of: left, right."
    refused("differ in more than case", decision, "option:Left|left!", RECORD, error=Fault)
    with pytest.raises(Fault, match="entities: it must differ in more than case"):
        decision("entities", record_of({"question": "q", "facts": [["C", "is no", "C++"]]}))
    bare = record_of({"question": "q", "facts": ["a"]})
    for name, rule in (("option", "`options` to the record"), ("entities", "`entities` to the record")):
        refused(rule, decision, name, bare, error=Fault)
    refused("no decision is called 'nay'; there are option, ", decision, "nay", bare)
    refused("no regular expression", decision, "regex:(", bare)


HOSTILE = st.text(max_size=200) | st.sampled_from([
    "[" * 5000, "{" * 5000, '{"a":' * 3000, "yes" * 4000, "</think>" * 500, "\0\ud800"[:1], "‮sey", "<|im_end|>yes",
    '{"name": "x", "arguments": "{"}', "9" * 5000 + "-", "\N{ZERO WIDTH SPACE}", '{"name": "x", "arguments": "NaN"}',
    "[" + "9" * 5000 + "]", '["\\ud800"]', "&lt;b&gt;yes", "{{ yes }}",
])  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(HOSTILE, HOSTILE, st.sampled_from(NAMES))
def test_hostile_answers_are_read_the_same_twice_or_not_at_all(first, second, name):
    parse = decision(name, RECORD).parse
    said = parse(first + second)
    assert said is None or (said and said == parse(first + second))
    said is None or said.encode("utf-8")
    if said is not None and name == "json":
        json.loads(said)
    elif said is not None and name in ("yesno", "option"):
        assert said in ("yes", "no", *RECORD.more["options"])
        assert plain(said) in plain(first + second)


BEGUN = st.lists(
    st.sampled_from(["yes", "no", "t", " ", "\n", ".", "_", "sam", "samtools", "sort", "bam", "{", '"a": 1', "}", "["])
)


@settings(max_examples=400, deadline=None)
@given(BEGUN.map("".join) | HOSTILE, BEGUN.map("".join), st.sampled_from(("yesno", "text", "json")))
def test_what_an_answer_says_before_its_end_it_says_however_it_goes_on(begun, rest, name):
    made = decision(name, RECORD)
    if made.settled(begun) and "</think>" not in rest:
        assert made.parse(begun + rest) == made.parse(begun) is not None


def test_an_answer_that_says_enough_need_not_be_written_on():
    settled = {"yesno": ("Yes, I", "Yes"), "text": ("BAM.\nIt", "BAM."), "json": ('{"a": [1]}', '[{"a": 1}')}
    for name, (enough, less) in settled.items():
        made = decision(name, RECORD)
        assert made.settled(enough) and not made.settled(less)
        assert made.settled(f"<think>\nno\n</think>{enough}") and not made.settled(f"<think>\n{enough}\n")


def test_an_expression_that_never_ends_finds_nothing_in_time():
    started = time.process_time()
    assert decision("regex:(a|a|b?)+$c", RECORD).parse("a" * 5000 + "!") is None
    assert decision("regex:((a+)+)+\\d", RECORD).parse("a" * 5000) is None
    assert time.process_time() - started < 30  # by itself it takes longer than anyone can wait


def test_every_decision_asks_for_what_it_reads():
    for name in set(DECISIONS) - {"regex"}:
        assert decision(name, RECORD).how.startswith("Answer ")


def test_a_set_is_certified_to_turn_an_answer_only_where_that_was_asked():
    """Without fact 0 nine answers of 20 are no and eight cannot be read: the answer is gone, and no other is proved."""
    mixed = ["no", "Hm.", "no", "yes", "no", "Hm."] + ["no", "Hm."] * 6 + ["yes", "yes"]
    answers = Answers(InTurn(lambda kept: ["yes"] if 0 in kept else mixed if kept else ["Hm."]), question(4))
    found = found_of(answers)
    assert found["flips"] == [] and found["breaks"]["facts"] == [0] and found["breaks"]["certified"]


def test_the_answers_that_choose_a_decision_are_the_first_and_no_proof_of_it():
    """Of the first five answers most are yes, of all of them few: there is one decision for all, and it is not held."""
    answers = Answers(InTurn(lambda kept: ["yes", "no", "yes", "no", "yes", *["no"] * 40]), question(4))
    found = found_of(answers)
    assert answers.decision == found["decision"] == "yes"
    assert len(answers.known["1111"]) >= AGAIN + answers.repeats and not found["sufficient"]["certified"]


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
    refused(r"span|regular expression", checked_spans, [span], "text")
