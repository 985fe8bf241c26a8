"""Pictures of a change of weights: the numbers they show, from one layer to many, zeros and unknown values."""

from pathlib import Path

import numpy as np
import pytest
from figure_checks import check, legend
from shift_adapters import one_module, save_adapter

from workbench.figures import spectra
from workbench.shift import base_shares, drift, intruders_beside, random_spectra, read_factors
from workbench.shift import spectra as spectra_of


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def adapter(folder: Path, *, layers: int = 3, seed: int = 0, **config) -> Path:
    names = [one_module(layer, p) for layer in range(layers) for p in ("q_proj", "v_proj")]
    save_adapter(folder, dict.fromkeys(names, (12, 10, 4)), seed=seed, **config)
    return folder


def weight(module: str) -> np.ndarray:
    return 9 * np.random.default_rng(len(module)).standard_normal((12, 10))


@pytest.mark.parametrize("layers", [1, 32])
def test_sizes_and_growth_have_a_line_for_every_module(tmp_path: Path, layers: int) -> None:
    check(spectra.norms(spectra_of(adapter(tmp_path, layers=layers))), 3)
    for step in (5, 10):
        adapter(tmp_path / "checkpoints" / f"checkpoint-{step}", layers=layers)
    figure = spectra.growth_curves(drift(tmp_path))
    check(figure, 2)
    assert [len(axes.lines) for axes in figure.still.axes] == [layers, layers]
    assert list(figure.still.axes[0].lines[0].get_xdata()) == [5, 10]
    assert len(legend(figure)) == min(layers, 9)


def test_energy_has_a_line_a_layer_over_the_random_band(tmp_path: Path) -> None:
    table = spectra_of(adapter(tmp_path, layers=12), more=True)
    drawn = {f.projection: random_spectra(f, draws=9, rng=rng()) for f in read_factors(tmp_path)}
    check(figure := spectra.energy_curves(table, drawn), 2)
    assert [len(axes.lines) for axes in figure.still.axes] == [12, 12]
    assert legend(figure)[-1] == spectra.RANDOM
    line = figure.still.axes[0].get_lines()[0]
    np.testing.assert_allclose(line.get_ydata(), table.energy[0])
    assert "directions hold half" in figure.alt


def test_base_shares_show_what_chance_would_give(tmp_path: Path) -> None:
    table = base_shares(adapter(tmp_path), weight, top=3)
    figure = spectra.base_shares(table)
    check(figure, 3)
    dotted = [[line for line in axes.lines if line.get_linestyle() == ":"] for axes in figure.still.axes]
    chance = [sorted({y for line in some for y in line.get_ydata()}) for some in dotted]
    assert list(map(len, dotted)) == [0, 2, 2] and chance == [[], [3 / 12], [3 / 10]]
    assert legend(figure) == ["q_proj", "v_proj", "by chance"]
    assert spectra.base_shares(base_shares(tmp_path, lambda module: np.zeros((12, 10)))).png()


def test_intruders_stand_over_random_changes(tmp_path: Path) -> None:
    found = intruders_beside(adapter(tmp_path), weight, ["norm"], rng=rng(), draws=5)["norm"]
    figure = spectra.intruder_sweep(sweep := found.sweep())
    check(figure, 4)
    first = sweep[sweep.k == 1]
    np.testing.assert_allclose(figure.still.axes[0].get_lines()[0].get_ydata(), first.intruders / 6)
    at = sweep[(sweep.k == 10) & (sweep.threshold == 0.5)].iloc[0]
    assert f"below 0.5: {at.intruders:.0f} of {at.vectors:.0f}" in figure.alt
    part = intruders_beside(tmp_path, weight, ["norm"], rng=rng(), draws=2, against=2)["norm"]
    figure = spectra.intruder_sweep(part.sweep(counts=(5,)))
    check(figure, 1)
    assert "and undecided" in legend(figure)


def test_drift_has_a_median_and_a_band_a_projection(tmp_path: Path) -> None:
    adapter(tmp_path)
    for step in (5, 10):
        adapter(tmp_path / "checkpoints" / f"checkpoint-{step}", seed=step)
    figure = spectra.drift_curves(table := drift(tmp_path))
    check(figure, 4)
    expected = table[table.projection == "q_proj"].groupby("step").cosine.median()
    np.testing.assert_allclose(figure.still.axes[1].lines[0].get_ydata(), expected)
    low = min(table.cosine.min(), 0)
    assert figure.still.axes[1].get_ylim()[0] == pytest.approx(low)  # changes that point apart are not cut off


def test_changes_that_are_zero_can_be_drawn(tmp_path: Path) -> None:
    adapter(zero := tmp_path / "zero", lora_alpha=0)
    assert spectra.norms(spectra_of(zero)).png()
    adapter(zero / "checkpoints" / "checkpoint-5")
    assert spectra.energy_curves(spectra_of(zero, more=True)).png()
    assert spectra.base_shares(base_shares(zero, weight)).png()
    assert spectra.intruder_sweep(intruders_beside(zero, weight, ["norm"], rng=rng(), draws=2)["norm"].sweep()).png()
    assert spectra.drift_curves(drift(zero)).png()
