"""QLoRA on cases of the graph, through the transformers Trainer: checkpoints, resume, loss history, scores."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from peft import PeftModel
from torch.utils.data import Dataset
from transformers import PrinterCallback, Trainer, TrainingArguments

from workbench.cases import Case, toolchain, withhold
from workbench.checkpoints import Checkpoints, fingerprint, logging_steps
from workbench.context import check_context
from workbench.game import Engine
from workbench.models import LanguageModel, add_adapter
from workbench.packing import check_packs, pack, packed_attention
from workbench.progress import HELD_OUT_ROWS, HeldOut, Progress, Watch, held_out_losses, losses
from workbench.prompts import encode, encode_answer
from workbench.prompts import text as prompt_text
from workbench.sampling import with_order

GROUP = 8  # batches whose rows are drawn together and sorted by length


@dataclass(frozen=True)
class TrainConfig:
    """Settings of one adapter. rank, modules, NF4 and double quantisation are those of QLoRA as the paper uses it."""

    rank: int = 16  # r of W = W0 + (alpha / r) B A
    alpha: int = 32
    modules: tuple[str, ...] = ("q_proj", "v_proj")
    dropout: float = 0.0
    steps: int = 2400
    batch: int = 16  # cases a step
    learning_rate: float = 5e-3
    shares: tuple[float, ...] = (0.3, 0.3, 0.6)  # shares of needed facts withheld, drawn evenly
    checkpoint_every: int = 250  # steps
    packed: bool = False  # the cases of a step one after another in one row, without padding; see `packing`
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("rank", "alpha", "steps", "batch", "checkpoint_every"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be 1 or more, not {getattr(self, name)!r}")
        if not self.learning_rate > 0:
            raise ValueError(f"learning_rate must be above 0, not {self.learning_rate!r}")
        if not self.modules:
            raise ValueError("modules must name at least one projection, such as q_proj")
        if not all(0 <= s <= 1 for s in self.shares) or not self.shares:
            raise ValueError(f"shares must be one or more numbers in [0, 1], not {self.shares!r}")

    def to_dict(self) -> dict:
        """Plain JSON types."""
        return asdict(self) | {"modules": list(self.modules), "shares": list(self.shares)}


class Views(Dataset):
    """Training rows: a case, some of its facts withheld, the rest in a new order. Row i is the same in every run.

    Rows are drawn `GROUP` batches at a time and come sorted by length, so that a batch holds little padding; which of
    these batches comes first is drawn too. Read them in order.
    """

    def __init__(self, cases: Sequence[Case], lm: LanguageModel, *, config: TrainConfig):
        self.cases, self.lm, self.shares, self.config = cases, lm, config.shares, config
        self._group = lru_cache(maxsize=2)(self._draw_group)

    def __len__(self) -> int:
        return self.config.steps * self.config.batch

    def __getitem__(self, i: int) -> dict[str, list[int]]:
        group, place = divmod(i, GROUP * self.config.batch)
        number, share, draw = self._group(group)[place]
        rng = np.random.default_rng([self.config.seed, group, draw])
        shown = with_order(withhold(self.cases[number], share, rng=rng), rng)
        return labelled(shown, self.lm)

    def _draw_group(self, group: int) -> list[tuple[int, float, int]]:
        """(case, share withheld, number of the draw) of every row of a group of batches."""
        rng = np.random.default_rng([self.config.seed, group])
        size = GROUP * self.config.batch
        numbers, shares = rng.integers(len(self.cases), size=size), rng.integers(len(self.shares), size=size)
        length = [
            len(self.cases[n].facts) - self.shares[s] * len(self.cases[n].path)
            for n, s in zip(numbers, shares, strict=True)
        ]
        batches = np.argsort(length, kind="stable").reshape(GROUP, -1)[rng.permutation(GROUP)]
        return [(int(numbers[k]), self.shares[shares[k]], int(k)) for k in batches.ravel()]


def labelled(case: Case, lm: LanguageModel) -> dict[str, list[int]]:
    """A case with its answer as a row: input_ids, and labels that are -100 over the prompt."""
    prompt = encode(case, lm.template, lm.tokenizer).ids
    answer = encode_answer(case, case.path, lm.template, lm.tokenizer)
    return {"input_ids": [*prompt, *answer], "labels": [-100] * len(prompt) + list(answer)}


def held_out_rows(cases: Sequence[Case], lm: LanguageModel, config: TrainConfig) -> list[dict[str, list[int]]]:
    """The first `HELD_OUT_ROWS` cases as rows, with shares of their needed facts withheld as in training."""
    rng = np.random.default_rng([config.seed, 1, 0, 0])
    some = cases[:HELD_OUT_ROWS]
    shares = [config.shares[i % len(config.shares)] for i in range(len(some))]
    return [labelled(with_order(withhold(c, s, rng=rng), rng), lm) for c, s in zip(some, shares, strict=True)]


def longest_rows(cases: Sequence[Case], lm: LanguageModel, *, count: int = 32) -> list[int]:
    """Tokens of the longest cases with their answers: those whose prompts have the most characters."""
    some = sorted(cases, key=lambda case: len(prompt_text(case, lm.template)), reverse=True)[:count]
    answers = [encode_answer(c, c.path, lm.template, lm.tokenizer) for c in some]
    return [len(encode(c, lm.template, lm.tokenizer).ids) + len(a) for c, a in zip(some, answers, strict=True)]


def collate(rows: Sequence[dict[str, list[int]]], pad: int) -> dict[str, torch.Tensor]:
    """Right-padded batch: input_ids, attention_mask, labels, each (rows, longest) int64; the loss skips -100."""
    width = max(len(r["input_ids"]) for r in rows)
    ids = torch.full((len(rows), width), pad)
    labels = torch.full((len(rows), width), -100)
    mask = torch.zeros(len(rows), width, dtype=torch.long)
    for k, row in enumerate(rows):
        n = len(row["input_ids"])
        ids[k, :n], labels[k, :n], mask[k, :n] = torch.as_tensor(row["input_ids"]), torch.as_tensor(row["labels"]), 1
    return {"input_ids": ids, "attention_mask": mask, "labels": labels}


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


def arguments(config: TrainConfig, checkpoints: Path) -> TrainingArguments:
    """The Trainer's settings: linear warm-up over 5 % of the steps, cosine decay, gradients clipped at norm 1."""
    return TrainingArguments(
        output_dir=str(checkpoints),
        max_steps=config.steps,
        per_device_train_batch_size=config.batch,
        learning_rate=config.learning_rate,
        lr_scheduler_type="cosine",
        train_sampling_strategy="sequential",  # the rows are random already
        warmup_steps=max(1, config.steps // 20),
        max_grad_norm=1.0,
        logging_steps=logging_steps(config.steps, config.checkpoint_every),
        save_steps=config.checkpoint_every,
        seed=config.seed,
        data_seed=config.seed,
        use_cpu=not torch.cuda.is_available(),
        report_to=[],
        remove_unused_columns=False,
        dataloader_pin_memory=False,
        label_names=["labels"],
    )


def is_valid(path: Sequence[str], case: Case, edges: set[tuple[str, str]]) -> bool:
    """Right start, right end, and every step a known edge."""
    steps = list(itertools.pairwise(path))
    return bool(steps) and path[0] == case.source and path[-1] == case.target and edges.issuperset(steps)


def score(
    engine: Engine,
    cases: Sequence[Case],
    *,
    share: float,
    adapter: bool,
    edges: set[tuple[str, str]],
    seed: int,
    always_shown: Sequence[str] = (),
    progress: Callable[[int], None] | None = None,
) -> list[dict]:
    """One record a case: `exact` (the toolchain is the case's) and `valid` (every step an edge of the graph).

    The same seed withholds the same facts, so that base and tuned are compared on the same prompts.
    """
    rng = np.random.default_rng(seed)
    shown = [withhold(c, share, rng=rng, always_shown=always_shown) for c in cases]
    longest = max(len(engine.answer_ids(c, c.path)) for c in shown)
    paths = engine.answers(shown, adapter=adapter, max_new_tokens=2 * longest, progress=progress)
    return [
        {
            "case": c.id,
            "split": c.split,
            "withheld": len(c.withheld),
            "exact": toolchain(p) == c.toolchain,
            "valid": is_valid(p, c, edges),
            "answer": list(p),
        }
        for c, p in zip(shown, paths, strict=True)
    ]
