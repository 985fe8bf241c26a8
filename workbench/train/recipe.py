"""What an adapter is made of: a base model, the cases of a graph, and the settings of the training."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from workbench import kg, models
from workbench.artifacts.files import atomic_write_json
from workbench.cases import Case, load_cases, sampling, save_cases, toolchain
from workbench.cases.sampling import SamplingConfig
from workbench.train.config import TrainConfig

ALL_PROJECTIONS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


@dataclass(frozen=True)
class Recipe:
    """What an adapter is made of. table: see `kg.load_graph`; topics: EDAM topics whose tools are asked about, none for
    the whole graph."""

    model: str = models.READER
    table: str | None = None
    topics: tuple[str, ...] = ()
    sampling: SamplingConfig = field(default_factory=SamplingConfig)
    train: TrainConfig = field(default_factory=TrainConfig)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {
            "model": self.model,
            "table": self.table,
            "topics": list(self.topics),
            "sampling": {name: list(v) if isinstance(v, tuple) else v for name, v in vars(self.sampling).items()},
            "train": self.train.to_dict(),
        }

    def with_settings(self, given: dict[str, Any]) -> Recipe:
        """Changed by settings in the form of `to_dict`, as a run's manifest has them. ValueError: there is no such
        setting, or its value cannot be."""
        try:
            parts = {
                name: replace(getattr(self, name), **{k: _tuple(v) for k, v in given.get(name, {}).items()})
                for name in ("sampling", "train")
            }
            return replace(self, **{name: _tuple(value) for name, value in given.items()} | parts)
        except (TypeError, AttributeError) as error:
            raise ValueError(f"settings are model, table, topics, sampling and train of a recipe: {error}") from error


def _tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


PRESETS = {
    models.READER: Recipe(
        topics=("Gene transcripts", "Mapping", "Sequence assembly"),
        sampling=SamplingConfig(held_out_tools=60),
        train=TrainConfig(modules=ALL_PROJECTIONS, steps=1800, learning_rate=3e-3, packed=True),
    ),
    "smollm2": Recipe(
        model="smollm2",
        sampling=SamplingConfig(train=20_000, held_out=200, held_out_sequences=160, held_out_tools=60),
        train=TrainConfig(
            modules=ALL_PROJECTIONS, steps=2000, batch=64, learning_rate=1e-3, shares=(0.0, 0.3, 0.6), replay=0.25,
            checkpoint_every=500,
        ),
    ),
}  # fmt: skip
"""Recipes by name; for any other language model that of `smollm2` is a start."""


@dataclass(frozen=True)
class Splits:
    """Cases by split with the names of all nodes, and how they were drawn; what a folder of cases holds."""

    cases: dict[str, list[Case]]
    names: dict[str, str]
    drawn_by: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def drawn(cls, recipe: Recipe, *, progress: Callable[[int], None] | None = None) -> Splits:
        """Cases of the recipe's graph. The showcase is among them where the part of the graph has one.

        progress: called with the number of new cases."""
        given = kg.load_graph(recipe.table)
        graph = given.graph
        try:
            chains = kg.showcase(graph)
        except kg.PathError:
            chains = []
        part = kg.field(graph, recipe.topics)
        flow = kg.flow_graph(part)
        chain = next((c for c in reversed(chains) if set(c) <= set(flow)), None)
        reserved, spared = ([(chain[0], chain[-1])], [toolchain(chain)]) if chain else ([], [])
        splits = sampling.sample_cases(part, flow, recipe.sampling, reserved=reserved, spared=spared, progress=progress)
        if chain:
            splits["showcase"] = [sampling.showcase_case(part, flow, chain, recipe.sampling)]
        how = {name: value for name, value in recipe.to_dict().items() if name not in ("model", "train")}
        return cls(splits, {node: part.nodes[node]["name"] for node in flow}, how | {"graph": given.digest})

    @classmethod
    def read(cls, folder: Path) -> Splits:
        """What `save` wrote, or a run's `adapter` folder. ValueError: no training cases or no names lie there."""
        files = {path.stem.removeprefix("cases_"): path for path in sorted(Path(folder).glob("cases_*.jsonl"))}
        if "train" not in files or not (Path(folder) / "names.json").is_file():
            raise ValueError(f"{folder} must hold cases_train.jsonl and names.json; draw them with --draw-only")
        showcase = Path(folder) / "showcase.jsonl"
        files |= {"showcase": showcase} if showcase.is_file() else {}
        splits = {split: load_cases(path) for split, path in files.items()}
        named, drawn = (Path(folder) / f"{name}.json" for name in ("names", "drawn"))
        how = json.loads(drawn.read_text(encoding="utf-8")) if drawn.is_file() else {}
        return cls(splits, json.loads(named.read_text(encoding="utf-8")), how)

    def save(self, folder: Path, *, training: bool) -> None:
        """Writes cases and names. training: the training cases, too, which may be many."""
        Path(folder).mkdir(parents=True, exist_ok=True)
        for split, cases in self.cases.items():
            if training or split != "train":
                save_cases(folder / (f"{split}.jsonl" if split == "showcase" else f"cases_{split}.jsonl"), cases)
        atomic_write_json(folder / "names.json", self.names)
        atomic_write_json(folder / "drawn.json", self.drawn_by)

    @property
    def edges(self) -> set[tuple[str, str]]:
        """Steps that some case states."""
        return {(f.head, f.tail) for cases in self.cases.values() for c in cases for f in (*c.facts, *c.withheld)}


def made_again(run: Path, preset: Recipe) -> Recipe:
    """The recipe of a run: its graph and, where notebook 2 was there, its model and settings."""
    graph, manifest = run / "kg" / "graph.json", run / "adapter" / "manifest.json"
    if not graph.is_file():
        raise ValueError(f"{run} holds no graph (kg/graph.json); run notebook 01_build_kg there first")
    config = json.loads(manifest.read_text(encoding="utf-8"))["config"] if manifest.is_file() else {}
    known = {name: config[name] for name in ("model", "topics", "sampling", "train") if name in config}
    return replace(preset.with_settings(known), table=str(graph))
