"""Layers below the one that is switched are computed once: the values are those of whole passes, for fewer tokens."""

from pathlib import Path

import numpy as np
import pytest
import torch
from dosed_models import MODULES, shipped, with_adapter
from tiny import NAMES, chain_case, save_tiny

from workbench.game import Engine, Game, ModuleGame
from workbench.game.depth import by_depth, shared_depth
from workbench.models import load

CASE = chain_case()


@pytest.fixture(scope="module")
def plain() -> Game:
    """Of the shipped reader with an adapter: 6 layers, 12 modules."""
    return Game.of(Engine(shipped()), CASE, path=CASE.path)


def slow(game: Game) -> Game:
    engine = Engine(game.engine.lm)
    engine.slow = True  # whatever its size
    return Game.of(engine, CASE, path=CASE.path)


@pytest.mark.parametrize("unit", ["layer", "module", "part"])
def test_units_off_and_on_alone_are_worth_what_whole_passes_say(plain: Game, unit: str) -> None:
    game = slow(plain)
    n = ModuleGame(plain, unit=unit).n
    alone = np.eye(n)[:: max(1, n // 9)]
    doses = np.vstack([np.ones(n), np.zeros(n), 1 - alone, alone, np.full(n, 0.5)])
    before = game.engine.ledger.copy()
    found = ModuleGame(game, unit=unit)(doses)
    spent = game.engine.ledger - before
    np.testing.assert_allclose(found, ModuleGame(plain, unit=unit)(doses), atol=1e-4)
    row = len(game.engine.prompt(CASE).ids) + len(game.answer) - 1
    assert spent.tokens < 0.75 * row * (len(doses) + 2), "two rows more are read whole, the others from their layer on"
    layers = game.engine.lm.model.get_submodule("base_model.model.model.layers")
    assert not any("forward" in vars(layer) or layer._forward_pre_hooks for layer in layers)


def test_rows_that_share_no_layer_are_read_whole(plain: Game) -> None:
    game, doses = slow(plain), torch.tensor([[0.5] * 12, [0.25] * 12])
    prompt, before = game.engine.prompt(CASE), game.engine.ledger.copy()
    values = by_depth(game.engine, prompt, game.answer, doses, read=lambda z: z[0].argmax().item())
    assert len(values) == 2 and (game.engine.ledger - before).rows == 2


def test_a_model_whose_layers_wrap_what_they_give_is_read_whole(tmp_path: Path) -> None:
    lm = with_adapter(load(str(save_tiny(tmp_path / "model", "gptj")), names=NAMES, four_bit=False), size=0.3)
    plain = Game.of(Engine(lm), CASE, path=CASE.path)
    doses = np.vstack([1 - np.eye(MODULES), np.eye(MODULES)])
    assert ModuleGame(slow(plain))(doses).tolist() == ModuleGame(plain)(doses).tolist()


def test_the_shared_layers_are_those_before_the_first_unit_that_differs() -> None:
    rng, places = np.random.default_rng(0), np.repeat(np.arange(4), 3)
    for row in rng.choice([0.0, 0.5, 1.0], size=(200, 12), p=[0.45, 0.1, 0.45]):
        row[: int(rng.integers(13))] = rng.integers(2)
        (end,), (depth,) = shared_depth(row[None], places)
        same = [[(row[places == k] == dose).all() for k in range(4)] for dose in (1.0, 0.0)]
        counts = [min(3, next((k for k in range(4) if not one[k]), 4)) for one in same]
        assert depth == max(counts) == counts[end]
