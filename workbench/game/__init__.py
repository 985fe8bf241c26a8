"""The element game: the engine that runs the model, and the values of graphs with elements taken out."""

from workbench.game.attention import (
    attention_measures,
    attention_received,
    eager_attention,
    element_attention,
    rollout,
)
from workbench.game.case_game import FORMS, REMOVALS, Game
from workbench.game.difference import Difference
from workbench.game.doses import (
    COARSE,
    UNITS,
    Adapted,
    adapted_modules,
    dose_row,
    dosed,
    part_name,
    unit_doses,
    unit_index,
    unit_names,
    unit_parameters,
)
from workbench.game.engine import Engine
from workbench.game.forced import ForcedChoice, allowed_chains, own_decisions
from workbench.game.gates import gate_mask
from workbench.game.joint import values_together
from workbench.game.modules import ModuleGame
from workbench.game.passes import Memory
from workbench.game.prefix import SharedPrefix
from workbench.game.restricted import Restricted
from workbench.meter import Ledger

__all__ = [
    "COARSE",
    "FORMS",
    "REMOVALS",
    "UNITS",
    "Adapted",
    "Difference",
    "Engine",
    "ForcedChoice",
    "Game",
    "Ledger",
    "Memory",
    "ModuleGame",
    "Restricted",
    "SharedPrefix",
    "adapted_modules",
    "allowed_chains",
    "attention_measures",
    "attention_received",
    "dose_row",
    "dosed",
    "eager_attention",
    "element_attention",
    "gate_mask",
    "own_decisions",
    "part_name",
    "rollout",
    "unit_doses",
    "unit_index",
    "unit_names",
    "unit_parameters",
    "values_together",
]
