"""Pictures of dose and switch: one case or many modules, the numbers they show, names as data."""

import numpy as np
import pandas as pd
import pytest
from figure_checks import check, legend, rows

from workbench.figures import dose
from workbench.shift import delta_share, over_cases, switch_shares

HOSTILE = "<b>0</b> $x$ %{y}"
SERIES = "<i>series</i> $x$"


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def curve(cases: int = 5) -> pd.DataFrame:
    rows = [(f"c{i}", d, i + d) for i in range(cases) for d in (0.0, 0.5, 1.0, 1.5)]
    return over_cases(pd.DataFrame(rows, columns=["case", "dose", "value"]), ["dose"], value="value", rng=rng())


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


@pytest.mark.parametrize("layers", [1, 40])
def test_switch_maps_show_the_shares(layers: int) -> None:
    shares = switch_shares(switched(layers), rng=rng())
    figure = dose.switch_maps(shares)
    check(figure, 2)
    off, on = (axes.images[0].get_array() for axes in figure.still.axes)
    table = switched(layers)
    rows = table[table["module"] == f"m.{layers - 1}.v_proj"]
    expected = delta_share(rows["off"].to_numpy(), rows["delta"].to_numpy(), rng=rng()).mean
    assert off[1, -1] == pytest.approx(expected) and on.max() < 0
    interval = shares.set_index("module").loc[f"m.{layers - 1}.v_proj"]
    said = [tip.text for tip in figure.tips if tip.text.startswith(f"m.{layers - 1}.v_proj\n")]
    assert said[0].endswith(f"{expected:+.3f} [{interval.off_low:+.3f}, {interval.off_high:+.3f}]") and len(said) == 2
    assert f"layer {layers - 1}" in figure.alt


def test_whole_layers_and_projections_stand_at_the_edges_of_the_map() -> None:
    table = switched(30)
    layers = table[table["projection"] == "q_proj"].assign(projection="all")
    projections = table[table["layer"] == 0].assign(layer="all")
    shares = switch_shares(pd.concat([layers, projections.assign(module=projections["projection"])]), rng=rng())
    figure = dose.switch_maps(shares)  # what was not asked is an empty cell
    check(figure, 2)
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
    assert rows(figure)[1] == "11 v_proj"


def test_kept_curves_say_from_where_it_is_enough() -> None:
    rows = pd.DataFrame({"part": [0.0, 0.25, 0.5, 1.0], "exact": [0.0, 0.3, 0.46, 0.5]})
    rows = rows.assign(low=rows["exact"] - 0.05, high=rows["exact"] + 0.05)
    figure = dose.kept_curves({"by the map": rows, SERIES: rows}, enough=0.45)
    check(figure, 1)
    assert "0.45 or more from 50% on" in figure.alt
    check(dose.kept_curves({"by the map": rows}), 1)
