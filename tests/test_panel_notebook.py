"""What was explored in the panel, run headless: the notebook with the panel's state gives the same numbers."""

import json
from pathlib import Path

import pytest
from test_notebooks import SMALL, execute, make_adapter
from tiny import save_tiny

from workbench.artifacts.parameters import parse_value
from workbench.artifacts.state import State
from workbench.explain import ExplainConfig, Weights
from workbench.panel.page import explorer

SETTINGS = {"paper_steps": 4, "loop_steps": 2, "max_new_tokens": 8, "certified_budget": 40}


@pytest.mark.slow
def test_what_was_explored_runs_headless_with_the_same_numbers(tmp_path: Path) -> None:
    model, run = save_tiny(tmp_path / "model", "llama"), tmp_path / "run"
    make_adapter(run, model)
    panel = explorer(run, model=str(model))
    weights = Weights(alpha=77.0, gamma=0.0)
    panel.state = State(case="held_out/2", method="in_loop", config=ExplainConfig(weights, **SETTINGS))
    learned = panel.recompute()
    outcome = panel.take_out([panel.case.facts[1], panel.case.nodes[2]])
    explored = panel.state.parameters()
    typed = {name: parse_value(json.dumps(value)) for name, value in explored.items()}  # as -p hands them on
    more = {name: value for name, value in SMALL.items() if name not in explored}
    made = execute("03_explain_masks", run_dir=str(run), model=str(model), **{**more, **typed})
    again = made["shown"]["in_loop"]
    assert again.case.id == "held_out/2" and again.weights == learned.weights
    assert again.degrees == learned.degrees and again.removed == learned.removed
    assert again.toolchains == learned.toolchains and again.metrics == learned.metrics
    assert made["tried"].answers == outcome.answers and made["tried"].leads == pytest.approx(outcome.leads, abs=1e-5)
    kept = State.load(run / "explain" / "state.json")
    assert {**kept.parameters(), "asked_tool": []} == {**explored, "explored_method": "in_loop"}
    assert json.loads((run / "explain" / "by_hand.json").read_text("utf-8"))["leads"] == made["tried"].leads
    later = explorer(run, model=str(model))
    later.state = kept
    assert later.explanation is not None and not later.stale, "what the run has left is shown without new work"
    assert later.outcome is not None and later.outcome.answers == outcome.answers
