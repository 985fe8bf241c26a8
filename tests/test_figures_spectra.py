"""Pictures of directions and comparisons: both twins say the same, zeros and unknown values, hostile names."""

from pathlib import Path

import numpy as np
import pytest
from shift_adapters import one_module, save_adapter

from workbench.figures import Figure, compared, spectra
from workbench.shift import base_shares, compare, drift, intruder_dimensions, random_spectra, read_factors
from workbench.shift import spectra as spectra_of

HOSTILE = "$x_0$ <b>0</b> %{y} <img src=x>"


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def adapter(folder: Path, *, layers: int = 3, seed: int = 0, **config) -> Path:
    names = [one_module(layer, p) for layer in range(layers) for p in ("q_proj", "v_proj")]
    save_adapter(folder, dict.fromkeys(names, (12, 10, 4)), seed=seed, **config)
    return folder


def weight(module: str) -> np.ndarray:
    return 9 * np.random.default_rng(len(module)).standard_normal((12, 10))


def check(figure: Figure, panels: int) -> dict:
    """Both twins are there with the same axis labels; no text of the data became markup. The live twin's content."""
    content = figure._repr_mimebundle_()
    assert content["image/png"].startswith("iVBOR")  # PNG in base 64
    live = content["application/vnd.plotly.v1+json"]
    labelled = [axes for axes in figure.still.axes if axes.get_xlabel()]
    assert len(labelled) == panels == sum(1 for key in live["layout"] if key.startswith("xaxis"))
    for i, axes in enumerate(labelled):
        assert axes.get_xlabel() == live["layout"][f"xaxis{i + 1 if i else ''}"]["title"]["text"]
    assert not any(f"<{tag}" in str(live) for tag in ("b>0", "img"))
    assert figure.alt.endswith(".")
    return live


@pytest.mark.parametrize("layers", [1, 32])
def test_energy_has_a_line_a_layer_over_the_random_band(tmp_path: Path, layers: int) -> None:
    table = spectra_of(adapter(tmp_path, layers=layers), more=True)
    drawn = {f.projection: random_spectra(f, draws=9, rng=rng()) for f in read_factors(tmp_path)}
    live = check(figure := spectra.energy_curves(table, drawn), 2)
    assert len(live["data"]) == 2 * (layers + 1)
    line = figure.still.axes[0].get_lines()[0]
    np.testing.assert_allclose(line.get_ydata(), table.energy[0])
    np.testing.assert_allclose(figure.live.data[1].y, table.energy[0])
    assert "directions hold half" in figure.alt


def test_base_shares_show_what_chance_would_give(tmp_path: Path) -> None:
    table = base_shares(adapter(tmp_path), weight, top=3)
    figure = spectra.base_shares(table)
    check(figure, 3)
    dotted = [trace for trace in figure.live.data if trace.line.dash == "dot"]
    assert len(dotted) == 4 and set(dotted[0].y) == {3 / 12} and set(dotted[2].y) == {3 / 10}
    assert sum(bool(trace.showlegend) for trace in figure.live.data) == 3, "two projections, and chance once"
    check(spectra.base_shares(base_shares(tmp_path, lambda module: np.zeros((12, 10)))), 3)


def test_intruders_stand_over_random_changes(tmp_path: Path) -> None:
    found = intruder_dimensions(adapter(tmp_path), weight, rng=rng(), draws=5)
    figure = spectra.intruder_sweep(sweep := found.sweep())
    check(figure, 4)
    first = sweep[sweep.k == 1]
    np.testing.assert_allclose(figure.still.axes[0].get_lines()[0].get_ydata(), first.intruders / 6)
    at = sweep[(sweep.k == 10) & (sweep.threshold == 0.5)].iloc[0]
    assert f"below 0.5: {at.intruders:.0f} of {at.vectors:.0f}" in figure.alt
    part = intruder_dimensions(tmp_path, weight, rng=rng(), draws=2, against=2)
    figure = spectra.intruder_sweep(part.sweep(counts=(5,)))
    check(figure, 1)
    assert any(trace.name == "and undecided" for trace in figure.live.data)


def test_drift_has_a_median_and_a_band_a_projection(tmp_path: Path) -> None:
    adapter(tmp_path)
    for step in (5, 10):
        adapter(tmp_path / "checkpoints" / f"checkpoint-{step}", seed=step)
    figure = spectra.drift_curves(table := drift(tmp_path))
    check(figure, 4)
    lines = [trace for trace in figure.live.data if trace.fill is None and trace.yaxis == "y2"]
    expected = table[table.projection == "q_proj"].groupby("step").cosine.median()
    np.testing.assert_allclose(lines[0].y, expected)
    low = min(table.cosine.min(), 0)
    assert figure.still.axes[1].get_ylim()[0] == pytest.approx(low)  # changes that point apart are not cut off


def test_adapters_compared_are_a_symmetric_map_with_its_numbers(tmp_path: Path) -> None:
    folders = {name: adapter(tmp_path / str(seed), seed=seed) for seed, name in enumerate(("one", "two", HOSTILE))}
    table = compare(folders, rng=rng(), draws=9)
    figure = compared.compared(table)
    live = check(figure, 3)
    grid = np.array(figure.live.data[0].z)
    np.testing.assert_allclose(grid, grid.T)
    assert (np.diag(grid) == 1).all() and grid.shape == (3, 3)
    pair = table[(table["first"] == "one") & (table["second"] == HOSTILE)]
    assert grid[0, 2] == pytest.approx(pair.cosine.mean())
    assert len(figure.still.axes[0].texts) == 9 == len(live["layout"]["annotations"]) / 3 - 1
    figure = compared.compared_modules(table, "one", HOSTILE)
    check(figure, 3)
    np.testing.assert_allclose(figure.live.data[0].z, pair.pivot(index="projection", columns="layer", values="cosine"))
    with pytest.raises(ValueError, match="no rows of 'two' before 'one'"):
        compared.compared_modules(table, "two", "one")


def test_changes_that_are_zero_can_be_drawn(tmp_path: Path) -> None:
    adapter(tmp_path / "one")
    adapter(zero := tmp_path / "zero", lora_alpha=0)
    adapter(zero / "checkpoints" / "checkpoint-5")
    check(spectra.energy_curves(spectra_of(zero, more=True)), 2)
    check(spectra.base_shares(base_shares(zero, weight)), 3)
    check(spectra.intruder_sweep(intruder_dimensions(zero, weight, rng=rng(), draws=2).sweep()), 4)
    check(spectra.drift_curves(drift(zero)), 4)
    table = compare({"one": tmp_path / "one", "zero": zero}, rng=rng(), draws=2)
    figure = compared.compared(table)
    check(figure, 3)
    assert len(figure.still.axes[0].texts) == 2 and "all changes are 0" in figure.alt
    check(compared.compared_modules(table, "one", "zero"), 3)


def test_many_adapters_and_layers_have_room(tmp_path: Path) -> None:
    folders = {f"seed {seed}": adapter(tmp_path / str(seed), layers=1, seed=seed) for seed in range(12)}
    figure = compared.compared(compare(folders, rng=rng(), draws=2))
    check(figure, 3)
    assert not figure.still.axes[0].texts  # the cells are too small for numbers
    two = {name: adapter(tmp_path / name, layers=32, seed=len(name)) for name in ("a", "bb")}
    figure = compared.compared_modules(compare(two, rng=rng(), draws=2), "a", "bb")
    check(figure, 3)
    assert len(figure.still.axes[0].get_xticks()) == 16
