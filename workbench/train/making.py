"""A recipe carried out: an adapter, and what it answers to cases that were held out.

Everything lands in one folder: the PEFT adapter, the held-out cases, `card.json` and `answers.jsonl`. Asked again, a
recipe goes on where it was left; what is finished is not done again.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from workbench import models
from workbench.artifacts.files import atomic_write_json, atomic_write_text, sha256_file
from workbench.artifacts.provenance import package_versions
from workbench.cases import sampling
from workbench.game import Engine
from workbench.models import smollm2
from workbench.models.checkpoint import weight_files
from workbench.train.checkpoints import fingerprint
from workbench.train.progress import Progress
from workbench.train.qlora import train
from workbench.train.recipe import Recipe, Splits
from workbench.train.scores import judged, shares_right
from workbench.train.world import is_main, world

SHARES = (0.0, 0.3, 0.6)  # of needed facts withheld when the adapter is judged
SPLITS = ("held_out_sequences", "held_out", "held_out_tools", "showcase")
GPU_TOKENS = 1 << 17  # of a batch of answers on a GPU

Say = Callable[[str], None]


@dataclass
class Making:
    """One recipe carried out in a folder, and told of in words."""

    recipe: Recipe
    given: Splits
    folder: Path
    say: Say = print
    base: bool = True  # whether the model without the adapter is judged, too

    def __post_init__(self) -> None:
        self.card_file = self.folder / "card.json"
        self.lm = models.load(self.recipe.model, names=self.given.names)
        how = {"base": self.base_model(), "train": self.recipe.train.to_dict(), "cases": self.given.drawn_by}
        self.facts = how | {"digests": self.digests()}

    def base_model(self) -> dict[str, Any]:
        """What the adapter belongs to, as `shipped.other_values` reads it: SHA-256 of the weight files at hand."""
        name = self.recipe.model
        place = Path(models.place(name))
        files = weight_files(place) if place.is_dir() else []
        values = smollm2.VALUES if name == smollm2.NAME else "as they lie there"
        return {"name": name, "values": values, "sha256": {path.name: sha256_file(path) for path in files}}

    def digests(self) -> dict[str, Any]:
        """SHA-256 of what goes in: training cases, names, the base model as loaded; and how many cases there are."""
        counts = {split: len(cases) for split, cases in self.given.cases.items()}
        return fingerprint(self.lm, self.given.cases["train"]) | {"counts": counts}

    def run(self) -> None:
        """To the end. The card is written after the training and after every group of answers."""
        card = self.finished()
        if is_main():
            self.given.save(self.folder, training=False)
        if card is None:
            card = self.facts | self.trained()
            self.keep(card, [])
        elif is_main():
            self.say("the adapter is there, of the same recipe and cases; nothing is trained")
            self.lm = models.load(self.recipe.model, names=self.given.names, adapter=self.folder)
        if is_main():
            self.judge(card)

    def finished(self) -> dict[str, Any] | None:
        """The card of a training that is done already, of the very same recipe."""
        try:
            card = json.loads(self.card_file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        same = all(card.get(key) == value for key, value in json.loads(json.dumps(self.facts)).items())
        return card if same and (self.folder / "adapter_model.safetensors").is_file() else None

    def trained(self) -> dict[str, Any]:
        """Trains the adapter; what the card says about it."""
        config, splits = self.recipe.train, self.given.cases
        self.say(f"training on {self.lm.device}: {len(splits['train'])} cases, {config.batch} rows a step")
        result = train(
            self.lm, splits["train"], config, folder=self.folder, held_out=splits.get("held_out", ()), show=self.tell,
            bar=False,
        )  # fmt: skip
        rows = result.steps * config.batch
        self.say(f"{result.steps} steps in {result.seconds:.0f} s, {rows / result.seconds:.1f} rows/s")
        device = torch.cuda.get_device_name(self.lm.device) if self.lm.device.type == "cuda" else "cpu"
        return {
            "trainable_parameters": sum(p.numel() for n, p in self.lm.model.named_parameters() if "lora_" in n),
            "device": device,
            "packages": package_versions(),
            "training": {
                "processes": world(),
                "steps": result.steps,
                "rows": rows,
                "seconds": result.seconds,
                "rows_per_second": rows / result.seconds,
                "loss": [row for row in result.history if np.isfinite(row["loss"])],  # JSON has no other numbers
                "held_out_loss": result.held_out,
            },
        }

    def tell(self, progress: Progress) -> None:
        """A line about the training."""
        if progress.history:
            last, (done, seconds, _) = progress.history[-1], progress.here
            pace = done * self.recipe.train.batch / seconds
            self.say(
                f"step {progress.step} of {progress.steps}, {progress.seconds:.0f} s: loss {last['loss']:.3f}, "
                f"rate {last['learning_rate']:.2e}, {pace:.1f} rows/s, {progress.tokens_per_second:,.0f} tokens/s"
            )

    def judge(self, card: dict[str, Any]) -> None:
        """Answers to all held-out cases, the tuned model's first: scores go into the card, answers into a file."""
        cases = self.given.cases
        splits = {split: cases[split] for split in SPLITS if cases.get(split)}
        engine = Engine(self.lm, batch_tokens=GPU_TOKENS) if self.lm.device.type == "cuda" else Engine(self.lm)
        shown = sampling.unseen_commands({"held_out_tools": [], **cases})
        how: dict[str, Any] = {"seed": self.recipe.train.seed, "edges": self.given.edges, "always_shown": shown}
        answers: list[dict[str, Any]] = []
        for adapter in (True, False) if self.base else (True,):
            started = time.perf_counter()
            for rows in judged(engine, splits, SHARES, adapter=adapter, **how):
                answers += rows
                self.keep(card | {"always_shown": shown, "scores": shares_right(answers)}, answers)
                right, first = np.mean([row["exact"] for row in rows]), rows[0]
                self.say(
                    f"{first['model']}, {first['split']}, {first['share']:.0%} withheld: exact {right:.3f}, "
                    f"n = {len(rows)}, {time.perf_counter() - started:.0f} s"
                )

    def keep(self, card: dict[str, Any], answers: list[dict[str, Any]]) -> None:
        """Writes both, each whole or not at all; of several processes that trained, one."""
        if not is_main():
            return
        atomic_write_json(self.card_file, card)
        lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in answers)
        atomic_write_text(self.folder / "answers.jsonl", "".join(lines))
