"""A recipe carried out: an adapter, and what it answers to cases that were held out.

Everything lands in one folder: the PEFT adapter, the held-out cases, `card.json` and `answers.jsonl`. Asked again, a
recipe goes on where it was left; what is finished is not done again.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch

from workbench import models, sampling
from workbench.artifacts.files import atomic_write_json, atomic_write_text, sha256_file
from workbench.artifacts.provenance import package_versions
from workbench.game import Engine
from workbench.train.checkpoints import fingerprint
from workbench.train.madeup import renamed
from workbench.train.progress import Progress
from workbench.train.qlora import train
from workbench.train.recipe import Recipe, Splits
from workbench.train.scores import score, shares_right

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
        self.facts = self.recipe.to_dict() | {"digests": self.digests()}

    def digests(self) -> dict[str, Any]:
        """SHA-256 of what goes in: training cases, names, the base model as loaded, and its weight files where these
        are at hand."""
        place = Path(models.place(self.recipe.model))
        files = {path.name: sha256_file(path) for path in sorted(place.glob("*.safetensors"))}
        counts = {split: len(cases) for split, cases in self.given.cases.items()}
        return fingerprint(self.lm, self.given.cases["train"]) | {"base_files": files, "counts": counts}

    def run(self) -> dict[str, Any]:
        """The card, when all is done. It is written after the training and after every group of answers."""
        self.given.save(self.folder, training=False)
        card = self.finished()
        if card is None:
            card = self.facts | self.trained()
            self.write(card)
        else:
            self.say("the adapter is there, of the same recipe and cases; nothing is trained")
            self.lm = models.load(self.recipe.model, names=self.given.names, adapter=self.folder)
        self.judge(card)
        return card

    def finished(self) -> dict[str, Any] | None:
        """The card of a training that is done already, of the very same recipe."""
        try:
            card = json.loads(self.card_file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        same = all(card.get(key) == value for key, value in json.loads(json.dumps(self.facts)).items())
        return card if same and (self.folder / "adapter_model.safetensors").is_file() else None

    def write(self, card: dict[str, Any]) -> None:
        """The card, whole or not at all."""
        atomic_write_json(self.card_file, card)

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
                "steps": result.steps,
                "rows": rows,
                "seconds": result.seconds,
                "rows_per_second": rows / result.seconds,
                "loss": result.history,
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
        """Answers to all held-out cases; the tuned model's come first. `made_up`: held-out pairs as if every name were
        another; the scores go into the card, the answers into `answers.jsonl`."""
        answers: list[dict[str, Any]] = []
        asked = list(product([s for s in SPLITS if self.given.cases.get(s)], SHARES))
        asked += [("made_up", 0.0)] if self.given.cases.get("held_out") else []
        for model in ("tuned", "base") if self.base else ("tuned",):
            for split, share in asked:
                started = time.perf_counter()
                rows = self.answered(split, share, adapter=model == "tuned")
                answers += [row | {"split": split, "model": model, "share": share} for row in rows]
                card["scores"] = shares_right(answers)
                self.write(card)
                lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in answers)
                atomic_write_text(self.folder / "answers.jsonl", "".join(lines))
                right = np.mean([row["exact"] for row in rows])
                took = time.perf_counter() - started
                self.say(f"{model}, {split}, {share:.0%} withheld: exact {right:.3f}, n = {len(rows)}, {took:.0f} s")

    def answered(self, split: str, share: float, *, adapter: bool) -> list[dict[str, Any]]:
        """Records of `score` for one split."""
        cases, lm = self.given.cases.get(split, []), self.lm
        if split == "made_up":
            cases, lm = renamed(self.given.cases["held_out"], lm, seed=self.recipe.train.seed)
        engine = Engine(lm, batch_tokens=GPU_TOKENS) if lm.device.type == "cuda" else Engine(lm)
        shown = sampling.unseen_commands({"held_out_tools": [], **self.given.cases})
        how = {"edges": self.given.edges, "seed": self.recipe.train.seed, "always_shown": shown}
        return score(engine, cases, share=share, adapter=adapter, **how)
