"""Pictures: each is sound, says what its marks are, and takes names as they are."""

import io
from collections.abc import Callable
from dataclasses import replace

import explain_cases as small
import networkx as nx
import numpy as np
import pytest
from figure_checks import HOSTILE, check, hostile_case, legend, words
from PIL import Image

from workbench.explain import METHODS, TERMS, Weights
from workbench.figures import Figure, case_graph, core, explain, explored, kg, learning
from workbench.figures.drawing import LINE, Link, Spot, curve
from workbench.kg import ENTITY_TYPES, RELATIONS, AgreementRow, flow_graph

LONG = "n" * 10_000


def hostile_graph() -> nx.MultiDiGraph:
    """One node of each type, every relation once, all with names that are no names."""
    graph = nx.MultiDiGraph()
    edam = ("format", "data", "operation", "topic")
    ids = {kind: f"{kind}_1" if kind in edam else f"{kind}:1" for kind in ENTITY_TYPES}
    for kind, node in ids.items():
        graph.add_node(node, type=kind, name=f"{kind} {HOSTILE}")
    graph.add_node("format_2", type="format", name=LONG)
    for relation, (heads, tails) in RELATIONS.items():
        for head in heads:
            for tail in tails:
                graph.add_edge(ids[head], ids[tail], key=relation, relation=relation)
    return graph


def flow() -> nx.DiGraph:
    return flow_graph(hostile_graph())


PATH = ("source:1", "format_1", "command:1", "data_1")
HISTORY = [
    {"step": float(i), "loss": -i / 2, "loss_ema": -i / 3, **{name: i / (k + 1) for k, name in enumerate(TERMS)}}
    for i in range(1, 9)
]
SCORES = [
    {"model": model, "metric": metric, "share": share, "mean": 0.5, "low": 0.4, "high": 0.7, "n": 90}
    for model in ("base", HOSTILE)
    for metric in ("exact", "valid")
    for share in (0.0, 0.3, 0.6)
]
SUMMARY = {
    method: {metric: {"mean": 0.4, "low": 0.3, "high": 0.5, "n": 60} for metric in explain.DIRECTION}
    for method in (*METHODS, HOSTILE)
}
ROWS = [AgreementRow(f"input {HOSTILE}", 10, 8, 4, 2, 2), AgreementRow("nothing", 0, 0, 0, 0, 0)]


def masks() -> Figure:
    case = hostile_case()
    m = np.linspace(0, 1, len(case.elements))
    degrees, removed = {HOSTILE: m, "in_loop": m[::-1]}, {HOSTILE: case.elements[-2:]}
    return explain.mask_bars(case, degrees, title=HOSTILE, removed=removed)


def masked_case() -> Figure:
    case = hostile_case()
    removed = (case.nodes[1], case.facts[-1])
    return case_graph.case_graph(case, title=HOSTILE, degrees=np.linspace(0, 1, len(case.elements)), removed=removed)


def answered() -> Figure:
    case = hostile_case()
    chains = {"tuned_full": case.toolchain, "tuned_changed": case.toolchain[::2], "base_full": (), "base_changed": ()}
    return explain.answers(case, chains, case.names, title=HOSTILE)


PICTURES: dict[str, Callable[[], Figure]] = {
    "schema": lambda: kg.schema(hostile_graph()),
    "type_statistics": lambda: kg.type_statistics(hostile_graph()),
    "degree_statistics": lambda: kg.degree_statistics(hostile_graph()),
    "path": lambda: kg.path(flow(), [PATH], title=HOSTILE),
    "registry_agreement": lambda: kg.registry_agreement(ROWS),
    "neighbourhood": lambda: explored.neighbourhood(flow(), [PATH], at_most=3),
    "loss_curve": lambda: learning.loss_curve([{"step": i, "loss": 3 / i} for i in range(1, 30)], steps=40),
    "loss_curve_empty": lambda: learning.loss_curve([]),
    "scores": lambda: learning.scores(SCORES),
    "case_graph": masked_case,
    "case_graph_plain": lambda: case_graph.case_graph(hostile_case(), title="plain"),
    "mask_bars": masks,
    "terms": lambda: learning.terms({HOSTILE: HISTORY, "in_loop": HISTORY[:3]}, Weights(), title=HOSTILE),
    "comparison": lambda: explain.comparison(SUMMARY, title=HOSTILE),
    "answers": answered,
}


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_is_sound_and_takes_names_as_they_are(name: str) -> None:
    check(PICTURES[name]())


def test_scores_of_few_cases_are_counts_and_the_heads_say_of_how_many() -> None:
    """Whose numbers of cases are the same in every panel says so by name; where they differ, each panel does."""
    by_metric = [row | {"n": 2 if row["model"] == "base" else 40} for row in SCORES]
    figure = learning.scores(by_metric)
    check(figure)
    assert [name.endswith(n) for name, n in zip(legend(figure), ("(n = 2)", "(n = 40)"), strict=True)] == [True, True]
    assert words(figure) == ["1 of 2"] * 3 + ["0.50"] * 3
    whiskers = [part.lines[2][0] for part in figure.still.axes[0].containers if hasattr(part, "has_yerr")]
    assert [{len(ends) > 0 for ends in one.get_segments()} for one in whiskers] == [{False}, {True}]
    apart = [row | {"n": row["n"] // 2 if row["metric"] == "valid" else row["n"]} for row in by_metric]
    check(figure := learning.scores(apart))
    heads = [axes.get_title(loc="left").split("\n")[1] for axes in figure.still.axes]
    assert [head.startswith(f"base n = {n}, ") for head, n in zip(heads, (2, 1), strict=True)] == [True, True]
    assert not any("n =" in name for name in legend(figure))


def test_histories_of_unlike_length_stand_over_the_share_of_their_steps() -> None:
    long, short = (PICTURES["terms"]().still.axes[-1].lines[k].get_xdata() for k in (0, 2))
    assert (long[-1], short[-1]) == (1, 1) and "in_loop (3 steps)" in legend(PICTURES["terms"]())
    alike = learning.terms({"a": HISTORY, "b": HISTORY}, Weights(), title="alike")
    assert alike.still.axes[-1].lines[0].get_xdata()[-1] == 8 and legend(alike) == ["a", "b"]


def test_every_entity_type_has_a_colour_and_a_shape_of_its_own() -> None:
    assert set(core.LOOKS) == set(ENTITY_TYPES)
    for part in ("colour", "marker", "symbol"):
        assert len({getattr(style, part) for style in core.LOOKS.values()}) == len(ENTITY_TYPES)
    assert core.REMOVED not in {style.colour for style in core.LOOKS.values()}


def test_every_term_has_a_panel() -> None:
    figure = PICTURES["terms"]()
    titles = {axes.get_title(loc="left") for axes in figure.still.axes}
    assert {f"× {name}" for name in TERMS} <= {f"× {title.rpartition('× ')[2]}" for title in titles}


def test_masks_have_a_threshold_where_their_method_has_one_and_each_its_own_highest_element() -> None:
    case = small.case()
    m = np.linspace(0, 0.9, len(case.elements))
    degrees = {"paper": m, "in_loop": m[::-1]}
    figure = explain.mask_bars(case, degrees, title="one line", thresholds={"paper": 0.7})
    assert [[line.get_xdata()[0] for line in axes.lines] for axes in figure.still.axes] == [[0.7], []]
    assert "threshold" in legend(figure)
    assert "threshold" not in legend(explain.mask_bars(case, degrees, title="none"))
    assert "paper: samtools sort → BAM highest at 0.90; in_loop: ENA archive highest at 0.90" in figure.alt


def test_methods_that_are_no_baselines_stand_apart_from_baselines() -> None:
    figure = PICTURES["comparison"]()
    ours, baselines = figure.still.axes[0].containers
    assert (len(ours.lines[0].get_xdata()), len(baselines.lines[0].get_xdata())) == (3, len(METHODS) + 1 - 3)
    assert ours.lines[0].get_marker() != baselines.lines[0].get_marker()
    assert legend(figure) == ["mask or set: mean, 95 % interval", "baseline: mean, 95 % interval"]


def test_the_legend_names_every_mark_and_what_is_removed_is_told_without_colour() -> None:
    marks = {"removed", "gone with a node", "right answer", "degree of removal: wider is higher"}
    assert marks <= set(legend(masked_case()))
    assert "removed" not in legend(PICTURES["case_graph_plain"]())
    (lines,) = masked_case().still.axes[0].collections[:1]
    assert {dashes is not None for _, dashes in lines.get_linestyles()} == {True, False}


@pytest.mark.parametrize("name", ["DEXSeq exon counts", "abundances_by_gene"])
def test_a_long_name_at_the_edge_of_a_graph_is_not_cut(name: str) -> None:
    case = small.case()  # of few columns: lines are long
    long = replace(case, names=case.names | {case.source: name, case.target: name})
    check(explain.case_graph(long, title="long names"))


def test_an_answer_stands_below_the_one_before_it_with_what_changed_at_its_place() -> None:
    case = small.case()
    first, *rest = case.toolchain
    said = (case.toolchain, (first, "command:new"), (), ())
    chains = dict(zip(("tuned_full", "tuned_changed", "base_full", "base_changed"), said, strict=True))
    figure = explain.answers(case, chains, case.names, title="answers")
    places = [(*text.get_position(), text.get_text()) for text in figure.still.axes[0].texts]
    at = {(round(y), name): x for x, y, name in places}
    lost, name = case.names[rest[0]], case.names[first]
    assert at[1, lost] == at[2, f"− {lost}"] and at[1, name] == at[2, name] < at[2, "+ command:new"]
    assert (3, "(no command)") in at and (4, "(no command)") in at
    both = case_graph.case_graph(case, title="both", removed=[rest[0]], toolchains=chains, names=case.names)
    check(both)
    assert words(both, 1) == words(figure) and both.alt.startswith("both: ") and "tuned on Gc" in both.alt


def test_the_neighbourhood_says_how_much_it_shows_and_its_names_to_the_pointer() -> None:
    figure, whole = PICTURES["neighbourhood"](), flow()
    assert f"showing {len(PATH)} of {len(whole)} nodes" in figure.alt, "the path is never cut"
    assert {tip.text.split("\n")[0] for tip in figure.tips} == {whole.nodes[n]["name"].split("\n")[0] for n in PATH}
    assert PICTURES["neighbourhood"]().svg() == figure.svg() == figure.svg(), "the same seed, the same picture"


def test_columns_run_from_source_to_target() -> None:
    case = small.case(small.CHAIN + small.MORE)
    column = {node: spot.x for node, spot in zip(case.nodes, case_graph.drawing(case)[0], strict=True)}
    along = [column[node] for node in case.path]
    assert along == sorted(set(along)) and min(column.values()) == along[0]


def test_a_line_ends_at_the_rims() -> None:
    spots = [Spot(0, 0, "tool", size=20), Spot(2, 0, "tool", size=20)]
    line = curve(Link(0, 1), spots)
    assert line[0][0] > spots[0].radius and line[-1][0] < 2 - spots[1].radius
    below = [Spot(0, 0, "tool", size=20), Spot(0, 2, "tool", ("two", "lines"), size=20)]
    high = {side: curve(Link(0, 1), [below[0], replace(below[1], place=side)])[-1][1] for side in ("above", "below")}
    assert high["below"] < 2 - spots[1].radius - 2 * LINE < high["above"], "the head is not behind the label"
    loop = curve(Link(0, 0, loop=0), spots)
    assert np.hypot(*loop.T).min() > spots[0].radius * 0.9 and loop[:, 0].max() > 2 * spots[0].radius


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("samtools sort", ("samtools sort",)),
        ("picard CollectInsertSizeMetrics", ("picard Collect", "InsertSize", "Metrics")),
        ("", ("?",)),
        ("a" * 20, ("a" * 15, "a" * 5)),
    ],
)
def test_wrapped(name: str, lines: tuple[str, ...]) -> None:
    assert core.wrapped(name) == lines


def test_short_keeps_both_ends() -> None:
    assert core.short("samtools \n sort") == "samtools sort"
    cut = core.short("a" * 50 + "b" * 50, 21)
    assert len(cut) == 21 and cut.startswith("aaa") and cut.endswith("bbb")


def test_stacked_pictures_are_one() -> None:
    one, other = PICTURES["answers"](), PICTURES["case_graph"]()
    sizes = [Image.open(io.BytesIO(figure.png())).size for figure in (one, other)]
    whole = Image.open(io.BytesIO(core.stacked([one, other]))).size
    assert whole == (max(w for w, _ in sizes), sum(h for _, h in sizes))


def test_the_users_matplotlib_settings_stay_and_do_not_matter() -> None:
    import matplotlib

    plain = PICTURES["scores"]().svg()
    with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "red", "text.usetex": False}):
        before = dict(matplotlib.rcParams)
        assert "30" not in str(PICTURES["scores"]().still.axes[0].title.get_fontsize())
        assert dict(matplotlib.rcParams) == before
    assert PICTURES["scores"]().svg() == plain
