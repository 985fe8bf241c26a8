"""Adapters beside one another, module by module: do their changes point the same way, in the same directions?

Everything comes from the factors. With thin singular triplets U S V^T of both changes, the inner product is
sum_ij s1_i s2_j (U1^T U2)_ij (V1^T V2)_ij, and the principal angles between their column spaces (what they write) or
row spaces (what they read) are those between U1 and U2, or V1 and V2: O((out + in) rank^2), no out x in matrix.

Two adapters trained from the same seed start from the same A, so their row spaces agree before anything is learned.

So a checkpoint of a training stands beside the adapter that the training ended with: how it came to be.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import combinations

import numpy as np
import pandas as pd
from scipy.linalg import subspace_angles

from workbench.models.adapter_folder import AdapterError, AdapterFolder, Factors
from workbench.shift.spectrum import Directions, checkpoints, directions, frobenius_norm, singular_values, wishart_roots

COMPARED = (
    "module", "layer", "projection", "first", "second", "norm_first", "norm_second", "cosine", "cosine_null",
    "column_overlap", "column_null", "row_overlap", "row_null", "column_angles", "row_angles",
)  # fmt: skip
NULL = 0.95  # quantile of the random values that the null columns hold


def principal_angles(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Angles between two subspaces of R^d, smallest first, in radians: (min(k1, k2),) float64 (Bjoerck & Golub 1973).

    first: (d, k1), second: (d, k2), columns that span them. Small angles are exact too (by sines, Knyazev &
    Argentati 2002). Empty where one of the two is.

    Examples:
        >>> x, z = np.array([[1.0], [0], [0]]), np.array([[0.0], [0], [1]])
        >>> np.degrees(principal_angles(x, x + z)).round(6).tolist()
        [45.0]
    """
    if not (first.size and second.size):
        return np.zeros(0)
    return subspace_angles(first, second)[::-1]


def overlap(angles: np.ndarray) -> float:
    """Mean squared cosine of principal angles: 1 when the smaller space lies in the other, max(k1, k2) / d by chance.

    The subspace similarity of Hu et al. (2021, section 7.2). NaN without angles.

    Examples:
        >>> round(overlap(np.radians([0.0, 90.0])), 6)  # one direction in common, one not
        0.5
    """
    return float(np.mean(np.cos(angles) ** 2)) if len(angles) else float("nan")


def update_cosine(first: Directions, second: Directions) -> float:
    """<dW1, dW2> / (||dW1|| ||dW2||), Frobenius, in [-1, 1]; NaN where one of them is 0.

    Between changes of random directions it has the mean 0 and the variance 1 / (out in).

    Examples:
        >>> first = Directions(np.eye(2), np.array([2.0, 1.0]), np.eye(2))
        >>> round(update_cosine(first, first), 6)
        1.0
    """
    if not (len(first.values) and len(second.values)):
        return float("nan")
    one, two = (x.values / np.linalg.norm(x.values) for x in (first, second))
    inner = one @ ((first.left.T @ second.left) * (first.right.T @ second.right)) @ two
    return float(np.clip(inner, -1, 1))


def difference(first: Factors, second: Factors) -> Factors:
    """dW1 - dW2 as factors, of the sum of the ranks."""
    b = np.hstack([first.scaling * first.B, -second.scaling * second.B])
    return replace(first, rank=first.rank + second.rank, scaling=1.0, A=np.vstack([first.A, second.A]), B=b)


def aligned(adapters: Mapping[str, AdapterFolder]) -> Iterator[dict[str, Factors]]:
    """By the adapters' names the factors of one module after another that all change, by layer and projection.

    Raises:
        ValueError: there are fewer than two adapters, or no such module.
        AdapterError: a module has unlike shapes.
    """
    if len(adapters) < 2:
        raise ValueError(f"{len(adapters)} adapter given; a comparison needs two or more")
    modules = [m for m in next(iter(adapters.values())).scalings if all(m in a.scalings for a in adapters.values())]
    if not modules:
        raise ValueError(f"{', '.join(adapters)} change no module in common; compare adapters of one base model")
    for module in modules:
        factors = {name: adapter.read(module) for name, adapter in adapters.items()}
        shapes = {name: (one.B.shape[0], one.A.shape[1]) for name, one in factors.items()}
        if len(set(shapes.values())) > 1:
            said = ", ".join(f"{name} {out} x {into}" for name, (out, into) in shapes.items())
            raise AdapterError(f"the changes of {module} have unlike shapes ({said}); compare adapters of one base")
        yield factors


def compare(
    adapters: Mapping[str, str | os.PathLike[str]],
    *,
    rng: np.random.Generator,
    draws: int = 200,
    top: int | None = None,
) -> pd.DataFrame:
    """Every pair of adapters in every module that all of them change: one row a module and pair, columns `COMPARED`.

    adapters: name -> PEFT folder, two or more; ranks may differ, and a checkpoint's folder is one too. top: compare
    the spaces of the leading directions only (None: of all). Angles: see `principal_angles`; overlaps are their mean
    squared cosines. The null columns hold the 95 % quantile of |cosine| and of the overlaps over `draws` random
    changes with the second one's singular values.

    Raises ValueError, `AdapterError`: fewer than two adapters, no module in common, unlike shapes.

    Examples:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from workbench.models import shipped
        >>> from workbench.shift import read_factors, save_adapter
        >>> source, first = shipped("narrow"), next(read_factors(shipped("narrow")))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     for place in (Path(folder), Path(folder, "checkpoints", "checkpoint-5")):
        ...         _ = save_adapter(place, [first], like=source)
        ...     table = compare({"last": folder, "fifth": place}, rng=np.random.default_rng(0), draws=2)
        >>> table["cosine"].round(6).tolist()
        [1.0]
    """
    opened = {name: AdapterFolder.open(folder) for name, folder in adapters.items()}
    rows = []
    for factors in aligned(opened):
        changes = {name: directions(one) for name, one in factors.items()}
        for first, second in combinations(changes, 2):
            one, two = changes[first], changes[second]
            columns = principal_angles(one.left[:, :top], two.left[:, :top])
            read = principal_angles(one.right[:, :top], two.right[:, :top])
            found = (update_cosine(one, two), overlap(columns), overlap(read))
            both = [x for pair in zip(found, _null(one, two, rng=rng, draws=draws, top=top), strict=True) for x in pair]
            sizes = (frobenius_norm(one.values), frobenius_norm(two.values))
            name = next(iter(factors.values()))
            rows.append((name.module, name.layer, name.projection, first, second, *sizes, *both, columns, read))
    return pd.DataFrame(rows, columns=list(COMPARED))


def _null(
    one: Directions, two: Directions, *, rng: np.random.Generator, draws: int, top: int | None
) -> tuple[float, float, float]:
    """95 % quantiles of |cosine|, column and row overlap when the second change's directions are random; NaN without
    draws and for a change that is 0."""
    k1, k2 = len(one.values), len(two.values)
    if not (draws and k1 and k2):
        return (np.nan,) * 3
    columns, rows = (random_meetings(k1, k2, len(d), draws=draws, rng=rng) for d in (one.left, one.right))
    cosines = np.einsum("i,nij,nij,j->n", one.values, columns, rows, two.values)
    cosines /= np.linalg.norm(one.values) * np.linalg.norm(two.values)
    # squared cosines of the angles sum to the squares of the matrix of inner products
    shares = [(m[:, :top, :top] ** 2).sum((1, 2)) / min(m[0, :top, :top].shape) for m in (columns, rows)]
    marks = np.quantile([np.abs(cosines), *shares], NULL, axis=1)
    return float(marks[0]), float(marks[1]), float(marks[2])


def random_meetings(k1: int, k2: int, d: int, *, draws: int, rng: np.random.Generator) -> np.ndarray:
    """U1^T U2 for a fixed orthonormal frame U1 (d, k1) and uniformly random ones U2 (d, k2): (draws, k1, k2).

    No frame is drawn. U2 = G R^-1 with normal G and R^T R = G^T G; only the part of G that U1 sees is needed itself,
    and of the rest its Gram matrix, a Wishart variable.
    """
    seen = rng.standard_normal((draws, k1, k2))
    root = wishart_roots(d - k1, k2, draws=draws, rng=rng)
    gram = seen.transpose(0, 2, 1) @ seen + root @ root.transpose(0, 2, 1)
    return np.linalg.solve(np.linalg.cholesky(gram), seen.transpose(0, 2, 1)).transpose(0, 2, 1)


DRIFT = (
    "step", "module", "layer", "projection", "frobenius", "relative_norm", "cosine", "distance",
    "column_overlap", "row_overlap", "column_angles", "row_angles",
)  # fmt: skip
FINAL = "final"


def drift(adapter_folder: str | os.PathLike[str]) -> pd.DataFrame:
    """One row a checkpoint and module, by step, layer and projection; columns `DRIFT`. No checkpoints: no rows.

    With the final change as measure: `relative_norm` is ||dW_t|| / ||dW||, `cosine` that of the two changes,
    `distance` ||dW_t - dW|| / ||dW|| (from the factors, exact when both are near), overlaps and angles as in `compare`.
    `frobenius` is ||dW_t||. Where the final change is 0 the quotients are NaN.

    Raises `AdapterError` for a folder that is not plain LoRA, ValueError for checkpoints of other modules.

    Examples:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from workbench.models import shipped
        >>> from workbench.shift import read_factors, save_adapter
        >>> source, first = shipped("narrow"), next(read_factors(shipped("narrow")))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     for place in (Path(folder), Path(folder, "checkpoints", "checkpoint-5")):
        ...         _ = save_adapter(place, [first], like=source)
        ...     drift(folder)[["step", "distance"]].round(6).values.tolist()
        [[5.0, 0.0]]
    """
    opened = {str(step): AdapterFolder.open(place) for step, place in checkpoints(adapter_folder).items()}
    if not opened:
        return pd.DataFrame(columns=list(DRIFT))
    rows = []
    for factors in aligned({**opened, FINAL: AdapterFolder.open(adapter_folder)}):
        final = factors.pop(FINAL)
        end = directions(final)
        size = frobenius_norm(end.values) or float("nan")
        for step, one in factors.items():
            whole = directions(one)
            norm, rest = frobenius_norm(whole.values), frobenius_norm(singular_values(difference(one, final)))
            columns = principal_angles(whole.left, end.left)
            read = principal_angles(whole.right, end.right)
            spaces = (overlap(columns), overlap(read), columns, read)
            measured = (norm, norm / size, update_cosine(whole, end), rest / size, *spaces)
            rows.append((int(step), one.module, one.layer, one.projection, *measured))
    table = pd.DataFrame(rows, columns=list(DRIFT))
    return table.sort_values("step", kind="stable", ignore_index=True)
