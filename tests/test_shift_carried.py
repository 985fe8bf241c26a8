"""What carries reading and memory: against the model asked directly, and in words and a picture of two adapters."""

import gzip
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from dosed_models import shipped
from figure_checks import check
from tiny import NAMES, chain_case

from workbench import models, shift
from workbench.cases import withhold
from workbench.figures import dose as pictures
from workbench.game import Engine
from workbench.hands.narrative.shifted import two_adapters
from workbench.shift.saliency import MEMORY, READING, WITHHELD, unknown

CASE = chain_case()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped reader's adapter with one case that was held out."""
    place = tmp_path_factory.mktemp("adapter")
    shipped().model.save_pretrained(place)
    (place / "cases_held_out.jsonl.gz").write_bytes(gzip.compress(json.dumps(CASE.to_dict()).encode()))
    return place


def test_parts_add_up_to_the_gain_where_nothing_can_be_remembered_and_where_it_must_be(folder: Path) -> None:
    found = shift.carried(models.READER, folder, names=NAMES, cases=1, seed=0, steps=48)
    engine = Engine(models.load(names=NAMES, adapter=folder))
    read = unknown([CASE], engine, seed=0)[0]
    assert not set(read.names.values()) & set(NAMES.values()) and read.facts == CASE.facts
    left = withhold(CASE, WITHHELD, rng=np.random.default_rng(0))
    assert len(left.facts) < len(CASE.facts) and set(found["layer"]) == set(range(6))
    for kind, case in {READING: read, MEMORY: left}.items():
        asked = [engine.prompt(case)], [engine.answer_ids(case, case.path)]
        tuned, base = (float(engine.logprobs(*asked, adapter=on)[0].sum()) for on in (True, False))
        parts = found[found["kind"] == kind]
        assert len(parts) == 12 and parts["path"].sum() == pytest.approx(tuned - base, rel=0.05, abs=0.1)
    shares = shift.gain_shares(found, by=["projection"])
    assert shares.sum().to_numpy() == pytest.approx([1, 1]) and list(shares.index) == ["q_proj", "v_proj"]


def test_two_adapters_are_told_apart_in_words_and_in_a_picture(folder: Path) -> None:
    sides = shift.compare({"one": folder, "two": folder}, rng=np.random.default_rng(0), draws=9)
    gains = shift.carried(models.READER, folder, names=NAMES, cases=1, seed=0, steps=1)
    gains = pd.concat([gains.assign(adapter=name) for name in ("one", "two")])
    said = two_adapters(sides, gains)
    assert "a cosine of 1.00" in said and "1.00 times as large" in said and said.count("nats to the right answer") == 2
    picture = pictures.adapter_maps(sides, gains)
    check(picture)
    assert "overlap 1.00" in picture.alt and len(picture.tips) == 36


def test_adapters_ship_for_the_model_that_they_belong_to() -> None:
    assert list(models.shipped_for("smollm2")) == ["whole", "narrow"] and models.shipped_for(models.READER) == {}
