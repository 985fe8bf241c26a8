"""Makes the embedded graph reader from random graphs alone."""

from workbench.pretrain.held_out import held_out, is_path
from workbench.pretrain.training import PretrainConfig, Pretraining, Progress

__all__ = ["PretrainConfig", "Pretraining", "Progress", "held_out", "is_path"]
