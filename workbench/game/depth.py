"""Rows of one prompt whose adapter differs from some layer on alone: what lies below is computed once.

A layer that is switched off changes nothing beneath it. Up to there its row is that of the model as trained, and the
row of a layer that is on alone that of the base. So both are read once, what enters every layer is kept, and each row
goes on from the layer where it parts from one of them: half of the work when single layers are switched one by one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import nn

from workbench.game.doses import adapted_modules
from workbench.game.memory import fitting
from workbench.models import base_of
from workbench.models.adapter_folder import layer_of
from workbench.models.prompts import Prompt

ENDS = (1.0, 0.0)  # doses of the model as trained, and of the base


def by_depth(
    engine: Any, prompt: Prompt, answer: tuple[int, ...], doses: torch.Tensor, *, read: Callable[[torch.Tensor], Any]
) -> list[Any]:
    """What `read` makes of the logits (len(answer), vocabulary) of a prompt's answer at doses (rows, units), as those
    of `Engine.logits`. engine: an `Engine`; the ledger counts the tokens of a row by the share of layers it reads."""
    layers = _layers(engine.lm.model)
    end, depth = shared_depth(doses.numpy(), _places(engine.lm.model, doses.shape[1]))
    whole = partial(engine.logits, [prompt] * len(doses), [answer] * len(doses), doses=doses, read=read)
    if not layers or depth.sum() < len(ENDS) * len(layers):  # what is saved must pay for what is kept
        return whole()
    out: list[Any] = [None] * len(doses)
    for k, dose in enumerate(ENDS):
        kept: dict[int, torch.Tensor] = {}
        if depth[end == k].any():
            with _listening(layers, kept):
                _pass(engine, prompt, answer, torch.full((1, doses.shape[1]), dose), share=1.0)
            if len(kept) < len(layers):
                return whole()
        for start in np.unique(depth[end == k]).tolist():
            rows = np.flatnonzero((end == k) & (depth == start)).tolist()
            for attempt in fitting(engine, [len(prompt.ids) + len(answer)] * len(rows)):
                with attempt as some, _from(layers, start, kept):
                    share = 1 - start / len(layers)
                    logits = _pass(engine, prompt, answer, doses[[rows[i] for i in some]], share=share)
                    for i, row in zip(some, logits, strict=True):
                        out[rows[i]] = read(row.float())
    return out


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


def _pass(engine: Any, prompt: Prompt, answer: tuple[int, ...], doses: torch.Tensor, *, share: float) -> torch.Tensor:
    """Logits (rows, len(answer), vocabulary) of one batch."""
    started, rows = time.perf_counter(), len(doses)
    with engine.switched(True, doses), torch.no_grad():
        result, real = engine._read([prompt] * rows, [answer[:-1]] * rows, logits_to_keep=len(answer), use_cache=False)
    engine.book(rows=rows, tokens=round(int(real.sum()) * share), started=started)
    return result.logits[:, -len(answer) :]


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

    handles = [one.register_forward_hook(listen(k), with_kwargs=True) for k, one in enumerate(layers.values())]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


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
