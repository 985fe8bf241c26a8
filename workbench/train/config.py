"""Settings of one QLoRA training, what the Trainer makes of them, and where it stands.

Several processes, one a GPU, can train together: each takes its part of every batch, and gradients are averaged.

    accelerate launch --multi_gpu --num_processes 4 -m workbench.train --model M --out ADAPTER

and `-p adapter ADAPTER` has notebook 2 judge what came out. With accelerate's `--num_machines`, `--machine_rank` and
`--main_process_ip` it reaches over machines that share the folder; given again, it goes on from the last checkpoint.
A batch has as many cases as with one process. Rows, order, loss and steps are those of one process too; sums are taken
in another order, so the last digits of the weights differ. Which process this one is, launchers say in the environment.

A process may be killed while it writes a checkpoint, and a file may be changed behind its back. A training that went on
from such a checkpoint would end, without a word, in other weights than an undisturbed one: so only whole ones of this
very training count.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import TrainingArguments

from workbench.artifacts.checks import check_number, check_seed, check_several, check_whole, shown
from workbench.artifacts.files import altered, atomic_write_json, read_object, sha256_file
from workbench.cases import Case
from workbench.models import LanguageModel


def world() -> int:
    """How many processes train together with this one, itself included: 1, unless a launcher says otherwise."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def is_main() -> bool:
    """Whether this process writes and tells, for all of them."""
    return int(os.environ.get("RANK", "0")) == 0


def check_world(*, batch: int, seconds: float | None) -> None:
    """ValueError: so many processes cannot train in such batches, or until a time."""
    processes = world()
    if batch % processes:
        raise ValueError(f"batch must be a multiple of the {processes} processes that train, not {batch}")
    if processes > 1 and seconds is not None:
        raise ValueError(f"seconds must be None where {processes} processes train together: their clocks differ")


PROGRESS = "progress.json"
NAME = "checkpoint-{step}"
KEPT_SUFFIXES = {".safetensors", ".json"}  # what stays of a checkpoint when the training is done
FINGERPRINT_VALUES = 64  # of each weight


class Checkpoints:
    """The checkpoints in `folder`, with the settings and seconds of their training and the digest of every file.

    Those of another training are removed when this is made, and those that are not whole.
    """

    def __init__(self, folder: Path, settings: Mapping[str, Any]):
        self.folder, self.file = folder, folder / PROGRESS
        self.settings = json.loads(json.dumps(settings))
        self.files: dict[str, dict[str, str]] = {}
        self.seconds = 0.0
        saved = read_object(self.file)
        whole = isinstance(saved.get("files"), dict) and isinstance(saved.get("seconds"), int | float)
        if not whole or saved.get("settings") != self.settings:
            shutil.rmtree(folder, ignore_errors=True)
            return
        self.seconds = float(saved["seconds"])
        last = NAME.format(step=self.settings.get("steps"))
        finished = _is_whole(folder / last, saved["files"].get(last) or {}, adapter_only=True)
        for path in sorted(folder.glob("checkpoint-*")):
            if _is_whole(path, saved["files"].get(path.name) or {}, adapter_only=finished):
                self.files[path.name] = saved["files"][path.name]
            else:
                shutil.rmtree(path)

    def last(self) -> str | None:
        """Path of the last whole checkpoint; None where there is none, and the training starts from nothing."""
        highest = max(self.files, key=lambda name: (len(name), name), default=None)  # 9 comes before 10
        return str(self.folder / highest) if highest else None

    def note(self, step: int, seconds: float) -> None:
        """A checkpoint was written: from now on it counts as whole. seconds: of training so far."""
        name, self.seconds = NAME.format(step=step), seconds
        written = sorted(path for path in (self.folder / name).iterdir() if path.is_file())
        self.files[name] = {path.name: sha256_file(path) for path in written}
        atomic_write_json(self.file, {"settings": self.settings, "seconds": seconds, "files": self.files})

    def keep_adapters_only(self) -> None:
        """Removes everything but adapter weights and JSON: the training is done."""
        for path in self.folder.glob("checkpoint-*/*"):
            if path.is_dir():
                shutil.rmtree(path)
            elif path.suffix not in KEPT_SUFFIXES:
                path.unlink()


def _is_whole(path: Path, files: Mapping[str, str], *, adapter_only: bool) -> bool:
    """Every file as it was written. adapter_only: of a finished training; the optimizer's may be gone already."""
    there = {name: path / name for name in files if (path / name).is_file()}
    due = {n: d for n, d in files.items() if n in there or not adapter_only or Path(n).suffix in KEPT_SUFFIXES}
    return bool(files) and not altered(due, there)


def fingerprint(lm: LanguageModel, cases: Sequence[Case]) -> dict[str, str]:
    """What a training depends on besides its settings: SHA-256 of the cases, of all names, and of some of the weights.

    Of each weight of the base model, which is frozen, the first values are read.
    """
    weights = hashlib.sha256()
    for name, parameter in lm.model.named_parameters():
        if "lora_" not in name:
            weights.update(f"{name} {tuple(parameter.shape)} ".encode())
            weights.update(str(parameter.detach().flatten()[:FINGERPRINT_VALUES].tolist()).encode())
    told = hashlib.sha256()
    for case in cases:
        told.update(json.dumps(case.to_dict(), sort_keys=True).encode())
    names = hashlib.sha256(json.dumps(dict(lm.names), sort_keys=False).encode())
    return {"cases": told.hexdigest(), "names": names.hexdigest(), "base": weights.hexdigest()}


def logging_steps(steps: int, checkpoint_every: int) -> int:
    """Steps between two rows of the loss history: about a hundred rows, and one at each checkpoint.

    A row is the mean since the row before. If a checkpoint fell between two, a training that went on from there would
    give another row than an undisturbed one.
    """
    most = max(1, steps // 100)
    return max(n for n in range(1, min(most, checkpoint_every) + 1) if checkpoint_every % n == 0)


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
