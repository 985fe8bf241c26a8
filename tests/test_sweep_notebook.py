"""The page that compares results of a sweep, and its pictures, on a sweep of a tiny run."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from figure_checks import check, legend
from notebook_runs import FOLDER, cells, execute
from refusals import refused
from sweep_runs import grid_text

from workbench.artifacts.parameters import read_parameters
from workbench.figures.sweep import parallel_coordinates, small_multiples
from workbench.hands.sweep import results as tables
from workbench.hands.sweep.explaining import plan_explanations
from workbench.hands.sweep.grid import read_grid
from workbench.hands.sweep.results import Results, row_of
from workbench.hands.sweep.tasks import perform

PAGE = FOLDER / "extra" / "compare_sweep.ipynb"


@pytest.fixture(scope="module")
def swept(tmp_path_factory, small_run) -> Path:
    """A finished sweep of two seeds, two methods and three cases, of which one failed."""
    place = tmp_path_factory.mktemp("page")
    more = {"seeds": "2", "cases": "held_out[:3]", "batch": "3"}
    (place / "grid.yaml").write_text(grid_text(small_run, **more), encoding="utf-8")
    results = Results(place)
    tasks = []
    for batch in plan_explanations(read_grid(place / "grid.yaml")):
        outcomes = {one["id"]: one for one in perform(batch.order)["outcomes"]}
        rows = [row_of(t.id, t.given, found=outcomes[t.id]["found"], seconds=0.5) for t in batch.tasks]
        results.add(rows)
        tasks += batch.tasks
    results.add([row_of(tasks[0].id, tasks[0].given, error="ValueError: <b>why</b>")])
    results.write([task.id for task in tasks])
    return place


def test_the_page_shows_what_was_varied_with_intervals(swept, monkeypatch, capsys):
    drawn = []
    monkeypatch.setattr("builtins.display", drawn.append, raising=False)
    made = execute("extra/compare_sweep", sweep=str(swept))
    assert "12 tasks, 1 failed; varied: given.seed, given.method" in capsys.readouterr().out
    assert (made["axis"], made["lines"], made["panels"]) == ("given.seed", "given.method", None)
    means = made["means"]
    assert set(means.columns) == {"given.seed", "given.method", "measure", "mean", "low", "high", "n"}
    assert means["n"].sum() == 11 * len(made["shown"]) and len(drawn) == len(made["shown"])
    table, one = made["table"], means.iloc[0]
    rows = table[(table["given.seed"] == one["given.seed"]) & (table["given.method"] == one["given.method"])]
    rows = rows[rows["status"] == "done"]
    assert one["mean"] == pytest.approx(rows[one["measure"]].astype(float).mean())
    assert drawn[0].png().startswith(b"\x89PNG")


def test_every_parameter_of_the_page_says_what_it_is():
    assert list(read_parameters(PAGE)) == ["sweep", "axis", "lines", "panels", "shown", "most", "seed"]
    first = next(cells(PAGE, "code"))
    assert first.metadata["tags"] == ["parameters"] and all("  # " in line for line in first.source.splitlines())


def test_a_folder_without_results_says_what_to_run(tmp_path):
    refused("workbench sweep GRID --out", tables.read_results, tmp_path, error=FileNotFoundError)


ROWS = pd.DataFrame(
    {
        "status": ["done"] * 6,
        "given.method": ["a $x$", "a $x$", "<b>b</b>", "<b>b</b>", "%{c}", "%{c}"],
        "given.adapter": [None, "x", None, "x", None, "x"],
        "found.flipped": [True, True, False, True, None, False],
        "found.size": [1.0, 3.0, 2.0, np.nan, 5.0, 1.0],
    }
)


def test_names_in_pictures_are_data_and_every_row_is_a_line():
    figure = parallel_coordinates(ROWS, list(ROWS.columns[1:]), colour="given.method")
    check(figure)
    lines = [line for line in figure.still.axes[0].lines if len(line.get_xdata()) == 4]
    assert len(lines) == 6 and "6 of 6 rows" in figure.alt
    assert [line.get_ydata()[3] for line in lines if line.get_color() == lines[-1].get_color()] == [0.0, 0.5]
    assert legend(figure) == ["%{c}", "<b>b</b>", r"a \$x\$"]


def test_means_stand_where_their_values_are():
    means = tables.summary(ROWS, by=["given.method", "given.adapter"], measures=["found.size", "found.flipped"])
    assert len(means[means["measure"] == "found.size"]) == 5
    figure = small_multiples(means, x="given.method", lines="given.adapter", measure="found.size")
    check(figure, 1)
    of_x, of_none = (part.lines[0] for part in figure.still.axes[0].containers)
    assert legend(figure) == ["x", "none"]
    assert list(np.round(of_x.get_xdata())) == [0, 2] and list(of_x.get_ydata()) == [1.0, 3.0]  # %{c} and a $x$
    assert list(np.round(of_none.get_xdata())) == [0, 1, 2]  # and <b>b</b> between them
    assert list(of_none.get_ydata()) == [5.0, 2.0, 1.0]
    panels = small_multiples(means, x="given.adapter", panels="given.method", measure="found.flipped")
    check(panels, 3)
    with pytest.raises(ValueError, match=r"no row of measure 'x'; there are found\.size, found\.flipped"):
        small_multiples(means, x="given.method", measure="x")


def test_how_far_apart_means_lie_is_in_half_widths():
    means = pd.DataFrame(
        {"g": [0, 1, 0, 1], "measure": ["a", "a", "b", "b"], "mean": [1.0, 2.0, 3.0, 3.0], "low": [0.5, 1.5, 2, 2],
         "high": [1.5, 2.5, 4, 4]}
    )  # fmt: skip
    assert tables.spread(means, "g").to_dict("records") == [
        {"measure": "a", "lowest": 0, "highest": 1, "apart": 2.0},
        {"measure": "b", "lowest": 0, "highest": 0, "apart": 0.0},
    ]
