"""`bench agreement` on the tiny reader: every part is there, and figures are those of the functions behind it."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from test_shift_tokens import tuned_reader
from tiny import chain_case

from workbench.artifacts.files import plain
from workbench.bench import agreement
from workbench.explain import ExplainConfig
from workbench.shift import Measurement, measures_of, module_saliency


def test_the_whole_measurement_is_plain_figures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine, _ = tuned_reader(tmp_path)
    case = chain_case()
    cases = [replace(case, id=f"case {k}", facts=case.facts[:size]) for k, size in enumerate((9, 8, 7, 9))]
    monkeypatch.setattr(agreement, "load", lambda run_dir: (engine, cases))
    monkeypatch.setattr(agreement.runs, "require_stage", lambda run_dir, stage: run_dir)
    said: list[str] = []
    figures = agreement.run(run_dir=tmp_path, quick=True, seed=0, say=said.append)
    json.dumps(plain(figures, where="figures"), allow_nan=False)
    assert figures["cases"] == 4 and list(figures["parts"]) == said
    lines = {(line["kind"], line["measure"]): line for line in figures["table"]}
    assert ("fact", "saliency shift") in lines and ("node", "attention rollout") in lines
    one = next(
        row for row in figures["causal"]
        if (row["outcome"], row["kind"], row["k"], row["measure"]) == ("drop", "fact", 3, "gradient")
    )  # fmt: skip
    assert lines[("fact", "gradient")]["drop"] == one["mean"] and one["n"] == 4
    pairs = {(row["first"], row["second"]) for row in figures["agreement"]}
    assert len(figures["agreement"]) == 4 * len(pairs) == len(figures["agreement_at_equal_degree"])
    assert {row["kind"] for row in figures["causal_at_equal_degree"]} == {"node"}
    assert {row["group"] for row in figures["shift"]["relation"]} <= {fact.relation for fact in case.facts}


def test_modules_are_weighted_by_the_saliency_of_their_case(tmp_path: Path) -> None:
    engine, factors = tuned_reader(tmp_path)
    case = chain_case()
    measured = Measurement(
        engine, [case], factors[::-1], config=ExplainConfig(paper_steps=1, loop_steps=1, sets_of="elements")
    )
    weights = agreement.saliency_by_case(measured)
    rows = module_saliency(engine, [(case, case)], measured.session.full_ids).set_index("module")["saliency"]
    assert not measured.session.certified[0].found  # so that nothing is removed
    np.testing.assert_allclose(weights[0], [rows[one.module] for one in measured.factors], rtol=1e-6)
    assert "saliency shift" in measures_of(agreement.measure(measured))
