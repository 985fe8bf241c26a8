"""Checkpoints of a training: which of them are whole, and whether they are of this very training.

A process may be killed while it writes one, and a file may be changed behind its back. A training that went on from
such a checkpoint would end, without a word, in other weights than an undisturbed one.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from workbench.artifacts.files import atomic_write_json, sha256_file
from workbench.cases import Case
from workbench.models import LanguageModel

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
        saved = self._read()
        if saved is None:
            shutil.rmtree(folder, ignore_errors=True)
            return
        self.seconds = float(saved["seconds"])
        last = NAME.format(step=self.settings.get("steps"))
        finished = _is_whole(folder / last, saved["files"].get(last), adapter_only=True)
        for path in sorted(folder.glob("checkpoint-*")):
            if _is_whole(path, saved["files"].get(path.name), adapter_only=finished):
                self.files[path.name] = saved["files"][path.name]
            else:
                shutil.rmtree(path)

    def last(self) -> str | None:
        """Path of the last whole checkpoint; None where there is none, and the training starts from nothing."""
        return str(self.folder / NAME.format(step=self.steps)) if self.files else None

    @property
    def steps(self) -> int:
        """Steps that the last whole checkpoint stands for; 0 without one."""
        return max(map(_step, self.files), default=0)

    def note(self, step: int, seconds: float) -> None:
        """A checkpoint was written: from now on it counts as whole. seconds: of training so far."""
        name = NAME.format(step=step)
        self.files[name] = {
            path.name: sha256_file(path) for path in sorted((self.folder / name).iterdir()) if path.is_file()
        }
        self.seconds = seconds
        record = {"settings": self.settings, "seconds": seconds, "files": self.files}
        atomic_write_json(self.file, record)

    def keep_adapters_only(self) -> None:
        """Removes everything but adapter weights and JSON: the training is done."""
        for path in self.folder.glob("checkpoint-*/*"):
            if path.is_dir():
                shutil.rmtree(path)
            elif path.suffix not in KEPT_SUFFIXES:
                path.unlink()

    def _read(self) -> dict[str, Any] | None:
        try:
            saved = json.loads(self.file.read_text(encoding="utf-8"))
            same = saved["settings"] == self.settings and isinstance(saved["files"], dict) and saved["seconds"] >= 0
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return saved if same else None


def _is_whole(path: Path, files: Mapping[str, str] | None, *, adapter_only: bool) -> bool:
    """Every file as it was written. adapter_only: of a finished training; the optimizer's may be gone already."""
    if not files:
        return False
    needed = {n: d for n, d in files.items() if not adapter_only or Path(n).suffix in KEPT_SUFFIXES}
    there = {n: d for n, d in files.items() if n in needed or (path / n).exists()}
    return all((path / name).is_file() and sha256_file(path / name) == digest for name, digest in there.items())


def _step(name: str) -> int:
    number = name.rpartition("-")[2]
    return int(number) if number.isdecimal() else -1


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
