"""An adapter's change beside the weight it was added to: how large, and in which of the base's own directions."""

from __future__ import annotations

import os

import numpy as np
import pandas as pd

from workbench.models.adapter_folder import AdapterFolder, Factors
from workbench.shift.base import Base, matching_weights
from workbench.shift.leading import leading
from workbench.shift.spectrum import directions, frobenius_norm, spectral_norm

SHARES = (
    "base_frobenius", "base_spectral", "share_frobenius", "share_spectral", "amplification", "top",
    "written_inside", "written_chance", "read_inside", "read_chance", "inside", "inside_chance",
)  # fmt: skip


def base_shares(adapter_folder: str | os.PathLike[str], base: Base, *, top: int = 16) -> pd.DataFrame:
    """One row a module, by layer and projection: `module, layer, projection`, then the columns `SHARES`.

    base: see `base_weights`; quantised weights are dequantised. `share_frobenius`: ||sBA||_F / ||W0||_F, and
    `share_spectral` likewise. `amplification`: ||sBA||_F / ||U^T W0 V||_F, with the change's own directions U and V:
    how much larger it is there than the base was (Hu et al. 2021, section 7.3); infinite where the base has nothing.
    `written_inside`, `read_inside`, `inside`: share of ||sBA||_F^2 that lies within the base's `top` leading left,
    right, or left and right singular directions; `..._chance` is its mean over random directions.

    Raises `AdapterError`, `ModelError`; ValueError for a `top` below 1.
    """
    if top < 1:
        raise ValueError(f"top is {top}; at least one direction of the base must be looked at")
    adapter = AdapterFolder.open(adapter_folder)
    weight = matching_weights(adapter, base)
    rows = [
        (one.module, one.layer, one.projection, *_shares(one, weight(one), top).values()) for one in adapter
    ]  # one module in memory at a time
    return pd.DataFrame(rows, columns=["module", "layer", "projection", *SHARES])


def _shares(factors: Factors, weight: np.ndarray, top: int) -> dict[str, float]:
    """The values of `SHARES`; shares of a change that is 0 are 0."""
    change, own = directions(factors), leading(weight, top)
    out, into = weight.shape
    size, base_size = frobenius_norm(change.values), float(np.linalg.norm(weight))
    met = float(np.linalg.norm(change.left.T @ weight @ change.right))
    written = (
        own.left.T @ change.left * change.values
    )  # (top, k): what U_top^T s B A is in the change's right directions
    read = own.right.T @ change.right * change.values
    both = own.left.T @ (change.left * change.values) @ (change.right.T @ own.right)
    inside = [_quotient(float(np.linalg.norm(part)), size) ** 2 for part in (written, read, both)]
    chance = [len(own.values) / out, len(own.values) / into, len(own.values) ** 2 / (out * into)]
    spectral = (spectral_norm(own.values), _quotient(spectral_norm(change.values), spectral_norm(own.values)))
    sizes = (base_size, spectral[0], _quotient(size, base_size), spectral[1], _quotient(size, met), len(own.values))
    return dict(zip(SHARES, (*sizes, *(x for pair in zip(inside, chance, strict=True) for x in pair)), strict=True))


def _quotient(part: float, whole: float) -> float:
    """part / whole; 0 for nothing of nothing, infinite for something of nothing."""
    return part / whole if whole > 0 else float("inf") if part > 0 else 0.0
