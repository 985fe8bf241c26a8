"""The shift explorer, driven by setting values, and the settings it asks for, against adapters switched and scaled."""

import itertools
import json
from dataclasses import replace

import numpy as np
import pytest
from dosed_models import MODULES, tiny
from figure_checks import TAGGED as HOSTILE
from figure_checks import plain, tags
from matplotlib.axes import Axes
from matplotlib.text import Text
from refusals import refused
from tiny import NAMES, chain_case

from workbench.cases import toolchain
from workbench.figures.dose import linked
from workbench.game import Engine, Game, Memory, adapted_modules
from workbench.game.rows import named_path
from workbench.hands.narrative.names import chain
from workbench.hands.panel.shift import ShiftPanel
from workbench.shift.element_measures import element_rows, with_measures
from workbench.shift.response import GRID, Settings

CASE = chain_case()
OTHER = replace(CASE, id="other", facts=CASE.facts[::-1])


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine(tiny())


def elements(cases):
    rng = np.random.default_rng(0)
    values = {name: [rng.random(len(case.elements)) for case in cases] for name in ("mask (in loop)", "attention")}
    values["q_proj shift"] = [np.arange(len(case.elements)) / 10 for case in cases]
    return with_measures(element_rows(cases), cases, values)


def panel(engine: Engine) -> ShiftPanel:
    return ShiftPanel(engine, [CASE, OTHER], elements=elements([CASE, OTHER]))


def test_dose_one_is_the_tuned_model_dose_zero_the_base_and_a_switch_an_adapter_without_that_module(engine) -> None:
    one = Settings(engine, CASE)
    assert one.at(1.0).path == engine.answers([CASE])[0]
    assert one.at(0.0).path == engine.answers([CASE], adapter=False)[0] == one.at(0.7, range(MODULES)).path
    off = one.at(1.0, [2])
    module = adapted_modules(engine.lm.model)[2]
    assert one.play.names[2] == module.name
    kept = module.B.weight.data.clone()
    module.B.weight.data.zero_()
    try:
        bare = Game(engine, CASE, one.game.answer, form=one.game.form, memory=Memory(other=one.game.memory.other))
        assert engine.answers([CASE])[0] == off.path
        assert bare(np.ones((1, bare.n), bool))[0] == pytest.approx(off.value, abs=1e-4)
    finally:
        module.B.weight.data.copy_(kept)


def test_curve_and_losses_are_the_values_of_their_settings(engine) -> None:
    one = Settings(engine, CASE)
    for dose, value in zip(GRID, one.curve([1]), strict=True):
        assert one.at(dose, [1]).value == pytest.approx(value, abs=1e-4)
    for k, loss in enumerate(one.losses):
        assert one.at().value - one.at(1.0, [k]).value == pytest.approx(loss, abs=1e-4)
    calls = engine.ledger.calls
    assert one.at(GRID[0], [1]) and one.curve([1]).shape == (len(GRID),)
    assert engine.ledger.calls == calls, "what was asked costs nothing"
    refused("finite", one.at, float("nan"))
    refused("numbered", one.at, 1.0, [MODULES])


def test_slider_and_switches_lead_to_the_answer_and_the_margin(engine) -> None:
    one = panel(engine)
    assert one.view.dose.min == 0 and one.view.dose.max == 1.5 and one.answered.dose == 1.0
    before = one.view.response.value
    one.view.dose.value = 0.5
    assert one.answered == one.settings.at(0.5) and one.view.response.value != before
    other = chain(toolchain(named_path(engine, CASE, one.settings.game.other)), NAMES)
    told = f"as trained over {other} is {one.settings.at(0.5).value:+.2f} nats"
    assert one.settings.game.form == "margin" and told in plain(one.view.words.value)
    one.view.board.part.heard({"switch": 3})
    assert one.answered == one.settings.at(0.5, [3]) and one.off == (3,)
    assert one.view.board.part.cells[3]["text"] == "✕ off" and "1 of 4 modules off" in plain(one.view.words.value)
    one.view.board.part.heard({"switch": 4})
    assert one.off == (3,), "there is no fifth module"
    one.view.trained.click()
    assert one.answered == one.settings.at() and one.off == () and one.view.dose.value == 1.0
    refused("dose", one.set, 2.0)


def test_an_answer_to_what_is_no_longer_set_is_not_shown(engine, monkeypatch) -> None:
    one, asked = panel(engine), []
    monkeypatch.setattr(one.worker, "run", lambda kind, work, done, failed: asked.append((work, done)))
    one.view.dose.value = 0.5
    (work, done), *_ = asked
    one.view.trained.click()
    done(work(None))
    assert one.answered == one.settings.at() and one.off == () and one.view.dose.value == 1.0
    one.view.dose.value = 0.5
    work, done = asked[-1]
    done(work(None))
    assert one.answered == one.settings.at(0.5)


def test_every_switch_says_its_place_and_state(engine) -> None:
    one = panel(engine)
    one.set(off=[1])
    cells = one.view.board.part.cells
    assert [cell["off"] for cell in cells] == [False, True, False, False]
    assert cells[1]["said"].startswith("v_proj of layer 0, off: ")
    assert cells[2]["said"].startswith("q_proj of layer 1, on: ")
    assert max(abs(cell["share"]) for cell in cells) == 1.0
    assert [np.sign(cell["share"]) for cell in cells] == np.sign(one.settings.losses).tolist()


def test_one_element_is_marked_everywhere(engine) -> None:
    one = panel(engine)
    one.view.element.value = 2
    assert one.picked == 2 and one.view.measured.value.count("▶") == 1
    drawn = one.view.graph.part.drawing
    assert [s["key"] for s in drawn["spots"] if s["label"].startswith("▶")] == [2]
    row = one.rows[one.rows["element"] == 2].iloc[0]
    for measure in one.measures:
        assert f"{measure} {row[measure]:.2g}" in plain(one.view.picked.value)
    assert f"Picked: mask (in loop): {row['mask (in loop)']:.3g}" in one.pictures()[-1].alt
    one.view.graph.part.heard({"toggle": len(CASE.nodes)})
    assert one.picked == len(CASE.nodes) == one.view.element.value and "facts, the highest" in one.pictures()[-1].alt
    one.view.measure.value = "attention"
    assert "rims by attention" in one.view.graph.part.drawing["title"]
    one.pick(CASE.facts[1])
    assert one.picked == len(CASE.nodes) + 1
    refused("no element", one.pick, "nowhere")


def test_titles_of_many_measures_have_room_in_the_picture() -> None:
    names = [
        *("mask (paper)", "mask (in loop)", "certified set", "leave one out", "delta", "size of delta", "gradient"),
        *("attention", "attention rollout", "q_proj shift", "v_proj shift", "saliency shift"),
    ]
    rng = np.random.default_rng(0)
    values = {name: [rng.normal(size=len(CASE.elements))] for name in names}
    rows = with_measures(element_rows([CASE]), [CASE], values)
    figure = linked(rows[rows["kind"] == "node"], names, picked=0)
    assert "5 of 12 measures" in figure.alt and "q_proj shift" in figure.alt and "attention" in figure.alt
    figure.still.draw_without_rendering()
    for row in (heads := [_head(axes) for axes in figure.still.axes]), [axes.xaxis.label for axes in figure.still.axes]:
        boxes = [text.get_window_extent() for text in row]
        assert all(left.x1 < right.x0 for left, right in itertools.pairwise(boxes))
    assert [text.get_text() for text in heads][:2] == ["mask (paper)", "mask (in loop)"] and len(heads) == 5


def _head(axes: Axes) -> Text:
    """The title of an axes, wherever it is aligned."""
    return next(
        t for t in axes.findobj(Text) if t.get_text() == axes.get_title(loc="left") and t.get_position()[1] == 1
    )


def test_state_is_json_and_brings_everything_back(engine, tmp_path) -> None:
    one, other = panel(engine), panel(engine)
    one.select("other")
    one.set(0.25, off=[0, 2])
    one.pick(1)
    other.view.saved.value = json.dumps(one.state)
    other.view.apply.click()
    assert other.state == one.state and other.answered == one.answered and other.case.id == "other"
    written = one.export(tmp_path / "set")
    assert [path.suffix for path in written] == [".png", ".svg", ".csv", ".json"]
    assert json.loads(written[3].read_text()) == one.state
    other.view.saved.value = json.dumps(one.state | {"off": ["nowhere"]})
    other.view.apply.click()
    assert "no module" in other.view.status.value and other.state == one.state
    other.view.saved.value = "{"
    other.view.apply.click()
    assert other.view.status.value.startswith("error")


def test_without_measures_it_shows_doses_and_switches_alone(engine) -> None:
    one = ShiftPanel(engine, [CASE])
    one.pick(0)
    assert one.measures == [] and len(one.pictures()) == 2 and one.view.picked.value == "<p></p>"
    refused("one case or more", ShiftPanel, engine, [])


def test_hostile_names_are_text_and_the_still_face_is_a_picture(engine) -> None:
    names = {node: f"{HOSTILE}{name}" for node, name in NAMES.items()}
    case = replace(CASE, id=HOSTILE, names=names)
    asked = Engine(replace(engine.lm, names=names))
    one = ShiftPanel(asked, [case], elements=elements([case]))
    one.pick(1)
    one.view.export.click()
    view = one.view
    for shown in (view.words, view.picked, view.status, view.answers, view.measured):
        assert tags(shown.value) <= {"p", "dfn", "table", "tr", "th", "td", "b"}
    assert tags(view.response.value) == {"svg", "polyline", "polygon", "text"} and "<img" not in view.response.value
    assert one._repr_mimebundle_()["image/png"]
