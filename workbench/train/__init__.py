"""QLoRA on cases of the graph: settings, rows, the training itself, and how well a model answers.

config      settings            rows      cases as token ids       qlora   the training
packing     without padding     progress  what it tells on its way  checkpoints  so that it can go on
scores      exact and valid answers
"""

from workbench.train.config import TrainConfig
from workbench.train.qlora import TrainResult, train
from workbench.train.rows import GROUP, Views, collate, held_out_rows, labelled
from workbench.train.scores import is_valid, score

__all__ = [
    "GROUP",
    "TrainConfig",
    "TrainResult",
    "Views",
    "collate",
    "held_out_rows",
    "is_valid",
    "labelled",
    "score",
    "train",
]
