"""Who answers a log: a model with its adapter on and off, one model alone, or two that are loaded in turn."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from workbench import models
from workbench.artifacts.provenance import describe_input
from workbench.game import Engine
from workbench.logs.answers import Local
from workbench.logs.endpoint import Served
from workbench.logs.summary import BASE, TUNED
from workbench.models.adapter_folder import AdapterFolder
from workbench.models.checkpoint import release
from workbench.models.lora import CONFIG
from workbench.stats.games import Ledger


@dataclass(frozen=True)
class Source:
    """A model, an adapter on it or none, and whether it is loaded with 4-bit weights."""

    model: str
    adapter: Path | None
    four_bit: bool

    def inputs(self, prefix: str = "") -> dict[str, str | Path]:
        """What it is made of, for the manifest."""
        made: dict[str, str | Path] = {f"{prefix}model": models.place(self.model)}
        return made | ({f"{prefix}adapter": self.adapter} if self.adapter else {})

    def key(self, **how: Any) -> str:
        """Tells its answers from all others', by digests of its files."""
        found = {name: describe_input(".", name, value) for name, value in self.inputs().items()}
        told = {name: one.get("sha256", one) for name, one in found.items()}
        return json.dumps([told, self.four_bit, how], sort_keys=True)

    def load(self, names: Mapping[str, str]) -> Engine:
        """The model, ready to be asked. ModelError: it cannot be."""
        return Engine(models.load(self.model, names=names, adapter=self.adapter, four_bit=self.four_bit))


Load = Callable[[Source, Mapping[str, str]], Engine]
"""f(what, names of nodes): the model, ready to be asked."""


class Kept:
    """Loads as `Source.load` does, and keeps what it loaded last: who asks for the same again has it at once."""

    def __init__(self) -> None:
        self.key = ""
        self.engine: Engine | None = None

    def __call__(self, source: Source, names: Mapping[str, str]) -> Engine:
        """The engine, with nothing spent yet. ModelError: it cannot be loaded."""
        key = source.key(names=dict(names))
        if self.engine is None or key != self.key:
            self.engine = None  # before another is loaded
            release()
            self.key, self.engine = key, source.load(names)
        self.engine.ledger = Ledger()
        return self.engine


@dataclass
class Turn:
    """Speakers that are of one engine."""

    load: Callable[[], Engine | None]
    speakers: tuple[Local | Served, ...]

    @contextmanager
    def loaded(self) -> Iterator[Engine | None]:
        """Its engine, for as long as the block runs; None of a served model."""
        engine = self.load()
        for one in self.speakers:
            one.take(engine)
        try:
            yield engine
        finally:
            for one in self.speakers:
                one.take(None)


def turns(
    source: Source, against: str | None, names: Mapping[str, str], *, longest: int, load: Load = Source.load
) -> tuple[list[Turn], dict[str, Local]]:
    """Who takes turns, and the speakers by name. against: a model, or the folder of an adapter, to compare with; None:
    the model without its adapter. load: makes their engines."""
    speakers = {TUNED: Local(None, source.key(longest=longest), longest=longest)}
    if against is not None:
        other = other_source(source, against)
        speakers[BASE] = Local(None, other.key(longest=longest), longest=longest)
        pairs = zip((source, other), speakers.values(), strict=True)
        return [Turn(lambda one=one: load(one, names), (two,)) for one, two in pairs], speakers  # type: ignore[misc]
    if source.adapter is not None:
        off = replace(source, adapter=None).key(longest=longest)
        speakers[BASE] = Local(None, off, adapter=False, longest=longest)
    return [Turn(lambda: load(source, names), tuple(speakers.values()))], speakers


def served(url: str, model: str, against: str | None, **how: Any) -> tuple[list[Turn], dict[str, Served]]:
    """As `turns`, of models that a server has. how: as for `Served`; a budget is of each."""
    names = {TUNED: model} | ({BASE: against} if against else {})
    speakers = {name: Served(url, one, **how) for name, one in names.items()}
    return [Turn(lambda: None, tuple(speakers.values()))], speakers


def served_account(speakers: Mapping[str, Local | Served]) -> dict[str, Any]:
    """What servers told of themselves, as `served` by the speaker's name; nothing of models on this machine."""
    found = {name: dict(one.told) for name, one in speakers.items() if isinstance(one, Served)}
    return {"served": found} if found else {}


def other_source(source: Source, against: str) -> Source:
    """What to compare with: another adapter on the same model, or another model."""
    if (Path(against) / CONFIG).is_file():
        return replace(source, adapter=Path(against))
    return Source(against, None, source.four_bit)


def adapter_account(folder: Path) -> dict[str, Any]:
    """What an adapter changes, as its files say: `modules`, `projections`, `layers` and `ranks` as counts, `scales` (s
    of s B A), `unchanged`, how many modules it leaves as they were, and `norm`, of the whole change (Frobenius)."""
    found = list(AdapterFolder.open(folder))
    squares = [float(np.trace((one.A @ one.A.T) @ (one.B.T @ one.B))) * one.scaling**2 for one in found]
    return {
        "modules": len(found),
        "projections": sorted({one.projection for one in found}),
        "layers": len({one.layer for one in found}),
        "ranks": sorted({one.rank for one in found}),
        "scales": sorted({one.scaling for one in found}),
        "unchanged": sum(square <= 0 for square in squares),
        "norm": float(np.sqrt(max(0.0, sum(squares)))),
    }


def inputs_of(source: Source, against: str | None, endpoint: str | None) -> Mapping[str, str | Path]:
    """What the answers are made of, for the manifest."""
    if endpoint:
        return {"model": f"{source.model} at {endpoint}"} | ({"against": f"{against} at {endpoint}"} if against else {})
    return source.inputs() | (other_source(source, against).inputs("against_") if against else {})
