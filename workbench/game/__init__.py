"""The element game: the engine that runs the model, and the values of graphs with elements taken out."""

from workbench.game.attention import attention_received, eager_attention, element_attention
from workbench.game.case_game import FORMS, REMOVALS, Game
from workbench.game.difference import Difference
from workbench.game.engine import SMALLEST_KEEP, Engine, gate_mask
from workbench.game.prefix import SharedPrefix
from workbench.game.restricted import Restricted
from workbench.meter import Ledger

__all__ = [
    "FORMS",
    "REMOVALS",
    "SMALLEST_KEEP",
    "Difference",
    "Engine",
    "Game",
    "Ledger",
    "Restricted",
    "SharedPrefix",
    "attention_received",
    "eager_attention",
    "element_attention",
    "gate_mask",
]
