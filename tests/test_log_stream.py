"""A log of any length: streamed through Dask's workers, whatever single records do, and gone on with after a stop."""

import json
from functools import partial
from pathlib import Path

import pytest
from log_speakers import Planted, stops, written
from refusals import refused
from tiny import save_tiny

from workbench import explain_log
from workbench.hands.report.lineage import verify
from workbench.hands.report.write import write_report
from workbench.hands.sweep.log_records import streamed, swept
from workbench.hands.sweep.tasks import perform
from workbench.logs.records import Record, read_log, record_of
from workbench.logs.run import Work
from workbench.logs.speakers import Source, turns
from workbench.logs.summary import Rows, summary

CONFIG = {"decision": "yesno", "template": None, "sentences": False, "budget": 20, "spans": [], "redact": False}


def _log(path: Path, count: int, odd: dict[int, str]) -> Path:
    """Records with three facts each; odd: line -> question."""
    facts = {line: [f"fact {line}.{i}" for i in range(3)] for line in range(1, count + 1)}
    return written(path, *(odd.get(line) or {"question": "q?", "facts": some} for line, some in facts.items()))


def test_records_come_back_one_by_one_and_a_stop_loses_none(tmp_path, scheduler):
    """A record that fails and one that is no JSON are each one line of 200."""
    odd = {5: '{"question": "it fails", "facts": ["a"]}', 90: "{no"}
    log, taken = _log(tmp_path / "log.jsonl", 200, odd), []
    how = {"failed": Work(None, [], CONFIG, None).failed, "scheduler": scheduler, "by": "log_speakers"}

    def lines():
        for one in read_log(log):
            taken.append(one.line)
            yield one

    with pytest.raises(KeyboardInterrupt):
        swept(lines(), Rows(tmp_path / "rows.jsonl"), {"config": CONFIG}, progress=stops(20), **how)
    assert 20 < len(Rows(tmp_path / "rows.jsonl")) < 100 and max(taken) < 150  # no more is read than is handed out
    with open(tmp_path / "rows.jsonl", "ab") as file:
        file.write(b'{"line": 199, "id": "cut')
    kept = {row["line"] for row in Rows(tmp_path / "rows.jsonl")}
    rows, done = Rows(tmp_path / "rows.jsonl"), []
    swept(lines(), rows, {"config": CONFIG}, progress=done.append, **how)
    assert [row["line"] for row in rows] == list(range(1, 201)) == [row["line"] for row in Rows(rows.file)]
    assert len(kept) < done[0] <= done[-1] == 200
    states = {row["line"]: row["state"] for row in rows if row["state"] != "explained"}
    assert states == {5: "failed", 90: "refused"} and "OSError: no answer" in rows[4]["why"]
    assert rows[2]["facts"] == [f"fact 3.{i}" for i in range(3)]
    assert all(row["models"]["tuned"]["alone"] == [0] for row in rows if row["state"] == "explained")


def test_records_that_take_long_are_handed_out_and_written_one_by_one(tmp_path, scheduler):
    slow = '{"question": "slow", "facts": ["a"]}'
    log, done = _log(tmp_path / "log.jsonl", 6, dict.fromkeys(range(1, 7), slow)), []
    how = {"failed": Work(None, [], CONFIG, None).failed, "scheduler": scheduler, "by": "log_speakers"}
    rows = Rows(tmp_path / "rows.jsonl")
    swept(read_log(log), rows, {"config": CONFIG}, progress=done.append, **how)
    assert done == [1, 2, 3, 4, 5, 6] and len(rows) == 6


def test_streamed_or_not_a_log_is_explained_alike(tmp_path, scheduler):
    model = str(save_tiny(tmp_path / "llama", "llama"))
    own = '{"question": "q", "facts": [["a", "b", "c"], {"text": "d. E", "own": 1}]}'
    log, there = _log(tmp_path / "log.jsonl", 7, {3: own}), partial(streamed, scheduler=scheduler)
    how = {"model": model, "max_new_tokens": 4, "budget": 20, "decision": "regex:(?s).+", "sentences": True}
    one = explain_log(log, out=tmp_path / "one", **how)
    other = explain_log(log, out=tmp_path / "two", through=there, **how)
    assert list(other.records) == one.records and other.metrics == one.metrics
    write_report(other.folder)
    assert verify(other.folder)["log"]["broken"] == []
    assert list(explain_log(log, out=other.folder, through=there, **how).records) == one.records
    refused("of one process", explain_log, log, out=tmp_path / "three", through=streamed, requests=3, **how)


def test_a_record_sent_to_a_worker_is_the_same_there():
    facts = [["a", "b_c", "d"], "t", {"text": "x", "document": 3}]
    record = record_of({"question": "q", "facts": facts, "id": 7, "own": [1], "answer": ""}, line=4)
    assert isinstance(record, Record) and record_of(json.loads(json.dumps(record.to_dict())), line=4) == record


def test_after_a_stop_an_edited_log_is_explained_anew_and_what_failed_is_asked_again(tmp_path, scheduler):
    how = {"model": str(save_tiny(tmp_path / "llama", "llama")), "max_new_tokens": 2, "budget": 5}
    how |= {"out": tmp_path / "run", "through": partial(streamed, scheduler=scheduler)}
    with pytest.raises(KeyboardInterrupt):
        explain_log(_log(tmp_path / "log.jsonl", 9, {}), progress=stops(), **how)
    edited = _log(tmp_path / "log.jsonl", 9, {1: '{"question": "another", "facts": ["a"]}'})
    assert explain_log(edited, **how).records[0]["question"] == "another"
    Rows.of(tmp_path, how["model"]).add([{"line": 1, "state": "failed"}, {"line": 2, "state": "refused"}])
    assert [row["line"] for row in Rows.of(tmp_path, how["model"])] == [2]


def test_a_worker_that_holds_a_model_never_answers_for_another_at_its_place(tmp_path):
    folder, case = tmp_path / "m", {"line": 1, "record": {"id": "a", "question": "q?", "facts": ["b", "c"]}}

    def order() -> dict:
        (speaker,) = turns(Source(str(folder), None, True), None, {}, longest=3)[1].values()
        who = {"model": str(folder), "adapter": None, "against": None, "endpoint": None, "four_bit": True}
        who |= {"longest": 3, "names": {}, "repeats": None, "keys": [speaker.key]}
        return {"who": who, "tasks": [{"id": "a"}], "cases": [case], "config": CONFIG | {"decision": "regex:(?s).+"}}

    def answer(given: dict) -> str:
        found = perform({**given, "by": streamed.__module__})
        (outcome,) = found["outcomes"]
        assert outcome["seconds"] <= found["seconds"] - found["loading"], "explaining counts as work, not as loading"
        return outcome["found"]["row"]["models"]["tuned"]["answer"]

    save_tiny(folder, "llama")
    one = order()
    first = answer(one)
    save_tiny(folder, "qwen")
    assert answer(order()) != first
    refused("is not what the log was begun with", answer, one)


def test_an_answer_that_cannot_be_read_is_not_as_logged():
    records = [record_of({"question": "q?", "facts": ["a"], "answer": "yes"}, line=line) for line in (1, 2, 3)]
    work = Work(None, records, CONFIG, None)
    for record, said in zip(records, ("yes", "no", "Hm."), strict=True):
        work.take(record, {"tuned": Planted(lambda kept, said=said: said)})
    told = summary(work.records)["as_logged"]
    assert work.records[2]["state"] == "unread" and (told["n"], told["share"]) == (3, 1 / 3)
