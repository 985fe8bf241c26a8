"""Settings of one QLoRA training, and what the Trainer makes of them."""

from __future__ import annotations

import math
import os
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from transformers import TrainingArguments

from workbench.artifacts.checks import check_number, check_seed, check_several, check_whole, shown
from workbench.train.checkpoints import logging_steps
from workbench.train.world import world


@dataclass(frozen=True)
class TrainConfig:
    """Settings of one adapter. rank, modules, NF4 and double quantisation are those of QLoRA as the paper uses it.

    Examples:
        >>> TrainConfig(rank=4, steps=100).to_dict()["rank"]
        4
    """

    rank: int = 16  # r of W = W0 + (alpha / r) B A
    alpha: int = 32
    modules: tuple[str, ...] = ("q_proj", "v_proj")
    dropout: float = 0.0
    steps: int = 2400
    batch: int = 16  # cases a step
    learning_rate: float = 5e-3
    shares: tuple[float, ...] = (0.0, 0.3, 0.6)  # shares of needed facts withheld, drawn evenly
    replay: float = 0.25  # share of rows that withhold nothing and have made-up names, lest reading be forgotten
    checkpoint_every: int = 250  # steps
    packed: bool = False  # the cases of a step one after another in one row, without padding; see `packing`
    seconds: float | None = None  # of training at most: the rate decays by the time spent, and it ends by then
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("rank", "alpha", "steps", "batch", "checkpoint_every"):
            check_whole(name, getattr(self, name))
        check_number("learning_rate", self.learning_rate, without_low=True)
        check_number("dropout", self.dropout, high=1)
        for module in check_several("modules", self.modules, "names of projections, such as q_proj"):
            if not isinstance(module, str) or not module:
                raise ValueError(f"every one of modules must be the name of a projection, not {shown(module)}")
        for share in check_several("shares", self.shares, "numbers in [0, 1]"):
            check_number("every one of shares", share, high=1)
        check_number("replay", self.replay, high=1)
        if self.seconds is not None:
            check_number("seconds", self.seconds, without_low=True)
        check_seed(self.seed)

    def to_dict(self) -> dict:
        """Plain JSON types."""
        return asdict(self) | {"modules": list(self.modules), "shares": list(self.shares)}


WARM_UP = 0.05  # of a training


def rate(done: float) -> float:
    """Factor on the learning rate when the share `done` of a training is over: linear warm-up, cosine decay to 0."""
    if done < WARM_UP:
        return done / WARM_UP
    return 0.5 + 0.5 * math.cos(math.pi * min(1.0, (done - WARM_UP) / (1 - WARM_UP)))


def row_workers() -> int:
    """Processes that make rows while the model trains: none beside a model on the processor, since they would take its
    time; beside a GPU, which would wait for rows otherwise, as many as the machine can spare."""
    return max(0, min(12, (os.cpu_count() or 1) // world() - 2)) if torch.cuda.is_available() else 0


def arguments(config: TrainConfig, checkpoints: Path, *, parts: int = 1, bf16: bool = False) -> TrainingArguments:
    """The Trainer's settings: linear warm-up over 5 % of the steps, cosine decay, gradients clipped at norm 1.

    parts: of a batch that follow one another in a step. Where processes train together, each has its share of a batch.
    bf16: whether the model's weights are, so that products are taken in 16 bits; the adapter's weights stay in 32.
    """
    gpu, workers = torch.cuda.is_available(), row_workers()
    return TrainingArguments(
        output_dir=str(checkpoints),
        max_steps=config.steps,
        per_device_train_batch_size=config.batch // parts,
        gradient_accumulation_steps=parts,
        learning_rate=config.learning_rate,
        lr_scheduler_type="cosine",
        train_sampling_strategy="sequential",  # the rows are random already
        warmup_steps=max(1, int(config.steps * WARM_UP)),
        max_grad_norm=1.0,
        logging_steps=logging_steps(config.steps, config.checkpoint_every),
        logging_nan_inf_filter=False,  # it would have a GPU waited for at every step
        save_steps=config.checkpoint_every,
        seed=config.seed,
        data_seed=config.seed,
        bf16=bf16,
        use_cpu=not gpu,
        report_to=[],
        remove_unused_columns=False,
        dataloader_num_workers=workers,
        dataloader_prefetch_factor=4 if workers else None,
        dataloader_pin_memory=gpu,
        label_names=["labels"],
        # the batch is that of all processes together
        accelerator_config={"split_batches": True, "non_blocking": gpu},
        disable_tqdm=world() > 1,
        ddp_find_unused_parameters=False,
    )
