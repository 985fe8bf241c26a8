"""A LoRA adapter's change of the base as its two factors and the scaling, in float64, one module at a time."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import torch

from workbench.adapter_folder import AdapterFolder, layer_of


@dataclass(frozen=True)
class Factors:
    """The change of one module's weights, s B A, as its factors.

    module: dotted name in the base model. layer: the first whole number in that name, -1 without one. A: (rank, in)
    and B: (out, rank), float64. scaling: s.
    """

    module: str
    layer: int
    projection: str
    rank: int
    scaling: float
    A: np.ndarray = field(repr=False)
    B: np.ndarray = field(repr=False)


class Adapter(AdapterFolder):
    """A PEFT LoRA folder whose modules are read one by one, by layer and projection."""

    def read(self, module: str) -> Factors:
        """The factors of one module; errors as in `tensors`."""
        a, b = (factor.to(torch.float64).numpy() for factor in self.tensors(module))
        return Factors(module, layer_of(module), module.rpartition(".")[2], *self.scalings[module], a, b)

    def __iter__(self) -> Iterator[Factors]:
        return (self.read(module) for module in self.scalings)


def read_factors(folder: str | os.PathLike[str]) -> Iterator[Factors]:
    """The factors of every module of a PEFT adapter folder, by layer and projection.

    Config and tensor shapes are checked at once; the values are read as the iterator gets to them, one module in
    memory at a time. Raises AdapterError as `Adapter.open` does.
    """
    return iter(Adapter.open(folder))
