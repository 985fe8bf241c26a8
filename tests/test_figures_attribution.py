"""Pictures of scores: both twins say the same, signs and ranks are told without colour, names stay text."""

import json
import re
from dataclasses import replace

import explain_cases as small
import numpy as np
import pytest
from matplotlib.colors import to_hex
from test_figures import HOSTILE, texts

from workbench.cases import Case
from workbench.figures import Figure, attribution, core

MEASURES = {"top_k_drop": "nats, higher is better", "lds": "rank correlation"}


def hostile_case() -> Case:
    case = small.case(small.CHAIN + small.MORE)
    return replace(case, names={node: f"{name} {HOSTILE}" for node, name in case.names.items()})


def signed(case: Case | None = None, **more) -> Figure:
    case = case or small.case()
    one = np.linspace(-2.0, 1.0, len(case.elements))
    return attribution.contributions(case, {"tuned": one, "base": one / 2, "difference": one / 2}, title="who", **more)


def ranked(case: Case | None = None) -> Figure:
    case = case or small.case()
    one = np.linspace(0.0, 1.0, len(case.elements))
    return attribution.score_ranks(case, {"leave_one_out": one, HOSTILE: one[::-1] * 1e6}, title="ranks")


def faithful() -> Figure:
    interval = {"mean": 2.0, "low": 1.0, "high": 3.5, "n": 8}
    cells = {name: {measure: dict(interval) for measure in MEASURES} for name in ("leave_one_out", HOSTILE, "random")}
    cells["random"]["top_k_drop"]["mean"] = 1.25
    return attribution.faithfulness(cells, title="faithful", measures=MEASURES, control="random")


PICTURES = {
    "contributions": lambda: signed(hostile_case()),
    "contributions_errors": lambda: signed(errors={"tuned": np.full(11, 0.5)}),
    "score_ranks": lambda: ranked(hostile_case()),
    "faithfulness": faithful,
}


@pytest.mark.parametrize("name", PICTURES)
def test_both_twins_are_sound_small_and_take_names_as_they_are(name: str) -> None:
    figure = PICTURES[name]()
    assert figure.png().startswith(b"\x89PNG") and len(figure.png()) < 200_000
    svg = figure.svg()
    assert svg == figure.svg() and b"<image" not in svg and set(re.findall(rb'href="(.)', svg)) <= {b"#"}
    live = core.live_json(figure.live)
    assert "http" not in json.dumps(live) and live["data"] and len(figure.alt) > 20
    for text in texts(live):
        assert set(re.findall("<[^>]*>", text)) <= {"<br>"} and "$" not in text and "%{" not in text


def test_bars_share_one_range_about_zero_that_holds_the_whiskers() -> None:
    figure = signed(errors={"tuned": np.full(11, 0.5)})
    spans = {axes.get_xlim() for axes in figure.still.axes}
    ((low, high),) = spans
    assert low == -high and high >= 2.5
    assert all(tuple(figure.live.layout[f"xaxis{end}"].range) == (low, high) for end in ("", "2", "3"))


def test_a_sign_is_told_by_colour_and_by_hatch_and_by_the_legend() -> None:
    figure = signed()
    looks = {
        (to_hex(bar.get_facecolor()), bar.get_hatch(), bar.get_width() < 0) for bar in figure.still.axes[0].patches
    }
    (up, down) = sorted(looks, key=lambda look: look[2])
    assert up[0] != down[0] and up[1] != down[1]
    assert [text.get_text() for text in figure.still.legends[0].get_texts()] == ["raises", "lowers"]
    assert [trace.name for trace in figure.live.data[:2]] == ["raises", "lowers"]


def test_live_bars_and_still_bars_are_the_same_numbers() -> None:
    case = small.case()
    one = np.linspace(-2.0, 1.0, len(case.elements))
    figure = signed()
    for i, factor in enumerate((1, 0.5, 0.5)):
        still = {round(bar.get_y() + bar.get_height() / 2): bar.get_width() for bar in figure.still.axes[i].patches}
        live = {
            int(y): x for trace in figure.live.data[2 * i : 2 * i + 2] for x, y in zip(trace.x, trace.y, strict=True)
        }
        assert still == pytest.approx(live)
        assert [still[k] for k in sorted(still)] == pytest.approx(sorted(factor * one))  # rows ascend from below


def test_the_largest_of_any_panel_are_shown_and_counted() -> None:
    case = small.case(small.CHAIN + small.MORE)
    one, other = np.zeros(len(case.elements)), np.zeros(len(case.elements))
    one[2], other[9] = -3.0, 1.0
    figure = attribution.contributions(case, {"a": one, "b": other}, title="few", most=2)
    assert "showing 2 of 15 elements" in figure.alt
    labels = [text.get_text() for text in figure.still.axes[0].get_yticklabels()]
    assert labels == ["• hisat2", "• FASTQ → hisat2"]  # by the last panel, from below
    assert "a: highest ENA archive at +0.00, lowest hisat2 at -3.00" in figure.alt


def test_scores_that_are_all_zero_are_drawn() -> None:
    case = small.case()
    figure = attribution.contributions(case, {"difference": np.zeros(len(case.elements))}, title="nothing")
    assert figure.png() and figure.still.axes[0].get_xlim() == (-1.0, 1.0)


def test_ranks_are_written_in_both_twins_and_ties_share_one() -> None:
    case = small.case()
    scores = np.array([5.0, 1.0, 1.0, *[0.0] * 8])
    figure = attribution.score_ranks(case, {"m": scores}, title="ranks", most=3)
    numbers = [text.get_text() for text in figure.still.axes[0].texts]
    assert numbers == ["2", "2", "1"] == [note.text for note in figure.live.layout.annotations]  # rows from below
    assert "m: ENA archive first" in figure.alt


def test_methods_in_unlike_units_stand_side_by_side() -> None:
    figure = ranked()
    z = np.array(figure.live.data[0].z)
    assert z.min() >= 0 and z.max() <= 1 and z.shape[1] == 2


def test_the_control_is_grey_and_its_mean_is_a_line() -> None:
    figure = faithful()
    grey = [trace for trace in figure.live.data if trace.marker.symbol == "circle"]
    assert len(grey) == len(MEASURES) and all(trace.marker.color == core.GREY for trace in grey)
    assert [shape.x0 for shape in figure.live.layout.shapes] == [1.25, 2.0]
    assert "leave_one_out: top_k_drop 2.00, lds 2.00" in figure.alt
