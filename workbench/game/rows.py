"""Rows: what one pass over a prompt says of an answer under teacher forcing, and the strongest other answer.

Rows of one prompt whose adapter differs from some layer on alone compute once what lies below. A layer that is switched
off changes nothing beneath it. Up to there its row is that of the model as trained, and the row of a layer that is on
alone that of the base. So both are read once, what enters every layer is kept, and each row goes on from the layer
where it parts from one of them: half of the work when single layers are switched one by one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import accumulate
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from workbench.cases import Case, toolchain
from workbench.game.doses import adapted_modules
from workbench.game.engine import Engine
from workbench.game.memory import fitting, room
from workbench.models import base_of
from workbench.models.adapter_folder import layer_of
from workbench.models.prompts import Prompt

MAX_NEW_TOKENS = 32  # of an answer that is generated


class Row(NamedTuple):
    """What one pass over a prompt says of the answer. Both (T,) float64, nats: log-probability of every token, and its
    logit less that of the best other token."""

    logprobs: np.ndarray
    margins: np.ndarray


def row_of(logits: torch.Tensor, answer: Sequence[int]) -> Row:
    """Logits (T, vocabulary) as log-probabilities and margins of the answer's tokens."""
    with torch.no_grad():
        both = token_logprobs(logits[None], answer)[0], token_margins(logits[None], answer)[0]
    return Row(*(x.double().cpu().numpy() for x in both))


def token_logprobs(logits: torch.Tensor, answer: Sequence[int]) -> torch.Tensor:
    """(m, T, vocabulary) -> (m, T), nats."""
    at = torch.as_tensor(answer, device=logits.device)[None, :, None].expand(len(logits), -1, 1)
    return logits.log_softmax(-1).gather(2, at)[..., 0]


def token_margins(logits: torch.Tensor, answer: Sequence[int]) -> torch.Tensor:
    """(m, T, vocabulary) -> (m, T): logit of the answer's token less the largest other one, nats."""
    at = torch.as_tensor(answer, device=logits.device)[None, :, None].expand(len(logits), -1, 1)
    return logits.gather(2, at)[..., 0] - logits.scatter(2, at, -torch.inf).amax(-1)


def named_path(engine: Engine, case: Case, ids: Iterable[int]) -> tuple[str, ...]:
    """An answer's tokens as node ids, source first."""
    return engine.parsed([case], engine.text([list(ids)]))[0]


def runner_up(
    engine: Engine, case: Case, answer: Sequence[int], *, max_new_tokens: int = MAX_NEW_TOKENS
) -> tuple[int, ...]:
    """The tuned model's strongest answer with another toolchain: at each token of `answer` the second choice, then on
    greedily; the likeliest of these that names another toolchain. ValueError: none does.
    """
    prompt = engine.prompt(case)
    with torch.no_grad():
        logits = engine.logits([prompt], [answer])[0]
    at = torch.as_tensor(answer, device=logits.device)[:, None]
    second = logits.scatter(1, at, -torch.inf).argmax(-1).tolist()
    end = int(engine.lm.tokenizer.eos_token_id)
    starts = [(*answer[:t], token) for t, token in enumerate(second)]
    begun = [Prompt((*prompt.ids, *s), (*prompt.fact, *[-1] * len(s))) for s in starts]
    tails = engine.generate(begun, max_new_tokens=max_new_tokens)
    whole = [s if s[-1] == end else (*s, *t, end) for s, t in zip(starts, tails, strict=True)]
    ours = toolchain(named_path(engine, case, answer))
    others = [a for a in dict.fromkeys(whole) if toolchain(named_path(engine, case, a)) != ours]
    if not others:
        raise ValueError(f"no second choice leads to another toolchain in case {case.id!r}; use form='decision'")
    with torch.no_grad():
        scores = [float(s.sum()) for s in engine.logprobs([prompt] * len(others), others)]
    return others[int(np.argmax(scores))]


ENDS = (1.0, 0.0)  # doses of the model as trained, and of the base


def by_depth(
    engine: Engine, prompt: Prompt, answers: Sequence[tuple[int, ...]], doses: torch.Tensor
) -> list[list[Row]]:
    """Per row of doses (rows, units) and answer to the prompt its `Row`, as of the logits of `Engine.logits`.

    The prompt is read once for all answers. The ledger counts the tokens of a row by the share of layers it reads.
    """
    if len(answers) > 1 and not can_stand_together(engine.lm.model):
        alone = [by_depth(engine, prompt, [answer], doses) for answer in answers]
        return [[one for (one,) in row] for row in zip(*alone, strict=True)]
    layers = _layers(engine.lm.model)
    end, depth = shared_depth(doses.numpy(), _places(engine.lm.model, doses.shape[1]))
    out: list[list[Row]] = [[] for _ in doses]

    def ask(rows: list[int], *, start: int = 0) -> None:
        longest = max(map(len, answers))
        whole, beside = [len(prompt.ids) + longest] * len(rows), sum(map(len, answers)) - longest

        def read(some: list[int]) -> None:
            # in the model's turn: nobody else's pass runs while layers are left out
            with engine.lm.adapter(True), _from(layers, start, kept):
                share = 1 - start / len(layers) if layers else 1.0
                found = _pass(engine, prompt, answers, doses[[rows[i] for i in some]], share=share)
                for i, *logits in zip(some, *found, strict=True):
                    out[rows[i]] = [row_of(row.float(), own) for row, own in zip(logits, answers, strict=True)]

        fitting(engine, room(engine, whole, [0] * len(rows), held=beside), read)

    kept: dict[int, torch.Tensor] = {}
    if not layers or depth.sum() < len(ENDS) * len(layers):  # what is saved must pay for what is kept
        ask(list(range(len(doses))))
        return out
    for k, dose in enumerate(ENDS):
        kept.clear()
        if depth[end == k].any():
            with engine.lm.adapter(True), _listening(layers, kept):
                _pass(engine, prompt, answers, torch.full((1, doses.shape[1]), dose), share=1.0)
            if len(kept) < len(layers):
                ask(list(range(len(doses))))
                return out
        for start in np.unique(depth[end == k]).tolist():
            ask(np.flatnonzero((end == k) & (depth == start)).tolist(), start=start)
    return out


def can_stand_together(model: nn.Module) -> bool:
    """Whether answers can stand behind one another in a row without seeing each other: where tokens are told by their
    positions how far they are from others, and not by where they stand, as in a window or by ALiBi."""
    config = base_of(model).config
    windows = any(getattr(config, name, None) for name in ("sliding_window", "window_size", "alibi"))
    others = {*(getattr(config, "layer_types", None) or ())} - {"full_attention"}  # they carry on what was before
    return not windows and not others and any(getattr(config, name, None) for name in ("rope_parameters", "rope_theta"))


def shared_depth(doses: np.ndarray, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Per row of doses (rows, units) which of `ENDS` it goes along with furthest, and over how many first layers, one
    less than all at most. places: (units,) the number of each unit's layer, from 0.

    Examples:
        >>> doses = np.array([[1.0, 0.0, 1.0], [0.0, 1.0, 0.0], [0.5, 1.0, 1.0]])
        >>> [found.tolist() for found in shared_depth(doses, np.array([0, 1, 2]))]
        [[0, 1, 0], [1, 1, 0]]
    """
    last = int(places.max(initial=0))
    parted = np.array([np.where(doses == dose, last, places).min(axis=1, initial=last) for dose in ENDS])
    return parted.argmax(axis=0), parted.max(axis=0)


def _layers(model: nn.Module) -> dict[str, nn.Module]:
    """The layers that hold adapted modules and those between and below, in order; empty where they are not numbered."""
    name = adapted_modules(model)[-1].name
    head, number, _ = name.partition(f".{layer_of(name)}.")
    if not number:
        return {}
    stack = base_of(model).get_submodule(head)
    return {f"{head}.{k}": layer for k, layer in enumerate(stack)} if isinstance(stack, nn.ModuleList) else {}


def _places(model: nn.Module, units: int) -> np.ndarray:
    """The number of the layer of every module, or of every rank-one part, by how many units there are."""
    modules = adapted_modules(model)
    places = np.array([max(layer_of(module.name), 0) for module in modules])
    return places if units == len(modules) else np.repeat(places, [module.rank for module in modules])


def _pass(
    engine: Engine, prompt: Prompt, answers: Sequence[tuple[int, ...]], doses: torch.Tensor, *, share: float
) -> list[torch.Tensor]:
    """Per answer its logits (rows, len(answer), vocabulary) of one batch."""
    started, rows, lm = time.perf_counter(), len(doses), engine.lm
    if len(answers) == 1:
        (answer,) = answers
        with engine.switched(True, doses), torch.no_grad():
            asked = [prompt] * rows, [answer[:-1]] * rows
            result, real = engine.forward(*asked, logits_to_keep=len(answer), use_cache=False)
        engine.book(rows=rows, tokens=round(int(real.sum()) * share), started=started)
        return [result.logits[:, -len(answer) :]]
    fed = [answer[:-1] for answer in answers]  # each sees the prompt and itself, from the same place on
    branch = torch.tensor([*[-1] * len(prompt.ids), *(k for k, own in enumerate(fed) for _ in own)])
    places = torch.tensor([*range(len(prompt.ids)), *(len(prompt.ids) + t for own in fed for t in range(len(own)))])
    ids = torch.tensor([[*prompt.ids, *(token for own in fed for token in own)]])
    seen = ((branch == -1)[None] | (branch[None] == branch[:, None])).tril()
    mask = torch.zeros(seen.shape, dtype=lm.model.dtype).masked_fill(~seen, torch.finfo(lm.model.dtype).min)
    count = len(branch) - len(prompt.ids) + 1
    with engine.switched(True, doses), torch.no_grad():
        result = lm.model(
            input_ids=ids.expand(rows, -1).to(lm.device),
            attention_mask=mask.expand(rows, 1, -1, -1).to(lm.device),
            position_ids=places.expand(rows, -1).to(lm.device),
            logits_to_keep=count,
            use_cache=False,
        )
    engine.book(rows=rows, tokens=round(rows * len(branch) * share), started=started)
    said, starts = result.logits[:, -count:], accumulate(map(len, fed), initial=1)
    return [said[:, [0, *range(start, start + len(own))]] for start, own in zip(starts, fed, strict=False)]


@contextmanager
def _listening(layers: dict[str, nn.Module], kept: dict[int, torch.Tensor]) -> Iterator[None]:
    """Keeps what enters every layer in the block, (1, tokens, features), where what leaves it is such a tensor and no
    more, which is not so in every architecture."""

    def listen(k: int) -> Callable[..., None]:
        def hook(_layer: nn.Module, given: tuple, how: dict, left: Any) -> None:
            entered = given[0] if given else how["hidden_states"]
            if entered.ndim == 3 and isinstance(left, torch.Tensor) and left.shape == entered.shape:
                kept[k] = entered

        return hook

    with ExitStack() as hooks:
        for k, one in enumerate(layers.values()):
            hooks.enter_context(one.register_forward_hook(listen(k), with_kwargs=True))
        yield


@contextmanager
def _from(layers: dict[str, nn.Module], start: int, kept: dict[int, torch.Tensor]) -> Iterator[None]:
    """Lets passes in the block begin at a layer, with what was kept of it in every row."""
    if start == 0:
        yield
        return

    def enter(_layer: nn.Module, given: tuple, how: dict) -> tuple[tuple, dict]:
        old = given[0] if given else how["hidden_states"]
        new = kept[start].expand(len(old), -1, -1)
        return ((new, *given[1:]), how) if given else (given, how | {"hidden_states": new})

    below = list(layers.values())[:start]
    handle = list(layers.values())[start].register_forward_pre_hook(enter, with_kwargs=True)
    before = [vars(layer).get("forward") for layer in below]
    for layer in below:
        layer.forward = _passed_on
    try:
        yield
    finally:
        handle.remove()
        for layer, forward in zip(below, before, strict=True):
            del layer.forward
            if forward is not None:
                layer.forward = forward


def _passed_on(hidden_states: torch.Tensor, *_given: Any, **_how: Any) -> torch.Tensor:
    return hidden_states
