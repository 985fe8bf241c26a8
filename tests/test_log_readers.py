"""Logs: what is read, what is refused and in which words, and that whatever stands in one is data. Logs of other
systems: samples that their own packages made, read by name and by shape, whatever else they hold."""

import importlib.metadata
import json
from pathlib import Path

import pytest
from explain_cases import case
from hypothesis import given, settings
from hypothesis import strategies as st
from log_speakers import written
from refusals import refused

from workbench.cases import Fact
from workbench.explain.counterfactual import Explanation, save
from workbench.logs import readers, records
from workbench.logs.records import LONGEST, Fault, Record, Refused, read_log, record_of

SAMPLES = Path(__file__).parent / "data" / "logs"
READS, WRITES = "minimap2 reads FASTQ and writes PAF or SAM.", "samtools sort reads BAM and writes BAM."
GRAPH = ("MINIMAP2: minimap2 aligns long reads", "FASTQ: FASTQ holds reads with qualities",
         "MINIMAP2 - FASTQ: minimap2 reads FASTQ", "MINIMAP2 - PAF: minimap2 writes PAF")  # fmt: skip
# file -> (answer, facts as texts) of each of its records; each was made by the package that it is named after
FOUND = {
    "graphrag": [("FASTQ [Data: Relationships (0)].", [*GRAPH, READS])],
    "lightrag": [
        ("FASTQ", ["minimap2: minimap2 aligns long reads", "minimap2 - FASTQ: minimap2 reads FASTQ", READS]),
        ("FASTQ", [READS, "minimap2 is under the MIT licence."]),
    ],
    "llamaindex": [
        ("text text text text text text", [READS, WRITES]),
        (None, ["Minimap2 writes PAF", "Minimap2 reads FASTQ"]),
    ],
    "langchain": [("FASTQ", [READS, WRITES]), ("FASTQ", [READS, WRITES])],
}


@pytest.mark.parametrize("name", FOUND)
def test_a_sample_of_the_real_package_is_read_by_name_and_by_shape_and_by_no_other_reader(name):
    file = SAMPLES / f"{name}.jsonl"
    for source in (name, None):
        found = list(readers.read(file, source))
        assert [(one.answer, [fact.text for fact in one.facts]) for one in found] == FOUND[name]
        assert {one.question for one in found} == {"Which format does minimap2 read?"}
    for other in set(FOUND) - {name}:
        assert all(f"have the shape of {other!r}" in str(one.fault) for one in readers.read(file, other))


def test_the_rows_of_a_graph_are_triples_and_rows_outside_the_prompt_are_left_out(tmp_path):
    (graph,) = readers.read(SAMPLES / "graphrag.jsonl")
    assert [fact.triple for fact in graph.facts][2] == ("MINIMAP2", "minimap2 reads FASTQ", "FASTQ")
    assert list(readers.read(SAMPLES / "llamaindex.jsonl"))[1].facts[0].triple == ("Minimap2", "writes", "PAF")
    rows = [{"text": "in", "in_context": True}, {"text": "out", "in_context": False}]
    found = readers.graphrag({"query": "q", "context_data": {"sources": rows}, "run": 7})
    assert found == {"question": "q", "answer": None, "facts": ["in"], "run": 7}
    refused("question: it must be there", readers.graphrag, {"context_data": {"sources": rows}}, error=Fault)


def test_a_whole_file_of_json_holds_records_too(tmp_path):
    rows = [json.loads(line) for line in (SAMPLES / "langchain.jsonl").read_text().splitlines()]
    (file := tmp_path / "a.json").write_text(json.dumps([*rows, 3], indent=2))
    one, two, bad = readers.read(file)
    assert isinstance(one, Record) and one.facts == two.facts
    assert isinstance(bad, Refused) and "a.json, line 3, the line: it must be a JSON object, not 3" in str(bad.fault)
    file.write_text("[{]")
    refused("the file: it must be one JSON object", list, readers.read(file))


def test_cases_and_explanations_of_a_run_are_questions_of_chains(tmp_path):
    one = case()
    names = one.names
    (folder := tmp_path / "run" / "adapter").mkdir(parents=True)
    (folder / "cases_held_out.jsonl").write_text(f"{json.dumps(one.to_dict())}\n")
    answers = {"tuned_full": one.path, "tuned_changed": one.path[:1]}
    explained = save(tmp_path / "b.json", Explanation(one, "by hand", (), (), (), answers, answers, {}, {}, seed=0))
    for path in (readers.file_of(tmp_path / "run"), explained):
        (found,) = readers.read(path)
        assert found.answer == " -> ".join(names[node] for node in one.path[1:])
        assert (found.more["source"], found.more["target"]) == (names[one.source], names[one.target])
        back = {name: node for node, name in names.items()}
        assert tuple(Fact(back[h], r, back[t]) for h, r, t in (fact.triple for fact in found.facts)) == one.facts


def test_of_a_case_that_names_an_end_nowhere_the_private_fault_has_no_text():
    lost = {"source": "secret-a", "target": "b", "facts": [], "path": [], "names": {"b": "B"}}
    with pytest.raises(Fault, match="secret-a") as found:
        readers.workbench(lost)
    assert "name the ends of its facts" in found.value.told(private=True) != str(found.value)
    assert "secret" not in found.value.told(private=True)


def test_another_package_adds_a_reader_and_an_unknown_one_is_refused(monkeypatch):
    def mine(given):
        return {"question": given["q"], "facts": given["f"]} if "q" in given else None

    entry = importlib.metadata.EntryPoint("mine", "m:f", readers.GROUP)
    monkeypatch.setattr(importlib.metadata.EntryPoint, "load", lambda _self: mine)
    monkeypatch.setattr(records, "entry_points", lambda group: [entry] if group == readers.GROUP else [])
    assert readers.reader("mine")({"q": "a", "f": ["b"]}) == {"question": "a", "facts": ["b"]}
    refused(r"no reader is called 'nay'; there are graphrag, .*workbench, mine", readers.reader, "nay")


FIELDS = st.sampled_from(
    "question answer prompt id text subject query facts case path names source target nodes node source_nodes context"
    " data context_data entities relationships sources references content kwargs type response".split()
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.just("constructor"),
    lambda inside: st.lists(inside, max_size=4) | st.dictionaries(FIELDS | st.text(max_size=8), inside, max_size=6),
    max_leaves=20,
)
WORDS = st.text(st.characters(codec="utf-8", exclude_characters="\n\r"), max_size=40)
LINES = st.lists(st.dictionaries(FIELDS, JSON, max_size=8).map(json.dumps) | WORDS, min_size=1, max_size=4)


@settings(max_examples=300, deadline=None)
@given(LINES, st.sampled_from([None, *readers.READERS]))
def test_whatever_stands_in_a_line_it_is_a_record_or_a_refusal(tmp_path_factory, lines, source):
    path = written(tmp_path_factory.mktemp("log") / "a.jsonl", *lines, {"question": "q", "facts": ["a"]})
    found = list(readers.read(path, source))
    assert len(found) <= len(lines) + 1 and all(isinstance(one, Record | Refused) for one in found)
    assert source or isinstance(found[-1], Record)


GOOD = {"question": "Which tool?", "facts": [["SRA", "delivers", "reads"], "a passage"]}


def _line(**more: object) -> str:
    return json.dumps(GOOD | more)


def _read(tmp_path: Path, *lines: str | bytes) -> list[Record | Refused]:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"\n".join(x if isinstance(x, bytes) else x.encode("utf-8") for x in lines) + b"\n")
    return list(read_log(path))


def test_a_record_holds_triples_and_texts_and_every_other_field(tmp_path):
    more = {"model": "m", "score": {"f1": 0.5}}
    facts = [["a", "is_part_of", "b"], "text", {"text": "t", "source": "x"}]
    one = record_of(GOOD | more | {"facts": facts, "id": 7, "answer": ""})
    assert [fact.text for fact in one.facts] == ["a is part of b", "text", "t"]
    assert one.facts[0].triple == ("a", "is_part_of", "b") and one.facts[2].more == {"source": "x"}
    assert (one.id, one.answer, dict(one.more)) == ("7", "", more)
    both = {"subject": "a", "relation": "r", "object": "b", "text": "in words"}
    assert record_of(GOOD | {"facts": [both]}).facts[0].triple == ("a", "r", "b")
    bad = GOOD | {"facts": [*facts, {"subject": 1}]}
    refused(r"facts\[3\]: it must be a text, three texts, or an object", record_of, bad, error=Fault)


BAD = {
    "no object": ("[1]", "the line: it must be a JSON object, not [1]; write {"),
    "no JSON": ('{"question": ', "the line: it must be one JSON object (Expecting value"),
    "no question": (json.dumps({"facts": ["a"]}), "question: it must be a text that says something; give it in quotes"),
    "blank question": (_line(question=" "), "question: it must be a text that says something, not ' '"),
    "no facts": (_line(facts=[]), "facts: it must be a list of 1 to 1,000 facts, not '0 of them'"),
    "too many": (_line(facts=["a"] * 1001), "not '1001 of them'; give the facts that were shown"),
    "a number": (_line(facts=[["a", 3, "b"]]), "facts[0].relation: it must be a text"),
    "NaN": ('{"question": "q", "facts": ["a"], "x": NaN}', "a number: it must be finite, as JSON has it, not 'NaN'"),
    "infinite": ('{"question": "q", "facts": ["a"], "x": 1e999}', "a number: it must be finite"),
    "twice": ('{"question": "q", "question": "p"}', "an object: it must have each name once, not 'question'; leave"),
    "deep": (_line()[:-1] + ', "x": ' + "[" * 60 + "]" * 60 + "}", "the line: it must nest at most 50 levels"),
    "very deep": ("[" * 200_000, "the line: it must nest at most 50 levels"),
    "half a letter": (_line(answer="\ud800"), "a text: it must be Unicode, no half of a surrogate"),
    "no UTF-8": (b'{"question": "\xff"}', "the line: it must be UTF-8"),
    "huge": (_line(x="x" * LONGEST), "the line: it must be at most 4,194,304 bytes long"),
    "long id": (_line(id="x" * 201), "id: it must be a text of at most 200 characters"),
    "true id": (_line(id=True), "id: it must be a text of at most 200 characters, or a number"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_line_is_refused_by_file_line_field_and_rule_and_the_rest_is_read(name, tmp_path):
    line, said = BAD[name]
    first, bad, last = _read(tmp_path, _line(), line, _line())
    assert isinstance(first, Record) and isinstance(last, Record) and last.line == 3
    assert isinstance(bad, Refused) and bad.line == 2
    assert str(bad.fault).startswith("a.jsonl, line 2, ") and said in str(bad.fault)
    assert len(str(bad.fault)) < 400


def test_an_id_that_was_given_before_is_refused_and_a_fault_can_be_told_without_its_value(tmp_path):
    first, again = _read(tmp_path, _line(id="secret"), _line(id="secret"))
    assert isinstance(first, Record) and isinstance(again, Refused)
    assert "line 1 has it, not 'secret'" in again.fault.told()
    assert "secret" not in again.fault.told(private=True)


def test_a_log_without_records_or_that_is_not_there_is_an_error(tmp_path):
    refused("holds no record", _read, tmp_path, "", "  ")
    refused(r"none\.jsonl' is not there", list, read_log(tmp_path / "none.jsonl"))
    assert isinstance(_read(tmp_path, b"\xef\xbb\xbf" + _line().encode())[0], Record)
