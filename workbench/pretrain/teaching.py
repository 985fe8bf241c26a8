"""The training of the embedded graph reader, lesson by lesson, and what it then does on graphs it has not seen.

Every step draws its data from (seed, lesson, step), so a training that was cut off and resumed gives the same weights
as one that was not.
"""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn.utils.rnn import pad_sequence
from transformers import LlamaForCausalLM

from workbench.artifacts.checks import check_number, check_seed, check_whole
from workbench.artifacts.files import atomic_write_json
from workbench.models.reader import EOS, PAD, RESERVED, reader_config
from workbench.pretrain.lessons import LESSONS, Hints, draw
from workbench.pretrain.randomgraphs import FRAME, SOURCE, TOOLS, count_paths, draw_graphs, draw_questions, path_rows
from workbench.stats import proportion

RECALLED = 0.97  # running share of right answers at which the next lesson starts


@dataclass(frozen=True)
class PretrainConfig:
    """Settings of the shipped reader.

    Examples:
        >>> PretrainConfig(layers=2).layers
        2
    """

    hidden: int = 128
    layers: int = 6
    heads: int = 4
    learning_rate: float = 2e-3
    batch: int = 64  # prompts a step
    recall_steps: int = 1500  # recall comes with a jump; it must come within these in either of the first two lessons
    path_steps: int = 2400
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("hidden", "layers", "heads", "batch", "recall_steps", "path_steps"):
            check_whole(name, getattr(self, name))
        check_number("learning_rate", self.learning_rate, without_low=True)
        check_seed(self.seed)


@dataclass
class Progress:
    """Where a training stands: lesson (of `LESSONS`), step in it, running share of right answer tokens.

    took: steps of the lessons that are done.
    """

    lesson: str = "recall"
    step: int = 0
    right: float = 0.0
    seconds: float = 0.0
    took: list[int] = field(default_factory=list)


class Pretraining:
    """One training of the reader; `run` goes on from whatever checkpoint lies in `folder`.

    Examples:
        >>> Pretraining(PretrainConfig(hidden=64, layers=1), Path("none")).progress.lesson
        'recall'
    """

    def __init__(self, config: PretrainConfig, folder: Path):
        torch.manual_seed(config.seed)
        self.config, self.folder, self.progress = config, folder, Progress()
        self.model = LlamaForCausalLM(reader_config(hidden=config.hidden, layers=config.layers, heads=config.heads))
        self.hints = Hints(config.hidden, config.layers)
        self.parameters = {f"model.{k}": v for k, v in self.model.named_parameters()}
        self.parameters |= {f"hints.{k}": v for k, v in self.hints.named_parameters()}
        self.optimizer = torch.optim.AdamW(
            self.parameters.values(), lr=config.learning_rate, betas=(0.9, 0.98), weight_decay=0.01
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
        """Are all lessons finished?"""
        return self.progress.lesson == LESSONS[-1] and self.progress.step >= self.config.path_steps

    def step(self) -> float:
        """One optimizer step; returns its loss in nats. RuntimeError when recall was not learned in its budget."""
        progress = self.progress
        rng = np.random.default_rng([self.config.seed, LESSONS.index(progress.lesson), progress.step])
        parts = draw(progress.lesson, rng, self.config.batch)
        tokens = sum(int((part.labels != -100).sum()) for part in parts)
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate()
        self.optimizer.zero_grad()
        loss, right = 0.0, 0.0
        for part in parts:
            result = self.model.model(part.ids, output_hidden_states=True)
            asked = part.labels[:, 1:] != -100
            answers = part.labels[:, 1:][asked]
            logits = self.model.lm_head(result.last_hidden_state[:, :-1][asked])
            each = nn.functional.cross_entropy(logits, answers, reduction="none")
            hint = self.hints(self.model, result.hidden_states, part) / len(parts)
            ((each * part.weights[:, 1:][asked]).sum() / tokens + hint).backward()
            loss += each.sum().item() / tokens
            right += (logits.argmax(-1) == answers).sum().item() / tokens
        nn.utils.clip_grad_norm_(self.parameters.values(), 1.0)
        self.optimizer.step()
        progress.right = 0.95 * progress.right + 0.05 * right
        progress.step += 1
        self.turn_page()
        return loss

    def turn_page(self) -> None:
        """On to the next lesson, once recall is learned."""
        progress = self.progress
        if progress.lesson == LESSONS[-1]:
            return
        if progress.right > RECALLED:
            following = LESSONS[LESSONS.index(progress.lesson) + 1]
            self.progress = Progress(following, 0, 0.0, progress.seconds, [*progress.took, progress.step])
        elif progress.step >= self.config.recall_steps:
            raise RuntimeError(
                f"{progress.lesson} was not learned in {progress.step} steps with seed {self.config.seed}; "
                "use another --seed"
            )

    def rate(self) -> float:
        """Learning rate: warm-up over 100 steps of the first lesson; in the last one a cosine down to nothing."""
        config, progress = self.config, self.progress
        if progress.lesson == LESSONS[-1]:
            return config.learning_rate * 0.5 * (1 + np.cos(np.pi * progress.step / config.path_steps))
        return config.learning_rate * (min(1.0, (progress.step + 1) / 100) if progress.lesson == LESSONS[0] else 1.0)

    def save(self) -> None:
        """Writes weights, optimizer state and progress; the last file written makes the checkpoint valid."""
        self.folder.mkdir(parents=True, exist_ok=True)
        name = f"checkpoint-{self.progress.lesson}-{self.progress.step}.safetensors"
        state = dict(self.parameters)
        for k, v in self.parameters.items():
            state |= {f"{key}.{k}": value for key, value in self.optimizer.state.get(v, {}).items()}
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
        for k, v in self.parameters.items():
            v.data.copy_(state[k])
            if f"step.{k}" in state:  # maps that no lesson has used yet have no moments
                self.optimizer.state[v] = {key: state[f"{key}.{k}"] for key in ("step", "exp_avg", "exp_avg_sq")}
        self.progress = Progress(**saved["progress"])


@torch.no_grad()
def held_out(model: LlamaForCausalLM, *, seed: int, count: int = 6000) -> dict:
    """Greedy answers on fresh random graphs: exact path where it is the only one, valid path where it is not.

    Shares come with n and a Wilson 95 % interval. `by_tools` splits the exact share by the length of the toolchain,
    `by_forks` by the number of nodes on the path from which more than one fact leads on.

    Examples:
        >>> from workbench.models import load
        >>> held_out(load("reader", names={}).model, seed=0, count=8)["valid_not_unique"]["n"] >= 0
        True
    """
    rng = np.random.default_rng([seed, 2])
    graphs = draw_graphs(rng, count)
    questions = draw_questions(rng, graphs)
    rows = np.nonzero(questions.usable)[0]
    prompts = [(row.prompt, row.answer) for row in path_rows(rng, graphs, questions, rows)]
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
        rows, pad = [torch.tensor(prompt) for prompt in block], RESERVED.index(PAD)
        ids = pad_sequence(rows, batch_first=True, padding_value=pad, padding_side="left")
        how = {"attention_mask": (ids != pad).long(), "max_new_tokens": longest, "do_sample": False}
        new = model.generate(input_ids=ids, **how)[:, ids.shape[1] :].tolist()
        out += [row[: row.index(end)] if end in row else row for row in new]
    return out


def is_path(given: list[int], prompt: list[int], answer: list[int]) -> bool:
    """Is every step of the answer a fact of the prompt, from the asked source to the asked target?"""
    facts = prompt[6 : len(prompt) - (FRAME - 6)]
    steps = set(zip(facts[::3], facts[1::3], strict=True))
    walked = [prompt[4], *given]
    return bool(given) and walked[-1] == answer[-2] and steps.issuperset(itertools.pairwise(walked))
