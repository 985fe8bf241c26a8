"""Pictures of tokens and of agreement: the numbers they show, nothing to show, names that look like markup. The fourth
notebook from its first cell to its last, on a tiny model of another architecture."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from figure_checks import check, legend
from figure_checks import rows as names_of_rows
from notebook_runs import execute, open_adapter, state
from shift_tables import rank_agreement, side_by_side
from tiny import chain_case, save_tiny

from workbench.artifacts import runs
from workbench.artifacts.files import plain
from workbench.cases import Case, Fact, save_cases, withhold
from workbench.explain import Explanation, save
from workbench.figures import Figure, elements
from workbench.figures.core import SMALL
from workbench.shift import agreement_tests, by_group, causal_check, element_layers, read_factors, separation

CASE = chain_case()
HOSTILE = {node: f"$x_{i}$ <b>{i}</b> %{{y}}\n\u202e&amp;" for i, node in enumerate(CASE.names)}


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
    masks, shift = {"mask (in loop)": [mask]}, token_rows(CASE.names)
    return side_by_side([CASE], masks=masks, attention=[rng.random(n)], shift=shift)


def test_zeros_undefined_values_and_hostile_names_can_be_drawn() -> None:
    rows = token_rows(CASE.names, value=0.0)
    check(elements.element_map({name: element_layers(rows, CASE, name) for name in ("q_proj", "v_proj")}, CASE), 2)
    tests = agreement_tests(compared(constant=True), rng=np.random.default_rng(0), draws=19)
    check(elements.agreement_matrix(tests), 1)
    table = compared().assign(name=[f"$x_{i}$ <b>0</b> <img src=x>" for i in range(len(CASE.elements))])
    check(elements.element_bars(table, ["mask (in loop)", "attention"]), 2)


@pytest.mark.parametrize("kind", ["node", "fact"])
def test_bars_are_sorted_by_the_first_measure(kind: str) -> None:
    table = compared()
    figure = elements.element_bars(table, ["mask (in loop)", "attention", "q_proj shift"], kind=kind)
    check(figure, 3)
    rows = table[table.kind == kind].sort_values("mask (in loop)")
    assert names_of_rows(figure) == list(rows.name)
    drawn = {round(bar.get_y() + bar.get_height() / 2): bar.get_width() for bar in figure.still.axes[0].patches}
    np.testing.assert_allclose([drawn[i] for i in range(len(rows))], rows["mask (in loop)"])


def test_agreement_and_separation_leave_out_what_is_not_defined() -> None:
    rng = np.random.default_rng(0)
    for constant in (False, True):
        tables = {kind: rank_agreement(compared(constant), kind=kind, rng=rng, draws=19) for kind in ("node", "fact")}
        figure = elements.agreement(tables)
        check(figure, 2)
        points = [part for part in figure.still.axes[0].containers if part.get_label() and hasattr(part, "has_xerr")]
        assert sum(len(part.lines[0].get_xdata()) for part in points) == (3 if constant else 6)
    check(elements.separation({kind: separation(compared(), kind=kind, rng=rng) for kind in ("node", "fact")}), 2)


def test_the_matrix_has_kendall_below_and_spearman_above() -> None:
    tests = agreement_tests(compared(), rng=np.random.default_rng(0), draws=19)
    names = ["mask (in loop)", "attention", "q_proj shift", "v_proj shift"]
    tests.loc[tests["first"] == "attention", ["holm", "bh"]] = 0.01
    tests.loc[tests["second"] == "attention", ["holm", "bh"]] = [0.2, 0.01]
    figure = elements.agreement_matrix(tests, kind="fact")
    check(figure, 1)
    grid = figure.still.axes[0].images[0].get_array()
    assert np.diag(grid.mask).all() and names_of_rows(figure) == names
    rows = tests[(tests.kind == "fact") & (tests["first"] == names[0]) & (tests["second"] == names[3])]
    values = rows.set_index("statistic")["mean"]
    assert (grid[3, 0], grid[0, 3]) == pytest.approx((values["kendall"], values["spearman"]))
    strict, loose = (len(marks.get_offsets()) for marks in figure.still.axes[0].collections)
    assert (strict, loose) == (4, 2)  # two pairs with attention first, one with it second
    assert len(figure.tips) == 12 and all("Holm" in tip.text for tip in figure.tips)


def test_the_element_map_shows_nodes_then_facts_by_layers() -> None:
    rows = token_rows(HOSTILE)
    case = replace(CASE, names=HOSTILE)
    maps = {name: element_layers(rows, case, name) for name in ("q_proj", "v_proj")}
    figure = elements.element_map(maps, case)
    check(figure, 2)
    np.testing.assert_allclose(figure.still.axes[1].images[0].get_array(), maps["v_proj"].to_numpy())
    dotted = [i for i, label in enumerate(names_of_rows(figure)) if label.startswith(elements.MARK.strip())]
    needed = [e in case.needed if isinstance(e, Fact) else e in case.path for e in case.elements]
    assert dotted == list(np.flatnonzero(needed))


def test_of_many_layers_few_are_named_beside_one_another() -> None:
    rows = token_rows(CASE.names, layers=30)
    for panels, named in ((2, ["e", "4", "8", "12", "16", "20", "24", "28"]), (4, ["e", "8", "16", "24"])):
        maps = {f"{k}_proj": element_layers(rows, CASE, "q_proj") for k in range(panels)}
        check(figure := elements.element_map(maps, CASE), panels)
        for axes in figure.still.axes[:panels]:
            assert [label.get_text() for label in axes.get_xticklabels()] == named
            at = [axes.get_xticks()[k] for k in range(1, len(named))]
            assert [maps["0_proj"].columns[int(k)] for k in at] == [int(name) for name in named[1:]]


def test_means_of_few_cases_have_no_whisker_and_set_no_scale() -> None:
    columns, rows = "label mean low high n".split(), [["one", 0.5, -9.0, 9.0, 2], ["two", 0.4, 0.3, 0.5, 9]]
    rows = pd.DataFrame(rows, columns=columns)
    figure = elements.separation({f"panel {k}": rows.rename(columns={"label": "measure"}) for k in range(6)})
    assert figure.png()
    segments = figure.still.axes[0].containers[0].lines[2][0].get_segments()
    assert [len(ends) > 0 for ends in segments] == [False, True]
    assert legend(figure) == ["mean, 95 % interval from n = 5 on"]
    few = elements.separation({"panel": rows.assign(measure="m", n=2)})
    assert legend(few) == ["mean"]
    table = rows.assign(group=rows["label"], projection="q_proj")
    assert elements.group_shift({"type": table}).still.axes[0].get_xlim()[1] < 1
    sizes = [{text.get_fontsize() for text in figure.still.axes[k].get_yticklabels()} for k in (0, 3)]
    assert sizes == [{SMALL}, {SMALL}], "rows are named alike in every row of panels"


def test_group_shift_has_a_row_a_group() -> None:
    rows = token_rows(CASE.names)
    tables = {by: by_group(rows, [CASE], by, rng=np.random.default_rng(0)) for by in ("type", "relation")}
    figure = elements.group_shift(tables)
    check(figure, 2)
    last = tables["type"][tables["type"].projection == "v_proj"]["group"]
    labels = names_of_rows(figure)[::-1]
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
    figure = elements.causal_drop(found, outcome=outcome, k=3)
    check(figure, 2)
    axes = figure.still.axes[0]
    (chance,) = (marks for marks in axes.collections if marks.get_label() == "drawn by chance")
    assert len(chance.get_offsets()) == 2
    holm = found[(found.outcome == outcome) & (found.kind == "node")].set_index("measure")["holm"]
    drawn = {part.get_label(): len(part.lines[0].get_xdata()) for part in axes.containers}
    assert drawn["mean, 95 % interval"] == (holm < 0.05).sum()


NAME = "04_compare_shift"
QUICK = {
    "random_changes": 2, "dosed_cases": 3, "effect_cases": 1, "map_cases": 2, "switched_shares": [0.25],
    "agreement_cases": 4, "deleted_cases": 2, "permutations": 19, "reduced_cases": 4,
}  # fmt: skip


def explanations(cases: list[Case]) -> list[Explanation]:
    rng, made = np.random.default_rng(0), []
    for case in cases:
        answers = {"tuned_full": case.path, "tuned_changed": case.path[:1]}
        chains = {"tuned_full": case.toolchain, "tuned_changed": ()}
        for method in ("paper", "in_loop", "certified", "random_node"):
            degrees, removed = tuple(rng.random(len(case.elements))), case.facts[:1]
            if method == "certified":
                degrees = tuple(float(e in removed) for e in case.elements)
            made.append(Explanation(case, method, degrees, removed, (), answers, chains, {}, {}, 0))
    return made


def make_run(run: Path, model: Path | str, *, withheld: float = 0.1, **adapter: float) -> list[Case]:
    """Finished stages adapter and explain, with a random adapter and random masks: five held-out cases, three of them
    explained. withheld: how much more each of them lacks than the one before."""
    folder, rng = open_adapter(run, model, **adapter), np.random.default_rng(0)
    checkpoint = folder / "checkpoints" / "checkpoint-2"
    checkpoint.mkdir(parents=True)
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        shutil.copy(folder / name, checkpoint / name)
    cases = [replace(withhold(chain_case(), withheld * i, rng=rng), id=f"case-{i}") for i in range(5)]
    for name, some in {"cases_held_out": cases, "cases_train": cases[:3], "showcase": cases[:1]}.items():
        save_cases(folder / f"{name}.jsonl", some)
    made = {"metrics": {}, "seed": 0, "device": "cpu"}
    runs.write_manifest(run, "adapter", config={}, inputs={}, **made)
    folder = runs.open_stage(run, "explain")
    for one in explanations(cases[:3]):
        save(folder / "explanations" / f"{one.case.id}-{one.method}.json", one)
    runs.write_manifest(run, "explain", config={"withheld": 0.0}, inputs={"adapter": run / "adapter"}, **made)
    return cases


@pytest.mark.slow
def test_it_runs_on_another_architecture_that_has_no_answer_right(tmp_path: Path) -> None:
    model, run = save_tiny(tmp_path / "model", "qwen"), tmp_path / "run"
    cases = make_run(run, model)
    large = {"units": "layer", "closer_layers": 1}  # as models of many modules are switched
    made = execute(NAME, run_dir=str(run), model=str(model), shown_case="case-1", **QUICK, **large)
    assert made["case"].id == "case-1" and isinstance(made["figures"].spectra.norms(made["table"]), Figure)
    manifest = runs.read_manifest(run, "shift")
    assert runs.is_complete(run, "shift") and set(manifest["inputs"]) == {"model", "adapter", "explain"}
    check_tables(run / "shift", cases)
    check_metrics(manifest["metrics"], modules=4, switches=2 + 2 + 2)
    assert [len(one) for one in made["order"].values()] == [2, 16] and made["panel"].settings.losses.shape == (2,)
    assert not made["found"] and manifest["metrics"]["reduced"]["reduced"]["part"] == 1


@pytest.mark.slow
def test_the_same_run_leaves_the_same_stage(tmp_path: Path) -> None:
    """The shipped reader with an adapter that leads it to the tiny case's answer: there is something to keep."""
    cases, given = make_run(tmp_path, "reader", withheld=0.0, size=0.1, seed=6), {**QUICK, "memory_share": 0.0}
    made = execute(NAME, run_dir=str(tmp_path), **given)
    folder = tmp_path / "shift"
    check_tables(folder, cases)
    metrics = runs.read_manifest(tmp_path, "shift")["metrics"]
    check_metrics(metrics, modules=12, switches=12)
    assert made["right"][4].all() and 0 < len(made["kept"]) < 48, "dose 1 is right, and so is less"
    assert [one.rank for one in read_factors(folder / "reduced")] == [one.rank for one in made["smaller"]]
    before = {path.name: path.read_bytes() for path in folder.glob("*.tsv")}
    assert {"kept_modules.tsv", "kept_parts.tsv", "causal.tsv"} <= set(before)
    whole = state(tmp_path)
    again = execute(NAME, run_dir=str(tmp_path), **given)
    assert state(tmp_path) == whole, "a finished stage is read: what is computed again goes elsewhere"
    assert {path.name: path.read_bytes() for path in again["folder"].glob("*.tsv")} == before
    assert plain(again["metrics"], where="metrics") == metrics
    assert again["panel"].off == () and again["panel"].state["dose"] == 1


def check_tables(folder: Path, cases: list[Case]) -> None:
    """Every case and measure is in the tables; masks are known of the explained cases alone."""
    elements = pd.read_csv(folder / "elements.tsv", sep="\t")
    asked = elements["case"].unique().tolist()
    assert asked[:3] == ["case-0", "case-1", "case-2"] and len(asked) == 4
    assert len(elements) == sum(len(case.elements) for case in cases if case.id in asked)
    known = {"mask (paper)", "mask (in loop)", "certified set"}
    assert {*known, "attention", "delta", "gradient", "q_proj shift", "v_proj shift"} <= set(elements.columns)
    assert elements[elements["case"] == asked[3]][list(known)].isna().all(axis=None)
    removals = pd.read_csv(folder / "removals.tsv", sep="\t")
    assert removals["by"].tolist() == ["map", "norm", "random"] * 2 and (removals["n"] == 3).all()
    doses = pd.read_csv(folder / "doses.tsv", sep="\t")
    assert sorted(doses["dose"].unique()) == [0, 0.25, 0.5, 0.75, 1, 1.25, 1.5]


def check_metrics(metrics: dict, *, modules: int, switches: int) -> None:
    """A record a module, a switch, a pair, a measure, a dose."""
    assert metrics["modules"] == modules and metrics["cases"] == 4
    assert len(metrics["spectra"]) == len(metrics["base_shares"]) == modules and len(metrics["switches"]) == switches
    measures = len(metrics["separation_nodes"])
    assert measures == 12 and len(metrics["agreement_nodes"]) == len(metrics["agreement_facts"]) == 66
    assert set(metrics["reduced"]) == {"none", "reduced", "whole"} and len(metrics["dose"]) == 7
    order = metrics["first_order"]
    assert order["slope"] == pytest.approx(order["inner_products"], rel=1e-4)
