"""Benchmarks: the planted truth is the truth, figures are those of what was found, the command writes them."""

import itertools
from pathlib import Path

import numpy as np
import pytest
from tiny import chain_case

from workbench import models
from workbench.cases import toolchain
from workbench.game import Engine, Game
from workbench.hands.bench import adapters, certified, planted
from workbench.hands.bench.adapters import RULES, World, X
from workbench.hands.bench.oracles import planted_game


def flips_by_hand(rule, shown):
    """Minimal sets of shown rule facts whose removal turns the answer, by the truth table."""
    present = [i for i in range(2) if shown[i]]
    sets = [s for k in (1, 2) for s in itertools.combinations(present, k)]
    turned = [s for s in sets if not rule.through_x(*(shown[i] and i not in s for i in range(2)))]
    return {s for s in turned if not any(set(o) < set(s) for o in turned)}


@pytest.mark.parametrize("name", RULES)
def test_the_stated_truth_of_a_rule_is_that_of_its_table(name):
    rule = RULES[name]
    assert rule.through_x(*rule.full)
    assert set(rule.necessary) == flips_by_hand(rule, rule.full)
    present = [i for i in range(2) if rule.full[i]]
    keeps = [s for k in range(3) for s in itertools.combinations(present, k) if rule.through_x(0 in s, 1 in s)]
    assert set(rule.sufficient) == {s for s in keeps if not any(set(o) < set(s) for o in keeps)}


@pytest.mark.parametrize("name", RULES)
def test_a_worlds_cases_follow_its_rule_and_leave_both_chains_open(name):
    world = World(RULES[name], seed=3)
    a, b = world.rule_facts
    for case in world.training(np.random.default_rng(0), 40):
        assert (X in toolchain(case.path)) == RULES[name].through_x(a in case.facts, b in case.facts)
        reached = {(f.head, f.tail) for f in case.facts}
        for command in ("command:x", "command:y"):
            assert {("format:middle", command), (command, case.target)} <= reached
        players = world.players(case)
        assert [e for e, p in zip(case.elements, players, strict=True) if p] == [
            f for f in case.facts if f in world.side
        ]
    held_out = world.held_out(np.random.default_rng(1), 5)
    assert all(X in case.path and (a in case.facts, b in case.facts) == RULES[name].full for case in held_out)
    first = held_out[0]
    assert {first.elements[i] for i in world.truth(first)} == {(a, b)[i] for i in RULES[name].true_facts}


def test_methods_that_must_find_a_planted_element_find_it_and_calls_are_counted():
    rng = np.random.default_rng(0)
    game = planted_game("and", 16, rng=rng)
    found = planted.play("leave_one_out", game, rng=rng)
    assert (found.recall, found.exact, found.auroc, found.calls) == (1, True, 1, 17)
    assert planted.play("leave_one_out", planted_game("or", 16, rng=rng), rng=rng).recall < 1  # each covers the other
    sought = planted.play("flip", game, rng=rng)
    assert sought.exact and sought.certified and not sought.wrong and sought.calls < 17


def test_a_wrong_certificate_would_be_counted():
    good = planted.Found(1.0, True, 1.0, 5, certified=True)
    bad = planted.Found(0.5, False, 0.8, 7, certified=True, wrong=True)
    figures = planted.cell([good, bad, good, good], seed=0)
    assert figures["wrong_certificates"] == 1 and figures["exact"]["share"] == 0.75 and figures["exact"]["n"] == 4
    assert figures["recall"]["mean"] == 0.875 and figures["calls"]["median"] == 5


def test_every_method_plays_every_game(monkeypatch):
    rows = planted.set_games(sizes=(8,), noises=(0.0,), games=("and", "xor"), seeds=2)
    assert {r["method"] for r in rows} == set(planted.names()) and len(planted.names()) >= 10
    assert len(rows) == 2 * len(planted.names())
    table = planted.table(rows, n=8)
    assert table[0].keys() == {"method", "n", "and", "xor", "calls"}


def test_an_adapter_that_does_nothing_changes_nothing_and_facts_switched_off_get_nothing(tmp_path: Path, monkeypatch):
    some = ("gradient_gate", "integrated_gradients", "leave_one_out", "shapley_sampling", "context_cite")
    monkeypatch.setattr(planted, "METHODS", {name: planted.METHODS[name] for name in some})
    config = adapters.AdapterConfig(steps=0, cases=1, worlds=(0,))
    rows = adapters.planted_adapters(["and"], config, folder=tmp_path)
    assert len(rows) == 1 and rows[0]["largest_change"] == 0
    off = planted.switched_off(tmp_path, config, seed=0)
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
    row = certified.measured(Engine(lm), case, seed=0)
    assert row["found"] and row["certified"] and row["seeded_certified"]
    assert row["smallest"] is None and row["seeded_size"] >= row["size"] >= 1
    game = Game.of(Engine(lm), case, form="decision")
    assert certified.smallest(game, at_most=3) == row["size"]  # the search in earnest, not told what was found
    figures = certified.summarised([{**row, "withheld": 0.3}], 0.3, seed=0)
    assert figures["as_small"]["share"] == 1 and figures["cases"] == 1
    assert certified.flat(figures)["seconds"] == row["seconds"]
