"""An adapter that was trained elsewhere: which cases of a run are held out from it."""

from __future__ import annotations

from pathlib import Path

import pytest

from workbench.cases import Case, load_cases
from workbench.cases.sampling import stretches
from workbench.models.shipped_adapters import ADAPTERS, shipped, trained_on
from workbench.train.qlora import GivenAdapter


def case(source: str, chain: tuple[str, ...], target: str, split: str) -> Case:
    path = (source, *(node for command in chain for node in ("format:x", command)), target)
    return Case(id=split, source=source, target=target, facts=(), path=path, names={}, split=split)


@pytest.mark.parametrize("name", ADAPTERS)
def test_what_ships_was_not_trained_on_the_cases_that_it_is_judged_by(name: str) -> None:
    learned = trained_on(shipped(name))
    assert len(learned) > 2_000
    pairs, rows = {pair[:2] for pair in learned}, {row for *_, chain in learned for row in stretches(chain)}
    for file in shipped(name).glob("cases_held_out*.jsonl.gz"):
        for one in load_cases(file):
            assert (one.source, one.target) not in pairs
            assert one.split != "held_out_sequences" or one.toolchain not in rows


def test_cases_that_it_learned_are_not_held_out_from_it() -> None:
    given = GivenAdapter.chosen("whole", "smollm2")
    source, target, chain = next(row for row in trained_on(shipped("whole")) if len(row[2]) > 2)
    known = [case(source, chain, target, split) for split in ("train", "held_out", "held_out_sequences")]
    part = case("source:another", chain[:2], target, "held_out_sequences")
    new = [
        case("source:another", chain, target, "held_out"),
        case("source:another", chain[::-1], target, "held_out_sequences"),
    ]
    splits = {"train": known[:1], "held_out": [known[1], new[0]], "held_out_sequences": [known[2], part, new[1]]}
    assert given is not None
    assert stretches(chain) <= given.taught and (source, target, chain) in given.learned
    assert given.unseen(splits) == {"train": known[:1], "held_out": new[:1], "held_out_sequences": new[1:]}


def test_what_another_adapter_learned_is_not_known(tmp_path: Path) -> None:
    assert trained_on(tmp_path) == trained_on(tmp_path / "whole") == []
