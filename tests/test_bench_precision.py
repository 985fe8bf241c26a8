"""`bench precision` on the shipped reader: roundings against bitsandbytes, sizes against dense ones, answers kept."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from bitsandbytes.functional import int8_vectorwise_quant
from dosed_models import shipped
from tiny import NAMES, chain_case

from workbench import models, shift
from workbench.artifacts.files import plain
from workbench.game import Engine
from workbench.hands.bench import accuracy


def test_int8_keeps_what_bitsandbytes_keeps() -> None:
    weight = torch.randn(48, 64, generator=torch.Generator().manual_seed(0)) * torch.logspace(-3, 2, 48)[:, None]
    kept, scale, _ = int8_vectorwise_quant(weight.half())
    theirs = kept.float() * scale[:, None] / 127
    assert (accuracy.int8(weight.half().float()) - theirs).abs().max() < 1e-3 * weight.abs().max()
    rough = accuracy.int8(weight)
    assert (rough - weight).abs().amax(1).le(weight.abs().amax(1) / 254 * 1.001).all()
    assert accuracy.int8(torch.zeros(2, 3)).eq(0).all()


def test_answers_and_sizes_are_those_of_the_rounded_base(tmp_path: Path) -> None:
    shipped().model.save_pretrained(tmp_path)
    case = chain_case()
    found = accuracy.measure(models.READER, tmp_path, [case], names=NAMES, seed=0, say=lambda line: None)
    json.dumps(plain(found, where="figures"), allow_nan=False)
    assert [(row["base"], row["withheld"]) for row in found["table"]] == [
        (base, share) for base in ("fp32", "int8", "NF4") for share in accuracy.SHARES
    ]
    assert all(row["kept"] == 1 for row in found["table"][:2]), "the base's own values keep every answer"
    # a base that is loaded in 4 bits answers as one that was rounded to them
    four = Engine(models.load(names=NAMES, adapter=tmp_path))
    rounded = Engine(accuracy.loaded(models.READER, tmp_path, "NF4", names=NAMES))
    prompts, asked = [four.prompt(case)], [four.answer_ids(case, case.path)]
    one, other = (engine.logprobs(prompts, asked)[0].detach().numpy() for engine in (four, rounded))
    assert one == pytest.approx(other, abs=1e-4)
    weights = shift.base_weights(models.READER)
    for row, factors in zip(found["modules"], shift.read_factors(tmp_path), strict=True):
        weight, update = weights(factors.module), factors.scaling * factors.B @ factors.A
        assert row["update_over_base"] == pytest.approx(np.linalg.norm(update) / np.linalg.norm(weight), rel=1e-4)
        assert 0 < row["int8_over_update"] < row["NF4_over_update"]
        assert row["NF4_over_base"] == pytest.approx(row["NF4_over_update"] * row["update_over_base"], rel=1e-6)
