"""A game to try things on."""

from functools import cache

from workbench.cases import example_case
from workbench.game.case_game import Game
from workbench.game.engine import Engine
from workbench.models import add_adapter, load


@cache
def example_game() -> Game:
    """The smallest case on the embedded reader with an untrained adapter, which changes nothing yet: always the same.

    Examples:
        >>> example_game().n
        7
    """
    case = example_case()
    lm = add_adapter(load(names=case.names), rank=2, alpha=2, modules=("q_proj", "v_proj"), dropout=0.0, seed=0)
    return Game.of(Engine(lm), case, form="logprob")
