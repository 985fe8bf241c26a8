"""Size and shape of an adapter's change of weights: exact singular values from the factors, and norms from those.

The product s B A, of the size of the layer, is never formed. With B = Q_B R_B and A^T = Q_A R_A the singular values of
s B A are those of the small s R_B R_A^T, because Q_B and Q_A are orthonormal: O((out + in) rank^2) instead of
O(out in min(out, in)).
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np
import pandas as pd

from workbench.files import WORK_FOLDER
from workbench.shift.factors import Factors, read_factors

COLUMNS = ("module", "layer", "projection", "rank", "frobenius", "spectral", "stable_rank", "singular_values")


def singular_values(factors: Factors) -> np.ndarray:
    """All singular values of s B A that can differ from 0: (min(rank, in, out),) float64, largest first."""
    r_b = np.linalg.qr(factors.B).R  # (min(out, rank), rank)
    r_a = np.linalg.qr(factors.A.T).R  # (min(in, rank), rank)
    return abs(factors.scaling) * np.linalg.svdvals(r_b @ r_a.T)


def frobenius_norm(values: np.ndarray) -> float:
    """Root of the sum of squared singular values: the size of the change over all directions."""
    return float(np.linalg.norm(values))


def spectral_norm(values: np.ndarray) -> float:
    """The largest singular value: the most that a unit vector is moved."""
    return float(np.max(values, initial=0.0))


def stable_rank(values: np.ndarray) -> float:
    """(Frobenius norm / spectral norm)^2, between 1 and the rank (Rudelson & Vershynin 2007); 0 for no change."""
    top = spectral_norm(values)
    return float(np.sum((values / top) ** 2)) if top > 0 else 0.0


def effective_rank(values: np.ndarray) -> float:
    """exp of the entropy (nats) of the values as shares of their sum (Roy & Vetterli 2007); 0 for no change."""
    top = spectral_norm(values)
    if not top > 0:
        return 0.0
    share = values / top
    share = share[share > 0] / share.sum()
    return float(np.exp(-np.sum(share * np.log(share))))


def spectra(adapter_folder: str | os.PathLike[str]) -> pd.DataFrame:
    """One row a module of a PEFT LoRA folder, by layer and projection; the columns are `COLUMNS`.

    `singular_values` are float64 arrays, largest first. Raises `AdapterError` for what is not plain LoRA.
    """
    rows = []
    for factors in read_factors(adapter_folder):
        values = singular_values(factors)
        norms = (frobenius_norm(values), spectral_norm(values), stable_rank(values))
        rows.append((factors.module, factors.layer, factors.projection, factors.rank, *norms, values))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def growth(adapter_folder: str | os.PathLike[str]) -> pd.DataFrame:
    """`spectra` of every checkpoint of the training, with its `step` in front; without checkpoints, no rows.

    Raises `AdapterError` for a checkpoint that is not plain LoRA.
    """
    found = {
        int(number[1]): place
        for place in Path(adapter_folder, WORK_FOLDER).glob("checkpoint-*")
        if (number := re.fullmatch(r"checkpoint-(\d+)", place.name))
    }
    tables = [spectra(found[step]).assign(step=step) for step in sorted(found)]
    columns = ["step", *COLUMNS]
    return pd.concat(tables, ignore_index=True)[columns] if tables else pd.DataFrame(columns=columns)


def random_spectra(factors: Factors, *, draws: int, rng: np.random.Generator) -> np.ndarray:
    """Singular values of random changes of the same shape, rank and Frobenius norm: (draws, min(rank, in, out)).

    Factors of independent normal values: what the spectrum looks like when no direction is preferred.
    """
    size = frobenius_norm(singular_values(factors))
    out = []
    for _ in range(draws):
        a, b = rng.standard_normal(factors.A.shape), rng.standard_normal(factors.B.shape)
        values = singular_values(Factors(factors.module, factors.layer, factors.projection, factors.rank, 1.0, a, b))
        out.append(values * (size / frobenius_norm(values)))
    return np.array(out)
