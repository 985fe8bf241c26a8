"""`bench train`: the chain's training, padded and packed, against a plain script with the transformers Trainer.

Same model, same rows, same batch, steps and learning rate; each trains in turn, in one process, on fresh adapters.
"""

from __future__ import annotations

import contextlib
import copy
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from transformers import DataCollatorForSeq2Seq, PrinterCallback, Trainer, TrainingArguments

from workbench import Run, models
from workbench.artifacts import runs
from workbench.artifacts.provenance import peak_bytes
from workbench.cases import Case, load_cases
from workbench.hands.bench import Say
from workbench.models import LanguageModel, add_adapter
from workbench.models.checkpoint import release
from workbench.models.dequantised import let_go
from workbench.stats import bootstrap_mean
from workbench.train import TrainConfig, Views, train

ROUNDS, STEPS = 5, 150  # so many steps that what is done once weighs little
QUICK_ROUNDS, QUICK_STEPS = 2, 4
PLAIN = "plain Trainer"

Contender = Callable[[LanguageModel, Sequence[Case], TrainConfig, Path], None]


def run(*, run_dir: Path, quick: bool, seed: int, say: Say) -> dict:
    """Tokens per second (real tokens, those of padding do not count) and peak memory of each, and ratios to the plain
    script, paired by round, with 95 % intervals."""
    folder, names = runs.require_stage(run_dir, "adapter"), Run(run_dir).names
    settings = runs.read_manifest(run_dir, "adapter")["config"]
    cases = load_cases(folder / "cases_train.jsonl")
    steps, rounds = (QUICK_STEPS, QUICK_ROUNDS) if quick else (STEPS, ROUNDS)
    config = TrainConfig(**_settings(settings.get("train", {}), steps=steps, seed=seed))
    load = lambda: models.load(settings.get("model", models.READER), names=names)  # noqa: E731
    tokens = real_tokens(load(), cases, config)
    rows = measured(load, cases, config, rounds=rounds, tokens=tokens, say=say)
    figures = {name: figures_of(rows, name, seed=seed) for name in CONTENDERS}
    table = [{"contender": name, **{k: v["mean"] for k, v in one.items()}} for name, one in figures.items()]
    return {"table": table, "figures": figures, "tokens": tokens, "train": config.to_dict(), "rows": rows}


def _settings(recorded: dict, *, steps: int, seed: int) -> dict:
    """The run's own settings, for fewer steps, without a checkpoint on the way."""
    known = {k: v for k, v in recorded.items() if k in TrainConfig.__dataclass_fields__}
    lists = {name: tuple(known[name]) for name in ("modules", "shares") if name in known}
    return {**known, **lists, "steps": steps, "checkpoint_every": steps, "seed": seed, "packed": False}


def plain_trainer(lm: LanguageModel, cases: Sequence[Case], config: TrainConfig, folder: Path) -> None:
    """What a user writes: the model as transformers loads it, the rows as a list, a collator that pads, the Trainer,
    random order."""
    let_go(lm.model)
    add_adapter(
        lm, rank=config.rank, alpha=config.alpha, modules=config.modules, dropout=config.dropout, seed=config.seed
    )
    views = Views(cases, lm, config=config)
    rows = [views[i] for i in range(len(views))]
    tokenizer = copy.deepcopy(lm.tokenizer)
    tokenizer.padding_side = "right"
    trainer = Trainer(
        model=lm.model,
        args=TrainingArguments(
            output_dir=str(folder),
            max_steps=config.steps,
            per_device_train_batch_size=config.batch,
            learning_rate=config.learning_rate,
            lr_scheduler_type="cosine",
            warmup_steps=max(1, config.steps // 20),
            save_strategy="no",
            seed=config.seed,
            use_cpu=not torch.cuda.is_available(),
            dataloader_pin_memory=False,
            report_to=[],
        ),
        train_dataset=rows,
        data_collator=DataCollatorForSeq2Seq(tokenizer, padding=True),
    )
    trainer.remove_callback(PrinterCallback)
    trainer.train()
    lm.model.save_pretrained(folder)


def padded(lm: LanguageModel, cases: Sequence[Case], config: TrainConfig, folder: Path) -> None:
    """The chain's: rows of like length in a batch."""
    train(lm, cases, replace(config, packed=False), folder=folder)


def packed(lm: LanguageModel, cases: Sequence[Case], config: TrainConfig, folder: Path) -> None:
    """The chain's with packed rows."""
    train(lm, cases, replace(config, packed=True), folder=folder)


CONTENDERS: dict[str, Contender] = {PLAIN: plain_trainer, "padded": padded, "packed": packed}


def real_tokens(lm: LanguageModel, cases: Sequence[Case], config: TrainConfig) -> int:
    """Tokens of all rows of a training, padding left out."""
    views = Views(cases, lm, config=config)
    return sum(len(views[i]["input_ids"]) for i in range(len(views)))


def measured(
    load: Callable[[], LanguageModel], cases: Sequence[Case], config: TrainConfig, *, rounds: int, tokens: int, say: Say
) -> list[dict]:
    """A row a contender and round; the order turns from round to round, and a short round before them warms up."""
    rows = []
    names = list(CONTENDERS)
    for number in range(-1, rounds):
        few = replace(config, steps=2, checkpoint_every=2) if number < 0 else config
        for name in (*names[number % len(names) :], *names[: number % len(names)]):
            with tempfile.TemporaryDirectory() as folder:
                spent = timed(lambda lm: CONTENDERS[name](lm, cases, few, Path(folder)), load())  # noqa: B023
            if number >= 0:
                rate = tokens / spent["seconds"]
                rows.append({"round": number, "contender": name, "tokens_per_second": rate, **spent})
        if number >= 0:
            say(f"round {number + 1} of {rounds}")
    return rows


def timed(work: Callable[[LanguageModel], None], lm: LanguageModel) -> dict[str, float]:
    """What `work` costs on a model that is loaded already: wall-clock `seconds`, `cpu_seconds` of this process, and
    `peak_bytes`, the most memory on top of what was held before."""
    before = most_bytes(lm, anew=True)
    started, cpu = time.perf_counter(), time.process_time()
    work(lm)
    spent = {"seconds": time.perf_counter() - started, "cpu_seconds": time.process_time() - cpu}
    return spent | {"peak_bytes": most_bytes(lm) - before}


def most_bytes(lm: LanguageModel, *, anew: bool = False) -> int:
    """The most bytes held so far: the GPU's, or this process's own. anew: from now on.

    Where a process cannot begin to count anew, as beside Linux, an earlier peak hides a lower one.
    """
    if anew:
        release()
    if lm.device.type == "cuda":
        if anew:
            torch.cuda.reset_peak_memory_stats()
        return torch.cuda.max_memory_allocated()
    if anew:
        with contextlib.suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5", "ascii")  # see proc(5)
    return peak_bytes()


def figures_of(rows: Sequence[dict], name: str, *, seed: int) -> dict[str, dict]:
    """Means with intervals of one contender. `times_plain`: its tokens per second over the plain script's, by round;
    `times_plain_cpu`: the same by processor seconds, which other work on the machine moves less."""
    own, plain = ([r for r in rows if r["contender"] == one] for one in (name, PLAIN))
    pairs = list(zip(own, plain, strict=True))
    keys = ("tokens_per_second", "seconds", "cpu_seconds", "peak_bytes")
    values = {key: [row[key] for row in own] for key in keys}
    values["times_plain"] = [p["seconds"] / o["seconds"] for o, p in pairs]
    values["times_plain_cpu"] = [p["cpu_seconds"] / o["cpu_seconds"] for o, p in pairs]
    return {name: bootstrap_mean(some, rng=np.random.default_rng(seed))._asdict() for name, some in values.items()}
