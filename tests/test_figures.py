"""Pictures: each has a twin, is a sound PNG and SVG, asks for no network, and takes names as they are."""

import io
import json
import re
import warnings
from collections.abc import Callable
from dataclasses import replace

import explain_cases as small
import networkx as nx
import numpy as np
import plotly.graph_objects as go
import pytest
from matplotlib.figure import Figure as Sheet
from PIL import Image
from workbench.figures.spots import Link, Spot, curve

from workbench.cases import Case
from workbench.explain import METHODS, TERMS, Weights
from workbench.figures import Figure, case_graph, core, explain, kg, neighbourhood, objective, training
from workbench.kg import ENTITY_TYPES, RELATIONS, AgreementRow

HOSTILE = "<img src=x onerror=alert(1)> $\\frac{1}{2}$ %{y} 名前 \u202e\x07\n<b>bold</b>"
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


def hostile_case() -> Case:
    case = small.case(small.CHAIN + small.MORE)
    return replace(case, names={node: f"{name} {HOSTILE}" for node, name in case.names.items()})


def flow() -> nx.DiGraph:
    graph = hostile_graph()
    out = nx.DiGraph()
    for head, tail, relation in graph.edges(keys=True):
        if relation in kg.FLOW:
            out.add_edge(head, tail, relation=relation)
    out.add_nodes_from((node, graph.nodes[node]) for node in list(out))
    return out


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
    return explain.mask_bars(
        case, {HOSTILE: m, "in_loop": m[::-1]}, title=HOSTILE, removed={HOSTILE: case.elements[-2:]}
    )


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
    "neighbourhood": lambda: neighbourhood.neighbourhood(flow(), [PATH], at_most=3),
    "loss_curve": lambda: training.loss_curve([{"step": i, "loss": 3 / i} for i in range(1, 30)], steps=40),
    "loss_curve_empty": lambda: training.loss_curve([]),
    "scores": lambda: training.scores(SCORES),
    "case_graph": masked_case,
    "case_graph_plain": lambda: case_graph.case_graph(hostile_case(), title="plain"),
    "mask_bars": masks,
    "terms": lambda: objective.terms({HOSTILE: HISTORY, "in_loop": HISTORY[:3]}, Weights(), title=HOSTILE),
    "comparison": lambda: explain.comparison(SUMMARY, title=HOSTILE),
    "answers": answered,
}


@pytest.fixture(params=PICTURES, scope="module")
def figure(request: pytest.FixtureRequest) -> Figure:
    return PICTURES[request.param]()


def test_a_picture_is_two_figures_and_words(figure: Figure) -> None:
    assert isinstance(figure.live, go.Figure) and isinstance(figure.still, Sheet)
    assert len(figure.alt) > 20


def test_the_still_twin_is_a_sound_picture(figure: Figure) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        png = figure.png()
    with Image.open(io.BytesIO(png)) as picture:
        picture.load()
        assert picture.format == "PNG" and picture.size[0] > 600 and picture.size[1] > 150
        assert len(picture.convert("L").getcolors() or range(9)) > 2, "an empty picture"
    assert len(png) < 200_000


def test_the_same_picture_gives_the_same_svg(figure: Figure) -> None:
    svg = figure.svg()
    assert svg == figure.svg()
    assert svg.startswith(b"<?xml") and b"<script" not in svg and b"<image" not in svg
    assert set(re.findall(rb'href="(.)', svg)) <= {b"#"}


def test_the_live_twin_is_small_and_asks_for_no_network(figure: Figure) -> None:
    bundle = figure._repr_mimebundle_()
    assert set(bundle) == {"application/vnd.plotly.v1+json", "image/png", "text/plain"}
    live = json.dumps(bundle["application/vnd.plotly.v1+json"])
    assert len(live) < 150_000
    assert "http" not in live
    assert not bundle["application/vnd.plotly.v1+json"]["layout"].get("template"), "7 kB of defaults"


def texts(value: object) -> list[str]:
    """Every text of a plotly figure."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for key, item in value.items() if key != "bdata" for text in texts(item)]
    return [text for item in value for text in texts(item)] if isinstance(value, list) else []


def test_names_are_no_markup_formula_or_template(figure: Figure) -> None:
    for text in texts(core.live_json(figure.live)):
        assert set(re.findall("<[^>]*>", text)) <= {"<br>"}, text[:200]
        assert "$" not in text and "%{" not in text, text[:200]
        assert len(text) < 1000 and "\x07" not in text and "\u202e" not in text


def test_saving_writes_both_kinds(tmp_path) -> None:
    figure = PICTURES["loss_curve"]()
    png, svg = figure.save(tmp_path / "with.a.dot")
    assert png.read_bytes() == figure.png() and svg.read_bytes() == figure.svg()
    assert {path.name for path in tmp_path.iterdir()} == {"with.a.dot.png", "with.a.dot.svg"}


def test_every_entity_type_has_a_colour_and_a_shape_of_its_own() -> None:
    assert set(core.LOOKS) == set(ENTITY_TYPES)
    for part in ("colour", "marker", "symbol"):
        assert len({getattr(style, part) for style in core.LOOKS.values()}) == len(ENTITY_TYPES)
    assert core.REMOVED not in {style.colour for style in core.LOOKS.values()}


def test_every_term_has_a_panel() -> None:
    figure = PICTURES["terms"]()
    titles = {axes.get_title(loc="left") for axes in figure.still.axes}
    assert {f"× {name}" for name in TERMS} <= {f"× {title.rpartition('× ')[2]}" for title in titles}


def test_a_threshold_is_drawn_where_a_method_has_one() -> None:
    case = hostile_case()
    m = np.linspace(0, 1, len(case.elements))
    degrees = {"paper": m, "in_loop": m[::-1]}
    figure = explain.mask_bars(case, degrees, title="one line", thresholds={"paper": 0.7})
    assert [(shape.x0, shape.xref) for shape in figure.live.layout.shapes] == [(0.7, "x")]
    assert [[line.get_xdata()[0] for line in axes.lines] for axes in figure.still.axes] == [[0.7], []]
    assert not explain.mask_bars(case, degrees, title="none").live.layout.shapes


def test_each_mask_is_said_to_have_its_own_highest_element() -> None:
    case = small.case()
    m = np.linspace(0, 0.9, len(case.elements))
    alt = explain.mask_bars(case, {"paper": m, "in_loop": m[::-1]}, title="bars").alt
    assert "paper: samtools sort → BAM highest at 0.90; in_loop: ENA archive highest at 0.90" in alt


def test_methods_that_are_no_baselines_are_diamonds() -> None:
    figure = PICTURES["comparison"]()
    diamonds = {text.split(":")[0] for t in figure.live.data if t.marker.symbol == "diamond" for text in t.hovertext}
    assert diamonds == {"paper", "in_loop", "certified"}


def test_what_is_removed_is_marked_without_colour_too() -> None:
    figure = masked_case()
    names = [trace.name for trace in figure.live.data]
    assert "removed" in names
    dashes = {trace.line.dash for trace in figure.live.data if trace.mode == "lines"}
    assert "dash" in dashes
    assert {"removed", "gone with a node"} <= {text.get_text() for text in figure.still.legends[0].get_texts()}


def test_the_neighbourhood_says_how_much_it_shows() -> None:
    figure = PICTURES["neighbourhood"]()
    nodes = len(flow())
    assert f"showing {len(PATH)} of {nodes} nodes" in figure.alt, "the path is never cut"
    assert PICTURES["neighbourhood"]().svg() == figure.svg(), "the same seed, the same picture"


def test_columns_run_from_source_to_target() -> None:
    case = small.case(small.CHAIN + small.MORE)
    column = case_graph.columns(case)
    assert [column[node] for node in case.path] == list(range(len(case.path)))


def test_a_line_ends_at_the_rims() -> None:
    spots = [Spot(0, 0, "tool", size=20), Spot(2, 0, "tool", size=20)]
    line = curve(Link(0, 1), spots)
    assert line[0][0] > spots[0].radius and line[-1][0] < 2 - spots[1].radius
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
