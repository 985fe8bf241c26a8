"""The lesson's parts: guesses scored against the model, exercises that answer from a run, limits that are real."""

import json
import re
from pathlib import Path

import explain_cases as small
import networkx as nx
import numpy as np
import pytest
from notebook_runs import FOLDER, NOTEBOOKS, cells
from refusals import refused
from table_games import TableGame, table_of

from workbench import kg
from workbench.artifacts import runs
from workbench.cases import toolchain
from workbench.explain import ExplainConfig, minimal_flip_set, without
from workbench.hands import lesson
from workbench.hands.lesson.exercises import EXERCISES
from workbench.hands.lesson.limits import LIMITS, limit, planted

GIVEN = {"paper": {"degrees": np.array([0.1, 0.9, 0.3])}}


@pytest.mark.parametrize("name", LIMITS)
def test_every_box_shows_a_planted_case_on_which_the_method_fails(name: str) -> None:
    shown = limit(name, **GIVEN.get(name, {}))
    assert shown.fails and f"{shown.says:.3g}, where the truth is {shown.truth:.3g}: it fails" in str(shown)
    assert shown._repr_mimebundle_()["text/markdown"].startswith("> **What this does not show")


def test_the_planted_truths_are_those_of_all_sets() -> None:
    """Every set of elements, asked: the smallest that turns the answer."""
    for name, method in (("xor", "certified"), ("dnf", "in_loop")):
        game = planted(name)
        turning = TableGame(table_of(game.n, lambda keep, game=game: game(keep) > 0)).minimal("flip")
        assert limit(method).truth == min(map(len, turning))
    assert limit("certified").says > len(minimal_flip_set(planted("xor"), 8).elements)


def test_a_guess_is_put_to_the_model_and_its_score_is_kept_over_cases() -> None:
    engine = small.engine()
    one = lesson.Prediction(small.engine(), small.cases(), config=ExplainConfig(certified_budget=200))
    full = toolchain(engine.answers([one.case])[0])

    def turns(facts: tuple) -> bool:
        return toolchain(engine.answers([without(one.case, facts)])[0]) != full

    alone = {fact for fact in one.case.facts if turns((fact,))}
    one.mark(one.case.facts[:2])
    said = one.score()
    assert one.table.loc["you", "turns it"] == turns(one.case.facts[:2]) and "2 facts marked" in said
    found = len(alone & set(one.case.facts[:2])) / len(alone) if alone else np.nan
    assert one.table.loc["you", "found"] == pytest.approx(found, nan_ok=True)
    one.mark(one.case.facts[:1])
    one.score()
    assert one.table.loc["you", "cases"] == 1, "the last guess on a case counts"
    one.select("two")
    assert one.marks == ()
    one.score(one.case.needed, by="the right chain")
    table = one.table
    assert table["cases"].to_dict() == {"you": 1, "leave one out": 2, "certificate": 2, "the right chain": 1}
    assert table.loc["certificate", "turns it"] in (0.0, 0.5, 1.0)
    assert one._repr_mimebundle_()["image/png"]
    refused("shows no fact", one.mark, [small.MORE[0]._replace(head="x")])


def test_a_readers_questions_are_not_booked_as_the_runs() -> None:
    engine = small.engine()
    before = engine.ledger.to_dict()
    one = lesson.Prediction(engine, small.cases())
    one.score(one.case.facts[:1])
    assert engine.ledger.to_dict() == before and one.engine.ledger.rows > 0


@pytest.mark.parametrize("stage", runs.STAGES)
def test_the_map_lights_one_part_and_says_so(stage: str, tmp_path: Path) -> None:
    drawn = lesson.chain_map(stage, tmp_path)
    assert drawn.svg.count('class="lit"') == 1 and 'role="img"' in drawn.svg and "prefers-color-scheme" in drawn.svg
    assert "Finished" not in drawn.alt
    (tmp_path / stage).mkdir()
    (tmp_path / stage / "manifest.json").write_text("{}", "utf-8")
    assert "Finished in this run" in lesson.chain_map("kg", tmp_path).alt
    refused("report", lesson.chain_map, "report", error=KeyError)


def test_the_environment_names_what_is_to_be_done(tmp_path: Path, made_kg: Path) -> None:
    here = lesson.environment(made_kg)
    assert here.loc["run: 01_build_kg", "state"] == "finished" and here.loc["run: 01_build_kg", "to do"] == ""
    assert "02_train_qlora" in here.loc["run: 02_train_qlora", "to do"]
    assert here.loc["torch", "to do"] == "" and "GB free" in here.loc["memory", "state"]


def test_the_first_exercises_answer_from_the_graph_of_the_run(made_kg: Path) -> None:
    check, graph = lesson.checker(made_kg), kg.from_json(made_kg / "kg" / "graph.json")
    readers = {f: sum(r == "input" for *_, r in graph.out_edges(f, keys=True)) for f in graph if f.startswith("format")}
    best = max(readers, key=readers.__getitem__)
    assert check("1.1", best) and not check("1.1", "format_0000") and not check("1.1", 3)
    assert "The answer is a number" in repr(check("1.2", best)) and repr(check("1.1", best)) == "1.1: right"
    (due,) = EXERCISES["1.3"][0](made_kg)
    flow = nx.DiGraph(kg.flow_graph(graph))
    source = runs.read_manifest(made_kg, "kg")["metrics"]["showcase"][0][0]
    others = [n for n in nx.descendants(flow, source) if n.startswith("command:")][:15]

    def cut(command: str) -> int:
        rest = flow.copy()
        rest.remove_node(command)
        return len(nx.descendants(rest, source))

    assert all(cut(due) <= cut(other) for other in others), "it cuts off most"


def test_an_exercise_without_its_stage_is_left_open(tmp_path: Path) -> None:
    found = lesson.checker(tmp_path)("3.1", [1])
    assert found.right is None and found and "03_explain_masks" in repr(found)
    refused(r"3\.9", lesson.checker(tmp_path), "3.9", 1, error=KeyError)


def source(notebook: Path, kind: str) -> str:
    return "\n".join(cell.source for cell in cells(notebook, kind))


def test_every_exercise_has_a_head_and_a_folded_solution() -> None:
    heads, solved = set(), set()
    for notebook in NOTEBOOKS:
        for number, _, minutes in re.findall(
            r"\*\*(\d\.\d)\*\* ·( [●○]{5}) · (\d+) minutes", source(notebook, "markdown")
        ):
            heads.add(number)
            assert 5 <= int(minutes) <= 60
        folded = [c for c in cells(notebook, "code") if "solution" in c.metadata.get("tags", [])]
        assert all(cell.metadata["jupyter"]["source_hidden"] for cell in folded)
        solved |= set(re.findall(r'assert check\("(\d\.\d)"', "\n".join(cell.source for cell in folded)))
    assert heads >= solved == set(EXERCISES)


def test_every_notebook_opens_with_the_map_and_needs_few_rooms_and_every_box_is_used() -> None:
    boxes = set()
    for stage, name in runs.STAGES.items():
        opening = list(cells(FOLDER / f"{name}.ipynb", "code"))[1].source
        assert f'lesson.chain_map("{stage}", run_dir)' in opening
        code = source(FOLDER / f"{name}.ipynb", "code")
        boxes |= set(re.findall(r'lesson\.limit\("(\w+)"', code))
        assert len(re.findall(r"(?m)^(?:from|import) workbench", code)) <= 6, name
    assert boxes == set(LIMITS)


@pytest.mark.parametrize("name", ["03_explain_masks", "04_compare_shift"])
def test_the_explorer_stands_in_the_first_third(name: str) -> None:
    found = json.loads((FOLDER / f"{name}.ipynb").read_text("utf-8"))["cells"]
    at = next(i for i, cell in enumerate(found) if cell["cell_type"] == "code" and cell["source"][-1:] == ["panel"])
    assert at < len(found) / 3
    assert any(cell["metadata"].get("jp-MarkdownHeadingCollapsed") for cell in found), "deep material is folded"
