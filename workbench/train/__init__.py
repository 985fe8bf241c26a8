"""QLoRA on cases of the graph, and how well a model answers.

`config` holds the settings, the processes and the checkpoints, `rows` makes token ids of cases, `qlora` trains,
`packing` does so without padding, `progress` tells what happens on the way, `scores` tells exact and valid answers.
`making` says what an adapter is made of, and makes it: `python -m workbench.train`.
"""

from workbench.train.config import TrainConfig
from workbench.train.qlora import TrainResult, train
from workbench.train.scores import is_valid, judged, score, shares_right
from workbench.train.views import GROUP, Views, collate, held_out_rows, labelled
