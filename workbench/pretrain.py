"""Makes the embedded graph reader: `python -m workbench.pretrain --out FOLDER`.

Two lessons: recall of listed pairs (learned in one jump), then shortest paths in random tool graphs, from small to
large. Every step draws its data from (seed, lesson, step), so a training that was cut off and resumed gives the same
weights as one that was not.
"""

from __future__ import annotations

import argparse
import itertools
import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from tqdm.auto import tqdm
from transformers import LlamaForCausalLM

from workbench.randomgraphs import (
    FRAME,
    SOURCE,
    TOOLS,
    count_paths,
    draw_graphs,
    draw_questions,
    recall_rows,
    token_rows,
)
from workbench.reader import EOS, PAD, RESERVED, reader_config
from workbench.runs import atomic_write_json
from workbench.stats import proportion

RECALLED = 0.97  # running share of recalled values at which the second lesson starts


@dataclass(frozen=True)
class PretrainConfig:
    """Settings of the shipped reader."""

    hidden: int = 128
    layers: int = 4
    heads: int = 4
    learning_rate: float = 2e-3
    batch: int = 64  # prompts a step
    recall_steps: int = 1500  # the first lesson's jump must come within these, else another seed is needed
    path_steps: int = 2500
    grow_steps: int = 500  # over which graphs grow from 4 tools to the largest
    seed: int = 0


@dataclass
class Progress:
    """Where a training stands: lesson (`recall`, `paths`), step in it, running share of right answer tokens."""

    lesson: str = "recall"
    step: int = 0
    right: float = 0.0
    seconds: float = 0.0
    recall_took: int = 0


class Pretraining:
    """One training of the reader; `run` goes on from whatever checkpoint lies in `folder`."""

    def __init__(self, config: PretrainConfig, folder: Path):
        torch.manual_seed(config.seed)
        self.config, self.folder, self.progress = config, folder, Progress()
        self.model = LlamaForCausalLM(reader_config(hidden=config.hidden, layers=config.layers, heads=config.heads))
        self.optimizer = torch.optim.AdamW(
            self.model.parameters(), lr=config.learning_rate, betas=(0.9, 0.98), weight_decay=0.01
        )
        if (folder / "progress.json").exists():
            self.load()

    def run(
        self, *, save_every: int = 250, listen: Callable[[Progress, float], None] | None = None
    ) -> LlamaForCausalLM:
        """Trains to the end; `listen` gets the progress and the loss (nats) after every step."""
        self.model.train()
        while not self.done():
            started = time.perf_counter()
            loss = self.step()
            self.progress.seconds += time.perf_counter() - started
            if self.progress.step % save_every == 0 or self.done():
                self.save()
            if listen:
                listen(self.progress, loss)
        return self.model

    def done(self) -> bool:
        """Are both lessons finished?"""
        return self.progress.lesson == "paths" and self.progress.step >= self.config.path_steps

    def step(self) -> float:
        """One optimizer step; returns its loss in nats. RuntimeError when recall was not learned in its budget."""
        parts = self.batch()
        tokens = sum(int((labels != -100).sum()) for _, labels in parts)
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate()
        self.optimizer.zero_grad()
        loss, right = 0.0, 0.0
        for ids, labels in parts:
            asked = labels[:, 1:] != -100
            logits = self.model.lm_head(self.model.model(ids).last_hidden_state[:, :-1][asked])
            part = nn.functional.cross_entropy(logits, labels[:, 1:][asked], reduction="sum") / tokens
            part.backward()
            loss += part.item()
            right += (logits.argmax(-1) == labels[:, 1:][asked]).sum().item() / tokens
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.progress.right = 0.95 * self.progress.right + 0.05 * right
        self.progress.step += 1
        if self.progress.lesson == "recall" and self.progress.right > RECALLED:
            self.progress = Progress("paths", 0, 0.0, self.progress.seconds, self.progress.step)
        elif self.progress.lesson == "recall" and self.progress.step >= self.config.recall_steps:
            raise RuntimeError(
                f"recall was not learned in {self.progress.step} steps with seed {self.config.seed}; use another --seed"
            )
        return loss

    def rate(self) -> float:
        """Learning rate: warm-up over 100 steps; in the second lesson a cosine down to nothing."""
        if self.progress.lesson == "recall":
            return self.config.learning_rate * min(1.0, (self.progress.step + 1) / 100)
        return self.config.learning_rate * 0.5 * (1 + np.cos(np.pi * self.progress.step / self.config.path_steps))

    def batch(self) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """Ids and labels of the next step, each (rows, length) int64, in parts of like length: less padding."""
        rng = np.random.default_rng([self.config.seed, self.progress.lesson == "paths", self.progress.step])
        if self.progress.lesson == "recall":
            ids, labels = recall_rows(rng, self.config.batch)
            return [(torch.as_tensor(ids), torch.as_tensor(labels))]
        grown = min(1.0, self.progress.step / self.config.grow_steps)
        graphs = draw_graphs(rng, 3 * self.config.batch, max_tools=4 + int(grown * (TOOLS - 4)))
        questions = draw_questions(rng, graphs)
        # long chains are rare and hard: a row is drawn with a weight that grows with its number of tools
        weight = np.where(questions.usable, questions.steps - 1.0, 0.0)
        drawn = np.argsort(rng.exponential(size=len(weight)) / np.maximum(weight, 1e-9))[: self.config.batch]
        rows = sorted(token_rows(rng, graphs, questions, drawn[questions.usable[drawn]]), key=lambda row: len(row[0]))
        half = len(rows) // 2
        return [padded(rows[:half]), padded(rows[half:])]

    def save(self) -> None:
        """Writes weights, optimizer state and progress; the last file written makes the checkpoint valid."""
        self.folder.mkdir(parents=True, exist_ok=True)
        name = f"checkpoint-{self.progress.lesson}-{self.progress.step}.safetensors"
        state = {f"model.{k}": v for k, v in self.model.named_parameters()}
        for k, v in self.model.named_parameters():
            state |= {f"{key}.{k}": value for key, value in self.optimizer.state[v].items()}
        save_file({k: v.detach().contiguous() for k, v in state.items()}, self.folder / name)
        atomic_write_json(
            self.folder / "progress.json",
            {"checkpoint": name, "config": asdict(self.config), "progress": asdict(self.progress)},
        )
        for old in self.folder.glob("checkpoint-*.safetensors"):
            if old.name != name:
                old.unlink()

    def load(self) -> None:
        """Takes up the checkpoint in the folder; ValueError when it was made with other settings."""
        saved = json.loads((self.folder / "progress.json").read_text(encoding="utf-8"))
        if saved["config"] != asdict(self.config):
            raise ValueError(
                f"{self.folder} holds a training with other settings {saved['config']}; choose another folder"
            )
        state = load_file(self.folder / saved["checkpoint"])
        for k, v in self.model.named_parameters():
            v.data.copy_(state[f"model.{k}"])
            self.optimizer.state[v] = {key: state[f"{key}.{k}"] for key in ("step", "exp_avg", "exp_avg_sq")}
        self.progress = Progress(**saved["progress"])


def padded(rows: list[tuple[list[int], list[int]]]) -> tuple[torch.Tensor, torch.Tensor]:
    """Right-padded (prompt + answer) ids and labels that ask for the answers only."""
    width = max(len(p) + len(a) for p, a in rows)
    ids = torch.full((len(rows), width), RESERVED.index(PAD))
    labels = torch.full((len(rows), width), -100)
    for k, (prompt, answer) in enumerate(rows):
        ids[k, : len(prompt) + len(answer)] = torch.as_tensor(prompt + answer)
        labels[k, len(prompt) : len(prompt) + len(answer)] = torch.as_tensor(answer)
    return ids, labels


@torch.no_grad()
def held_out(model: LlamaForCausalLM, *, seed: int, count: int = 2000) -> dict:
    """Greedy answers on fresh random graphs: exact path where it is the only one, valid path where it is not.

    Shares come with n and a Wilson 95 % interval. `by_tools` splits the exact share by the length of the toolchain,
    `by_forks` by the number of nodes on the path from which more than one fact leads on.
    """
    rng = np.random.default_rng([seed, 2])
    graphs = draw_graphs(rng, count)
    questions = draw_questions(rng, graphs)
    rows = np.nonzero(questions.usable)[0]
    prompts = token_rows(rng, graphs, questions, rows)
    model.eval()
    given = greedy(model, [p for p, _ in prompts], longest=2 * TOOLS + 3)
    only = np.array([count_paths(graphs.adjacent[i], questions.target[i]) == 1 for i in rows])
    exact = np.array([g == a[:-1] for g, (_, a) in zip(given, prompts, strict=True)])
    valid = np.array([is_path(g, *p) for g, p in zip(given, prompts, strict=True)])
    tools = (questions.steps[rows] - 1) // 2
    ways = graphs.adjacent.sum(2)
    forks = np.array([(ways[i, [SOURCE, *questions.path[i, : questions.steps[i] - 1]]] > 1).sum() for i in rows])
    return {
        "exact_unique": proportion(exact[only])._asdict(),
        "valid_not_unique": proportion(valid[~only])._asdict(),
        "by_tools": {int(k): proportion(exact[only & (tools == k)])._asdict() for k in sorted(set(tools[only]))},
        "by_forks": {int(k): proportion(exact[only & (forks == k)])._asdict() for k in sorted(set(forks[only]))},
        "facts": {"mean": float(graphs.real[rows].sum(1).mean()), "max": int(graphs.real[rows].sum(1).max())},
    }


def greedy(model: LlamaForCausalLM, prompts: list[list[int]], *, longest: int) -> list[list[int]]:
    """Greedy continuations up to the end-of-sequence token."""
    out: list[list[int]] = []
    end = RESERVED.index(EOS)
    for start in range(0, len(prompts), 200):
        block = prompts[start : start + 200]
        width = max(map(len, block))
        ids = torch.tensor([[RESERVED.index(PAD)] * (width - len(p)) + p for p in block])
        mask = torch.tensor([[0] * (width - len(p)) + [1] * len(p) for p in block])
        new = model.generate(input_ids=ids, attention_mask=mask, max_new_tokens=longest, do_sample=False)[
            :, width:
        ].tolist()
        out += [row[: row.index(end)] if end in row else row for row in new]
    return out


def is_path(given: list[int], prompt: list[int], answer: list[int]) -> bool:
    """Is every step of the answer a fact of the prompt, from the asked source to the asked target?"""
    facts = prompt[6 : len(prompt) - (FRAME - 6)]
    steps = set(zip(facts[::3], facts[1::3], strict=True))
    walked = [prompt[4], *given]
    return bool(given) and walked[-1] == answer[-2] and steps.issuperset(itertools.pairwise(walked))


def main(argv: list[str] | None = None) -> None:
    """Command line: trains (or resumes) and writes config.json, model.safetensors and card.json to --out."""
    parser = argparse.ArgumentParser(prog="python -m workbench.pretrain", description=__doc__.split("\n")[0])
    parser.add_argument(
        "--out", type=Path, required=True, help="folder for weights and card; checkpoints go to its `training`"
    )
    for name, value in asdict(PretrainConfig()).items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(value), default=value)
    parser.add_argument(
        "--threads", type=int, default=2, help="the same number gives the same weights on the same machine"
    )
    options = vars(parser.parse_args(argv))
    out = options.pop("out")
    torch.set_num_threads(options.pop("threads"))
    config = PretrainConfig(**options)
    training = Pretraining(config, out / "training")
    with tqdm(initial=training.progress.step, total=config.path_steps, desc="reader", mininterval=2) as bar:

        def listen(progress: Progress, loss: float) -> None:
            bar.n = progress.step
            bar.set_postfix(lesson=progress.lesson, loss=f"{loss:.3f}", right=f"{progress.right:.3f}", refresh=False)
            bar.update(0)

        model = training.run(listen=listen)
    model.save_pretrained(out, safe_serialization=True)
    figures = held_out(model, seed=config.seed)
    atomic_write_json(
        out / "card.json",
        {
            "name": "graph reader",
            "data": "random tool graphs with random names (workbench.randomgraphs); no graph of the project is used",
            "config": asdict(config),
            "parameters": sum(p.numel() for p in model.parameters()),
            "recall_steps_taken": training.progress.recall_took,
            "train_seconds": round(training.progress.seconds),
            "threads": torch.get_num_threads(),
            "held_out": figures,
        },
    )
    print(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
