"""Pictures of dose and switch: one case or many modules, the numbers they show, names as data. Pictures of a change of
weights: from one layer to many, zeros and unknown values."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from figure_checks import check, legend, rows
from matplotlib.collections import FillBetweenPolyCollection
from matplotlib.colors import to_hex
from shift_adapters import one_module, save_adapter

from workbench import shift
from workbench.cases import FEW
from workbench.figures import core, dose, spectra

HOSTILE = "<b>0</b> $x$ %{y}"
SERIES = "<i>series</i> $x$"


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def curve(cases: int = 5) -> pd.DataFrame:
    rows = [(f"c{i}", d, i + d) for i in range(cases) for d in (0.0, 0.5, 1.0, 1.5)]
    return shift.over_cases(pd.DataFrame(rows, columns=["case", "dose", "value"]), ["dose"], value="value", rng=rng())


def switched(layers: int, cases: int = 3) -> pd.DataFrame:
    rows = [
        (f"c{c}", f"m.{layer}.{p}", layer, p, 10, 2.0 + c, layer / 10 + c, -0.5)
        for c in range(cases)
        for layer in range(layers)
        for p in ("q_proj", "v_proj")
    ]
    columns = ["case", "module", "layer", "projection", "parameters", "delta", "off", "on"]
    return pd.DataFrame(rows, columns=columns)


def test_dose_curves_have_a_panel_a_quantity() -> None:
    curves = {"margin": {"answer": curve(1)}, f"effects {HOSTILE}": {"needed": curve(5), SERIES: curve(5)}}
    figure = dose.dose_curves(curves, units={"margin": "nats"})
    check(figure, 2)
    assert len(legend(figure)) == 3
    assert "margin, answer: " in figure.alt and "at 1.5" in figure.alt
    assert figure.still.axes[0].get_title(loc="left") == "margin\n(n = 1 case)"
    bands = [
        [bool(one.get_paths()) for one in axes.collections if isinstance(one, FillBetweenPolyCollection)]
        for axes in figure.still.axes
    ]
    assert bands == [[False], [True, True]], "of few cases no interval is drawn"


@pytest.mark.parametrize("layers", [1, 40])
def test_switch_maps_show_the_shares_each_panel_on_its_own_scale(layers: int) -> None:
    shares = shift.switch_shares(switched(layers), rng=rng())
    assert set(shares["n"]) == {switched(layers)["case"].nunique()}
    figure = dose.switch_maps(shares.assign(n=FEW))
    check(figure, 2)
    for axes, column in zip(figure.still.axes, ("off", "on"), strict=True):
        top = shares[column].abs().max()
        assert axes.images[0].get_clim() == pytest.approx((-top, top))
        assert axes.get_title(loc="left").endswith(f"−{top:.2g} to {top:.2g}")
    off, on = (axes.images[0].get_array() for axes in figure.still.axes)
    table = switched(layers)
    rows = table[table["module"] == f"m.{layers - 1}.v_proj"]
    expected = shift.delta_share(rows["off"].to_numpy(), rows["delta"].to_numpy(), rng=rng()).mean
    assert off[1, -1] == pytest.approx(expected) and on.max() < 0
    interval = shares.set_index("module").loc[f"m.{layers - 1}.v_proj"]
    said = [tip.text for tip in figure.tips if tip.text.startswith(f"m.{layers - 1}.v_proj\n")]
    assert said[0].endswith(f"{expected:+.3f} [{interval.off_low:+.3f}, {interval.off_high:+.3f}]") and len(said) == 2
    assert "by module; most goes with " in figure.alt and f"_proj of layer {layers - 1}: " in figure.alt
    few = dose.switch_maps(shares.assign(n=FEW - 1))
    assert all(tip.text.endswith(" (n = 4)") for tip in few.tips) and few.alt.endswith(" (n = 4).")


def test_whole_layers_and_projections_stand_at_the_edges_of_the_map() -> None:
    table = switched(30)
    layers = table[table["projection"] == "q_proj"].assign(projection="all")
    projections = table[table["layer"] == 0].assign(layer="all")
    shares = shift.switch_shares(pd.concat([layers, projections.assign(module=projections["projection"])]), rng=rng())
    figure = dose.switch_maps(shares)  # what was not asked is an empty cell on grey
    check(figure, 2)
    assert "by layer and projection; most goes with q_proj of all layers: " in figure.alt or "layer 29: " in figure.alt
    assert to_hex(figure.still.axes[0].get_facecolor()).upper() == core.GRID
    grid = np.ma.filled(figure.still.axes[0].images[0].get_array().astype(float), np.nan)
    assert grid.shape == (3, 31) and np.isnan(grid[:2, :30]).all() and np.isfinite([*grid[2, :30], *grid[:2, 30]]).all()
    labels = [label.get_text() for label in figure.still.axes[0].get_xticklabels()]
    assert len(labels) <= 16 and labels[-1] == "all" and not figure.still.axes[0].texts, "no number in a narrow cell"


def test_removed_shares_have_a_row_a_set_and_a_panel_a_unit() -> None:
    units, means = (("module", 1, 12), (f"direction {HOSTILE}", 19, 192)), {"map": 0.6, "random": 0.1}
    table = pd.DataFrame(
        [
            {"unit": unit, "share": 0.1, "off": off, "of": of, "by": by, "mean": mean, "low": 0.0, "high": 0.7, "n": 9}
            for unit, off, of in units
            for by, mean in means.items()
        ]
    )
    figure = dose.removed_shares(table)
    check(figure, 2)
    assert rows(figure) == ["10%, random", "10%, map"]
    assert figure.still.axes[0].get_title(loc="left") == "modules: 1 of 12 (n = 9 cases)"


@pytest.mark.parametrize("cases", [1, 4])
def test_interaction_matrix_shows_means(cases: int) -> None:
    values = rng().normal(size=(cases, 3, 3))
    values = values + values.transpose(0, 2, 1)
    figure = dose.interaction_matrix(values, ["model.layers.0.q_proj", "model.layers.11.v_proj", HOSTILE])
    check(figure, 1)
    grid = figure.still.axes[0].images[0].get_array()
    assert grid[0, 1] == pytest.approx(values[:, 0, 1].mean()) and np.diag(grid.mask).all() and len(figure.tips) == 6
    assert rows(figure)[1] == "11 v_proj" and not any("±" in tip.text for tip in figure.tips)
    more = dose.interaction_matrix(np.repeat(values, 5, axis=0), [f"layer {k}" for k in range(3)], unit="layer")
    assert all("±" in tip.text for tip in more.tips) and more.still.axes[0].get_xlabel() == "layer"
    assert more.alt.startswith("Interaction of layers: ")


def test_kept_curves_say_from_where_it_is_enough() -> None:
    rows = pd.DataFrame({"part": [0.0, 0.25, 0.5, 1.0], "exact": [0.0, 0.3, 0.46, 0.5]})
    rows = rows.assign(low=rows["exact"] - 0.05, high=rows["exact"] + 0.05, n=60)
    figure = dose.kept_curves({"by the map": rows, SERIES: rows}, enough=0.45)
    check(figure, 1)
    assert "0.45 or more from 50% on" in figure.alt
    assert figure.still.axes[0].get_title(loc="left") == "95 % intervals over cases (n = 60 cases)"
    check(few := dose.kept_curves({"by the map": rows.assign(n=2)}), 1)
    assert few.still.axes[0].get_title(loc="left") == "shares of cases (n = 2 cases)"


def adapter(folder: Path, *, layers: int = 3, seed: int = 0, **config) -> Path:
    names = [one_module(layer, p) for layer in range(layers) for p in ("q_proj", "v_proj")]
    save_adapter(folder, dict.fromkeys(names, (12, 10, 4)), seed=seed, **config)
    return folder


def weight(module: str) -> np.ndarray:
    return 9 * np.random.default_rng(len(module)).standard_normal((12, 10))


def beside(folder: Path, **how) -> shift.Intruders:
    """Of an adapter, beside random changes of the same norm."""
    return shift.intruders_beside(folder, weight, ["norm"], rng=rng(), **how)["norm"]


@pytest.mark.parametrize("layers", [1, 32])
def test_sizes_and_growth_have_a_line_for_every_module(tmp_path: Path, layers: int) -> None:
    check(spectra.norms(shift.spectra(adapter(tmp_path, layers=layers))), 3)
    for step in (5, 10):
        adapter(tmp_path / "checkpoints" / f"checkpoint-{step}", layers=layers)
    figure = spectra.growth_curves(shift.drift(tmp_path))
    check(figure, 2)
    assert [len(axes.lines) for axes in figure.still.axes] == [layers, layers]
    assert list(figure.still.axes[0].lines[0].get_xdata()) == [5, 10]
    assert len(legend(figure)) == min(layers, 9)


def test_energy_has_a_line_a_layer_over_the_random_band(tmp_path: Path) -> None:
    table = shift.spectra(adapter(tmp_path, layers=12), more=True)
    drawn = {f.projection: shift.random_spectra(f, draws=9, rng=rng()) for f in shift.read_factors(tmp_path)}
    check(figure := spectra.energy_curves(table, drawn), 2)
    assert [len(axes.lines) for axes in figure.still.axes] == [12, 12]
    assert legend(figure)[-1] == spectra.RANDOM
    line = figure.still.axes[0].get_lines()[0]
    np.testing.assert_allclose(line.get_ydata(), table.energy[0])
    assert "directions hold half" in figure.alt


def test_base_shares_show_what_chance_would_give(tmp_path: Path) -> None:
    table = shift.base_shares(adapter(tmp_path), weight, top=3)
    figure = spectra.base_shares(table)
    check(figure, 3)
    dotted = [[line for line in axes.lines if line.get_linestyle() == ":"] for axes in figure.still.axes]
    chance = [sorted({y for line in some for y in line.get_ydata()}) for some in dotted]
    assert list(map(len, dotted)) == [0, 2, 2] and chance == [[], [3 / 12], [3 / 10]]
    assert legend(figure) == ["q_proj", "v_proj", "by chance"]
    for axes, side in zip(figure.still.axes[1:], ("written", "read"), strict=True):
        top = table[[f"{side}_inside", f"{side}_chance"]].max().max()
        assert axes.get_ylim()[1] == pytest.approx(1.08 * top), "small shares can be seen"
    assert spectra.base_shares(shift.base_shares(tmp_path, lambda module: np.zeros((12, 10)))).png()


def test_intruders_stand_over_random_changes(tmp_path: Path) -> None:
    found = beside(adapter(tmp_path), draws=5)
    figure = spectra.intruder_sweep(sweep := found.sweep())
    check(figure, 4)
    first = sweep[sweep.k == 1]
    np.testing.assert_allclose(figure.still.axes[0].get_lines()[0].get_ydata(), first.intruders / 6)
    at = sweep[(sweep.k == 10) & (sweep.threshold == 0.5)].iloc[0]
    assert f"below 0.5: {at.intruders:.0f} of {at.vectors:.0f}" in figure.alt
    part = beside(tmp_path, draws=2, against=2)
    figure = spectra.intruder_sweep(part.sweep(counts=(5,)))
    check(figure, 1)
    assert "and undecided" in legend(figure)


def test_one_random_change_is_seen_as_a_line(tmp_path: Path) -> None:
    sweep = beside(adapter(tmp_path), draws=1).sweep(counts=(5,))
    figure = spectra.intruder_sweep(sweep)
    dotted = [line for line in figure.still.axes[0].get_lines() if line.get_linestyle() == ":"]
    np.testing.assert_allclose(dotted[-1].get_ydata(), sweep.null_mean / sweep.vectors)
    assert "random, mean" in legend(figure) and (sweep.null_low == sweep.null_high).all()


def test_drift_has_a_median_and_a_band_a_projection(tmp_path: Path) -> None:
    adapter(tmp_path)
    for step in (5, 10):
        adapter(tmp_path / "checkpoints" / f"checkpoint-{step}", seed=step)
    figure = spectra.drift_curves(table := shift.drift(tmp_path))
    check(figure, 4)
    expected = table[table.projection == "q_proj"].groupby("step").cosine.median()
    np.testing.assert_allclose(figure.still.axes[1].lines[0].get_ydata(), expected)
    low = min(table.cosine.min(), 0)
    assert figure.still.axes[1].get_ylim()[0] == pytest.approx(low)  # changes that point apart are not cut off


def test_changes_that_are_zero_can_be_drawn(tmp_path: Path) -> None:
    adapter(zero := tmp_path / "zero", lora_alpha=0)
    assert spectra.norms(shift.spectra(zero)).png()
    adapter(zero / "checkpoints" / "checkpoint-5")
    assert spectra.energy_curves(shift.spectra(zero, more=True)).png()
    assert spectra.base_shares(shift.base_shares(zero, weight)).png()
    assert spectra.intruder_sweep(beside(zero, draws=2).sweep()).png()
    assert spectra.drift_curves(shift.drift(zero)).png()
