"""Grids: what is refused and how it is said, ids, batches, rows and their parquet."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from refusals import refused
from sweep_runs import grid_file, grid_text
from tiny_chain import write_notebooks

from workbench.hands.sweep.chain_runs import plan_runs
from workbench.hands.sweep.explaining import plan_explanations
from workbench.hands.sweep.grid import Grid, GridError, read_grid
from workbench.hands.sweep.results import Results, flat, row_of, table_of


def grid(folder: Path, text: str, name: str = "grid.yaml") -> Grid:
    return read_grid(grid_file(folder, text, name))


NO_GRIDS = [
    ("what: explian", r'what must be of explain, chain, not "explian"\. Did you mean \'explain\'\?'),
    ("what: explain\nseed: 3", r'a key must be of .*not "seed"\. Did you mean \'seeds\''),
    ("what: chain\ncases: held_out", 'a key must be of what, seeds.*not "cases"'),
    ("[1, 2]", "the file must map keys to values"),
    ("", "the file must map keys to values"),
    ("what: explain\nwhat: chain", "the key 'what' comes twice"),
    ("a: &a [1]\nb: *a", "line 2 refers to an anchor"),
    ("a: &a [*a]", "refers to an anchor"),
    ("what: explain\nruns: !!python/object/apply:os.system ['true']", "cannot be read as a grid"),
    ("what: explain\nseeds: 2024-01-01", 'seeds must hold text, finite numbers.*not "2024-01-01"'),
    ("what: explain\nseeds: .nan", "seeds must hold text, finite"),
    ("what: explain\n1: 2", "must be text, not 1"),
    ("what: [explain", "cannot be read as a grid: while parsing"),
    ("what: explain\nruns: \x00", "cannot be read"),
    ("[" * 5000, "cannot be read as a grid"),
    ("what: explain\nparameters: {a: " + "[" * 300 + "]" * 300 + "}", "parameters.a must hold at most 20 levels"),
    ("what: explain\n{[a]: 1}: 2", "line 2 has a list or map for a key"),
    ("what: !!bool x", "line 1 has the tag .*bool"),
    ("what: !!timestamp x", "line 1 has the tag .*timestamp"),
    ("what: explain\nseeds: !!int ''", "line 2 has the tag .*int"),
    ("what: explain\nseeds: 0x" + "f" * 900_000, "line 2 has a number of more than 100 digits"),
    ("what: explain\nseeds: 1" + ":1" * 400_000, "line 2 has a number of more than 100 digits"),
    ("what: explain\nwithheld: 1" + ":1" * 300 + ".5", "line 2 has a number of more than 100 digits"),
    ("what: explain\nseeds: 1e99999", "seeds must hold text, finite numbers.*not Infinity"),
    ("what: explain\nbatch: 99999999999999999999", "batch must hold whole numbers of at most"),
    ('what: explain\nruns: "\\ud800"', "runs must hold text that UTF-8 can hold"),
]


@pytest.mark.parametrize(("text", "said"), NO_GRIDS)
def test_a_grid_that_is_none_is_refused_with_file_key_rule_and_value(tmp_path, text, said):
    refused(f"(?s)^grid.yaml: .*{said}", grid, tmp_path, text, error=GridError)


REFUSED = [
    ({"methods": "[certifed]"}, r'methods must be of paper, .*not "certifed"\. Did you mean \'certified\''),
    ({"methods": "[]"}, "methods must hold at least one value"),
    ({"methods": "[paper, paper]"}, "methods must not name a value twice"),
    ({"cases": "../../etc/passwd"}, "cases must be a name and, if wanted, a range"),
    ({"cases": "tools[:5]"}, 'cases must be of held_out, train, not "tools"'),
    ({"cases": "held_out[7:]"}, "cases must name at least one case"),
    ({"seeds": "0"}, "seeds must be how many, 1 or more"),
    ({"seeds": "[0, -1]"}, "seeds must be how many"),
    ({"seeds": "true"}, "seeds must be how many"),
    ({"adapters": "nothing"}, "adapters must be adapter folders seen from .*adapter_model.safetensors"),
    ({"adapters": "3"}, "adapters must be text"),
    ({"weights": "papr"}, "weights must be of paper, few removals"),
    ({"weights": "{tau: 0}"}, r"weights must be weights of terms \(weight tau"),
    ({"weights": "{zeta: 1}"}, "no term has a weight 'zeta'"),
    ({"withheld": "1.5"}, "withheld must be shares"),
    ({"batch": "0"}, "batch must be a whole number"),
    ({"parameters": "{loop_step: 3}"}, "parameters must be of paper_steps.*Did you mean 'loop_steps'"),
    ({"parameters": "{loop_steps: 2.5}"}, r"parameters.loop_steps must keep its rule \(.* a whole number"),
    ({"parameters": "{threshold: [0.5, 2]}"}, r"parameters.threshold must keep its rule .*not 2\."),
    ({"parameters": "[1]"}, "parameters must map names"),
    *(({"resources": given}, "resources must map tags") for given in ("{GPU: 0}", "{GPU: many}", "[GPU]")),
    ({"seeds": "99999999999"}, "seeds must be at most 1,000,000, the most tasks of a sweep, not 99999999999"),
    ({"seeds": "9999999999999999"}, "seeds must be at most 1,000,000"),
    ({"seeds": "100000", "withheld": "[0.0, 0.5]"}, r"at most 1,000,000 tasks \(withheld 2, seed 100000\)"),
]


@pytest.mark.parametrize(("more", "said"), REFUSED)
def test_a_value_that_cannot_be_carried_out_is_named(tmp_path, small_run, more, said):
    refused(said, lambda: plan_explanations(grid(tmp_path, grid_text(small_run, **more))), error=GridError)


def test_axes_multiply_and_ids_tell_tasks_apart(tmp_path, small_run):
    more = {"seeds": "2", "adapters": "[adapter, null, adapter/checkpoints/checkpoint-1]", "withheld": "[0.0, 0.5]"}
    read = grid(tmp_path, grid_text(small_run, cases="held_out[1:4]", weights="[paper, {alpha: 1e1}]", **more))
    batches = plan_explanations(read)
    tasks = [task for batch in batches for task in batch.tasks]
    assert len(tasks) == 3 * 2 * 2 * 3 * 2 * 2 == len({task.id for task in tasks})
    assert {len(batch.order["cases"]) for batch in batches} == {1, 2}
    assert [task.id for batch in plan_explanations(read) for task in batch.tasks] == [task.id for task in tasks]
    assert {task.given["weights"]["alpha"] for task in tasks} == {400.0, 10.0}
    json.dumps([dict(batch.order) for batch in batches])
    withheld = {task.given["case_sha256"] for task in tasks if task.given["case"] == "held-1"}
    assert len(withheld) == 3  # nothing withheld, and a draw of each seed


def test_what_is_done_is_left_out_of_a_batch_with_its_cases(tmp_path, small_run):
    first, *_ = plan_explanations(grid(tmp_path, grid_text(small_run)))
    left = first.only(lambda task: task.given["case"] != "held-0")
    assert {task.given["case"] for task in left.tasks} == {"held-1"} and len(left.tasks) == 2
    assert [case["id"] for case in left.order["cases"]] == ["held-1"]
    assert [task["id"] for task in left.order["tasks"]] == [task.id for task in left.tasks]
    assert not first.only(lambda task: False).tasks and first.only(lambda task: True) == first


def test_runs_of_the_chain_are_planned_with_the_notebooks_own_parameters(tmp_path):
    notebooks = write_notebooks(tmp_path / "nb", extra={"adapter": "steps = 5\nrate = 0.1\nkinds = ['a']\n"})
    text = f"what: chain\nnotebooks: {notebooks}\nseeds: 2\nparameters: {{steps: [1, 2], rate: 1e-3, kinds: [[a, b]]}}"
    batches = plan_runs(grid(tmp_path, text), tmp_path / "out")
    assert batches[0].order["parameters"] == {"steps": 1, "rate": 0.001, "kinds": ["a", "b"], "seed": 0}
    folders = {Path(b.order["run_dir"]) for b in batches}
    assert len(folders) == 4 and all(f.parent == (tmp_path / "out" / "runs").resolve() for f in folders)
    base = {"what": "chain", "notebooks": str(notebooks)}  # too many are refused before any is listed
    for parameters, seeds, said in (
        ({"step": 1}, 1, "no notebook has a parameter 'step'. Did you mean 'steps'"),
        ({"steps": ["x"]}, 1, "steps must be int"),
        ({"run_dir": "/tmp/x"}, 1, "must be left to the sweep"),
        ({"kinds": ["a"]}, 1, "kinds must be list"),
        ({}, 99999999999, "seeds must be at most 1,000,000, .* not 99999999999"),
        ({"p": [1, 2]}, 1000000, r"at most 1,000,000 tasks \(p 2, seed 1000000\), not 2000000"),
        ({f"p{i}": [1, 2] for i in range(20_000)}, 1, "the grid must come to at most 1,000,000 tasks"),
    ):
        text = json.dumps(base | {"parameters": parameters, "seeds": seeds})
        with pytest.raises(GridError, match=said):
            plan_runs(grid(tmp_path, text, "grid.json"), tmp_path / "out")


def test_notebooks_are_read_once_for_all_runs_of_a_grid(tmp_path, monkeypatch):
    read, opened = Path.read_text, []
    monkeypatch.setattr(Path, "read_text", lambda path, *a, **b: opened.append(path) or read(path, *a, **b))
    notebooks = write_notebooks(tmp_path / "nb")
    assert len(plan_runs(grid(tmp_path, f"what: chain\nnotebooks: {notebooks}\nseeds: 50"), tmp_path / "out")) == 50
    opened = [path for path in opened if path.suffix == ".ipynb"]
    assert len(opened) == len(set(opened)) == 4


def test_json_grids_are_read_too(tmp_path):
    assert grid(tmp_path, '{"what": "chain", "seeds": [1, 3]}', "grid.json").seeds == [1, 3]
    refused("comes twice", grid, tmp_path, '{"what": "chain", "what": "chain"}', "grid.json", error=GridError)
    with pytest.raises(GridError, match="at most 20 levels"):
        grid(tmp_path, '{"what": "chain", "parameters": ' + "[" * 500 + "]" * 500 + "}", "grid.json")
    for name in ("absent.yaml", "folder"):
        (tmp_path / "folder").mkdir(exist_ok=True)
        refused(f"{name}: there is no such file", read_grid, tmp_path / name, error=GridError)


MARKS = """what: explain¦seeds: ¦- ¦[¦]¦{¦}¦: ¦, ¦  ¦!!¦int ¦&a ¦*a¦<<: ¦? ¦| ¦0x¦_¦1¦:5¦.¦e9¦2024-01-01¦T99:99¦'¦"¦\\¦
¦---
¦%YAML¦#¦null¦true¦\0¦
"""
marks = st.sampled_from(MARKS.split("¦"))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100)
@given(st.lists(marks, max_size=25).map("".join))
@example("what: explain\nwithheld: 1" + ":1" * 40 + ".5")
@example("what: explain\nseeds: 0x_")
def test_whatever_stands_in_the_file_is_read_or_refused_by_its_name(tmp_path, text):
    try:
        assert grid(tmp_path, text).what in ("explain", "chain")
    except GridError as error:
        assert str(error).startswith("grid.yaml: ")


def test_a_line_cut_off_by_a_kill_is_dropped_and_the_rest_stays(tmp_path):
    results = Results(tmp_path)
    results.add([row_of(f"{i}", {"case": "=1+1", "n": i}, found={"x": i / 3}) for i in range(3)])
    results.add([row_of("f", {"case": "c"}, error="why")])
    with (tmp_path / "rows.jsonl").open("ab") as file:
        file.write(b'{"id": "torn", "sta')
    again = Results(tmp_path)
    assert list(again.rows) == ["0", "1", "2", "f"] and again.rows["1"]["found.x"] == 1 / 3
    assert again.finished(retry=False) == {"0", "1", "2", "f"} and again.finished(retry=True) == {"0", "1", "2"}
    again.add([row_of("f", {"case": "c"}, found={"x": 2.0})])
    table = pq.read_table(again.write(["2", "f", "absent"])).to_pylist()
    assert [(row["id"], row["status"], row["found.x"]) for row in table] == [("2", "done", 2 / 3), ("f", "done", 2.0)]
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)


@given(st.lists(st.dictionaries(st.sampled_from("abc"), plain, max_size=3), min_size=1, max_size=4))
def test_whatever_comes_out_of_a_task_fits_into_one_table(found):
    rows = [row_of(str(i), {}, found=one) for i, one in enumerate(found)]
    table = table_of(rows)
    assert table.num_rows == len(found)
    json.dumps(rows, allow_nan=False)
    for row, one in zip(rows, found, strict=True):
        assert {f"found.{name}" for name, value in one.items() if not isinstance(value, dict)} <= set(row)
        assert all(not isinstance(value, dict | list) for value in flat(one).values())
