"""What the reader can do on random graphs that it has not seen."""

from __future__ import annotations

import itertools

import numpy as np
import torch
from transformers import LlamaForCausalLM

from workbench.models.reader import EOS, PAD, RESERVED
from workbench.randomgraphs import FRAME, SOURCE, TOOLS, count_paths, draw_graphs, draw_questions, path_rows
from workbench.stats import proportion


@torch.no_grad()
def held_out(model: LlamaForCausalLM, *, seed: int, count: int = 6000) -> dict:
    """Greedy answers on fresh random graphs: exact path where it is the only one, valid path where it is not.

    Shares come with n and a Wilson 95 % interval. `by_tools` splits the exact share by the length of the toolchain,
    `by_forks` by the number of nodes on the path from which more than one fact leads on.
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
