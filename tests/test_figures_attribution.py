"""Pictures of scores: signs and ranks are told without colour, numbers stand where they belong, names stay text."""

import explain_cases as small
import numpy as np
import pytest
from figure_checks import HOSTILE, check, hostile_case, legend, rows, words
from matplotlib.colors import to_hex

from workbench.cases import Case
from workbench.figures import Figure, core, explain

MEASURES = {"top_k_drop": "nats, higher is better", "lds": "rank correlation"}


def signed(case: Case | None = None, **more) -> Figure:
    case = case or small.case()
    one = np.linspace(-2.0, 1.0, len(case.elements))
    return explain.contributions(case, {"tuned": one, "base": one / 2, "difference": one / 2}, title="who", **more)


def ranked(case: Case | None = None) -> Figure:
    case = case or small.case()
    one = np.linspace(0.0, 1.0, len(case.elements))
    return explain.score_ranks(case, {"leave_one_out": one, HOSTILE: one[::-1] * 1e6}, title="ranks")


def faithful() -> Figure:
    interval = {"mean": 2.0, "low": 1.0, "high": 3.5, "n": 8}
    cells = {name: {measure: dict(interval) for measure in MEASURES} for name in ("leave_one_out", HOSTILE, "random")}
    cells["random"]["top_k_drop"]["mean"] = 1.25
    return explain.faithfulness(cells, title="faithful", measures=MEASURES, control="random")


PICTURES = {
    "contributions": lambda: signed(hostile_case(), errors={"tuned": np.full(15, 0.5)}),
    "score_ranks": lambda: ranked(hostile_case()),
    "faithfulness": faithful,
}


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_is_sound_and_takes_names_as_they_are(name: str) -> None:
    check(PICTURES[name]())


def test_bars_share_one_range_about_zero_that_holds_the_whiskers() -> None:
    ((low, high),) = {axes.get_xlim() for axes in signed(errors={"tuned": np.full(11, 0.5)}).still.axes}
    assert low == -high and high >= 2.5
    nothing = explain.contributions(small.case(), {"difference": np.zeros(11)}, title="nothing")
    assert nothing.png() and nothing.still.axes[0].get_xlim() == (-1.0, 1.0)


def test_a_sign_is_told_by_colour_hatch_and_legend_also_where_the_first_panel_has_one_sign_alone() -> None:
    one = np.linspace(0.5, 2.0, len(small.case().elements))
    figure = explain.contributions(small.case(), {"tuned": one, "difference": one - 1.0}, title="who")

    def look(bar) -> tuple[str, str]:
        return to_hex(bar.get_facecolor()), bar.get_hatch()

    keys = dict(zip(legend(figure), map(look, figure.still.legends[0].get_patches()), strict=True))
    assert keys == {"lowers" if b.get_width() < 0 else "raises": look(b) for b in figure.still.axes[1].patches}
    assert all(len(set(parts)) == 2 for parts in zip(*keys.values(), strict=True))


def test_bars_are_the_numbers_in_rows_that_ascend_in_the_last_panel() -> None:
    one = np.linspace(-2.0, 1.0, len(small.case().elements))
    figure = signed()
    for axes, factor in zip(figure.still.axes, (1, 0.5, 0.5), strict=True):
        drawn = {round(bar.get_y() + bar.get_height() / 2): bar.get_width() for bar in axes.patches}
        assert [drawn[k] for k in sorted(drawn)] == pytest.approx(sorted(factor * one))


def test_the_largest_of_any_panel_are_shown_and_counted() -> None:
    case = small.case(small.CHAIN + small.MORE)
    one, other = np.zeros(len(case.elements)), np.zeros(len(case.elements))
    one[2], other[9] = -3.0, 1.0
    figure = explain.contributions(case, {"a": one, "b": other}, title="few", most=2)
    assert "showing 2 of 15 elements" in figure.alt
    assert rows(figure) == ["• hisat2", "• FASTQ → hisat2"]  # by the last panel, from below
    assert "a: highest ENA archive at +0.00, lowest hisat2 at -3.00" in figure.alt


def test_ranks_are_written_and_ties_share_one() -> None:
    case = small.case()
    scores = np.array([5.0, 1.0, 1.0, *[0.0] * 8])
    figure = explain.score_ranks(case, {"m": scores}, title="ranks", most=3)
    assert words(figure) == ["1", "2", "2"]
    assert "m: ENA archive first" in figure.alt


def test_the_control_stands_apart_and_its_mean_is_a_line() -> None:
    figure = faithful()
    for axes, mean in zip(figure.still.axes, (1.25, 2.0), strict=True):
        methods, control = axes.containers
        assert control.lines[0].get_color() == core.GREY != methods.lines[0].get_color()
        assert list(control.lines[0].get_xdata()) == [mean] and axes.lines[0].get_xdata()[0] == mean
    assert "leave_one_out (n = 8) of lds: 2.00" in figure.alt
