"""Measures by name: each is what its own function gives, masks are taken as given, what is missing is named; token
shifts summed up by hand."""

from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from refusals import refused
from test_shift_tokens import tuned_reader
from tiny import chain_case

from workbench import models, shift
from workbench.attribution import METHODS
from workbench.cases import Fact
from workbench.explain import ExplainConfig
from workbench.game import Difference, Engine, Game, element_attention
from workbench.shift import MEASURES, Factors, Measurement
from workbench.shift.tokens import VALUES

CASE = chain_case()


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Measurement:
    engine, factors = tuned_reader(tmp_path_factory.mktemp("adapter"))
    saliency = np.zeros(len(factors))
    saliency[1] = -2.0
    config = ExplainConfig(paper_steps=5, loop_steps=2, sets_of="elements")
    return Measurement(engine, [CASE], factors, saliency=saliency, config=config)


def test_every_measure_has_a_column(measured: Measurement) -> None:
    table = measured.table()
    expected = [name for name in MEASURES if name.split("_")[0] not in ("k", "o", "gate", "up", "down")]
    assert shift.measures_of(table) == expected and len(table) == len(CASE.elements)
    assert table[expected].drop(columns="certified set").notna().all(axis=None)  # the random reader's has no set
    assert {"kind", "needed", "degree"} < set(table)


def test_measures_are_those_of_their_functions(measured: Measurement) -> None:
    game = Game.of(measured.engine, CASE)
    table = measured.table(["leave one out", "delta", "size of delta", "gradient", "attention", "v_proj shift"])
    for name, expected in {
        "leave one out": METHODS["leave_one_out"](game).scores,
        "delta": METHODS["leave_one_out"](Difference(game)).scores,
        "size of delta": abs(METHODS["leave_one_out"](Difference(game)).scores),
        "gradient": METHODS["gradient_gate"](game).scores,
        "attention": METHODS["attention_highest"](game).scores,
        "v_proj shift": shift.by_element(shift.token_shift(measured.engine, [CASE], measured.factors))["v_proj shift"],
    }.items():
        np.testing.assert_allclose(table[name], expected, rtol=1e-4, atol=1e-6, err_msg=name)
    (rollout,) = measured.values("attention rollout")
    assert (rollout >= 0).all() and rollout[len(CASE.nodes) :].sum() <= 1
    np.testing.assert_allclose(element_attention(CASE, rollout[len(CASE.nodes) :]), rollout)


def test_members_of_the_certified_set_have_1(measured: Measurement) -> None:
    (found,) = measured.session.certified
    assert not found.found and measured.values("certified set") == [None]
    trained = Measurement(Engine(models.load(names=CASE.names, four_bit=False)), [CASE])
    ((member,), (found,)) = trained.values("certified set"), trained.session.certified
    assert found.found and set(np.flatnonzero(member)) == set(found.elements) and set(member) == {0.0, 1.0}


def test_saliency_weights_modules(measured: Measurement) -> None:
    one = measured.factors[1]
    alone = shift.token_shift(measured.engine, [CASE], [one])
    np.testing.assert_allclose(measured.values("saliency shift")[0], alone["context_relative"], rtol=1e-5)


def test_rows_are_asked_once(measured: Measurement) -> None:
    measured.table(["certified set", "leave one out", "delta"])
    before = measured.engine.ledger.copy()
    measured.table(["certified set", "leave one out", "delta", "size of delta"])
    assert (measured.engine.ledger - before).rows == 0


def test_masks_are_taken_as_given(tmp_path: Path) -> None:
    engine, _ = tuned_reader(tmp_path)
    masks = {"mask (in loop)": [None], "mask (mine)": [np.arange(len(CASE.elements))]}
    some = Measurement(engine, [CASE], masks=masks)
    assert some.possible[:2] == list(masks) and "mask (paper)" not in some.possible
    assert not any(name.endswith("shift") for name in some.possible)
    table = some.table(["mask (mine)", "mask (in loop)"])
    assert table["mask (in loop)"].isna().all() and list(table["mask (mine)"]) == list(range(len(CASE.elements)))


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    engine, factors = tuned_reader(tmp_path)
    bare, adapted = Measurement(engine, [CASE]), Measurement(engine, [CASE], factors)
    refused("no measure is called 'entropy'", bare.table, ["entropy"])
    refused("give factors=", bare.table, ["q_proj shift"])
    refused("give saliency=", adapted.table, ["saliency shift"])
    refused("changes no 'k_proj'", adapted.table, ["k_proj shift"])


CASES = [CASE, replace(CASE, id="other", facts=CASE.facts[:5])]
PLACES = [(0, "q_proj"), (0, "v_proj"), (1, "q_proj"), (1, "v_proj")]
FACTORS = [Factors(f"layers.{k}.{p}", k, p, 1, 1.0, np.ones((1, 2)), np.ones((2, 1))) for k, p in PLACES]


def table(seed: int = 0) -> pd.DataFrame:
    parts = [shift.element_rows([case]).assign(layer=k, projection=p) for case, (k, p) in product(CASES, PLACES)]
    rows = pd.concat(parts, ignore_index=True)
    return rows.join(pd.DataFrame(np.random.default_rng(seed).random((len(rows), 4)), columns=VALUES))


def test_elements_get_the_mean_over_layers() -> None:
    rows = table()
    found = shift.by_element(rows, value="context")
    one = rows[(rows.case == "other") & (rows.element == 2) & (rows.projection == "v_proj")]
    assert list(found.columns) == ["q_proj shift", "v_proj shift"]
    assert found.loc[("other", 2), "v_proj shift"] == pytest.approx(one["context"].mean())


def test_saliency_weights_the_modules() -> None:
    rows = table()
    weights = np.array([1.0, -3.0, 0.0, 4.0])
    found = shift.saliency_shift(rows, FACTORS, weights)
    one = rows[(rows.case == "other") & (rows.element == 3)].set_index(["layer", "projection"])["context_relative"]
    expected = sum(abs(w) / 8 * one[place] for w, place in zip(weights, PLACES, strict=True))
    assert found[("other", 3)] == pytest.approx(expected)
    apart = shift.saliency_shift(rows, FACTORS, np.array([[1.0, 0, 0, 0], weights]))
    assert apart[("other", 3)] == pytest.approx(expected)
    first = rows[(rows.case == CASES[0].id) & (rows.element == 3) & (rows.layer == 0) & (rows.projection == "q_proj")]
    assert apart[(CASES[0].id, 3)] == pytest.approx(first["context_relative"].item())
    for wrong in (np.ones(3), np.zeros(4), np.array([1, 1, 1, np.nan])):
        refused("saliency must be 4 finite numbers", shift.saliency_shift, rows, FACTORS, wrong)


@pytest.mark.parametrize(("by", "group"), [("type", "command"), ("relation", "input"), ("entity", "format_1")])
def test_groups_are_means_over_cases_of_means_over_elements(by: str, group: str) -> None:
    rows = table()
    found = shift.by_group(rows, CASES, by, rng=np.random.default_rng(0))
    means, elements = [], 0
    for case in CASES:
        members = {
            "type": [i for i, e in enumerate(case.elements) if not isinstance(e, Fact) and e.startswith("command:")],
            "relation": [i for i, e in enumerate(case.elements) if isinstance(e, Fact) and e.relation == "input"],
            "entity": [i for i, e in enumerate(case.elements) if e == "format_1"],
        }[by]
        part = rows[(rows.case == case.id) & rows.element.isin(members) & (rows.projection == "q_proj")]
        means.append(part["context_relative"].mean())
        elements += len(members)
    line = found[(found.group == group) & (found.projection == "q_proj")].iloc[0]
    assert line["mean"] == pytest.approx(np.mean(means)) and (line["n"], line["elements"]) == (2, elements)
    assert line["low"] <= line["mean"] <= line["high"]
    ordered = found[found.projection == "v_proj"]["mean"].to_numpy()
    assert (np.diff(ordered) <= 0).all()


def test_groups_that_there_are_not_are_refused() -> None:
    rows, rng = table(), np.random.default_rng(0)
    refused("by must be one of entity, type, relation, not 'tool'", shift.by_group, rows, CASES, "tool", rng=rng)
    refused("has no facts", shift.by_group, rows[rows.kind == "node"], CASES, "relation", rng=rng)


def test_one_case_layer_by_layer() -> None:
    rows = table()
    found = shift.element_layers(rows, CASES[1], "v_proj")
    assert list(found.columns) == ["emb.", 0, 1] and list(found.index) == list(range(len(CASES[1].elements)))
    mine = rows[(rows.case == "other") & (rows.element == 4) & (rows.projection == "v_proj")].sort_values("layer")
    np.testing.assert_allclose(found.loc[4], [mine.embedding_relative.mean(), *mine.context_relative])
    refused("no 'k_proj' of case 'other'", shift.element_layers, rows, CASES[1], "k_proj")
