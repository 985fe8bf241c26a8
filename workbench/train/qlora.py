"""QLoRA on cases of the graph, through the transformers Trainer: checkpoints, resume, loss history."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch.optim.lr_scheduler import LambdaLR, LRScheduler
from transformers import PrinterCallback, ProgressCallback, Trainer

from workbench.cases import Case
from workbench.game.memory import MemoryShort, is_out_of_memory, release
from workbench.models import LanguageModel, add_adapter
from workbench.models.context import check_context
from workbench.models.dequantised import as_loaded
from workbench.models.lora import PeftModel
from workbench.train.checkpoints import Checkpoints, fingerprint
from workbench.train.config import TrainConfig, arguments, rate
from workbench.train.packing import check_packs, pack, packed_attention
from workbench.train.progress import HeldOut, Progress, Watch, held_out_losses, losses
from workbench.train.rows import Views, collate, held_out_rows, longest_rows
from workbench.train.world import check_world, is_main, world

LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainResult:
    """history: rows with `step`, `loss` (nats a token), `learning_rate`; held_out: with `step`, `loss`. seconds: of
    training, all parts together. steps: done; fewer than planned where it was stopped."""

    history: list[dict]
    seconds: float
    steps: int
    held_out: list[dict]


def train(
    lm: LanguageModel,
    cases: Sequence[Case],
    config: TrainConfig,
    *,
    folder: Path,
    listen: Callable[[list[dict]], None] | None = None,
    show: Callable[[Progress], None] | None = None,
    held_out: Sequence[Case] = (),
    stoppable: bool = False,
    bar: bool = True,
) -> TrainResult:
    """Trains a fresh adapter, in place of one that is there, and writes it to `folder` (PEFT: safetensors + JSON).

    A training that was cut off goes on from the last whole checkpoint in `folder/checkpoints`, if its settings, cases
    and base model were the same. The adapters of all checkpoints stay there; the optimizer's state goes when the
    training is done.

    listen: called with the loss history, show: with a `Progress`, at every logged row. held_out: cases whose loss is
    told along the way; neither they nor `show` change what is trained. stoppable: an interrupt (SIGINT) ends the
    training after the step it is at, with a checkpoint and the adapter as it then is; called again, it goes on there.
    bar: whether the Trainer's own bar is drawn.

    ContextError: a case is longer than the model's context. ValueError: rows are to be packed for a model whose
    attention is not plain, or the batch does not divide among the processes of a launcher, or these have a limit of
    seconds. Nothing was trained. MemoryShort: a single case does not fit into the memory; where a batch does not, its
    parts follow one another in a step.
    """
    check_context(lm.model, longest_rows(cases, lm))
    check_world(batch=config.batch, seconds=config.seconds)
    if config.packed:
        check_packs(lm)
    job = Training(lm, cases, config, folder, listen, show, held_out, stoppable, bar)
    parts = 1
    while (result := job.tried(parts)) is None:
        release()
        parts, before = job.more(parts), parts
        LOG.warning(
            "the memory ran out in a training step of %d cases at a time: it takes %d from here on, and adds them up",
            *(job.share // before, job.share // parts),
        )
    return result


@dataclass(frozen=True)
class Training:
    """The arguments of `train`, and how they are carried out."""

    lm: LanguageModel
    cases: Sequence[Case]
    config: TrainConfig
    folder: Path
    listen: Callable[[list[dict]], None] | None = None
    show: Callable[[Progress], None] | None = None
    held_out: Sequence[Case] = ()
    stoppable: bool = False
    bar: bool = True

    @property
    def share(self) -> int:
        """Cases that a process has in each step."""
        return self.config.batch // world()

    def more(self, parts: int) -> int:
        """The next number of parts, twice as many or a few more, that a process's cases divide into."""
        return next(n for n in range(2 * parts, self.share + 1) if self.share % n == 0)

    def tried(self, parts: int) -> TrainResult | None:
        """The training, each step in so many parts; None: the memory ran out."""
        try:
            return self.done(parts)
        except RuntimeError as error:
            if world() > 1 or not is_out_of_memory(error):  # the other processes are in the midst of a step
                raise
            if parts == self.share:
                raise MemoryShort(
                    "training does not fit into the memory with one case at a time; take a smaller model, a smaller "
                    "rank, fewer modules, or cases with fewer facts"
                ) from error
            return None

    def done(self, parts: int) -> TrainResult:
        """From a fresh adapter, or the last checkpoint, to the end."""
        lm, config = self.lm, self.config
        if isinstance(lm.model, PeftModel):  # trained again in one session
            lm.model = lm.model.unload()
        add_adapter(
            lm, rank=config.rank, alpha=config.alpha, modules=config.modules, dropout=config.dropout, seed=config.seed
        )
        bf16 = lm.model.dtype == torch.bfloat16
        args = arguments(config, self.folder / "checkpoints", parts=parts, bf16=bf16)
        with args.main_process_first(local=False):
            checkpoints = self.checkpoints()
        collator = pack if config.packed else partial(collate, pad=int(lm.tokenizer.pad_token_id))
        rows = held_out_rows(self.held_out, lm, config)
        asked = HeldOut(rows, collator, config.batch // parts) if self.held_out else None
        limit = math.inf if config.seconds is None else config.seconds
        watch = Watch(checkpoints, self.listen, self.show, asked, limit=limit)
        views = Views(self.cases, lm, config=config)
        trainer = Timed(watch, model=lm.model, args=args, train_dataset=views, data_collator=collator)
        if not self.bar:
            trainer.remove_callback(ProgressCallback)
        packed = packed_attention(lm) if config.packed else nullcontext()
        # on a GPU weights that are held make no training faster, and their room is wanted
        weights = as_loaded(lm.model) if lm.device.type == "cuda" else nullcontext()
        with packed, weights, watch.counting(lm.model), watch.stop.on_interrupt(self.stoppable):
            trainer.train(resume_from_checkpoint=checkpoints.last())
        seconds = watch.seconds
        trainer.accelerator.unwrap_model(lm.model, keep_fp32_wrapper=False)  # else all later passes were in bf16
        lm.model.eval()
        log, steps = trainer.state.log_history, trainer.state.global_step
        if is_main():
            lm.model.save_pretrained(self.folder, safe_serialization=True)
            if steps >= config.steps or watch.over:
                checkpoints.keep_adapters_only()
        return TrainResult(losses(log), seconds, steps, held_out_losses(log))

    def checkpoints(self) -> Checkpoints:
        """Those of this very training."""
        return Checkpoints(self.folder / "checkpoints", self.config.to_dict() | fingerprint(self.lm, self.cases))


class Timed(Trainer):
    """A Trainer whose learning rate comes to its end with the steps or, where there is a limit, with the time."""

    def __init__(self, watch: Watch, **how: Any):
        super().__init__(callbacks=[watch], **how)
        self.remove_callback(PrinterCallback)
        self.watch = watch

    def create_scheduler(self, num_training_steps: int, optimizer: torch.optim.Optimizer | None = None) -> LRScheduler:
        """The Trainer's own, unless there is a limit."""
        if math.isinf(self.watch.limit):
            return super().create_scheduler(num_training_steps, optimizer)
        if getattr(self, "lr_scheduler", None) is None:
            self.lr_scheduler = LambdaLR(
                optimizer or self.optimizer,
                lambda step: rate(max(step / num_training_steps, self.watch.seconds / self.watch.limit)),
            )
            self._created_lr_scheduler = True
        return self.lr_scheduler
