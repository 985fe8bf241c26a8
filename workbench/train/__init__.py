"""QLoRA on cases of the graph, and how well a model answers.

`config` holds the settings, `rows` makes token ids of cases, `madeup` the names of those that keep a model reading,
`qlora` trains, `packing` does so without padding, `last_layer` spares it what is read by nobody, `world` tells
how several processes train together, `progress` tells what happens on the way, `checkpoints` lets it go on, `scores`
tells exact and valid answers. `recipe` says what an adapter is made of, and `making` makes it: `python -m
workbench.train`.
"""

from workbench.train.config import TrainConfig
from workbench.train.qlora import TrainResult, train
from workbench.train.rows import GROUP, Views, collate, held_out_rows, labelled
from workbench.train.scores import is_valid, judged, score, shares_right

__all__ = [
    "GROUP",
    "TrainConfig",
    "TrainResult",
    "Views",
    "collate",
    "held_out_rows",
    "is_valid",
    "judged",
    "labelled",
    "score",
    "shares_right",
    "train",
]
