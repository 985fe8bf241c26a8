"""Pictures of the shift: both twins of every figure, many layers, nothing to show, names that look like markup."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from shift_adapters import one_module, save_adapter
from shift_tables import rank_agreement, side_by_side
from tiny import chain_case

from workbench.cases import Fact
from workbench.figures import Figure, agreement, matrix, shift, tokens
from workbench.shift import (
    agreement_tests,
    by_group,
    causal_check,
    element_layers,
    growth,
    separation,
    spectra,
)

CASE = chain_case()
HOSTILE = {node: f"$x_{i}$ <b>{i}</b> %{{y}}\n\u202e&amp;" for i, node in enumerate(CASE.names)}
PNG = b"\x89PNG"


def adapter(folder: Path, layers: int, *, zero: bool = False) -> Path:
    names = [one_module(layer, p) for layer in range(layers) for p in ("q_proj", "v_proj")]
    save_adapter(folder, dict.fromkeys(names, (12, 10, 4)), lora_alpha=0 if zero else 8)
    return folder


def token_rows(names: dict[str, str], layers: int = 3, value: float | None = None) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    rows = []
    for i, element in enumerate(CASE.elements):
        kind, node = ("fact", "") if isinstance(element, Fact) else ("node", element)
        for layer in range(layers):
            for projection in ("q_proj", "v_proj"):
                row = (CASE.id, i, kind, node, layer, projection)
                rows.append((*row, *(rng.random(4) if value is None else [value] * 4)))
    values = ["embedding", "embedding_relative", "context", "context_relative"]
    return pd.DataFrame(rows, columns=["case", "element", "kind", "node", "layer", "projection", *values])


def compared(constant: bool = False) -> pd.DataFrame:
    rng, n = np.random.default_rng(0), len(CASE.elements)
    mask = np.zeros(n) if constant else rng.random(n)
    return side_by_side(
        [CASE], masks={"mask (in loop)": [mask]}, attention=[rng.random(n)], shift=token_rows(CASE.names)
    )


def check(figure: Figure, panels: int) -> None:
    """Both twins are there, say the same, and no text of the data became markup."""
    content = figure._repr_mimebundle_()
    assert figure.png().startswith(PNG) and figure.svg().startswith(b"<?xml")
    live = content["application/vnd.plotly.v1+json"]
    assert live["data"] and figure.alt == content["text/plain"] and figure.alt.endswith(".")
    labelled = [axes for axes in figure.still.axes if axes.get_xlabel()]
    assert len(labelled) == panels == sum(1 for k in live["layout"] if k.startswith("xaxis"))
    for i, axes in enumerate(labelled):
        title = live["layout"][f"xaxis{i + 1 if i else ''}"]["title"]["text"]
        assert axes.get_xlabel() == title
    assert not any(f"<{tag}" in str(live) for tag in ("b>0", "script", "img"))


@pytest.mark.parametrize("layers", [1, 3, 32])
def test_weights_from_one_layer_to_many(tmp_path: Path, layers: int) -> None:
    table = spectra(adapter(tmp_path, layers))
    check(shift.norms(table), 3)
    for step in (5, 10):
        adapter(tmp_path / "checkpoints" / f"checkpoint-{step}", layers)
    figure = shift.growth_curves(growth(tmp_path))
    check(figure, 2)
    (legend,) = figure.still.legends
    assert len(legend.get_texts()) == min(layers, 9)


def test_growth_has_a_line_for_every_module(tmp_path: Path) -> None:
    for step in (5, 10):
        adapter(tmp_path / "checkpoints" / f"checkpoint-{step}", 3)
    figure = shift.growth_curves(growth(tmp_path))
    check(figure, 2)
    assert len(figure.live.data) == 6 and list(figure.live.data[0].x) == [5, 10]


def test_an_adapter_that_changes_nothing_can_be_drawn(tmp_path: Path) -> None:
    table = spectra(adapter(tmp_path, 2, zero=True))
    check(shift.norms(table), 3)
    rows = token_rows(CASE.names, value=0.0)
    check(tokens.element_map({name: element_layers(rows, CASE, name) for name in ("q_proj", "v_proj")}, CASE), 2)


def test_names_are_text_in_every_picture() -> None:
    table = compared().assign(name=[f"$x_{i}$ <b>0</b> <img src=x>" for i in range(len(CASE.elements))])
    check(agreement.element_bars(table, ["mask (in loop)", "attention"]), 2)


@pytest.mark.parametrize("kind", ["node", "fact"])
def test_bars_are_sorted_by_the_first_measure(kind: str) -> None:
    table = compared()
    figure = agreement.element_bars(table, ["mask (in loop)", "attention", "q_proj shift"], kind=kind)
    check(figure, 3)
    rows = table[table.kind == kind].sort_values("mask (in loop)")
    assert [label.get_text() for label in figure.still.axes[0].get_yticklabels()] == list(rows.name)
    drawn = {y: x for bar in figure.live.data[:2] for x, y in zip(bar.x, bar.y, strict=True)}
    np.testing.assert_allclose([drawn[i] for i in range(len(rows))], rows["mask (in loop)"])


def test_agreement_and_separation_leave_out_what_is_not_defined() -> None:
    rng = np.random.default_rng(0)
    for constant in (False, True):
        tables = {kind: rank_agreement(compared(constant), kind=kind, rng=rng, draws=19) for kind in ("node", "fact")}
        figure = agreement.agreement(tables)
        check(figure, 2)
        points = [trace for trace in figure.live.data if trace.type == "scatter"]
        assert len(points[0].x) == (3 if constant else 6)
    check(agreement.separation({kind: separation(compared(), kind=kind, rng=rng) for kind in ("node", "fact")}), 2)


@pytest.mark.parametrize("kind", ["node", "fact"])
def test_the_matrix_has_kendall_below_and_spearman_above(kind: str) -> None:
    tests = agreement_tests(compared(), rng=np.random.default_rng(0), draws=19)
    names = ["mask (in loop)", "attention", "q_proj shift", "v_proj shift"]
    tests.loc[tests["first"] == "attention", ["holm", "bh"]] = 0.01
    tests.loc[tests["second"] == "attention", ["holm", "bh"]] = [0.2, 0.01]
    figure = matrix.agreement_matrix(tests, kind=kind)
    check(figure, 1)
    grid = np.array(figure.live.data[0].z, dtype=float)
    assert np.isnan(np.diag(grid)).all() and [t.get_text() for t in figure.still.axes[0].get_yticklabels()] == names
    rows = tests[(tests.kind == kind) & (tests["first"] == names[0]) & (tests["second"] == names[3])]
    values = rows.set_index("statistic")["mean"]
    assert (grid[3, 0], grid[0, 3]) == pytest.approx((values["kendall"], values["spearman"]))
    strict, loose = figure.live.data[1:]
    assert len(strict.x) == 4 and len(loose.x) == 2  # two pairs with attention first, one with it second


def test_the_matrix_can_be_drawn_where_nothing_is_defined() -> None:
    tests = agreement_tests(compared(constant=True), rng=np.random.default_rng(0), draws=19)
    check(matrix.agreement_matrix(tests), 1)


def test_the_element_map_shows_nodes_then_facts_by_layers() -> None:
    rows = token_rows(HOSTILE)
    case = replace(CASE, names=HOSTILE)
    maps = {name: element_layers(rows, case, name) for name in ("q_proj", "v_proj")}
    figure = tokens.element_map(maps, case)
    check(figure, 2)
    np.testing.assert_allclose(np.array(figure.live.data[1].z), maps["v_proj"].to_numpy())
    labels = [label.get_text() for label in figure.still.axes[0].get_yticklabels()]
    dotted = [i for i, label in enumerate(labels) if label.startswith(tokens.MARK.strip())]
    needed = [e in case.needed if isinstance(e, Fact) else e in case.path for e in case.elements]
    assert dotted == list(np.flatnonzero(needed))


def test_group_shift_has_a_row_a_group() -> None:
    rows = token_rows(CASE.names)
    tables = {by: by_group(rows, [CASE], by, rng=np.random.default_rng(0)) for by in ("type", "relation")}
    figure = tokens.group_shift(tables)
    check(figure, 2)
    last = tables["type"][tables["type"].projection == "v_proj"]["group"]
    labels = [label.get_text() for label in figure.still.axes[0].get_yticklabels()][::-1]
    assert labels[: len(last)] == [f"type: {group}" for group in last]


@pytest.mark.parametrize("outcome", ["drop", "flipped"])
def test_causal_drops_stand_beside_chance(outcome: str) -> None:
    rng = np.random.default_rng(0)
    rows = [
        {"case": str(c), "measure": m, "kind": kind, "k": 3, "drop": rng.random() + 5 * (m == "good"),
         "flipped": float(m == "good"), "random_drop": rng.random(), "random_flipped": 0.2 * (c % 2)}
        for c in range(12) for m in ("good", "bad") for kind in ("node", "fact")
    ]  # fmt: skip
    found = causal_check(pd.DataFrame(rows), rng=rng)
    figure = agreement.causal_drop(found, outcome=outcome, k=3)
    check(figure, 2)
    drawn = {(trace.name, trace.xaxis): len(trace.x) for trace in figure.live.data}
    assert drawn[("drawn by chance", "x")] == 2
    holm = found[(found.outcome == outcome) & (found.kind == "node")].set_index("measure")["holm"]
    assert drawn[("mean, 95 % interval", "x")] == (holm < 0.05).sum()
