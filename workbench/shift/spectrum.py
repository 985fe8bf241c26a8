"""Size and shape of an adapter's change of weights: exact singular values from the factors, and norms from those.

The product s B A, of the size of the layer, is never formed. With B = Q_B R_B and A^T = Q_A R_A the singular values of
s B A are those of the small s R_B R_A^T, because Q_B and Q_A are orthonormal: O((out + in) rank^2) instead of
O(out in min(out, in)).
"""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd

from workbench.artifacts.files import WORK_FOLDER
from workbench.models.adapter_folder import Factors, read_factors

COLUMNS = ("module", "layer", "projection", "rank", "frobenius", "spectral", "stable_rank", "singular_values")
Keep = Literal["norm", "spectrum"]


class Directions(NamedTuple):
    """Singular triplets, largest value first: left (out, k) and right (in, k) with orthonormal columns, values (k,).

    Examples:
        >>> Directions(np.eye(2), np.array([2.0, 1.0]), np.eye(2)).first(1).values.tolist()
        [2.0]
    """

    left: np.ndarray
    values: np.ndarray
    right: np.ndarray

    def first(self, k: int | None) -> Directions:
        """The k largest; None: all."""
        return Directions(self.left[:, :k], self.values[:k], self.right[:, :k])


def singular_values(factors: Factors) -> np.ndarray:
    """All singular values of s B A that can differ from 0: (min(rank, in, out),) float64, largest first.

    Examples:
        >>> factors = Factors("q_proj", 0, "q_proj", rank=2, scaling=0.5, A=np.diag([4.0, 2.0]), B=np.eye(2))
        >>> singular_values(factors).round(6).tolist()
        [2.0, 1.0]
    """
    r_b = np.linalg.qr(factors.B).R  # (min(out, rank), rank)
    r_a = np.linalg.qr(factors.A.T).R  # (min(in, rank), rank)
    return abs(factors.scaling) * np.linalg.svdvals(r_b @ r_a.T)


def directions(factors: Factors) -> Directions:
    """Singular triplets of s B A, those that differ from 0 in float64; none for no change.

    `left` spans the column space (what the change can write), `right` the row space (what it reads).

    Examples:
        >>> factors = Factors("q_proj", 0, "q_proj", 1, 2.0, A=np.array([[0.0, 3.0]]), B=np.array([[1.0], [0.0]]))
        >>> found = directions(factors)
        >>> found.values.round(6).tolist(), np.abs(found.right).round(6).tolist()  # it reads the second input alone
        ([6.0], [[0.0], [1.0]])
    """
    q_b, r_b = np.linalg.qr(factors.B)
    q_a, r_a = np.linalg.qr(factors.A.T)
    u, values, vt = np.linalg.svd(factors.scaling * r_b @ r_a.T, full_matrices=False)
    least = spectral_norm(values) * max(q_b.shape[0], q_a.shape[0]) * np.finfo(np.float64).eps
    return Directions(q_b @ u, values, q_a @ vt.T).first(int(np.sum(values > least)))


def frobenius_norm(values: np.ndarray) -> float:
    """Root of the sum of squared singular values: the size of the change over all directions.

    Examples:
        >>> frobenius_norm(np.array([4.0, 3.0]))
        5.0
    """
    return float(np.linalg.norm(values))


def spectral_norm(values: np.ndarray) -> float:
    """The largest singular value: the most that a unit vector is moved.

    Examples:
        >>> spectral_norm(np.array([4.0, 3.0]))
        4.0
    """
    return float(np.max(values, initial=0.0))


def stable_rank(values: np.ndarray) -> float:
    """(Frobenius norm / spectral norm)^2, between 1 and the rank (Rudelson & Vershynin 2007); 0 for no change.

    Examples:
        >>> stable_rank(np.array([2.0, 2.0, 2.0])), stable_rank(np.array([4.0, 3.0]))
        (3.0, 1.5625)
    """
    top = spectral_norm(values)
    return float(np.sum((values / top) ** 2)) if top > 0 else 0.0


def effective_rank(values: np.ndarray) -> float:
    """exp of the entropy (nats) of the values as shares of their sum (Roy & Vetterli 2007); 0 for no change.

    Examples:
        >>> round(effective_rank(np.array([1.0, 1.0, 1.0, 1.0])), 6)
        4.0
    """
    top = spectral_norm(values)
    if not top > 0:
        return 0.0
    share = values / top
    share = share[share > 0] / share.sum()
    return float(np.exp(-np.sum(share * np.log(share))))


def energy(values: np.ndarray) -> np.ndarray:
    """Share of the squared Frobenius norm in the first 1, 2, ... directions: like `values`, rising to 1; 0 for no
    change.

    Examples:
        >>> energy(np.array([4.0, 3.0])).tolist()
        [0.64, 1.0]
    """
    top = spectral_norm(values)
    squares = np.cumsum((values / top) ** 2) if top > 0 else np.zeros_like(values)
    return squares / squares[-1] if top > 0 else squares


def spectra(adapter_folder: str | os.PathLike[str], *, more: bool = False) -> pd.DataFrame:
    """One row a module of a PEFT LoRA folder, by layer and projection; the columns are `COLUMNS`.

    `singular_values` are float64 arrays, largest first. more: also the columns `effective_rank` and `energy`, the
    latter arrays. Raises `AdapterError` for what is not plain LoRA.

    Examples:
        >>> from workbench.models import shipped
        >>> table = spectra(shipped("whole"))
        >>> len(table), table["projection"].nunique()  # seven projections in each of thirty layers
        (210, 7)
    """
    rows = []
    for factors in read_factors(adapter_folder):
        values = singular_values(factors)
        norms = (frobenius_norm(values), spectral_norm(values), stable_rank(values))
        rows.append((factors.module, factors.layer, factors.projection, factors.rank, *norms, values))
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    if more:
        table["effective_rank"] = table["singular_values"].map(effective_rank)
        table["energy"] = table["singular_values"].map(energy)
    return table


def checkpoints(adapter_folder: str | os.PathLike[str]) -> dict[int, Path]:
    """step -> folder of every checkpoint that the training kept beside its adapter, by step.

    Examples:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     Path(folder, WORK_FOLDER, "checkpoint-40").mkdir(parents=True)
        ...     list(checkpoints(folder))
        [40]
    """
    found = {
        int(number[1]): place
        for place in Path(adapter_folder, WORK_FOLDER).glob("checkpoint-*")
        if (number := re.fullmatch(r"checkpoint-(\d+)", place.name))
    }
    return dict(sorted(found.items()))


def random_factors(factors: Factors, *, rng: np.random.Generator, keep: Keep = "norm") -> Factors:
    """A random change of the same shape, rank and Frobenius norm, in directions that prefer nothing.

    keep: `norm`, factors of independent normal values; `spectrum`, the singular values stay and only the directions
    are drawn (uniform over orthonormal frames).

    Examples:
        >>> factors = Factors("q_proj", 0, "q_proj", 1, 1.0, A=np.array([[3.0, 0.0]]), B=np.array([[1.0], [0.0]]))
        >>> other = random_factors(factors, rng=np.random.default_rng(0))
        >>> round(float(np.linalg.norm(other.scaling * other.B @ other.A)), 6)
        3.0
    """
    values = singular_values(factors)
    if keep == "spectrum":
        frames = random_directions(values, out=factors.B.shape[0], into=factors.A.shape[1], rng=rng)
        a, b = (frames.right * values**0.5).T, frames.left * values**0.5
        return replace(factors, rank=len(values), scaling=1.0, A=a, B=b)
    if keep != "norm":
        raise ValueError(f"keep is {keep!r}; a random change keeps the 'norm' or the whole 'spectrum'")
    a, b = rng.standard_normal(factors.A.shape), rng.standard_normal(factors.B.shape)
    drawn = replace(factors, scaling=1.0, A=a, B=b)
    return replace(drawn, scaling=frobenius_norm(values) / frobenius_norm(singular_values(drawn)))


def random_directions(values: np.ndarray, *, out: int, into: int, rng: np.random.Generator) -> Directions:
    """Singular values (k,) with left (out, k) and right (into, k) directions drawn uniformly."""
    return Directions(_frame(out, len(values), rng=rng), values, _frame(into, len(values), rng=rng))


def _frame(n: int, k: int, *, rng: np.random.Generator) -> np.ndarray:
    """k orthonormal columns (n, k), uniform: QR of normal values with the signs that make it unique (Mezzadri 2007)."""
    q, r = np.linalg.qr(rng.standard_normal((n, k)))
    return q * np.sign(np.diag(r))


def random_spectra(factors: Factors, *, draws: int, rng: np.random.Generator) -> np.ndarray:
    """Singular values of random changes of the same shape, rank and Frobenius norm: (draws, min(rank, in, out)).

    Factors of independent normal values: what the spectrum looks like when no direction is preferred. Of the factors
    only the Gram matrices count, so these are drawn: nothing of the layer's size is made.

    Examples:
        >>> factors = Factors("q_proj", 0, "q_proj", 1, 1.0, A=np.array([[3.0, 0.0]]), B=np.array([[1.0], [0.0]]))
        >>> random_spectra(factors, draws=2, rng=np.random.default_rng(0)).round(6).tolist()
        [[3.0], [3.0]]
    """
    rank, sides = factors.A.shape[0], (factors.B.shape[0], factors.A.shape[1])
    b, a = (wishart_roots(side, rank, draws=draws, rng=rng) for side in sides)
    values = np.linalg.svdvals(b.transpose(0, 2, 1) @ a)
    return values * frobenius_norm(singular_values(factors)) / np.linalg.norm(values, axis=1, keepdims=True)


def wishart_roots(n: int, k: int, *, draws: int, rng: np.random.Generator) -> np.ndarray:
    """R (draws, k, min(n, k)) so that R R^T is distributed as G^T G of independent normal values G (n, k).

    Where n is k or more, G is not drawn but the Cholesky factor of its Gram matrix (Bartlett 1933).
    """
    if n < k:
        return rng.standard_normal((draws, n, k)).transpose(0, 2, 1)
    root = np.tril(rng.standard_normal((draws, k, k)), -1)
    root[:, np.arange(k), np.arange(k)] = np.sqrt(rng.chisquare(n - np.arange(k), (draws, k)))
    return root
