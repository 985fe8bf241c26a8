"""What an adapter is made of (a base model, the cases of a graph, settings), and such a recipe carried out.

Everything lands in one folder: the PEFT adapter, the held-out cases, `card.json` and `answers.jsonl`. Asked again, a
recipe goes on where it was left; what is finished is not done again.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from workbench import kg, models
from workbench.artifacts.files import atomic_write_json, atomic_write_text, read_object, sha256_file
from workbench.artifacts.provenance import package_versions
from workbench.cases import Case, load_cases, sampling, save_cases, toolchain
from workbench.cases.sampling import SamplingConfig
from workbench.game import Engine
from workbench.models import smollm2
from workbench.models.checkpoint import weight_files
from workbench.train.config import TrainConfig, fingerprint, is_main, world
from workbench.train.progress import Progress
from workbench.train.qlora import train
from workbench.train.scores import judged, shares_right

ALL_PROJECTIONS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


@dataclass(frozen=True)
class Recipe:
    """What an adapter is made of. table: see `kg.load_graph`; topics: EDAM topics whose tools are asked about, none for
    the whole graph; `sampling.in_field` follows from them."""

    model: str = models.READER
    table: str | None = None
    topics: tuple[str, ...] = ()
    sampling: SamplingConfig = field(default_factory=SamplingConfig)
    train: TrainConfig = field(default_factory=TrainConfig)

    def __post_init__(self) -> None:
        object.__setattr__(self, "sampling", replace(self.sampling, in_field=bool(self.topics)))

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return json.loads(json.dumps(asdict(self)))

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
        train=TrainConfig(modules=ALL_PROJECTIONS, steps=2000, learning_rate=3e-3, shares=(0.3, 0.6), packed=True),
    ),
    "smollm2": Recipe(
        model="smollm2",
        sampling=SamplingConfig(train=40_000, held_out_tools=60),  # held out are the cases that a run holds out
        train=TrainConfig(
            modules=ALL_PROJECTIONS, steps=900, batch=128, learning_rate=1.2e-3, replay=0.35, checkpoint_every=200
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
        card = read_object(self.card_file)
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
