"""How an adapter came to be: every checkpoint of its training beside the adapter that the training ended with."""

from __future__ import annotations

import os

import pandas as pd

from workbench.models.adapter_folder import AdapterFolder
from workbench.shift.spectrum import checkpoints, directions, frobenius_norm, singular_values
from workbench.shift.subspaces import aligned, difference, overlap, principal_angles, update_cosine

DRIFT = (
    "step", "module", "layer", "projection", "frobenius", "relative_norm", "cosine", "distance",
    "column_overlap", "row_overlap", "column_angles", "row_angles",
)  # fmt: skip
FINAL = "final"


def drift(adapter_folder: str | os.PathLike[str], *, top: int | None = None) -> pd.DataFrame:
    """One row a checkpoint and module, by step, layer and projection; columns `DRIFT`. No checkpoints: no rows.

    With the final change as measure: `relative_norm` is ||dW_t|| / ||dW||, `cosine` that of the two changes,
    `distance` ||dW_t - dW|| / ||dW|| (from the factors, exact when both are near), overlaps and angles as in `compare`.
    `frobenius` is ||dW_t||. Where the final change is 0 the quotients are NaN. top: spaces of the leading directions.

    Raises `AdapterError` for a folder that is not plain LoRA, ValueError for checkpoints of other modules.
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
            columns = principal_angles(whole.left[:, :top], end.left[:, :top])
            read = principal_angles(whole.right[:, :top], end.right[:, :top])
            spaces = (overlap(columns), overlap(read), columns, read)
            measured = (norm, norm / size, update_cosine(whole, end), rest / size, *spaces)
            rows.append((int(step), one.module, one.layer, one.projection, *measured))
    table = pd.DataFrame(rows, columns=list(DRIFT))
    return table.sort_values("step", kind="stable", ignore_index=True)
