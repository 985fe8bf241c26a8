"""QLoRA on cases of the graph, through the transformers Trainer: checkpoints, resume, loss history."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

from peft import PeftModel
from transformers import PrinterCallback, Trainer

from workbench.cases import Case
from workbench.context import check_context
from workbench.models import LanguageModel, add_adapter
from workbench.train.checkpoints import Checkpoints, fingerprint
from workbench.train.config import TrainConfig, arguments
from workbench.train.packing import check_packs, pack, packed_attention
from workbench.train.progress import HeldOut, Progress, Watch, held_out_losses, losses
from workbench.train.rows import Views, collate, held_out_rows, longest_rows


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
) -> TrainResult:
    """Trains a fresh adapter, in place of one that is there, and writes it to `folder` (PEFT: safetensors + JSON).

    A training that was cut off goes on from the last whole checkpoint in `folder/checkpoints`, if its settings, cases
    and base model were the same. The adapters of all checkpoints stay there; the optimizer's state goes when the
    training is done.

    listen: called with the loss history, show: with a `Progress`, at every logged row. held_out: cases whose loss is
    told along the way; neither they nor `show` change what is trained. stoppable: an interrupt (SIGINT) ends the
    training after the step it is at, with a checkpoint and the adapter as it then is; called again, it goes on there.

    ContextError: a case is longer than the model's context. ValueError: rows are to be packed for a model whose
    attention is not plain. Nothing was trained.
    """
    check_context(lm.model, longest_rows(cases, lm))
    if config.packed:
        check_packs(lm)
    if isinstance(lm.model, PeftModel):  # trained again in one session
        lm.model = lm.model.unload()
    add_adapter(
        lm, rank=config.rank, alpha=config.alpha, modules=config.modules, dropout=config.dropout, seed=config.seed
    )
    views = Views(cases, lm, config=config)
    checkpoints = Checkpoints(folder / "checkpoints", config.to_dict() | fingerprint(lm, cases))
    collator = pack if config.packed else lambda rows: collate(rows, int(lm.tokenizer.pad_token_id))
    asked = HeldOut(held_out_rows(held_out, lm, config), collator, config.batch) if held_out else None
    watch = Watch(checkpoints, listen, show, asked)
    trainer = Trainer(
        model=lm.model,
        args=arguments(config, checkpoints.folder),
        train_dataset=views,
        data_collator=watch.counted(collator),
        callbacks=[watch],
    )
    trainer.remove_callback(PrinterCallback)
    with packed_attention(lm) if config.packed else nullcontext(), watch.stop.on_interrupt(stoppable):
        trainer.train(resume_from_checkpoint=checkpoints.last())
    seconds = watch.seconds
    lm.model.eval()
    lm.model.save_pretrained(folder, safe_serialization=True)
    log, steps = trainer.state.log_history, trainer.state.global_step
    if steps >= config.steps:
        checkpoints.keep_adapters_only()
    return TrainResult(losses(log), seconds, steps, held_out_losses(log))
