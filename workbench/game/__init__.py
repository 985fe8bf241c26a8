"""The element game: the engine that runs the model, and the values of graphs with elements taken out."""

from workbench.game.attention import attention_measures, attention_received, eager_attention, element_attention, rollout
from workbench.game.case_game import FORMS, REMOVALS, Game
from workbench.game.derived import Difference, ModuleGame, Restricted, values_together
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
from workbench.game.passes import Memory
from workbench.game.prefix import SharedPrefix
from workbench.stats.games import Ledger
