"""Logs: what is read, what is refused and in which words, and that whatever stands in one is data."""

import json
from pathlib import Path

import pytest

from workbench.logs.records import LONGEST, Fault, Record, Refused, read_log, record_of

GOOD = {"question": "Which tool?", "facts": [["SRA", "delivers", "reads"], "a passage"]}


def _line(**more: object) -> str:
    return json.dumps(GOOD | more)


def _read(tmp_path: Path, *lines: str | bytes) -> list[Record | Refused]:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"\n".join(x if isinstance(x, bytes) else x.encode("utf-8") for x in lines) + b"\n")
    return list(read_log(path))


def test_a_record_holds_triples_and_texts_and_every_other_field(tmp_path):
    more = {"model": "m", "score": {"f1": 0.5}}
    facts = [["a", "is_part_of", "b"], "text", {"text": "t", "source": "x"}, {"subject": 1}]
    one = record_of(GOOD | more | {"facts": facts[:3], "id": 7, "answer": ""})
    assert [fact.text for fact in one.facts] == ["a is part of b", "text", "t"]
    assert one.facts[0].triple == ("a", "is_part_of", "b") and one.facts[2].more == {"source": "x"}
    assert (one.id, one.answer, dict(one.more)) == ("7", "", more)
    both = {"subject": "a", "relation": "r", "object": "b", "text": "in words"}
    assert record_of(GOOD | {"facts": [both]}).facts[0].triple == ("a", "r", "b")
    with pytest.raises(Fault, match=r"facts\[3\]: it must be a text, three texts, or an object"):
        record_of(GOOD | {"facts": facts})


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
    with pytest.raises(ValueError, match="holds no record"):
        _read(tmp_path, "", "  ")
    with pytest.raises(ValueError, match=r"none\.jsonl' is not there"):
        list(read_log(tmp_path / "none.jsonl"))
    assert isinstance(_read(tmp_path, b"\xef\xbb\xbf" + _line().encode())[0], Record)
