"""Measures by name: each is what its own function gives, masks are taken as given, what is missing is named."""

from pathlib import Path

import numpy as np
import pytest
from test_shift_tokens import tuned_reader
from tiny import chain_case

from workbench import models
from workbench.attribution import METHODS
from workbench.explain import ExplainConfig
from workbench.game import Difference, Engine, Game, element_attention
from workbench.shift import MEASURES, Measurement, by_element, measures_of, token_shift

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
    assert measures_of(table) == expected and len(table) == len(CASE.elements)
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
        "v_proj shift": by_element(token_shift(measured.engine, [CASE], measured.factors))["v_proj shift"],
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
    alone = token_shift(measured.engine, [CASE], [one])
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
    bare = Measurement(engine, [CASE])
    with pytest.raises(ValueError, match="no measure is called 'entropy'"):
        bare.table(["entropy"])
    with pytest.raises(ValueError, match="give factors="):
        bare.table(["q_proj shift"])
    with pytest.raises(ValueError, match="give saliency="):
        Measurement(engine, [CASE], factors).table(["saliency shift"])
    with pytest.raises(ValueError, match="changes no 'k_proj'"):
        Measurement(engine, [CASE], factors).table(["k_proj shift"])
