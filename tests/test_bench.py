"""Benchmarks: the planted truth is the truth, figures are those of what was found; roundings of the base."""

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from bitsandbytes.functional import int8_vectorwise_quant
from dosed_models import shipped
from refusals import refused
from table_games import TableGame, table_of
from tiny import NAMES, chain_case

from workbench import models, shift
from workbench.artifacts.files import plain
from workbench.cases import toolchain
from workbench.game import Engine, Game
from workbench.hands.bench import accuracy, adapters, truth
from workbench.hands.bench.adapters import RULES, World, X
from workbench.hands.bench.oracles import FORMULAS, SEARCHES, PlantedGame, planted_game
from workbench.stats import proportion


def flips_by_hand(rule, shown):
    """Minimal sets of shown rule facts whose removal turns the answer, by the truth table."""
    present = [i for i in range(2) if shown[i]]
    sets = [s for k in (1, 2) for s in itertools.combinations(present, k)]
    turned = [s for s in sets if not rule.through_x(*(shown[i] and i not in s for i in range(2)))]
    return {s for s in turned if not any(set(o) < set(s) for o in turned)}


@pytest.mark.parametrize("name", RULES)
def test_the_stated_truth_of_a_rule_is_that_of_its_table_and_a_worlds_cases_follow_it(name):
    rule, world = RULES[name], World(RULES[name], seed=3)
    assert rule.through_x(*rule.full)
    assert set(rule.true_facts) == set().union(*flips_by_hand(rule, rule.full))
    a, b = world.rule_facts
    for case in world.training(np.random.default_rng(0), 40):
        assert (X in toolchain(case.path)) == rule.through_x(a in case.facts, b in case.facts)
        reached = {(f.head, f.tail) for f in case.facts}
        for command in ("command:x", "command:y"):
            assert {("format:middle", command), (command, case.target)} <= reached
        played = [e for e, plays in zip(case.elements, world.players(case), strict=True) if plays]
        assert played == [f for f in case.facts if f in world.side]
    held_out = world.held_out(np.random.default_rng(1), 5)
    assert all(X in case.path and (a in case.facts, b in case.facts) == rule.full for case in held_out)
    first = held_out[0]
    assert {first.elements[i] for i in world.truth(first)} == {(a, b)[i] for i in rule.true_facts}


def test_methods_that_must_find_a_planted_element_find_it_and_calls_are_counted():
    rng = np.random.default_rng(0)
    game = planted_game("and", 16, rng=rng)
    found = truth.play("leave_one_out", game, rng=rng)
    assert (found.recall, found.exact, found.auroc, found.calls) == (1, True, 1, 17)
    assert truth.play("leave_one_out", planted_game("or", 16, rng=rng), rng=rng).recall < 1  # each covers the other
    sought = truth.play("flip", game, rng=rng)
    assert sought.exact and sought.certified and not sought.wrong and sought.calls < 17


def test_a_wrong_certificate_would_be_counted():
    good = truth.Found(1.0, True, 1.0, 5, certified=True)
    bad = truth.Found(0.5, False, 0.8, 7, certified=True, wrong=True)
    figures = truth.cell([good, bad, good, good], seed=0)
    assert figures["wrong_certificates"] == 1 and figures["exact"]["share"] == 0.75 and figures["exact"]["n"] == 4
    assert figures["recall"]["mean"] == 0.875 and figures["calls"]["median"] == 5


def test_every_method_plays_every_game(monkeypatch):
    rows = truth.set_games(sizes=(8,), noises=(0.0,), games=("and", "xor"), seeds=2)
    assert {r["method"] for r in rows} == set(truth.names()) and len(truth.names()) >= 10
    assert len(rows) == 2 * len(truth.names())
    table = truth.table(rows, n=8)
    assert table[0].keys() == {"method", "elements", "and", "xor", "calls"}


def test_an_adapter_that_does_nothing_changes_nothing_and_facts_switched_off_get_nothing(tmp_path: Path, monkeypatch):
    some = ("gradient_gate", "integrated_gradients", "leave_one_out", "shapley_sampling", "context_cite")
    monkeypatch.setattr(truth, "METHODS", {name: truth.METHODS[name] for name in some})
    config = adapters.AdapterConfig(steps=0, cases=1, worlds=(0,))
    rows = adapters.planted_adapters(["and"], config, folder=tmp_path)
    assert len(rows) == 1 and rows[0]["largest_change"] == 0
    off = truth.switched_off(tmp_path, config, seed=0)
    nothing = {row["method"] for row in off if row["off"] == 0}
    assert nothing >= {"flip", *some[:4]}
    assert all(row["off"] < row["others"] for row in off)


def test_a_planted_adapter_is_tuned_and_scored(tmp_path: Path):
    config = adapters.AdapterConfig(training_cases=40, steps=2, cases=1, worlds=(0,))
    (row,) = adapters.planted_adapters(["or"], config, folder=tmp_path)
    assert (row["rule"], row["adapter"]) == ("or", "tuned") and row["players"] >= 6
    figures = adapters.summary([row, row])["or"]
    assert figures["right"]["n"] == 2 and 0 <= figures["exact"]["share"] <= figures["right"]["share"]


def test_certified_sets_of_a_case_are_compared_with_every_small_set():
    case = chain_case()
    lm = models.load(names=case.names, four_bit=False)
    row = truth.measured(Engine(lm), case, seed=0)
    assert row["found"] and row["certified"] and row["seeded_certified"]
    assert row["smallest"] is None and row["seeded_size"] >= row["size"] >= 1
    game = Game.of(Engine(lm), case, form="decision")
    assert truth.smallest(game, at_most=3) == row["size"]  # the search in earnest, not told what was found
    figures = truth.summarised([{**row, "withheld": 0.3}], 0.3, seed=0)
    assert figures["as_small"]["share"] == 1 and figures["cases"] == 1
    assert truth.flat(figures)["seconds"] == row["seconds"]


def test_int8_keeps_what_bitsandbytes_keeps() -> None:
    weight = torch.randn(48, 64, generator=torch.Generator().manual_seed(0)) * torch.logspace(-3, 2, 48)[:, None]
    kept, scale, _ = int8_vectorwise_quant(weight.half())
    theirs = kept.float() * scale[:, None] / 127
    assert (accuracy.int8(weight.half().float()) - theirs).abs().max() < 1e-3 * weight.abs().max()
    rough = accuracy.int8(weight)
    assert (rough - weight).abs().amax(1).le(weight.abs().amax(1) / 254 * 1.001).all()
    assert accuracy.int8(torch.zeros(2, 3)).eq(0).all()


def test_answers_and_sizes_are_those_of_the_rounded_base(tmp_path: Path) -> None:
    shipped().model.save_pretrained(tmp_path)
    case = chain_case()
    found = accuracy.measure(models.READER, tmp_path, [case], names=NAMES, seed=0, say=lambda line: None)
    json.dumps(plain(found, where="figures"), allow_nan=False)
    asked = [(base, share) for base in ("fp32", "int8", "NF4") for share in accuracy.SHARES]
    assert [(row["base"], row["withheld"]) for row in found["table"]] == asked
    assert all(row["kept"] == 1 for row in found["table"][:2]), "the base's own values keep every answer"
    # a base that is loaded in 4 bits answers as one that was rounded to them
    four = Engine(models.load(names=NAMES, adapter=tmp_path))
    rounded = Engine(accuracy.loaded(models.READER, tmp_path, "NF4", names=NAMES))
    prompts, answers = [four.prompt(case)], [four.answer_ids(case, case.path)]
    one, other = (engine.logprobs(prompts, answers)[0].detach().numpy() for engine in (four, rounded))
    assert one == pytest.approx(other, abs=1e-4)
    weights = shift.base_weights(models.READER)
    for row, factors in zip(found["modules"], shift.read_factors(tmp_path), strict=True):
        weight, update = weights(factors.module), factors.scaling * factors.B @ factors.A
        assert row["update_over_base"] == pytest.approx(np.linalg.norm(update) / np.linalg.norm(weight), rel=1e-4)
        assert 0 < row["int8_over_update"] < row["NF4_over_update"]
        assert row["NF4_over_base"] == pytest.approx(row["NF4_over_update"] * row["update_over_base"], rel=1e-6)


@pytest.mark.parametrize("n", [5, 8, 10])
@pytest.mark.parametrize("name", FORMULAS)
def test_stated_minimal_sets_are_all_there_are(name: str, n: int) -> None:
    game = planted_game(name, n, rng=np.random.default_rng(n))
    table = TableGame(table_of(n, lambda masks: game.quiet(masks) > 0))
    assert table.table[-1], "the decision is kept with everything kept"
    for kind in SEARCHES:
        assert game.minimal(kind) == table.minimal(kind)
    matters = {game.elements[role] for role in game.formula.matters}
    assert matters == set().union(*game.minimal("flip"))


@pytest.mark.parametrize("name", FORMULAS)
def test_margins_are_one_but_for_the_sum_of_weights(name: str) -> None:
    masks = np.random.default_rng(0).random((400, 6)) < 0.5
    sizes = set(np.round(np.abs(planted_game(name, 6, rng=np.random.default_rng(1)).quiet(masks)), 9))
    assert sizes == ({0.3, 0.5, 0.7, 1.5} if name == "additive" else {1.0})


def test_other_elements_have_no_effect_and_float_masks_are_cut_at_a_half() -> None:
    game = planted_game("dnf", 30, rng=np.random.default_rng(3))
    masks = np.random.default_rng(4).random((50, 30))
    rest = np.setdiff1d(np.arange(30), game.elements)
    values = game(masks)
    np.testing.assert_array_equal(values, game(masks > 0.5))
    masks[:, rest] = 1 - masks[:, rest]
    np.testing.assert_array_equal(values, game(masks))
    assert values.shape == (50,) and game(masks[:0]).shape == (0,)


def test_noise_is_gaussian_of_the_stated_size_and_new_each_time() -> None:
    game = planted_game("or", 8, rng=np.random.default_rng(0), noise=0.3)
    everything = np.ones((4000, 8), bool)
    values = game(everything) - game.quiet(everything)
    assert values.mean() == pytest.approx(0, abs=0.02) and values.std() == pytest.approx(0.3, rel=0.05)
    assert len(set(values)) == 4000
    again = [planted_game("or", 8, rng=np.random.default_rng(5), noise=0.3)(everything[:3]) for _ in range(2)]
    np.testing.assert_array_equal(*again)


def test_games_that_cannot_be_are_refused() -> None:
    refused("planted game must be one of .* not 'nand'", planted_game, "nand", 16, rng=np.random.default_rng(0))
    refused(r"dnf needs 4 different elements below 3, not", planted_game, "dnf", 3, rng=np.random.default_rng(0))
    refused(r"or needs 2 different elements below 8, not \(1, 1\)", PlantedGame, "or", 8, (1, 1))
    refused("with noise an rng is needed", PlantedGame, "or", 8, (1, 2), noise=0.1)


def test_searches_are_measured_cell_by_cell() -> None:
    grid = {"games": ("and", "xor"), "sizes": (16,), "noises": (0.0, 0.1), "seeds": 1, "search_seeds": 12}
    rows = [row for row in truth.set_games(**grid) if row["method"] in SEARCHES]
    asked = {(s, g, x) for s in ("flip", "sufficient") for g in ("and", "xor") for x in (0.0, 0.1)}
    assert {(r["method"], r["game"], r["noise"]) for r in rows} == asked
    for row in rows:
        assert row["exact"] == proportion([True] * 12)._asdict() and row["certified"] == 1
        assert row["wrong_certificates"] == 0 and 5 <= row["calls"]["median"] <= (130 if row["noise"] else 30)
    assert [row for row in truth.set_games(**grid) if row["method"] in SEARCHES] == rows


def test_a_game_that_is_too_noisy_counts_as_missed() -> None:
    found = []
    for seed in range(10):
        rng = np.random.default_rng(seed)
        found.append(truth.play("flip", planted_game("and", 16, rng=rng, noise=60.0), rng=rng))
    assert np.mean([one.exact for one in found]) < 0.9 and np.mean([one.certified for one in found]) < 0.5
