"""Makes the embedded graph reader from random graphs alone."""

from workbench.pretrain.teaching import PretrainConfig, Pretraining, held_out
