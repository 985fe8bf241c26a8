"""Our sets beside ContextCite's scores on passages: what is compared, and what the shares are of."""

import importlib.util

import pytest
from tiny import save_tiny

from workbench import models
from workbench.game import Engine
from workbench.hands.bench.cited import PASSAGES, compared, made_records, summarised
from workbench.logs.records import record_of


@pytest.fixture(scope="module")
def engine(tmp_path_factory) -> Engine:
    folder = save_tiny(tmp_path_factory.mktemp("models") / "llama", "llama")
    return Engine(models.load(str(folder), names={}, four_bit=False))


def test_the_records_ask_for_what_one_of_their_passages_says():
    records = made_records(3, seed=0)
    assert records[:2] == made_records(2, seed=0)
    for record in records:
        asked = record.question.removeprefix("Under which licence is ").removesuffix("?")
        assert len(record.facts) == PASSAGES and len({fact.text for fact in record.facts}) == PASSAGES
        assert sum(f"{asked} is licensed under" in fact.text for fact in record.facts) == 1


def test_a_record_is_compared_at_the_size_of_our_set(engine):
    package = importlib.util.find_spec("context_cite") is not None
    row = compared(engine, record_of({"id": "1", "question": "q?", "facts": ["a b", "c d", "e f"]}), package=package)
    assert row["rows"] >= row["calls"] >= 4 and row["size"] in (None, 1, 2, 3)
    if package and row["size"] and "package_failed" not in row:
        assert len(row["package_top"]) == row["size"] and row["package_turns"] in (True, False)


def test_shares_are_of_records_with_a_set():
    ours = {"memory": False, "rows": 9, "seconds": 1.0, "ours": [1, 2]}
    rows = [
        ours | {"size": 2, "package_turns": True, "package_top": [2, 1]},
        ours | {"size": 2, "package_turns": False, "package_top": [0, 1]},
        ours | {"size": 2, "package_failed": "not finite"},
        {"memory": True, "size": None, "rows": 5, "seconds": 2.0, "package_rows": 64},
    ]
    found = summarised(rows)
    assert (found["context-cite's top k turn it"]["share"], found["context-cite's top k turn it"]["n"]) == (0.5, 2)
    assert found["its top k are our set"]["share"] == 0.5 and found["a certified set"]["share"] == 0.75
    assert found["package_rows"]["n"] == 1 and found["rows"]["median"] == 9
