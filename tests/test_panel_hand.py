"""Removals by hand, the certificate, what carries a command, typed questions, exports: by code, against brute force."""

import csv
import io
import json
import xml.dom.minidom
from dataclasses import replace
from functools import cache
from itertools import chain

import explain_cases as small
import numpy as np
import pytest
from figure_checks import plain
from PIL import Image
from refusals import refused
from test_panel import HOSTILE, QUICK, panel, shown

from workbench import kg
from workbench.artifacts.files import neutral
from workbench.artifacts.state import State, StateError
from workbench.cases import Fact, toolchain
from workbench.cases.asking import ASKED, Asker, QuestionError, chosen_case
from workbench.explain import explain, without
from workbench.explain.trial import ROWS, Trial
from workbench.game import Game
from workbench.hands.panel import MaskPanel
from workbench.hands.panel.explorer import COLUMNS, file_stem, links

__all__ = ["shown"]


@cache
def asker() -> Asker:
    graph = kg.build_graph(kg.read_table())
    flow = kg.flow_graph(graph)
    return Asker(graph, {node: graph.nodes[node]["name"] for node in flow})


def test_what_is_taken_out_by_hand_is_answered_by_both_models(one: MaskPanel) -> None:
    gone = (one.case.nodes[1], one.case.facts[-1])
    found = one.take_out(gone)
    left = without(one.case, gone)
    for row, adapter, case in zip(ROWS, (True, True, False, False), (one.case, left, one.case, left), strict=True):
        assert found.answers[row] == one.engine.answers([case], adapter=adapter, max_new_tokens=32)[0], row
    assert one.removed == gone and one.figure.alt.startswith("one: by hand")
    assert {line["key"]: line["state"] for line in one.view.prompt.part.lines if line["key"] >= 0} == {
        len(one.case.nodes) + i: "removed" if f in gone else "gone" if {f.head, f.tail} & {*gone} else "kept"
        for i, f in enumerate(one.case.facts)
    }
    assert "by hand" in one.view.graph.part.drawing["title"]


def test_the_leads_have_the_sign_of_the_decision() -> None:
    for case in small.cases():
        trial = Trial(small.engine(), case)
        for element in case.elements:
            found = trial.outcome([element])
            for model in ("tuned", "base"):
                assert (found.leads[model] > 0) == (not found.changed(model)), (case.id, element, model)


def test_toggling_twice_is_nothing_and_costs_nothing_the_second_time(one: MaskPanel) -> None:
    one.toggle(0)
    one.toggle(0)
    assert one.removed == () and one.by_hand == ()
    calls = one.engine.ledger.calls
    one.toggle(one.case.nodes[0])
    assert one.removed == (one.case.nodes[0],) and one.engine.ledger.calls == calls


def test_the_check_is_what_asking_every_subset_shows(one: MaskPanel) -> None:
    one.select("two")
    full = toolchain(one.engine.answers([one.case])[0])

    def flips(gone) -> bool:
        return toolchain(one.engine.answers([without(one.case, gone)])[0]) != full

    seen = set()
    for gone in chain(([e] for e in one.case.elements), ([one.case.elements[0], e] for e in one.case.elements[1:])):
        one.take_out(gone)
        found = one.check()
        assert found.flips == flips(gone)
        spare = [member for member in one.removed if flips([e for e in gone if e != member])]
        assert list(found.spare) == (spare if found.flips else [])
        assert found.minimal == (found.flips and not spare)
        seen.add((found.flips, found.minimal))
    assert (True, True) in seen and len(seen) > 1, "a game in which nothing differs tests nothing"


def test_carriers_are_leave_one_out_on_the_tokens_of_the_command() -> None:
    engine = small.engine()
    trial = Trial(engine, small.case())
    trial.games = {"tuned": Game.of(engine, trial.case, path=trial.case.path, form="decision")}  # it names commands
    node = trial.case.toolchain[1]
    found = trial.carriers("tuned_full", node)
    game = trial.games["tuned"]
    start, stop = game.span_of(node)

    def likely(case) -> float:
        (scores,) = engine.logprobs([engine.prompt(case)], [game.answer])
        return float(scores[start:stop].sum())

    alone = [likely(without(trial.case, [fact])) for fact in trial.case.facts]
    assert found.scores == pytest.approx(likely(trial.case) - np.array(alone), abs=1e-4)
    assert found.shown.all() and found.total == pytest.approx(likely(trial.case), abs=1e-4)
    assert np.abs(found.scores).max() > 0.01


def test_carriers_on_gc_know_only_what_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = small.engine()
    trial = Trial(engine, small.case())
    gone = [trial.case.facts[0]]
    ids = engine.answer_ids(trial.case, trial.case.path)
    monkeypatch.setattr(engine, "greedy_answers", lambda cases, **how: [ids for _ in cases])
    after = trial.carriers("base_changed", trial.case.toolchain[0], gone)
    assert not after.shown[0] and after.scores[0] == 0 and after.shown[1:].all() and after.scores[1:].any()


def test_what_is_not_there_cannot_be_taken_out_or_picked(one: MaskPanel) -> None:
    refused("does not show", one.take_out, ["format_9999"])
    refused("the answers are", one.pick, "tuned", one.case.nodes[0])
    refused("does not name", one.pick, "tuned_full", "command:nothing")
    assert one.removed == ()


def test_a_method_shown_again_forgets_the_hand(one: MaskPanel) -> None:
    found = one.recompute()
    one.take_out(())
    assert one.removed == () and one.state.removed == ()
    one.view.again.click()
    assert one.removed == found.removed and one.state.removed is None
    one.view.back.click()
    assert one.removed == () and "Nothing is taken out" in plain(one.view.words.value)


def test_by_hand_begins_with_the_whole_graph_and_what_is_out_comes_back(one: MaskPanel) -> None:
    found = one.recompute()
    first, second = [e for e in one.case.elements if e not in found.removed][:2]
    assert one.toggle(first).removed == (first,) == one.removed, "it does not join what the method removed"
    assert set(one.toggle(second).removed) == {first, second}
    assert one.toggle(first).removed == (second,)
    one.view.again.click()
    back = found.removed[0]
    assert back not in one.toggle(back).removed and set(one.removed) == set(found.removed[1:])


def test_what_is_gone_of_a_chain_is_struck_out_where_it_stood(one: MaskPanel) -> None:
    signs = {"": "", "lost": "-", "new": "+"}
    names = {f"command:{name}": name for name in "abcd"}
    steps = {("abc", "adc"): "a -b +d c", ("", "a"): "+a", ("aab", "aaa"): "a × 2 -b +a", ("ab", "ba"): "+b a -b"}
    for answers, told in steps.items():
        full, changed = ([f"command:{name}" for name in answer] for answer in answers)
        one.view.chains.part.show(one.case, {"tuned_full": full, "tuned_changed": changed}, names)
        row = one.view.chains.part.rows[1]
        assert " ".join(f"{signs[chip['mark']]}{chip['text']}" for chip in row["changed"]) == told
        assert row["verdict"].startswith("≠"), "another order is another chain"


def test_the_whole_state_comes_back_with_the_same_numbers() -> None:
    one, other = panel(), panel(seed=3)
    one.select("two", method="paper")
    one.weigh.sliders["alpha"].value, one.weigh.switches["gamma"].value = 50.0, False
    found = one.recompute()
    assert found.weights["alpha"] == 50.0 and found.weights["gamma"] == one.weights.gamma == 0.0
    outcome = one.take_out([one.case.facts[2]])
    other.state = State.from_json(one.state.to_json())
    assert other.state == one.state
    assert other.outcome.answers == outcome.answers and other.outcome.leads == outcome.leads
    again = other.recompute()
    assert again.degrees == found.degrees and again.removed == found.removed


def test_a_state_of_elsewhere_is_refused_whole(one: MaskPanel) -> None:
    before = one.state
    for change in ({"explored_case": "nowhere"}, {"by_hand": ["nothing"]}, {"question": ["a", "b"]}, {"withheld": 0.5}):
        with pytest.raises(ValueError):
            one.state = {**before.to_dict(), **change}
        assert one.state == before
    one.view.saved.value = "{"
    one.view.apply.click()
    assert one.view.applied.value.startswith("error: this is no JSON"), "beside the button that was pressed"
    assert isinstance(StateError("x"), ValueError)


def test_a_state_that_is_pasted_while_answers_come_stays_until_it_is_applied() -> None:
    one, other = panel(), panel()
    one.take_out([one.case.elements[0]])
    one.view.saved.value = pasted = other.state.to_json()
    one.take_out([one.case.elements[1]])
    assert one.view.saved.value == pasted != one.state.to_json()
    one.view.apply.click()
    assert one.state == other.state and one.view.saved.value == pasted
    one.take_out([one.case.elements[1]])
    assert one.view.saved.value == one.state.to_json() != pasted


def test_a_typed_question_is_a_case_whose_answer_is_a_shortest_chain() -> None:
    some = asker()
    by_name = some.case("NCBI Sequence Read Archive", "SAM")
    assert by_name == some.case(by_name.source, by_name.target) == some.case("ncbi sequence read archive", " sam ")
    shortest = kg.shortest_toolchains(some.flow, by_name.source, by_name.target, limit=50)
    assert by_name.split == ASKED and by_name.path in shortest
    assert set(by_name.needed) <= set(by_name.facts) and len(by_name.facts) <= 24
    assert chosen_case([by_name], question=(by_name.source, by_name.target), asker=some) == by_name


@pytest.mark.parametrize("ends", [("nowhere", "SAM"), ("NCBI Sequence Read Archive", HOSTILE), ("", "")])
def test_a_question_about_nothing_is_refused_in_words(ends: tuple[str, str]) -> None:
    refused(r"no (source|target) is called", asker().case, *ends, error=QuestionError)


def test_the_chosen_case_is_named_or_refused() -> None:
    cases = small.cases()
    assert chosen_case(cases, asker=None).id == "one" and chosen_case(cases, "three", asker=None).id == "three"
    refused("no case 'four'", chosen_case, cases, "four", asker=None)
    refused("a run with a graph", chosen_case, cases, question=("a", "b"), asker=None, error=QuestionError)


def test_an_export_is_four_files_that_agree(one: MaskPanel, tmp_path) -> None:
    one.recompute()
    one.take_out([one.case.facts[0]])
    paths = one.export(tmp_path / "some")
    assert [p.name for p in paths] == ["some.png", "some.svg", "some.csv", "some.json"]
    assert Image.open(paths[0]).width > 400
    drawn = xml.dom.minidom.parse(str(paths[1]))
    names = [node.getAttribute("id") for node in drawn.getElementsByTagName("*") if node.getAttribute("id")]
    assert len(names) == len(set(names)), "ids of stacked pictures are kept apart"
    rows = list(csv.DictReader(paths[2].open(encoding="utf-8")))
    assert len(rows) == len(one.case.elements) and tuple(rows[0]) == COLUMNS
    assert [row["element"] for row in rows if row["removed"] == "1"] == ["ENA archive → FASTQ"]
    assert [float(row["degree_of_removal"]) for row in rows] == pytest.approx(one.explanation.degrees, rel=1e-5)
    assert State.from_dict(json.loads(paths[3].read_text("utf-8"))) == one.state


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\tx", "\r=1", "  =1"])
def test_formulas_become_text_in_a_spreadsheet(text: str) -> None:
    assert neutral(text) == f"'{text}"
    assert neutral("hisat2 -x") == "hisat2 -x"


def test_names_in_exports_are_data(tmp_path) -> None:
    names = {node: f"=cmd|{HOSTILE}{i}" for i, node in enumerate(small.NAMES)}
    case = replace(small.case(), id="../../etc/passwd", names=names)
    one = panel([case])
    contents = one.exports()
    rows = list(csv.reader(io.StringIO(contents[".csv"].decode())))
    assert all(not cell.startswith(("=", "+", "-", "@")) for row in rows for cell in row)
    assert b"<img" not in contents[".svg"]
    assert file_stem(case.id, HOSTILE) == "etc-passwd-img-src-x-onerror-alert-1-x-y"
    assert "<img" not in links("<img>", {".csv": b"x"})
    one.folder = tmp_path / "exports"
    one.view.export.click()
    assert sorted(p.suffix for p in (tmp_path / "exports").iterdir()) == [".csv", ".json", ".png", ".svg"]
    assert one.view.links.value.count("<a download") == 4


def test_answers_at_hand_are_shown_with_what_changed_marked(one: MaskPanel) -> None:
    (found,) = explain(small.engine(), [small.case()], "certified", config=QUICK)
    one.results[found.case.id, "certified"] = found
    one.select("one", method="certified")
    rows = {row["model"]: row for row in one.view.chains.part.rows}
    assert set(rows) == {"right answer", "tuned", "base"}
    for model in ("tuned", "base"):
        same = found.toolchains[f"{model}_full"] == found.toolchains[f"{model}_changed"]
        assert (rows[model]["verdict"] == "stays") == same
        steps = [(chip["node"], chip["mark"]) for chip in rows[model]["changed"]]
        before, after = ({node for node, mark in steps if mark != other} for other in ("new", "lost"))
        assert before == set(found.toolchains[f"{model}_full"]) and after == set(found.toolchains[f"{model}_changed"])
    assert not one.stale and one.sentences() in plain(one.view.words.value)


def test_facts_are_told_by_the_line_that_states_them(one: MaskPanel) -> None:
    lines = {line["key"]: line["text"] for line in one.view.prompt.part.lines}
    for i, fact in enumerate(one.case.facts):
        assert lines[len(one.case.nodes) + i].split()[-1] == fact.relation
    assert isinstance(one.case.facts[0], Fact)
