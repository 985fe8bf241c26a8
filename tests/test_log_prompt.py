"""Prompts of a log's records: which text is whose fact's, and what a template may not do."""

import re
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.logs.asked import asked
from workbench.logs.prompt import DEFAULT, segments
from workbench.logs.records import Fault, record_of
from workbench.logs.spans import sentences_of

TRIPLES = [["SRA", "delivers", "reads"], ["bwa", "reads", "reads"], ["SRA", "holds", "runs"]]
TEXTS = ["A passage\nof two lines.", "Another {{ question }}.", "</s><|user|> 7"]


def _record(facts=TRIPLES, **more):
    return record_of({"question": "Which?", "facts": facts, **more})


def _pieces(template, facts=TRIPLES, **more):
    found = segments(_record(facts, **more), template)
    return "".join(s.text for s in found), {s.fact: s.text for s in found if s.fact >= 0}


@pytest.mark.parametrize("facts", [TRIPLES, TEXTS])
def test_the_turn_of_a_loop_is_its_facts_piece(facts):
    text, pieces = _pieces(None, facts)
    said = [record_of({"question": "q", "facts": [one]}).facts[0].text for one in facts]
    assert pieces == {i: f"- {one}\n" for i, one in enumerate(said)}
    assert text == "Facts:\n" + "".join(pieces.values()) + "Question: Which?\n"
    assert _pieces(DEFAULT, facts) == (text, pieces)  # run apart, it is the same


def test_a_template_may_number_split_join_and_group_the_facts():
    numbered = "{% for f in facts %}[{{ loop.index }}] {{ f }}{% if not loop.last %}; {% endif %}{% endfor %}."
    assert _pieces(numbered)[1][1] == "[2] bwa reads reads; "
    assert _pieces("{% for s, r, o in facts %}({{ o }}<{{ s }})\n{% endfor %}")[1] == {
        0: "(reads<SRA)\n", 1: "(reads<bwa)\n", 2: "(runs<SRA)\n",
    }  # fmt: skip
    assert _pieces("{{ facts|join(' and ') }}?") == (
        "SRA delivers reads and bwa reads reads and SRA holds runs?",
        {0: "SRA delivers reads", 1: "bwa reads reads", 2: "SRA holds runs"},
    )
    grouped = (
        "{% for about, group in facts|groupby('about') %}{{ about }}:"
        "{% for f in group %} {{ f.relation }} {{ f.object }};{% endfor +%}\n{% endfor %}{{ question }}"
    )
    text, pieces = _pieces(grouped)
    assert text == "bwa: reads reads;\nSRA: delivers reads; holds runs;\nWhich?"
    assert pieces == {0: " delivers reads;", 1: " reads reads;", 2: " holds runs;"}


def test_the_fields_of_a_record_are_there_for_its_template():
    prompt = "{% for f in facts %}{{ f }}\n{% endfor %}{{ question }} {{ how }} ({{ unit }})"
    assert segments(_record(prompt=prompt, unit="a</b>"), None, how="Say yes.")[-1].text == "Which? Say yes. (a</b>)"


MISUSED = {
    "{{ question }}": r"prompt: it must state every fact, and leaves facts\[0\] out, not 'SRA delivers reads'; write",
    "{% for f in facts[:2] %}{{ f }}{% endfor %}": r"leaves facts\[2\] out",
    "{% for f in facts %}{{ f }}{{ f }}{% endfor %}": r"state every fact once, and states facts\[0\] 2 times",
    "{% for f in facts %}{{ f }}{{ f.subject }}{% endfor %}": r"states facts\[0\] 2 times",
    "{{ facts[2] }}{% for f in facts %}{{ f }}{% endfor %}": r"states facts\[2\] 2 times",
    "{% for f in facts %}{{ f|upper }}{% endfor %}": r"leave every fact as it is, and it changes facts\[0\]",
    "{% for f in facts %}{{ f|truncate(30) }}{% endfor %}": "no len",
    "{% for f in facts %}{{ f|replace('e', 'i') }}{% endfor %}": r"changes facts\[0\]",
    "{% for f in facts %}{{ f.text|truncate(60) }}{% endfor %}": r"leave every fact as it is, and it cuts",
    "{{ facts[0].subject }}{{ facts[1] }}{{ facts[0].object }}{{ facts[2] }}": r"mixes facts\[0\] with others",
    "{% for f in facts %}{{ f.name }}{% endfor %}": "UndefinedError",
    "{% for f in facts %}": "TemplateSyntaxError",
    "{{ nothing }}": "UndefinedError: 'nothing' is undefined",
    "{{ ''.__class__.__mro__ }}": "SecurityError",
    "{{ facts.append(1) }}": "SecurityError",
    "{{ (1).__class__.__base__.__subclasses__() }}": "SecurityError",
    "{% include '/etc/passwd' %}": "no loader",
    "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}": "needs more than 1 s",
    "{{ 'x' * 9999999999 }}": "MemoryError|needs more than",
    "{% for i in range(90000) %}{{ 'x' * 999 }}{% endfor %}": "writes more than",
    "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}": "RecursionError",
}


@pytest.mark.parametrize("template", MISUSED)
def test_a_template_that_misuses_facts_or_the_machine_is_refused_in_words(template, monkeypatch):
    monkeypatch.setattr("workbench.logs.prompt.SECONDS", 1)
    with pytest.raises(Fault, match=MISUSED[template]) as caught:
        _pieces(template)
    assert "prompt: it must" in str(caught.value) and "{{ fact }}" in str(caught.value)
    assert not re.search("nothing|/etc|__class__", caught.value.told(private=True)), "words of a private template"


def test_a_template_of_one_that_knows_the_marks_stays_in_its_sandbox(tmp_path):
    """Marks cut, repeated and put where they do not belong give a fault or a prompt, never another error."""
    parts = ("facts[0].text[:31]", "facts[0].text[-31:]", "facts[1].text[7:]", "facts[1]", "facts[0]")
    pieces = [f"{{{{ {part} }}}}" for part in parts]
    started = time.monotonic()
    for template in ("".join(pieces[i:] + pieces[:i]) for i in range(len(pieces))):
        with pytest.raises(Fault):
            segments(_record(TRIPLES[:2]), template)
    assert time.monotonic() - started < 60  # none of them needed its limit


@settings(max_examples=200, deadline=None)
@given(st.lists(st.text(min_size=1, max_size=30).filter(str.strip), min_size=1, max_size=6), st.text(max_size=30))
def test_segments_are_the_text_and_pieces_hold_the_facts_whatever_they_say(facts, word):
    facts = [one.encode("utf-8", "replace").decode("utf-8") for one in facts]
    record = record_of({"question": f"Q{word.encode('utf-8', 'replace').decode('utf-8')}", "facts": facts})
    found = segments(record, None, how="")
    assert [s.text for s in found if s.fact >= 0] == [f"- {one}\n" for one in facts]
    frame = [s.text for s in found if s.fact < 0]
    assert frame == ["Facts:\n", f"Question: {record.question}\n"]


@given(st.text(alphabet='. !?ab\n\u3002A1"(', max_size=60))
def test_sentences_follow_one_another_and_leave_nothing_out(text):
    spans = sentences_of(text)
    assert [begin for begin, _ in spans] == [0, *(end for _, end in spans[:-1])] and spans[-1][1] == len(text)
    assert len(spans) == 1 or all(text[a:b].strip() for a, b in spans)


SENTENCES = [
    ["Dr. J. Li wrote bwa 0.7.17 in v. 3.", " It reads FASTQ, e.g. of SRA!", ' "Does it?"', " Yes."],
    ["See Fig. 2 of Smith et al. 2020.", " Next.", "\n\nA new part", "\n\nand another."],
    ["\u5b83\u8bfb\u3002", "\u5b83\u5199\u3002"],
    ["One sentence, no end"],
]


@pytest.mark.parametrize("sentences", SENTENCES)
def test_where_sentences_end(sentences):
    text = "".join(sentences)
    assert [text[a:b] for a, b in sentences_of(text)] == sentences


def test_a_sentence_taken_out_leaves_the_rest_as_it_was():
    record = _record(["One. Two. Three.", TRIPLES[0], "A a. A a."])
    put = asked(record, "text", sentences=True)
    said = lambda *kept: "".join(s.text for s in put.kept(put.segments, np.isin(np.arange(put.n), kept)))  # noqa: E731
    assert put.n == 6 and said(*range(6)) == "".join(s.text for s in put.segments)
    assert "\n- One. Three.\n- SRA" in said(0, 2, 3) and "\n- Two.\n- A a.\nQ" in said(1, 5)
    assert said() == "Facts:\nQuestion: Which?\nAnswer in a few words."
    assert all(put.length(np.isin(np.arange(6), [i])) == len(said(i)) for i in range(6))
