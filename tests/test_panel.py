"""The mask panel, driven by setting values: no browser, no event loop. Records pasted into a panel: what is found of
them, and where it says what is wrong."""

import base64
import io
import json
import math
import weakref
from dataclasses import replace

import explain_cases as small
import pytest
from figure_checks import TAGGED as HOSTILE
from figure_checks import plain, tags
from PIL import Image
from refusals import refused

from workbench import explain_log, models
from workbench.artifacts import runs
from workbench.cases import Case
from workbench.explain import LEARNED, PRESETS, TERMS, ExplainConfig, Term, Weights, explain
from workbench.explain.trial import ROWS
from workbench.hands.panel import MaskPanel
from workbench.hands.panel.page import NOTHING, RecordPanel
from workbench.hands.panel.view import OWN, WeightSliders

QUICK = ExplainConfig(paper_steps=4, loop_steps=2)


def panel(cases: list[Case] | None = None, *, method: str = "in_loop", **more) -> MaskPanel:
    one = MaskPanel(small.engine(), cases or small.cases(), config=QUICK, **more)
    one.select(one.case, method=method)
    return one


@pytest.fixture(name="one")
def shown() -> MaskPanel:
    return panel()


def test_there_is_a_slider_for_every_weight_with_formula_and_unit() -> None:
    sliders = WeightSliders(Weights(), listen=lambda: None).sliders
    assert set(sliders) == {term.weight for term in TERMS.values()} | {"tau"}
    for term in TERMS.values():
        assert term.tooltip in sliders[term.weight].tooltip and term.unit in sliders[term.weight].tooltip
        assert sliders[term.weight].value == term.default


def test_a_new_term_gets_a_slider_and_a_line_in_the_table(monkeypatch) -> None:
    extra = Term("mass", "L_mass", "zeta", 2.0, 1, "elements", "ζ · Σ m", lambda sample, layout: sample.nodes.sum(1))
    monkeypatch.setitem(TERMS, "mass", extra)
    one = panel()
    one.recompute()
    assert one.weigh.sliders["zeta"].value == 2.0
    assert "mass" in one.view.table.value
    one.weigh.sliders["zeta"].value = 0.5
    assert one.weights.of(extra) == 0.5 and one.stale


def test_both_models_answer_at_once_and_nothing_is_learned_before_recompute() -> None:
    one = MaskPanel(small.engine(), small.cases(), config=QUICK)
    assert one.view.method.value == "certified"
    for case in one.cases:
        one.select(case)
        assert one.explanation is None and one.stale and one.removed == () and one.by_hand is None
        tuned, base = (one.engine.answers([one.case], adapter=on)[0] for on in (True, False))
        assert one.outcome is not None and one.outcome.answers["tuned_full"] == tuned
        assert one.outcome.answers["base_full"] == base
        assert "The tuned model answers" in plain(one.view.words.value) and "The base model answers" in one.sentences()
        assert [row["model"] for row in one.view.chains.part.rows] == ["right answer", "tuned", "base"]


@pytest.mark.parametrize("method", LEARNED)
def test_recompute_learns_the_shown_case_and_says_so(one: MaskPanel, method: str) -> None:
    one.select("two", method=method)
    found = one.recompute()
    assert found is one.explanation and (found.case.id, found.method) == ("two", method)
    assert not one.stale and one.view.marker.value == ""
    assert one.view.status.value.startswith(f"done: {method}")
    removed = len(found.removed)
    assert one.view.status.value.endswith(f", {removed} element{'' if removed == 1 else 's'} removed")
    assert not one.view.recompute.disabled and one.view.recompute.description == "Recompute"
    assert one.figure.alt.startswith(f"two: {method}")
    drawn = one.view.graph.part.drawing
    assert len(drawn["spots"]) + len(drawn["links"]) == len(found.case.elements)


def test_moving_a_slider_marks_what_is_shown_as_stale_and_reweighs_it(one: MaskPanel) -> None:
    one.recompute()
    before, calls = one.view.table.value, one.engine.ledger.calls
    one.weigh.sliders["alpha"].value = 100.0
    assert one.stale and "other settings" in one.view.marker.value
    assert one.view.table.value != before and one.engine.ledger.calls == calls
    one.recompute()
    assert not one.stale and one.explanation is not None and one.explanation.weights["alpha"] == 100.0


def test_presets_and_reset(one: MaskPanel) -> None:
    assert one.weigh.preset.value == "paper"
    for name, weights in one.weigh.presets.items():
        one.weigh.preset.value = name
        assert one.weights == weights and one.weigh.preset.value == name
    assert set(PRESETS) < set(one.weigh.presets)
    one.weigh.sliders["beta"].value = 0.07
    assert one.weigh.preset.value == OWN
    one.weigh.undo.click()
    assert one.weights == QUICK.weights


def test_weights_beyond_the_range_widen_the_slider(one: MaskPanel) -> None:
    one.set_weights(Weights(alpha=3e7, beta=1e-9))
    assert one.weights.alpha == 3e7 and one.weights.beta == 1e-9


def test_a_value_that_went_through_a_browser_is_the_same(one: MaskPanel) -> None:
    for slider in one.weigh.sliders.values():
        steps = (math.log10(slider.value) - slider.min) / slider.step
        assert steps == pytest.approx(round(steps), abs=1e-6), "the value at the start lies on the slider's grid"
        slider.value = 10 ** (slider.min + round(steps) * slider.step)
    assert one.weights == QUICK.weights and one.weigh.preset.value == "paper"


def test_an_error_is_shown_and_raised_and_the_button_comes_back(one: MaskPanel, monkeypatch) -> None:
    def broken(*_, **__):
        raise RuntimeError(f"no room left for {HOSTILE}")

    monkeypatch.setattr("workbench.hands.panel.mask_panel.explain", broken)
    refused("no room left for", one.recompute, error=RuntimeError)
    assert one.view.status.value.startswith("error: RuntimeError") and tags(one.view.status.value) == set()
    assert not one.view.recompute.disabled and one.view.recompute.description == "Recompute"
    one.view.recompute.click()  # by hand it is shown alone
    assert one.view.status.value.startswith("error")


def test_results_at_hand_are_shown_without_new_work() -> None:
    engine = small.engine()
    found = explain(engine, small.cases(), "paper", config=QUICK)
    one = MaskPanel(engine, small.cases(), explanations=found, config=QUICK)
    calls = engine.ledger.calls
    one.select("three", method="paper")
    assert one.explanation is found[2] and not one.stale
    assert engine.ledger.calls == calls


def test_the_threshold_cuts_the_papers_mask_alone() -> None:
    sizes = {}
    for threshold in (0.0, 1.0):
        for method in LEARNED:
            one = MaskPanel(small.engine(), small.cases(), config=replace(QUICK, threshold=threshold))
            one.select("two", method=method)
            sizes[method, threshold] = len(one.recompute().removed)
    assert sizes["paper", 0.0] == len(small.cases()[1].elements) and sizes["paper", 1.0] == 1
    assert sizes["in_loop", 0.0] == sizes["in_loop", 1.0]


def test_the_parameters_cell_has_the_weights_that_are_set(one: MaskPanel) -> None:
    one.weigh.sliders["alpha"].value = 33.0
    assert one.view.cell.value == one.parameters_cell() and "alpha = 33.0" in one.view.cell.value.splitlines()


@pytest.mark.parametrize("bad", [{"case": "nowhere"}, {"case": "one", "method": "attention_highest"}])
def test_unknown_choices_are_refused(one: MaskPanel, bad: dict) -> None:
    refused(r"no case|method must be", one.select, **bad)


def test_shown_as_live_widget_and_as_picture(one: MaskPanel) -> None:
    for _ in range(2):
        bundle = one._repr_mimebundle_()
        assert "application/vnd.jupyter.widget-view+json" in bundle
        with Image.open(io.BytesIO(base64.b64decode(bundle["image/png"]))) as picture:
            assert picture.format == "PNG" and min(picture.size) > 100
        one.recompute()


def test_hostile_names_are_text() -> None:
    names = {node: f"{HOSTILE} {name}" for node, name in small.NAMES.items()}
    case = replace(small.case(), id=HOSTILE, names=names)
    engine = small.engine()
    engine.lm = replace(engine.lm, names=names)
    one = MaskPanel(engine, [case], config=QUICK)
    one.results[case.id, "in_loop"] = replace(
        explain(small.engine(), [small.case()], "in_loop", config=QUICK)[0],
        case=case,
        answers=dict(zip(ROWS, (case.path, case.path[:1]) * 2, strict=True)),
        toolchains=dict(zip(ROWS, (case.toolchain, ()) * 2, strict=True)),
    )
    one.select(HOSTILE, method="in_loop")
    for shown in (one.view.words, one.view.carried, one.view.status, one.view.cost, one.view.links):
        assert tags(shown.value) <= {"p", "dfn"}
    assert "&lt;img" in one.view.words.value
    assert tags(one.view.table.value) <= {"table", "tr", "th", "td", "p", "svg", "rect", "line"}
    assert one.png()


GOOD = {
    "question": "Which <b>tool</b>?",
    "facts": ["<script>alert(1)</script>", ["a", "reads", "b"], "c"],
    "answer": "x",
}


@pytest.fixture
def pasted(model, tmp_path):
    lm = models.load(str(model), names={}, four_bit=False)
    models.add_adapter(lm, rank=2, alpha=4, modules=("q_proj",), dropout=0.0, seed=0)
    lm.model.save_pretrained(tmp_path / "adapter")
    return RecordPanel(tmp_path / "pasted", model=str(model), adapter=tmp_path / "adapter", decision="regex:(?s).+")


def test_what_is_pasted_is_explained_of_both_models_and_faults_stand_below_the_box(pasted, model, tmp_path):
    pasted.text.value = f"{json.dumps(GOOD)}\n{json.dumps({'question': 'q'})}"
    pasted.explain.click()
    assert "line 2, facts: it must be a list of 1 to 1,000 facts" in pasted.faults.value
    assert "1 of 2 records" in pasted.status.value and not pasted.explain.disabled
    log = tmp_path / "log.jsonl"
    log.write_text(json.dumps(GOOD))
    how = {"decision": "regex:(?s).+", "budget": 300}
    said = explain_log(log, model=str(model), adapter=tmp_path / "adapter", out=tmp_path / "run", **how).records[0]
    for name in ("tuned", "base"):
        assert f'class="model {name}"' in pasted.result.value
    facts = ", ".join(str(i + 1) for i in said["models"]["tuned"]["flips"][0]["facts"])
    assert f"Without fact{'s' if ', ' in facts else ''} {facts}:" in pasted.result.value
    assert "<script>" not in pasted.result.value and "&lt;script&gt;" in pasted.result.value
    still = pasted._repr_mimebundle_()["text/html"]
    assert pasted.result.value in still and "&lt;b&gt;tool" in still and "<b>tool" not in still


def test_one_record_over_several_lines_is_taken_and_what_cannot_be_asked_says_why(pasted):
    assert NOTHING in pasted.status.value
    pasted.text.value = json.dumps(GOOD, indent=2)
    pasted.recompute()
    assert pasted.faults.value == "" and "1 of 1 records" in pasted.status.value
    for name, value, why, status in (
        ("text", "", "holds no record", "Nothing was asked"),
        ("text", "{", "line 1, the line: it must be one JSON object", ""),
        ("text", "[" * 200_000, "line 1, the line: it must", "0 of 1 records"),
        ("decision", "nay", "no decision is called &#x27;nay&#x27;", "Nothing was asked"),
        ("model", "/none/<i>such", "&lt;i&gt;such", "Nothing was asked"),
    ):
        before, widget = getattr(pasted, name).value, getattr(pasted, name)
        widget.value = value
        pasted.recompute()
        assert why in pasted.faults.value and status in pasted.status.value
        widget.value = before


def test_the_model_stays_loaded_until_another_is_asked(pasted, model, monkeypatch):
    loaded, load = [], models.load

    def counted(*given, **how):
        loaded.append(weakref.ref(lm := load(*given, **how)))
        return lm

    monkeypatch.setattr(models, "load", counted)
    spent = []
    for question, adapter in (("one", True), ("one", True), ("two", True), ("two", False), ("three", False)):
        pasted.text.value = json.dumps({**GOOD, "question": question})
        pasted.adapter.value = pasted.adapter.value if adapter else ""
        pasted.recompute()
        assert "1 of 1 records" in pasted.status.value and len(loaded) == 1 + (not adapter)
        folder = pasted.status.value.removesuffix("</p>").rpartition("kept in ")[2]
        spent.append(runs.read_manifest(folder, "log")["ledger"]["tokens"])
    assert [one() is None for one in loaded] == [True, False], "what is not asked any more is freed"
    assert spent[0] == spent[1] and spent[2] < 2 * spent[0], "each log is booked alone"


def test_nothing_is_written_through_a_link(pasted, tmp_path):
    pasted.text.value = json.dumps(GOOD)
    (tmp_path / "elsewhere").mkdir()
    pasted.folder = tmp_path / "link"
    pasted.folder.symlink_to(tmp_path / "elsewhere")
    pasted.recompute()
    assert "follows no link" in pasted.faults.value and not any((tmp_path / "elsewhere").iterdir())
