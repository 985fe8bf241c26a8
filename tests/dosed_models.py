"""Readers with a small random adapter, plain or on 4-bit weights, for tests that scale, switch and sharpen it."""

import torch
from tiny import NAMES, tiny_reader

from workbench.game import Engine
from workbench.models import LanguageModel, add_adapter, load

MODULES = 4  # 2 layers x q, v of the tiny reader


def with_adapter(
    lm: LanguageModel,
    *,
    rank: int = 4,
    size: float = 1.0,
    seed: int = 1,
    modules: tuple[str, ...] = ("q_proj", "v_proj"),
) -> LanguageModel:
    """The model with an adapter on q and v, or on `modules`, whose B is random instead of 0."""
    add_adapter(lm, rank=rank, alpha=2 * rank, modules=modules, dropout=0.0, seed=0)
    generator = torch.Generator().manual_seed(seed)
    for name, weight in lm.model.named_parameters():
        if "lora_B" in name:
            weight.data.normal_(0, size, generator=generator)
    lm.model.eval()
    return lm


def tiny() -> LanguageModel:
    """The randomly initialised reader with its adapter: 2 layers, 4 adapted modules."""
    return with_adapter(tiny_reader())


def shipped(*, four_bit: bool = False) -> LanguageModel:
    """The shipped reader with an adapter that leads it to the tiny case's answer: 12 modules; NF4 when `four_bit`."""
    return with_adapter(load(names=NAMES, four_bit=four_bit), size=0.1, seed=3)


def sharp(*, size: float = 1.0) -> LanguageModel:
    """The shipped reader with an adapter on q and k that drives attention scores far apart, as a long training does."""
    return with_adapter(load(names=NAMES, four_bit=False), size=size, seed=0, modules=("q_proj", "k_proj"))


def slow(lm: LanguageModel, **how) -> Engine:
    """An engine that takes the model, whatever its size, for a large one on a processor."""
    engine = Engine(lm, **how)
    engine.slow = True
    return engine
