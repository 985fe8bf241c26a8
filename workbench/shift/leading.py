"""Leading singular triplets of a base weight, alone or with a change added: dense where small, Lanczos where large.

Above `DENSE` the sum W0 + s B A is only ever multiplied with vectors, W0 x + s B (A x), so nothing of the layer's size
is made beside W0 itself. Both routes are exact to float64 for values that stand apart from the next.
"""

from __future__ import annotations

import numpy as np
from scipy.sparse.linalg import LinearOperator, svds

from workbench.models.adapter_folder import Factors
from workbench.shift.spectrum import Directions

DENSE = 256  # the smaller side up to which a dense decomposition is as quick


def leading(weight: np.ndarray, k: int | None = None, *, update: Factors | None = None) -> Directions:
    """The `k` largest singular triplets of W0 (out, in), or of W0 + s B A; None: all, dense.

    Values that are 0 in float64 have no direction of their own and are left out.
    """
    size = min(weight.shape)
    if k is None or k >= size or size <= DENSE:
        whole = weight if update is None else weight + update.scaling * update.B @ update.A
        left, values, right = np.linalg.svd(whole, full_matrices=False)
    else:
        # Lanczos starts anywhere; a fixed start gives the same last digits every time
        left, values, right = svds(_operator(weight, update), k=k, rng=np.random.default_rng(0))
        order = np.argsort(-values)
        left, values, right = left[:, order], values[order], right[order]
    least = float(np.max(values, initial=0.0)) * max(weight.shape) * np.finfo(np.float64).eps
    count = min(int(np.sum(values > least)), size if k is None else k)
    return Directions(left[:, :count], values[:count], right[:count].T)


def _operator(weight: np.ndarray, update: Factors | None) -> LinearOperator | np.ndarray:
    if update is None:
        return weight
    a, b = update.A, update.scaling * update.B
    return LinearOperator(
        weight.shape,
        dtype=np.float64,
        matvec=lambda x: weight @ x + b @ (a @ x),
        rmatvec=lambda y: weight.T @ y + a.T @ (b.T @ y),
        matmat=lambda x: weight @ x + b @ (a @ x),
        rmatmat=lambda y: weight.T @ y + a.T @ (b.T @ y),
    )
