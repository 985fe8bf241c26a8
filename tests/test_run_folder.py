"""`workbench.Run`: a finished or unfinished run folder through one door."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sweep_runs import make_run
from tiny import NAMES, chain_case

import workbench
from workbench import explain
from workbench.artifacts.runs import MissingStage
from workbench.attribution import METHODS
from workbench.cases import save_cases, toolchain
from workbench.game import Game


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> workbench.Run:
    folder = make_run(tmp_path_factory.mktemp("run"), cases=3)
    save_cases(folder / "adapter" / "showcase.jsonl", [chain_case()])
    return workbench.Run(folder)


def test_what_the_adapter_left_is_there_and_the_rest_names_its_notebook(run: workbench.Run) -> None:
    assert set(run.cases) == {"train", "held_out", "showcase"} and len(run.cases["held_out"]) == 3
    assert run.names == NAMES and run.model == "reader" and run.metrics == {"adapter": {}}
    assert run.explanations == [] and run.settings == (explain.ExplainConfig(), 0.0, 0)
    assert repr(run).endswith("finished: adapter)") and run.asker() is None
    with pytest.raises(MissingStage, match="01_build_kg"):
        _ = run.graph


def test_an_explanation_is_that_of_the_function(run: workbench.Run) -> None:
    for method in ("certified", "paper"):
        (own,) = explain.explain(run.engine, [run.cases["held_out"][1]], method, seed=0)
        assert run.explain("held-1", method) == own


def test_scores_are_those_of_the_method_by_name_of_element(run: workbench.Run) -> None:
    case = run.case("showcase")
    scores = run.attribute("showcase")
    straight = METHODS["leave_one_out"](Game.of(run.engine, case)).scores
    assert np.allclose(sorted(straight, reverse=True), scores) and scores.is_monotonic_decreasing
    assert set(scores.index) == {case.label(element) for element in case.elements}


def test_answers_are_commands_by_name(run: workbench.Run) -> None:
    (path,) = run.engine.answers([run.case("showcase")], adapter=False)
    assert run.answers("showcase")["base"] == tuple(NAMES[node] for node in toolchain(path))


def test_methods_are_compared_on_cases_by_id(run: workbench.Run) -> None:
    table = run.compare(["held-0", "held-2"], ["paper", "attention_highest"])
    assert len(table) == 4 and {"jaccard", "flipped"} <= set(table.columns)


def test_unknown_names_say_what_there_is(run: workbench.Run, tmp_path: Path) -> None:
    with pytest.raises(KeyError, match="held_out"):
        _ = run.cases["held"]
    with pytest.raises(KeyError, match="no case has the id"):
        run.case("nobody")
    with pytest.raises(KeyError, match="leave_one_out"):
        run.attribute("showcase", "magic")
    with pytest.raises(MissingStage, match="02_train_qlora"):
        _ = workbench.Run(tmp_path / "none").cases


def test_the_door_itself_is_light() -> None:
    """The tests above go through it; here nobody has yet."""
    code = "import sys, workbench; assert not {'torch', 'pandas', 'networkx'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
