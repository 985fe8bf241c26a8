"""Sweeps: what a worker does, workers in processes of their own that are killed, going on after a stop. The page that
compares results of a sweep, and its pictures, on a sweep of a tiny run."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from distributed import LocalCluster
from figure_checks import check, legend
from notebook_runs import FOLDER, cells, execute
from refusals import refused
from sweep_runs import grid_file as grid
from sweep_runs import grid_text
from tiny_chain import write_notebooks

from workbench.artifacts.parameters import read_parameters
from workbench.figures.sweep import parallel_coordinates, small_multiples
from workbench.hands.cli import main, output
from workbench.hands.sweep import explaining, tasks
from workbench.hands.sweep import results as tables
from workbench.hands.sweep.explaining import plan_explanations
from workbench.hands.sweep.grid import read_grid
from workbench.hands.sweep.results import Results, axes, measures, row_of, summary
from workbench.hands.sweep.tasks import connected, perform, shares


def orders(folder: Path, text: str) -> list[dict]:
    return [batch.order for batch in plan_explanations(read_grid(grid(folder, text)))]


@pytest.fixture
def loads(monkeypatch) -> list[tuple]:
    """What `models.load` was called with, and no models held."""
    seen, load = [], explaining.models.load
    monkeypatch.setattr(explaining.models, "load", lambda *a, **k: seen.append((a, k)) or load(*a, **k))
    explaining._engines.clear()
    return seen


def test_a_worker_loads_a_model_once_and_holds_two_at_most(tmp_path, small_run, loads):
    how = {"methods": "paper", "adapters": "[adapter, null]", "seeds": "2", "cases": "held_out[:2]", "batch": "1"}
    many = orders(tmp_path, grid_text(small_run, **how))
    assert len(many) == 8
    answers = [tasks.perform(one) for one in many]
    assert len(loads) == len(explaining._engines) == 2 <= explaining.KEPT
    assert sum(answer["loading"] > 0.01 for answer in answers) <= 4  # the rest found it held
    outcomes = [one for answer in answers for one in answer["outcomes"]]
    assert len({one["id"] for one in outcomes}) == 8 and not any("error" in one for one in outcomes)
    json.dumps(outcomes, allow_nan=False)


def test_a_case_that_fails_spoils_no_other(tmp_path, small_run, loads):
    (first, *_) = orders(tmp_path, grid_text(small_run, batch="3"))
    bare = {**first["cases"][1], "facts": []}
    answer = tasks.perform({**first, "cases": [first["cases"][0], bare, first["cases"][2]]})
    failed = {one["id"]: one["error"] for one in answer["outcomes"] if "error" in one}
    assert len(answer["outcomes"]) == 6 and len(failed) == 2
    assert all(text.startswith("ValueError: case 'held-1' shows no facts") for text in failed.values())


def test_an_adapter_that_changed_since_the_plan_is_refused(tmp_path, small_run, loads):
    (first, *_) = orders(tmp_path, grid_text(small_run))
    wrong = {**first, "shared": {**first["shared"], "adapter_sha256": "0" * 20}}
    refused("is not the one the sweep was planned with", tasks.perform, wrong)
    assert not loads


def test_a_case_is_explained_the_same_in_company_and_alone(tmp_path, small_run, loads):
    together, alone = (orders(tmp_path, grid_text(small_run, cases="held_out[:3]", batch=size)) for size in ("3", "1"))
    found = [
        {one["id"]: one["found"] for order in some for one in tasks.perform(order)["outcomes"]}
        for some in (together, alone)
    ]
    assert found[0].keys() == found[1].keys()
    for name, one in found[0].items():
        assert one["elements"] == found[1][name]["elements"]
        assert one["toolchain_changed"] == found[1][name]["toolchain_changed"]


@pytest.mark.parametrize("threads", [0, 1, 2, 5])
def test_batches_get_smaller_towards_the_end_and_lose_nothing(tmp_path, small_run, threads):
    batches = plan_explanations(read_grid(grid(tmp_path, grid_text(small_run, batch="6", seeds="3"))))
    given = list(shares(batches, lambda: threads))
    sizes = [len(one.about) for one in given]
    assert sum(sizes) == 18 and max(sizes) <= 6
    lefts = [18 - sum(sizes[:k]) for k in range(len(sizes))]
    assert all(size <= max(1, -(-left // (2 * max(threads, 1)))) for size, left in zip(sizes, lefts, strict=True))
    assert sizes[-1] == 1 and sizes[0] == {0: 6, 1: 6, 2: 5, 5: 2}[threads]
    ids = [task["id"] for one in given for task in one.order["tasks"]]
    assert sorted(ids) == sorted(task.id for batch in batches for task in batch.tasks)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory) -> Iterator[tuple[str, list[subprocess.Popen]]]:
    """A scheduler, and two workers of it that offer a GPU tag, each a process of its own."""
    words = "--host 127.0.0.1 --nthreads 1 --no-dashboard --no-nanny --resources GPU=1".split()
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": tmp_path_factory.mktemp("cluster")}
    with LocalCluster(n_workers=0, processes=False, host="127.0.0.1", protocol="tcp", dashboard_address=":0") as one:
        command = [sys.executable, "-m", "dask", "worker", one.scheduler_address, *words]
        workers = [subprocess.Popen(command, **quiet) for _ in range(2)]
        yield one.scheduler_address, workers
        for worker in workers:
            worker.kill()
            worker.wait()


def rows_of(out: Path) -> list[dict]:
    file = out / "rows.jsonl"
    lines = file.read_bytes().split(b"\n")[:-1] if file.exists() else []
    return [json.loads(line) for line in lines]


def stop_after(monkeypatch, *, batches: int) -> None:
    """Ctrl-C once, when so many batches came in."""
    add, seen = Results.add, []

    def added(self, rows) -> None:
        add(self, rows)
        seen.append(rows)
        if len(seen) == batches:
            raise KeyboardInterrupt

    monkeypatch.setattr(Results, "add", added)


def test_a_sweep_that_is_killed_goes_on_where_it_was(tmp_path, small_run, cluster):
    file, out = grid(tmp_path, grid_text(small_run, batch="1", methods="paper", seeds="2")), tmp_path / "out"
    command = ["sweep", str(file), "--out", str(out), "--scheduler", cluster[0]]
    with subprocess.Popen([sys.executable, "-m", "workbench", *command], stdout=subprocess.DEVNULL) as one:
        while len(rows_of(out)) < 2 and one.poll() is None:
            time.sleep(0.01)
        one.kill()
    first = b"".join(line + b"\n" for line in (out / "rows.jsonl").read_bytes().split(b"\n")[:-1])
    assert one.returncode == -signal.SIGKILL and 2 <= first.count(b"\n") < 12
    assert main(command) == 0
    assert (out / "rows.jsonl").read_bytes().startswith(first)
    rows = rows_of(out)
    assert len(rows) == 12 == len({row["id"] for row in rows}) and {row["status"] for row in rows} == {"done"}
    assert {p.name for p in tmp_path.iterdir()} == {"grid.yaml", "out"}
    assert {p.name for p in out.iterdir()} == {".lock", "rows.jsonl", "results.parquet", "sweep.json"}


def test_stopping_a_sweep_and_killing_a_worker_lose_nothing(tmp_path, small_run, cluster, capsys, monkeypatch):
    address, workers = cluster
    text, out = grid_text(small_run, seeds="2", batch="1", cases="held_out[:3]", resources="{GPU: 1}"), tmp_path / "out"

    def kill_one() -> None:
        while len(rows_of(out)) < 6:
            time.sleep(0.02)
        workers[0].send_signal(signal.SIGKILL)

    threading.Thread(target=kill_one, daemon=True).start()
    command = ["sweep", str(grid(tmp_path, text)), "--out", str(out), "--scheduler", address]
    stop_after(monkeypatch, batches=2)
    assert main(command) == output.SIGNAL + signal.SIGINT
    assert "To go on where it stopped" in capsys.readouterr().err
    assert pq.read_table(out / "results.parquet").num_rows == 4 == len(rows_of(out))
    assert main(command) == 0
    assert workers[0].wait(10) == -signal.SIGKILL and workers[1].poll() is None
    table = pq.read_table(out / "results.parquet").to_pandas()
    assert len(table) == 12 == table["id"].nunique() and set(table["status"]) == {"done"}
    assert {str(worker.pid) for worker in workers} >= set(table["worker"].str.rpartition(":")[2])
    assert axes(table) == ["given.seed", "given.method"]
    assert {"found.flipped", "found.removed", "seconds"} <= set(measures(table))
    means = summary(table, by=["given.method"], measures=["found.flipped", "found.removed"])
    assert set(means["n"]) == {6}
    assert (means["low"] <= means["mean"] + 1e-9).all() and (means["mean"] <= means["high"] + 1e-9).all()
    capsys.readouterr()
    before = (out / "rows.jsonl").read_bytes()
    assert main(command) == 0
    assert "12 done before, 0 to do" in capsys.readouterr().out
    assert (out / "rows.jsonl").read_bytes() == before


def test_a_worker_has_the_threads_that_it_is_given_and_no_profiler(monkeypatch):
    """The profiler stops workers for good: python/cpython issue 106883."""
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    monkeypatch.delenv("DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED")
    with connected(None, workers=1, resources={}, say=print) as client:
        for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):  # torch takes the second before the first
            assert client.submit(os.getenv, name).result() == "2"
        (watching,) = client.run(lambda dask_worker: "profile" in dask_worker.periodic_callbacks).values()
        assert not watching


@pytest.mark.slow
def test_whole_runs_are_swept_and_a_failure_stops_no_other(tmp_path):
    notebooks = write_notebooks(tmp_path / "nb", bodies={"kg": "assert seed != 1, 'seed <1> is unwanted'"})
    out = tmp_path / "out"
    file = grid(tmp_path, f"what: chain\nnotebooks: {notebooks}\nseeds: 2\n")
    command = ["sweep", str(file), "--out", str(out), "--workers", "1"]
    assert main(command) == output.FAILED
    rows = {row["given.seed"]: row for row in pq.read_table(out / "results.parquet").to_pylist()}
    assert rows[0]["status"] == "done" and rows[0]["found.shift.n"] == 0
    assert rows[1]["status"] == "failed" and "seed <1> is unwanted" in rows[1]["error"]
    assert {p.name for p in (out / "runs").iterdir()} == {row["id"] for row in rows.values()}
    assert (out / "runs" / rows[0]["id"] / "adapter" / "result.txt").read_text().startswith("seed 0")
    assert main([*command, "--dry-run"]) == output.DONE


PAGE = FOLDER / "extra" / "compare_sweep.ipynb"


@pytest.fixture(scope="module")
def swept(tmp_path_factory, small_run) -> Path:
    """A finished sweep of two seeds, two methods and three cases, of which one failed."""
    place = tmp_path_factory.mktemp("page")
    more = {"seeds": "2", "cases": "held_out[:3]", "batch": "3"}
    (place / "grid.yaml").write_text(grid_text(small_run, **more), encoding="utf-8")
    results, tasks = Results(place), []
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
    table, means, one = made["table"], made["means"], made["means"].iloc[0]
    assert set(means.columns) == {"given.seed", "given.method", "measure", "mean", "low", "high", "n"}
    assert means["n"].sum() == 11 * len(made["shown"]) and len(drawn) == len(made["shown"])
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
