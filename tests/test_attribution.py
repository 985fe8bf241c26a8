"""The registry of methods: one interface, clear refusals, rows as announced, scores by chance matched as announced.
Pictures of scores: signs and ranks are told without colour, numbers stand where they belong, names stay text."""

from collections import Counter

import explain_cases as small
import numpy as np
import pytest
from figure_checks import HOSTILE, check, hostile_case, legend, rows, words
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.colors import to_hex
from refusals import refused
from table_games import Counted, Smooth, additive, conjunction, disjunction, table, top
from tiny import chain_case

from workbench.attribution import METHODS, Method
from workbench.attribution.result import inner, player_indices, whole_masks
from workbench.cases import Case, Fact
from workbench.explain.baselines import element_type
from workbench.figures import Figure, core, explain
from workbench.game import Restricted
from workbench.stats.games import Meter

VALUES_ALONE = sorted(name for name, m in METHODS.items() if not m.needs)
LEFT_OUT = {"random"}


def on_case(case, value) -> Counted:
    """A set game that belongs to a case."""
    return Counted(len(case.elements), value, case=case)


def test_the_registry_holds_what_it_should_and_says_what_each_needs():
    assert {
        "random", "random_aligned", "random_degree", "attention_highest", "attention_lowest", "gradient_gate",
        "integrated_gradients", "leave_one_out", "feature_ablation", "single_fact", "context_cite", "kernel_shap",
        "shapley_sampling", "tracllm", "attn_trace", "reagent", "lima", "cf_gnn", "paper_masks", "loop_masks",
    } == set(METHODS)  # fmt: skip
    assert all(name == method.name and method.source for name, method in METHODS.items())
    assert METHODS["kernel_shap"].needs == () and METHODS["kernel_shap"].stochastic


@pytest.mark.parametrize("name", VALUES_ALONE)
@pytest.mark.parametrize("n", [1, 2, 7, 12])
def test_every_method_of_values_alone_scores_any_oracle(name, n):
    game, method = additive(np.linspace(-1, 2, n)), METHODS[name]
    scores = method(game, rng=np.random.default_rng(3)).scores
    assert scores.shape == (n,) and scores.dtype == np.float64
    plain = Meter(lambda keep: keep @ np.linspace(-1, 2, n), n)  # a bare function, counted
    again = method(plain, rng=np.random.default_rng(3)).scores
    assert np.array_equal(scores, again)
    if name not in LEFT_OUT and n > 2:
        assert scores[n // 2 :].mean() > scores[: n // 2].mean()


@pytest.mark.parametrize("name", [n for n in VALUES_ALONE if n not in LEFT_OUT])
@pytest.mark.parametrize("game", [conjunction, disjunction])
def test_methods_find_what_theory_says_they_find(name, game):
    members = {3, 5} if name == "lima" and game is conjunction else {2, 7}
    scores = METHODS[name](game(10, members), rng=np.random.default_rng(0)).scores
    # an element of an OR is not missed when it alone goes; one of an AND gives nothing when it alone is there
    blind = {("leave_one_out", disjunction), ("feature_ablation", disjunction), ("single_fact", conjunction)}
    if (name, game) in blind:
        assert np.array_equal(scores, np.zeros(10))
    elif (name, game) == ("reagent", disjunction):
        assert members & top(scores, 3)  # a probe stops at the first member that it finds
    else:
        assert top(scores, 2) == members


@pytest.mark.parametrize(
    ("name", "n", "rows"),
    [
        ("random", 20, 0),
        ("leave_one_out", 20, 21),
        ("single_fact", 20, 21),
        ("context_cite", 20, 64),
        ("kernel_shap", 20, 258),
        ("shapley_sampling", 20, 16 * 19 + 2),
        ("tracllm", 64, 294),
        ("lima", 64, 2590),
    ],
)
def test_rows_are_those_announced(name, n, rows):
    game = additive(np.arange(n, dtype=float))
    METHODS[name](game, rng=np.random.default_rng(0))
    # of orders that begin or end alike the masks are asked once
    assert game.rows == rows if name != "shapley_sampling" else 0.9 * rows < game.rows <= rows


def test_what_is_missing_is_named():
    game = additive([1.0, 2.0])
    refused("attn_trace needs a case", METHODS["attn_trace"], game)
    refused(r"has no gradients\(\)", METHODS["gradient_gate"], game)
    refused(r"has no attention\(\)", METHODS["attention_highest"], game)
    refused(r"n, its number of players.*Meter", METHODS["leave_one_out"], lambda keep: keep.sum(1))
    case = chain_case()
    refused("19 elements, its game 2", METHODS["leave_one_out"], game, case)
    whole = additive(np.ones(len(case.elements)))
    refused("give reference=", METHODS["random_aligned"], whole, case)
    refused("or not finite", METHODS["leave_one_out"], Counted(2, lambda keep: np.full(len(keep), np.nan)))
    refused("unknown needs", Method, "x", len, "", "0", needs=("luck",))


def test_only_players_are_removed_and_nodes_add_up_their_facts():
    case = chain_case()
    nodes, facts = len(case.nodes), len(case.facts)
    weights = np.concatenate([np.zeros(nodes), np.arange(1.0, facts + 1)])
    seen = []

    def value(keep):
        seen.append(keep)
        return keep @ weights

    scores = METHODS["single_fact"](on_case(case, value)).scores  # made for texts: facts play
    assert all(keep[:, :nodes].all() for keep in seen)
    assert np.allclose(scores[nodes:], weights[nodes:])
    for i, node in enumerate(case.nodes):
        assert scores[i] == sum(w for f, w in zip(case.facts, weights[nodes:], strict=True) if node in (f.head, f.tail))


@given(st.integers(2, 9), st.integers(0, 1000))
def test_masks_go_down_through_meters_and_restrictions(n, seed):
    rng = np.random.default_rng(seed)
    outer = rng.permutation(n)[: int(rng.integers(2, n + 1))]
    inside = rng.permutation(len(outer))[: int(rng.integers(1, len(outer) + 1))]
    below = table(n, seed)
    game = Restricted(Meter(Restricted(below, outer), len(outer)), inside)
    keep = rng.random((5, len(inside))) < 0.5
    whole = np.ones((5, n), dtype=bool)
    whole[:, outer[inside]] = keep
    assert np.array_equal(whole_masks(game, keep), whole)
    assert np.array_equal(player_indices(game), outer[inside]) and inner(game) is below
    assert np.array_equal(game(keep), below(whole))


def test_a_game_between_some_of_a_cases_elements_has_no_case():
    case = chain_case()
    whole = on_case(case, lambda keep: keep.sum(1))
    few = Restricted(whole, [2, 5, 11])
    assert METHODS["single_fact"](few).scores.tolist() == [1, 1, 1]
    refused("random_aligned needs a case", METHODS["random_aligned"], few, reference=[1])


def test_gradients_of_a_restricted_game():
    below = Smooth(5, {(0, 1): 2.0, (2, 3): 3.0, (4,): 1.0})
    game = Meter(Restricted(below, [1, 2, 4], off=[3, 4]), 3)
    assert METHODS["gradient_gate"](game).scores.tolist() == [2, 0, 0]
    assert np.allclose(METHODS["integrated_gradients"](game).scores, [2, 0, 0])


def test_aligned_chance_draws_the_reference_types():
    case = chain_case()
    game = additive(np.ones(len(case.elements)))
    inputs = [f for f in case.facts if f.relation == "input"]
    reference = ["command:fetch", inputs[0], inputs[1]]
    wanted = Counter(map(element_type, reference))
    drawn = set()
    for seed in range(30):
        scores = METHODS["random_aligned"](game, case, rng=np.random.default_rng(seed), reference=reference).scores
        best = top(scores, 3)
        assert Counter(element_type(case.elements[i]) for i in best) == wanted
        assert {i for i in best if scores[i] >= 1} == best and np.sort(scores)[-4] < 1
        drawn |= best
    own = {case.elements.index(e) for e in reference}
    assert drawn & own and len(drawn) > 3


def test_degree_matched_chance_draws_like_degrees():
    case = chain_case()
    game = additive(np.ones(len(case.elements)))
    degree = Counter(end for f in case.facts for end in (f.head, f.tail))
    hub = case.nodes.index("format_1")  # the only node of degree 3
    assert degree["format_1"] == max(degree.values()) == 3 and list(degree.values()).count(3) == 1
    for seed in range(10):
        rng = np.random.default_rng(seed)
        assert top(METHODS["random_degree"](game, case, rng=rng, reference=[hub]).scores, 1) == {hub}
        (fact,) = top(METHODS["random_degree"](game, case, rng=rng, reference=[len(case.nodes)]).scores, 1)
        assert fact >= len(case.nodes)
    refused("has no element", METHODS["random_degree"], game, case, reference=[Fact("a", "input", "b")])


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
