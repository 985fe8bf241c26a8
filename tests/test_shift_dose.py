"""Dose and response, switches, saliency, what carries reading and memory: against the model asked directly, dense
gradients and closed forms."""

import gzip
import itertools
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from dosed_models import MODULES, shipped, tiny
from figure_checks import check
from refusals import refused
from table_games import rng
from tiny import NAMES, chain_case

from workbench import models, shift
from workbench.cases import Fact, toolchain, withhold
from workbench.explain.counterfactual import without
from workbench.figures import dose as pictures
from workbench.game import Engine, ForcedChoice, Game, ModuleGame, adapted_modules
from workbench.hands.narrative.shifted import two_adapters
from workbench.shift.saliency import MEMORY, READING, WITHHELD, unknown
from workbench.stats.games import without as masks_without

CASE = chain_case()


@pytest.fixture(scope="module")
def games() -> list[Game]:
    """Three games of the tiny model with its adapter: the whole case, and two with less of it."""
    engine = Engine(tiny())
    cases = [CASE, without(CASE, [CASE.facts[2]]), without(CASE, [CASE.nodes[-1]])]
    return [Game.of(engine, case, path=CASE.path) for case in cases]


def test_contests_set_the_tuned_answer_against_the_bases():
    engine = Engine(shipped())
    (game,) = shift.contests(engine, [CASE])
    base = engine.answers([CASE], adapter=False)[0]
    assert game.form == "margin" and toolchain(base) != toolchain(game.path)
    ours, theirs = (game.view(form="logprob"), Game(engine, CASE, game.other))
    assert theirs.path[: len(base)] == base[: len(theirs.path)]
    one = np.ones((1, game.n), bool)
    assert game(one) == pytest.approx(ours(one) - theirs(one), abs=1e-4)
    assert [g.form for g in shift.contests(engine, [CASE], form="decision")] == ["decision"]
    silent = Engine(tiny())
    choice = ForcedChoice.of(Game.of(silent, CASE, path=CASE.path, adapter=False))
    (against,) = shift.contests(silent, [CASE])
    assert against.other == choice.game.answer, "a base that writes no toolchain decides by forced choice"


def test_dose_values_and_effects_are_those_of_the_game_at_the_dose(games):
    grid = (0.0, 0.5, 1.25)
    values = shift.dose_values(games, grid=grid)
    effects = shift.dose_effects(games[:1], grid=grid)
    game = games[0]
    one, left_out = np.ones((1, game.n), bool), ~np.eye(game.n, dtype=bool)
    for dose in grid:
        at = game.view(dose=dose)
        found = values[(values["case"] == game.case.id) & (values["dose"] == dose)]["value"].iloc[0]
        assert found == pytest.approx(at(one)[0], abs=1e-5)
        rows = effects[effects["dose"] == dose]
        assert rows["effect"].to_numpy() == pytest.approx(at(one) - at(left_out), abs=1e-4)
        assert rows["kind"].tolist() == ["fact" if isinstance(e, Fact) else "node" for e in game.elements]
        assert rows["needed"].sum() == len(CASE.path) + len(CASE.needed)


def test_over_cases_counts_a_case_once():
    table = pd.DataFrame({"case": ["a", "a", "a", "b"], "dose": [1.0, 1.0, 1.0, 1.0], "effect": [1.0, 2.0, 3.0, 10.0]})
    (row,) = shift.over_cases(table, ["dose"], value="effect", rng=rng()).itertuples()
    assert (row.dose, row.mean, row.n) == (1.0, 6.0, 2) and row.low < 2.0 and row.high > 10.0


@pytest.mark.parametrize("unit", ["module", "part"])
def test_a_path_from_base_to_tuned_adds_up_to_the_difference(games, unit):
    path = shift.dose_path(games, unit=unit, steps=64)
    assert path.sum(axis=1) == pytest.approx(shift.differences(games), rel=0.02, abs=0.2)
    if unit == "part":
        assert path.reshape(3, MODULES, 4).sum(axis=2) == pytest.approx(shift.dose_path(games, steps=64), abs=1e-3)


def test_switches_are_the_modules_off_and_on(games):
    table = shift.switch_effects(games)
    play = ModuleGame(games[0])
    tuned, base = play(np.array([[1.0] * MODULES, [0.0] * MODULES]))
    rows = table.iloc[:MODULES]
    for k, row in enumerate(rows.itertuples()):
        assert row.off == pytest.approx(tuned - play(masks_without(play.n, [[k]]))[0])
        assert row.on == pytest.approx(play(np.eye(MODULES))[k] - base)
        assert row.delta == pytest.approx(tuned - base)
    assert list(rows["layer"]) == [0, 0, 1, 1] and list(rows["projection"]) == ["q_proj", "v_proj"] * 2
    shares = shift.switch_shares(table, rng=rng())
    assert list(shares["module"]) == list(play.names)
    one = table[table["module"] == play.names[1]]
    assert shares["off"][1] == pytest.approx(one["off"].sum() / one["delta"].sum())
    assert (shares["off_low"] <= shares["off"]).all() and (shares["off"] <= shares["off_high"]).all()


@pytest.mark.parametrize(("unit", "other"), [("layer", "projection"), ("projection", "layer")])
def test_layers_and_projections_are_switched_whole_and_the_modules_of_the_layer_with_most_alone(games, unit, other):
    shares, *rest = (
        shift.switch_shares(shift.switch_effects(games, unit=one), rng=rng()) for one in (unit, other, "module")
    )
    assert shift.looked_into(games, rest[1], layers=1, rng=rng()) is rest[1]
    table = shift.looked_into(games, shares, layers=1, rng=rng()).set_index("module")
    rest = [one.set_index("module") for one in rest]
    most = table[table["projection"] == "all"]["off"].idxmax()
    modules = [name for name in rest[1].index if f"layers.{most.removeprefix('layer ')}." in name]
    assert list(table.index) == [*shares["module"], *rest[0].index, *modules] and len(modules) == 2
    for one in (shares.set_index("module"), rest[0], rest[1].loc[modules]):
        columns = ["off", "on", "parameters"]
        assert table.loc[one.index, columns].to_numpy(float) == pytest.approx(one[columns].to_numpy(float), abs=1e-6)


def test_interactions_are_the_second_difference(games):
    found = shift.interactions(games, [0, 2, 3])
    play = ModuleGame(games[1])
    on, a, b, both = play(np.vstack([np.ones(MODULES), masks_without(play.n, [[0], [3], [0, 3]])]))
    assert found[1, 0, 2] == found[1, 2, 0] == pytest.approx(both - a - b + on, abs=1e-5)
    assert (found[:, range(3), range(3)] == 0).all()
    assert shift.set_effects(games, [[0, 3]])[1, 0] == pytest.approx(on - both)


def test_shares_are_ratios_of_sums_with_an_interval_over_cases():
    found = shift.delta_share(np.array([1.0, 3.0]), np.array([2.0, 6.0]), rng=rng())
    assert tuple(found) == (0.5, 0.5, 0.5, 2)
    sets = np.array([[1.0, 3.0], [0.0, 4.0]])
    assert shift.delta_share(sets, np.array([4.0, 4.0]), rng=rng()).mean == 0.5
    wide = shift.delta_share(rng(1).normal(1, 1, 50), np.full(50, 2.0), rng=rng())
    assert wide.low < wide.mean < wide.high
    refused("0 in every case", shift.delta_share, np.ones(2), np.zeros(2), rng=rng())
    refused("one value a case", shift.delta_share, np.ones(2), np.ones(3), rng=rng())


def test_top_units_round_to_the_nearest_number():
    scores = np.arange(12.0)
    assert shift.top_units(scores, 0.1) == [11] and shift.top_units(scores, 0.125) == [11, 10]
    assert shift.top_units(np.arange(192.0), 0.1) == list(range(191, 172, -1))
    refused("part must lie", shift.top_units, scores, 0)


def test_random_sets_hold_as_many_parameters():
    sizes = np.array([4, 4, 2, 2, 2, 1, 1])
    found = shift.random_sets(sizes, [0], draws=20, rng=rng())
    assert len({tuple(s) for s in found}) == len(found) and [0] not in found
    assert all(sizes[s].sum() == 4 for s in found) and [1] in found and [2, 3] in [sorted(s) for s in found]


@pytest.mark.parametrize("seed", range(8))
def test_random_sets_of_few_units_of_unlike_sizes_come_as_near_as_any(seed):
    sizes = rng(seed).integers(1, 9, size=int(rng(seed).integers(1, 6))) ** 2
    every = [set(s) for k in range(1, len(sizes) + 1) for s in itertools.combinations(range(len(sizes)), k)]
    for like in map(sorted, every):
        found = shift.random_sets(sizes, like, draws=8, rng=rng(seed))
        misses = [abs(int(sizes[list(s)].sum() - sizes[like].sum())) for s in every if not s >= set(like)]
        near = max(min(misses, default=0), 0.02 * sizes[like].sum())
        assert found and all(abs(sizes[s].sum() - sizes[like].sum()) <= near for s in found), (sizes, like)
        assert like not in map(sorted, found) or len(like) == len(sizes)


def dense_gradient(game: Game, module, case) -> torch.Tensor:
    """d log p(answer) / d W of a module, (out, in), by giving it a dense weight and asking autograd."""
    weight = torch.zeros(module.layer.out_features, module.layer.in_features, requires_grad=True)
    hook = module.layer.register_forward_hook(lambda m, given, out: out + given[0] @ weight.T)
    try:
        prompt = game.engine.prompt(case)
        ids = torch.tensor([[*prompt.ids, *game.answer[:-1]]])
        logits = game.engine.lm.model(input_ids=ids).logits[0, -len(game.answer) :]
        value = logits.log_softmax(-1).gather(1, torch.tensor(game.answer)[:, None]).sum()
        return torch.autograd.grad(value, [weight])[0]
    finally:
        hook.remove()


def test_saliency_and_dose_derivatives_equal_dense_inner_products(games, monkeypatch):
    """d v / d dose at 1 = <s B A, G>, by three ways that share no code: doses, token sums, a dense weight."""
    game, changed = games[0], without(CASE, CASE.nodes[3:5])
    answers = [g.answer for g in games]
    monkeypatch.setattr("workbench.shift.saliency.GAMMA", 0.5)
    table = shift.module_saliency(game.engine, [(g.case, changed) for g in games], answers)
    slopes = np.array([ModuleGame(g).gradients(np.ones((1, MODULES)))[1][0] for g in games])
    assert -table["retain"].to_numpy().reshape(3, -1) == pytest.approx(slopes, rel=1e-4, abs=1e-4)
    for k, module in enumerate(adapted_modules(game.engine.lm.model)):
        kept, gone = (dense_gradient(game, module, case) for case in (CASE, changed))
        update = module.scaling * module.B.weight.detach() @ module.A.weight.detach()
        row = table.iloc[k]
        assert slopes[0, k] == pytest.approx(float((update * kept).sum()), rel=1e-4, abs=1e-4)
        assert row["forget"] == pytest.approx(-float((update * gone).sum()), rel=1e-4, abs=1e-4)
        assert row["conflict"] == pytest.approx(float((kept * gone).sum()), rel=1e-3, abs=1e-3)
        assert row["saliency"] == pytest.approx(row["forget"] - row["conflict"] / 0.5)


def test_saliency_does_not_depend_on_the_batch_and_leaves_no_hooks(games):
    engine = games[0].engine
    pairs = [(g.case, without(g.case, [g.case.facts[0]])) for g in games]
    answers = [g.answer[: 8 - k] for k, g in enumerate(games)]
    before = engine.ledger.copy()
    together = shift.module_saliency(engine, pairs, answers)
    spent = engine.ledger - before
    assert (spent.calls, spent.rows, spent.backward_passes) == (1, 6, 1)
    alone = [shift.module_saliency(engine, [p], [a]) for p, a in zip(pairs, answers, strict=True)]
    found, expected = (table.iloc[:, 4:].to_numpy() for table in (together, pd.concat(alone)))
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3)
    assert all(not m._forward_hooks for m in engine.lm.model.modules())


def test_saliency_reads_four_bit_modules():
    engine = Engine(shipped(four_bit=True))
    game = Game.of(engine, CASE, path=CASE.path)
    table = shift.module_saliency(engine, [(CASE, without(CASE, [CASE.facts[1]]))], [game.answer])
    slope = ModuleGame(game).gradients(np.ones((1, 12)))[1][0]
    assert -table["retain"].to_numpy() == pytest.approx(slope, rel=1e-3, abs=1e-3)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped reader's adapter with one case that was held out."""
    place = tmp_path_factory.mktemp("adapter")
    shipped().model.save_pretrained(place)
    (place / "cases_held_out.jsonl.gz").write_bytes(gzip.compress(json.dumps(CASE.to_dict()).encode()))
    return place


def test_parts_add_up_to_the_gain_where_nothing_can_be_remembered_and_where_it_must_be(folder: Path) -> None:
    found = shift.carried(models.READER, folder, names=NAMES, cases=1, seed=0, steps=48)
    engine = Engine(models.load(names=NAMES, adapter=folder))
    read = unknown([CASE], engine, seed=0)[0]
    assert not set(read.names.values()) & set(NAMES.values()) and read.facts == CASE.facts
    left = withhold(CASE, WITHHELD, rng=np.random.default_rng(0))
    assert len(left.facts) < len(CASE.facts) and set(found["layer"]) == set(range(6))
    for kind, case in {READING: read, MEMORY: left}.items():
        asked = [engine.prompt(case)], [engine.answer_ids(case, case.path)]
        tuned, base = (float(engine.logprobs(*asked, adapter=on)[0].sum()) for on in (True, False))
        parts = found[found["kind"] == kind]
        assert len(parts) == 12 and parts["path"].sum() == pytest.approx(tuned - base, rel=0.05, abs=0.1)
    shares = shift.gain_shares(found, by=["projection"])
    assert shares.sum().to_numpy() == pytest.approx([1, 1]) and list(shares.index) == ["q_proj", "v_proj"]


def test_two_adapters_are_told_apart_in_words_and_in_a_picture(folder: Path) -> None:
    sides = shift.compare({"one": folder, "two": folder}, rng=np.random.default_rng(0), draws=9)
    gains = shift.carried(models.READER, folder, names=NAMES, cases=1, seed=0, steps=1)
    gains = pd.concat([gains.assign(adapter=name) for name in ("one", "two")])
    said = two_adapters(sides, gains)
    assert "a cosine of 1.00" in said and "1.00 times as large" in said and said.count("nats to the right answer") == 2
    many = pd.concat([gains.assign(case=str(k)) for k in range(5)])
    assert "memory takes more" not in said and two_adapters(sides, many).count("memory takes more") == 2
    picture = pictures.adapter_maps(sides, gains)
    check(picture)
    assert "overlap 1.00" in picture.alt and len(picture.tips) == 36


def test_adapters_ship_for_the_model_that_they_belong_to() -> None:
    assert list(models.shipped_for("smollm2")) == ["whole", "narrow"] and models.shipped_for(models.READER) == {}
