"""Layers below the one that is switched are computed once: the values are those of whole passes, for fewer tokens."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from dosed_models import shipped, with_adapter
from dosed_models import slow as slow_engine
from tiny import chain_case, tiny_reader
from transformers import AutoModelForCausalLM, BloomConfig, FalconConfig, GPTNeoConfig, GPTNeoXConfig, MistralConfig

from workbench.game import Engine, Game, ModuleGame
from workbench.game.depth import by_depth, can_stand_together, shared_depth
from workbench.game.passes import Memory

CASE = chain_case()


@pytest.fixture(scope="module")
def plain() -> Game:
    """Of the shipped reader with an adapter: 6 layers, 12 modules."""
    return Game.of(Engine(shipped()), CASE, path=CASE.path)


def slow(game: Game) -> Game:
    return Game.of(slow_engine(game.engine.lm), CASE, path=CASE.path)


def switches(n: int) -> np.ndarray:
    """Doses (m, n): all units on, all off, some off alone, some on alone, all half."""
    alone = np.eye(n)[:: max(1, n // 9)]
    return np.vstack([np.ones(n), np.zeros(n), 1 - alone, alone, np.full(n, 0.5)])


@pytest.mark.parametrize("unit", ["layer", "module", "part"])
def test_units_off_and_on_alone_are_worth_what_whole_passes_say(plain: Game, unit: str) -> None:
    game, doses = slow(plain), switches(ModuleGame(plain, unit=unit).n)
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
    found, whole = (ModuleGame(game, unit="layer")(masks) for game in (slow(plain), plain))
    np.testing.assert_allclose(found, whole, atol=1e-4)


@pytest.mark.parametrize("unit", ["layer", "part"])
def test_two_answers_to_a_prompt_at_a_dose_are_read_in_one_pass(plain: Game, unit: str) -> None:
    other = plain.engine.answer_ids(CASE, (*CASE.path[:2], CASE.path[0]))
    margins = [replace(game.view(form="margin"), memory=Memory(other=other)) for game in (slow(plain), plain)]
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
    game = slow(plain)
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
    game, doses = slow(plain), torch.tensor([[0.5] * 12, [0.25] * 12])
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
