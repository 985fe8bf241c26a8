"""An adapter that was trained elsewhere, in the place of one that a run trains: its card tells how it came about."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from workbench.cases import Case
from workbench.cases.sampling import stretches
from workbench.models import LanguageModel, smollm2, with_adapter
from workbench.models.adapter_folder import CONFIG, WEIGHTS, AdapterFolder
from workbench.models.shipped_adapters import ADAPTERS, CARD, card, shipped, trained_on
from workbench.train.checkpoints import fingerprint
from workbench.train.qlora import TrainResult

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

    def unseen(self, splits: Mapping[str, Sequence[Case]]) -> dict[str, list[Case]]:
        """The splits without the held-out cases that it learned elsewhere: whose pair it was asked and, of sequences,
        whose commands an answer contains. What an adapter that is not of the package learned is not known: all."""
        learned = trained_on(self.folder)
        pairs = {(source, target) for source, target, _ in learned}
        rows = {row for *_, commands in learned for row in stretches(commands)}

        def is_new(case: Case) -> bool:
            if case.split == "train":
                return True
            known = case.split == "held_out_sequences" and case.sequence in rows
            return case.pair not in pairs and not known

        return {split: [case for case in cases if is_new(case)] for split, cases in splits.items()}

    def _told(self, name: str, kind: type) -> Any:
        found = self.card.get(name)
        return found if isinstance(found, kind) else kind()
