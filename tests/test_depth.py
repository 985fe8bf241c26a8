"""Layers below the one that is switched are computed once: the values are those of whole passes, for fewer tokens. The
forced choice of a model that writes no chain: against every chain, by enumeration."""

import itertools
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from dosed_models import shipped, slow, tiny, with_adapter
from hypothesis import given
from hypothesis import strategies as st
from report_runs import METRICS, finish
from tiny import chain_case, tiny_reader
from transformers import AutoModelForCausalLM, BloomConfig, FalconConfig, GPTNeoConfig, GPTNeoXConfig, MistralConfig

from workbench.cases import Case, toolchain
from workbench.explain import changed_sets
from workbench.explain.counterfactual import without
from workbench.explain.trial import answered, hanging
from workbench.game import Engine, ForcedChoice, Game, ModuleGame, allowed_chains, own_decisions
from workbench.game.forced import chosen
from workbench.game.passes import Memory
from workbench.game.rows import by_depth, can_stand_together, named_path, shared_depth
from workbench.hands.narrative import explained as verdict
from workbench.hands.report import finding
from workbench.hands.report.write import write_report

CASE = chain_case()


@pytest.fixture(scope="module")
def plain() -> Game:
    """Of the shipped reader with an adapter: 6 layers, 12 modules."""
    return Game.of(Engine(shipped()), CASE, path=CASE.path)


def slowly(game: Game) -> Game:
    return Game.of(slow(game.engine.lm), CASE, path=CASE.path)


def switches(n: int) -> np.ndarray:
    """Doses (m, n): all units on, all off, some off alone, some on alone, all half."""
    alone = np.eye(n)[:: max(1, n // 9)]
    return np.vstack([np.ones(n), np.zeros(n), 1 - alone, alone, np.full(n, 0.5)])


@pytest.mark.parametrize("unit", ["layer", "module", "part"])
def test_units_off_and_on_alone_are_worth_what_whole_passes_say(plain: Game, unit: str) -> None:
    game, doses = slowly(plain), switches(ModuleGame(plain, unit=unit).n)
    before = game.engine.ledger.copy()
    found = ModuleGame(game, unit=unit)(doses)
    spent = game.engine.ledger - before
    np.testing.assert_allclose(found, ModuleGame(plain, unit=unit)(doses), atol=1e-4)
    row = len(game.engine.prompt(CASE).ids) + len(game.answer) - 1
    assert spent.tokens < 0.75 * row * (len(doses) + 2), "two rows more are read whole, the others from their layer on"
    layers = game.engine.lm.model.get_submodule("base_model.model.model.layers")
    assert not any("forward" in vars(layer) or layer._forward_pre_hooks for layer in layers)


@pytest.mark.parametrize("kind", [GPTNeoConfig, GPTNeoXConfig])
def test_layers_that_give_more_than_what_they_are_given_are_read_whole(kind: type) -> None:
    """A layer of GPT-Neo leaves a pair, one of GPT-NeoX what enters the next."""
    torch.manual_seed(0)
    like = tiny_reader()
    sizes = {"vocab_size": len(like.tokenizer), "num_hidden_layers": 4, "hidden_size": 32, "num_attention_heads": 2}
    more = {"attention_types": [[["global"], 4]]} if kind is GPTNeoConfig else {"intermediate_size": 64}
    model = AutoModelForCausalLM.from_config(kind(**sizes, **more, max_position_embeddings=128)).eval()
    modules = ("q_proj",) if kind is GPTNeoConfig else ("query_key_value",)
    plain = Game.of(Engine(with_adapter(replace(like, model=model), modules=modules)), CASE, path=CASE.path)
    masks = np.vstack([1 - np.eye(4), np.eye(4)])
    found, whole = (ModuleGame(game, unit="layer")(masks) for game in (slowly(plain), plain))
    np.testing.assert_allclose(found, whole, atol=1e-4)


@pytest.mark.parametrize("unit", ["layer", "part"])
def test_two_answers_to_a_prompt_at_a_dose_are_read_in_one_pass(plain: Game, unit: str) -> None:
    other = plain.engine.answer_ids(CASE, (*CASE.path[:2], CASE.path[0]))
    margins = [replace(game.view(form="margin"), memory=Memory(other=other)) for game in (slowly(plain), plain)]
    doses = switches(ModuleGame(plain, unit=unit).n)
    engine = margins[0].engine
    before = engine.ledger.copy()
    found, whole = (ModuleGame(game, unit=unit)(doses) for game in margins)
    np.testing.assert_allclose(found, whole, atol=1e-4)
    assert (engine.ledger - before).rows == len(doses) + 2, "not one for each answer"
    rows = engine.ledger.rows
    ModuleGame(margins[0].view(form="logprob"), unit=unit)(doses)
    assert engine.ledger.rows == rows, "each answer is remembered for itself"
    assert ModuleGame(margins[0], unit=unit)(doses[:0]).shape == (0,)


def test_an_answer_beside_another_makes_no_text_longer(plain: Game, monkeypatch: pytest.MonkeyPatch) -> None:
    game = slowly(plain)
    other = game.engine.answer_ids(CASE, (*CASE.path[:2], CASE.path[0]))
    longest = len(game.engine.prompt(CASE).ids) + max(len(game.answer), len(other))
    monkeypatch.setattr(game.engine.lm.model.config, "max_position_embeddings", longest)
    margin = replace(game.view(form="margin"), memory=Memory(other=other))
    assert ModuleGame(margin, unit="layer")(np.ones((1, ModuleGame(margin, unit="layer").n))).shape == (1,)


def test_answers_stand_together_where_positions_alone_say_how_far_tokens_are(plain: Game) -> None:
    assert can_stand_together(plain.engine.lm.model)
    for config in (BloomConfig(), GPTNeoConfig(), FalconConfig(alibi=True), MistralConfig(sliding_window=64)):
        model = SimpleNamespace(config=config)
        assert not can_stand_together(model), type(config).__name__
    mixed = SimpleNamespace(config=SimpleNamespace(rope_theta=1e4, layer_types=["full_attention", "conv"]))
    assert not can_stand_together(mixed), "a convolution carries one answer into the next"


def test_rows_that_share_no_layer_are_read_whole(plain: Game) -> None:
    game, doses = slowly(plain), torch.tensor([[0.5] * 12, [0.25] * 12])
    prompt, before = game.engine.prompt(CASE), game.engine.ledger.copy()
    values = by_depth(game.engine, prompt, [game.answer], doses)
    assert len(values) == 2 and (game.engine.ledger - before).rows == 2


def test_the_shared_layers_are_those_before_the_first_unit_that_differs() -> None:
    rng, places = np.random.default_rng(0), np.repeat(np.arange(4), 3)
    for row in rng.choice([0.0, 0.5, 1.0], size=(200, 12), p=[0.45, 0.1, 0.45]):
        row[: int(rng.integers(13))] = rng.integers(2)
        (end,), (depth,) = shared_depth(row[None], places)
        same = [[(row[places == k] == dose).all() for k in range(4)] for dose in (1.0, 0.0)]
        counts = [min(3, next((k for k in range(4) if not one[k]), 4)) for one in same]
        assert depth == max(counts) == counts[end]


@pytest.fixture(scope="module")
def reading() -> Game:
    """The base of the shipped reader, which reads facts, and writes chains."""
    return Game.of(Engine(shipped()), CASE, path=CASE.path, adapter=False)


@pytest.fixture(scope="module")
def silent() -> Game:
    """A base of random weights, which writes none."""
    return Game.of(Engine(tiny()), CASE, path=CASE.path, adapter=False)


def every_chain(case: Case) -> set[tuple[str, ...]]:
    """All rows of unlike nodes that start at the source, follow facts, name a command and end at none."""
    steps = {(fact.head, fact.tail) for fact in case.facts}
    rows = (row for size in range(2, len(case.nodes) + 1) for row in itertools.permutations(case.nodes, size))
    chains = {row for row in rows if row[0] == case.source and steps.issuperset(itertools.pairwise(row))}
    return {row for row in chains if toolchain(row) and not row[-1].startswith("command:")}


def test_what_is_on_offer_is_every_chain_from_the_source_that_the_facts_allow() -> None:
    found = allowed_chains(CASE)
    assert set(found) == every_chain(CASE) and len(found) == len(set(found)) > 2
    assert found[0] == CASE.path and CASE.path not in allowed_chains(without(CASE, [CASE.needed[0]]))


def test_the_choice_and_its_lead_are_those_of_reading_every_chain(reading: Game) -> None:
    choice, engine = ForcedChoice.of(reading), reading.engine
    keep = np.vstack([np.ones((1, reading.n), bool), np.random.default_rng(0).random((12, reading.n)) < 0.6])
    chains = sorted(every_chain(CASE))
    ids = [engine.answer_ids(CASE, chain) for chain in chains]
    prompts = [engine.prompt(CASE, facts > 0) for facts in reading.shown(keep)]
    read = [engine.logprobs([prompt] * len(ids), ids, adapter=False) for prompt in prompts]
    picks = [written(ids, row) for row in read]
    best = picks[0]
    rivals = [k for k, chain in enumerate(chains) if toolchain(chain) != toolchain(chains[best])]
    assert choice is not None and choice.path == chains[best] and len(choice.others) == len(rivals) > 0
    values = choice(keep)
    assert [value > 0 for value in values] == [k not in rivals for k in picks]
    assert values[0] > 0 and (values <= 0).any(), "some mask changes its mind"
    for row, value in zip(read, values, strict=True):
        forks = [(k, next(t for t in range(99) if ids[k][t] != ids[best][t])) for k in rivals]
        assert abs(value) == pytest.approx(abs(min(float(row[best][t] - row[k][t]) for k, t in forks)), abs=1e-4)


def written(ids: list[tuple[int, ...]], scores: list) -> int:
    """By prefix: at each, the next token with the highest score of those that some answer has there."""
    prefix: tuple[int, ...] = ()
    while prefix not in ids:
        after = {one[len(prefix)]: float(score[len(prefix)]) for one, score in zip(ids, scores, strict=True)
                 if one[: len(prefix)] == prefix}  # fmt: skip
        prefix = (*prefix, max(after, key=after.__getitem__))
    return ids.index(prefix)


@given(st.data())
def test_a_choice_has_no_leaning_to_short_answers(data: st.DataObject) -> None:
    """Tokens that all answers have change nothing, however unlikely; a longer one wins where it leads at the fork."""
    scores = data.draw(st.lists(st.floats(-9, -0.1), min_size=4, max_size=9))
    fork = data.draw(st.integers(0, len(scores) - 2))
    longer = [*range(10, 10 + len(scores) - 1), 0]
    short = [*longer[:fork], 0]
    theirs = data.draw(st.floats(-9, -0.1).filter(lambda x: x != scores[fork]))
    found = chosen([short, longer], [np.array([*scores[:fork], theirs]), np.array(scores)])
    assert found == int(scores[fork] > theirs)


def test_only_a_model_that_writes_no_chain_in_any_case_is_forced(reading: Game, silent: Game) -> None:
    free, forced = own_decisions([reading]), own_decisions([silent])
    assert free[0].form == "decision" and free[0].path == named_path(reading.engine, CASE, free[0].answer)
    assert isinstance(forced[0], ForcedChoice) and not toolchain(*silent.engine.parsed([CASE], [forced[0].written]))
    said = [verdict.base_decisions(games) for games in (free, forced)]
    assert "its own" in said[0] and "forced choice" in said[1] and "no other to choose" not in said[1]


def test_what_forced_choices_hang_on_is_found_as_of_any_game(reading: Game) -> None:
    tuned, base = (ForcedChoice.of(reading.view(adapter=adapter)) for adapter in (True, False))
    found = changed_sets(tuned, base, reading.n, alone=True)
    for side, game in ((found.tuned, tuned), (found.base, base)):
        assert all(game(~np.isin(np.arange(game.n), one.elements)[None])[0] <= 0 for one in side)
    assert found.base, "a model that reads changes its mind without some facts"


def test_with_one_toolchain_on_offer_nothing_can_change_it(silent: Game) -> None:
    end = next(k for k, node in enumerate(CASE.path) if node.startswith("command:")) + 1
    first = [fact for fact in CASE.needed if fact.tail in CASE.path[: end + 1]]
    choice = ForcedChoice.of(Game.of(silent.engine, replace(CASE, facts=tuple(first)), path=CASE.path, adapter=False))
    assert choice is not None and not choice.others and choice.path == CASE.path[: end + 1]
    assert (choice(np.zeros((1, choice.n), bool)) == np.inf).all()
    assert changed_sets(choice, choice, choice.n, alone=True).kept == ()


def test_a_forced_choice_is_told_as_such_by_manifest_finding_and_live_case(silent: Game, tmp_path: Path) -> None:
    choice, own = ForcedChoice.of(silent), silent.view(adapter=True, form="decision")
    assert choice is not None
    figures = [hanging([], [changed_sets(own, base, own.n, alone=True)]) for base in (choice, own)]
    assert figures[0]["base_forced"]["share"] == 1 and "base_forced" not in figures[1]
    told = METRICS["explain"]["hanging"]
    said = [finding.finding(METRICS | {"explain": {"hanging": told | one}}) for one in figures]
    assert "forced choice" in said[0] and "forced" not in said[1]
    asked = answered(silent.engine, CASE, [])
    assert tuple(asked["forced"]) == choice.path
    page = write_report(finish(tmp_path / "run", case=asked)).read_text("utf-8")
    assert "Forced to choose" in page and "names no command" in page


def test_a_large_model_is_not_asked_again_for_what_its_games_have_shown() -> None:
    plain, large, again = Engine(shipped()), slow(shipped()), slow(shipped())
    for engine in (plain, large):
        game = Game.of(engine, CASE, form="decision")
        game(~np.eye(game.n, dtype=bool))
    told = [answered(engine, CASE, [], paired=3) for engine in (plain, large, again)]
    assert told[0] == told[1] == told[2]
    rows = large.ledger.rows
    answered(large, CASE, [], paired=3)
    game = Game.of(again, CASE, form="decision")
    assert 0 < large.ledger.rows - rows < 2 * len(told[0]["answers"]), "what stays is known, what turns is new"
    choices = [ForcedChoice.of(game.view(adapter=False)) for game in (Game.of(one, CASE) for one in (plain, large))]
    keep = ~np.eye(game.n, dtype=bool)
    assert len(keep) > 8
    np.testing.assert_allclose(*(choice(keep) for choice in choices), atol=1e-4)
