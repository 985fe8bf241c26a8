"""QLoRA on cases of the graph, through the transformers Trainer: checkpoints, resume, loss history.

An adapter that was trained elsewhere may stand in the place of one that a run trains; its card tells how it came about.
"""

from __future__ import annotations

import logging
import math
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import torch
from torch.optim.lr_scheduler import LambdaLR, LRScheduler
from transformers import PrinterCallback, ProgressCallback, Trainer

from workbench.cases import Case
from workbench.cases.sampling import stretches
from workbench.game.memory import MemoryShort, check_context, is_out_of_memory
from workbench.models import LanguageModel, add_adapter, smollm2, with_adapter
from workbench.models.adapter_folder import CONFIG, WEIGHTS, AdapterFolder
from workbench.models.checkpoint import release
from workbench.models.dequantised import as_loaded
from workbench.models.lora import PeftModel
from workbench.models.smollm2 import ADAPTERS, CARD, card, shipped, trained_on
from workbench.train.config import Checkpoints, TrainConfig, arguments, check_world, fingerprint, is_main, rate, world
from workbench.train.packing import check_packs, pack, packed_attention
from workbench.train.progress import HeldOut, Progress, Watch, held_out_losses, losses
from workbench.train.views import Views, collate, held_out_rows, longest_rows

LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainResult:
    """history: rows with `step`, `loss` (nats a token), `learning_rate`; held_out: with `step`, `loss`. seconds: of
    training, all parts together. steps: done; fewer than planned where it was stopped.

    Examples:
        >>> rows = [{"step": 1, "loss": 2.0, "learning_rate": 1e-3}]
        >>> TrainResult(rows, seconds=0.5, steps=1, held_out=[]).history[-1]["loss"]
        2.0
    """

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
    show: Callable[[Progress], None] | None = None,
    held_out: Sequence[Case] = (),
    stoppable: bool = False,
    bar: bool = True,
) -> TrainResult:
    """Trains a fresh adapter, in place of one that is there, and writes it to `folder` (PEFT: safetensors + JSON).

    A training that was cut off goes on from the last whole checkpoint in `folder/checkpoints`, if its settings, cases
    and base model were the same. The adapters of all checkpoints stay there; the optimizer's state goes when the
    training is done.

    show: called with a `Progress` at the start and at every logged row. held_out: cases whose loss is told along the
    way; neither they nor `show` change what is trained. stoppable: an interrupt (SIGINT) ends the training after the
    step it is at, with a checkpoint and the adapter as it then is; called again, it goes on there. bar: whether the
    Trainer's own bar is drawn.

    ContextError: a case is longer than the model's context. ValueError: rows are to be packed for a model whose
    attention is not plain, or the batch does not divide among the processes of a launcher, or these have a limit of
    seconds. Nothing was trained. MemoryShort: a single case does not fit into the memory; where a batch does not, its
    parts follow one another in a step.

    Examples:
        >>> from workbench.cases import example_case
        >>> lm = load("reader", names=example_case().names)                                    # doctest: +SKIP
        >>> train(lm, [example_case()], TrainConfig(steps=40), folder=Path("mine")).steps     # doctest: +SKIP
    """
    check_context(lm.model, longest_rows(cases, lm))
    check_world(batch=config.batch, seconds=config.seconds)
    if config.packed:
        check_packs(lm)
    share, parts = config.batch // world(), 1  # cases that a process has in each step, and in how many parts
    while True:
        try:
            return _trained(lm, cases, config, folder, parts, show, held_out, stoppable=stoppable, bar=bar)
        except RuntimeError as error:
            if world() > 1 or not is_out_of_memory(error):  # the other processes are in the midst of a step
                raise
            if parts == share:
                raise MemoryShort(
                    "training does not fit into the memory with one case at a time; take a smaller model, a smaller "
                    "rank, fewer modules, or cases with fewer facts"
                ) from error
        release()
        before, parts = parts, next(n for n in range(2 * parts, share + 1) if share % n == 0)
        LOG.warning(
            "the memory ran out in a training step of %d cases at a time: it takes %d from here on, and adds them up",
            *(share // before, share // parts),
        )


def _trained(
    lm: LanguageModel,
    cases: Sequence[Case],
    config: TrainConfig,
    folder: Path,
    parts: int,
    show: Callable[[Progress], None] | None,
    held_out: Sequence[Case],
    *,
    stoppable: bool,
    bar: bool,
) -> TrainResult:
    """From a fresh adapter, or the last checkpoint, to the end, each step in so many parts; see `train`."""
    if isinstance(lm.model, PeftModel):  # trained again in one session
        lm.model = lm.model.unload()
    add_adapter(
        lm, rank=config.rank, alpha=config.alpha, modules=config.modules, dropout=config.dropout, seed=config.seed
    )
    args = arguments(config, folder / "checkpoints", parts=parts, bf16=lm.model.dtype == torch.bfloat16)
    with args.main_process_first(local=False):
        checkpoints = Checkpoints(folder / "checkpoints", config.to_dict() | fingerprint(lm, cases))
    collator = pack if config.packed else partial(collate, pad=int(lm.tokenizer.pad_token_id))
    rows = held_out_rows(held_out, lm, config)
    asked = HeldOut(rows, collator, config.batch // parts) if held_out else None
    limit = math.inf if config.seconds is None else config.seconds
    watch = Watch(checkpoints, show, asked, limit=limit)
    views = Views(cases, lm, config=config)
    trainer = Timed(watch, model=lm.model, args=args, train_dataset=views, data_collator=collator)
    if not bar:
        trainer.remove_callback(ProgressCallback)
    packed = packed_attention(lm) if config.packed else nullcontext()
    # on a GPU weights that are held make no training faster, and their room is wanted
    weights = as_loaded(lm.model) if lm.device.type == "cuda" else nullcontext()
    with packed, weights, watch.counting(lm.model), watch.on_interrupt(stoppable):
        trainer.train(resume_from_checkpoint=checkpoints.last())
    seconds = watch.seconds
    trainer.accelerator.unwrap_model(lm.model, keep_fp32_wrapper=False)  # else all later passes were in bf16
    lm.model.eval()
    log, steps = trainer.state.log_history, trainer.state.global_step
    if is_main():
        lm.model.save_pretrained(folder, safe_serialization=True)
        if steps >= config.steps or watch.over:
            checkpoints.keep_adapters_only()
    return TrainResult(losses(log), seconds, steps, held_out_losses(log))


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


TRAIN, SHIPPED = "train", "shipped"  # what a run's `adapter` may be, besides names of `ADAPTERS` and folders


@dataclass(frozen=True)
class GivenAdapter:
    """A PEFT folder, with what its card says: nothing where there is none."""

    folder: Path
    card: dict[str, Any]
    rank: int  # the largest of all modules
    modules: list[str]  # projections, by name

    @classmethod
    def chosen(cls, adapter: str | None, model: str) -> GivenAdapter | None:
        """The adapter that a run is to take; None where it trains its own.

        adapter: `train`, `shipped` (that is `whole`), a name of `shipped.ADAPTERS` or a PEFT folder. None takes the
        shipped one for `smollm2` on a machine without a GPU, where a training takes hours, and trains otherwise.
        Raises `AdapterError`: the folder holds none, or not all of it.
        """
        if adapter is None:
            adapter = SHIPPED if model == smollm2.NAME and not torch.cuda.is_available() else TRAIN
        if adapter == TRAIN:
            return None
        name = ADAPTERS[0] if adapter == SHIPPED else adapter
        opened = AdapterFolder.open(shipped(name) if name in ADAPTERS else Path(name).expanduser())
        modules = sorted({module.rpartition(".")[2] for module in opened.scalings})
        return cls(opened.folder, card(opened.folder), max(rank for rank, _ in opened.scalings.values()), modules)

    def put_onto(self, lm: LanguageModel, stage: Path) -> TrainResult:
        """Copies the adapter into the folder `stage` and puts it onto the model; what the card tells of its training,
        no losses where it tells none. ModelError: it is of another model."""
        for name in (WEIGHTS, CONFIG, CARD):
            if (self.folder / name).is_file():
                shutil.copyfile(self.folder / name, stage / name)
        lm.model = with_adapter(lm.model, stage, lm.name, trainable=False).eval()
        told = self._told("training", dict)
        rows = {name: told.get(name) or [] for name in ("loss", "held_out_loss")}
        return TrainResult(rows["loss"], told.get("seconds", 0.0), told.get("steps", 0), rows["held_out_loss"])

    @property
    def settings(self) -> dict[str, Any]:
        """Of its training, in the form of `TrainConfig.to_dict`, by the card; else of the adapter alone."""
        return self._told("train", dict) or {"rank": self.rank, "modules": self.modules}

    @property
    def scores(self) -> list[dict[str, Any]]:
        """Shares right by the card, rows as those of `shares_right`."""
        return [row for row in self._told("scores", list) if row.get("model") == "tuned"]

    def held_out_from(self, lm: LanguageModel, cases: Sequence[Case]) -> bool:
        """Whether it was trained on these very cases, so that what they hold out was held out from it, too."""
        digest = self._told("digests", dict).get("cases")
        return digest is not None and digest == fingerprint(lm, cases)["cases"]

    @cached_property
    def learned(self) -> list[tuple[str, str, tuple[str, ...]]]:
        """(source, target, commands) of every answer that it was trained on; empty where that is not on record."""
        return trained_on(self.folder)

    @property
    def taught(self) -> set[tuple[str, ...]]:
        """The command sequences of two or more that these answers contain."""
        return {row for *_, commands in self.learned for row in stretches(commands)}

    def unseen(self, splits: Mapping[str, Sequence[Case]]) -> dict[str, list[Case]]:
        """The splits without the held-out cases that it learned elsewhere: whose pair it was asked and, of sequences,
        whose commands an answer contains. What an adapter that is not of the package learned is not known: all."""
        pairs, rows = {(source, target) for source, target, _ in self.learned}, self.taught

        def is_new(case: Case) -> bool:
            if case.split == "train":
                return True
            known = case.split == "held_out_sequences" and case.sequence in rows
            return case.pair not in pairs and not known

        return {split: [case for case in cases if is_new(case)] for split, cases in splits.items()}

    def _told(self, name: str, kind: type) -> Any:
        found = self.card.get(name)
        return found if isinstance(found, kind) else kind()
