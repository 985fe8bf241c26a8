"""Makes the embedded graph reader from random graphs alone."""

from workbench.pretrain.training import PretrainConfig, Pretraining, held_out
