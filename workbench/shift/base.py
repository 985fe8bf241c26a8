"""The weights that an adapter was put on, one module at a time: from a loaded model, dequantised, or from its files,
and an adapter's change beside them: how large, and in which of the base's own directions.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pandas as pd
import torch
from safetensors import SafetensorError, safe_open
from scipy.linalg import eigh
from scipy.sparse.linalg import LinearOperator, aslinearoperator, svds
from torch import nn
from transformers.pytorch_utils import Conv1D

from workbench import models
from workbench.models import LanguageModel
from workbench.models.adapter_folder import AdapterError, AdapterFolder, Factors
from workbench.models.checkpoint import ModelError, headers
from workbench.models.lora import BaseTunerLayer, dequantize_4bit, dequantize_module_weight, quantize_4bit
from workbench.shift.spectrum import Directions, directions, frobenius_norm, spectral_norm

Weights: TypeAlias = Callable[[str], np.ndarray]
"""module -> W0 (out, in), float64."""
Base: TypeAlias = LanguageModel | nn.Module | str | os.PathLike[str] | Weights

DTYPES = {"F64", "F32", "F16", "BF16"}


def base_weights(base: Base, *, transposed: bool = False, four_bit: bool = False) -> Weights:
    """How to get the base weight of a module by its dotted name, (out, in) float64, without its adapter.

    base: a model, loaded (4- and 8-bit weights are dequantised); or `reader`, or a folder with safetensors, of which
    one tensor at a time is read. For a folder: transposed, whether its weights lie as (in, out)
    (`AdapterFolder.transposed`); four_bit, whether each is rounded to NF4 and back, as a 4-bit training did.

    Raises:
        ModelError: here for a folder without weights; on call for a module that is not there or is not a matrix.

    Examples:
        >>> base_weights("reader")("model.layers.0.self_attn.q_proj").shape
        (128, 128)
    """
    if isinstance(base, LanguageModel):
        base = base.model
    if isinstance(base, nn.Module):
        loaded = models.base_of(base)
        return lambda module: _of_model(loaded, module)
    if callable(base):
        return base
    folder = Path(models.place(os.fspath(base)))
    files = {key.removesuffix(".weight"): path for key, (path, _) in headers(folder).items() if key.endswith(".weight")}
    return lambda module: _of_folder(folder, files, module, transposed=transposed, four_bit=four_bit)


def matching_weights(adapter: AdapterFolder, base: Base) -> Callable[[Factors], np.ndarray]:
    """The base weight of a module by its factors. AdapterError on call: the shapes do not belong together."""
    weights = base_weights(base, transposed=adapter.transposed)

    def weight(factors: Factors) -> np.ndarray:
        found, wanted = weights(factors.module), (factors.B.shape[0], factors.A.shape[1])
        if found.shape != wanted:
            raise AdapterError(
                f"{adapter.folder}: the change of {factors.module} is {wanted[0]} x {wanted[1]}, the base weight "
                f"{' x '.join(map(str, found.shape))}; give the base model that the adapter was trained on"
            )
        return found

    return weight


def _of_model(model: nn.Module, name: str) -> np.ndarray:
    try:
        module = model.get_submodule(name)
    except AttributeError:
        raise ModelError(f"the model has no module {name}; give the base that the adapter was trained on") from None
    if isinstance(module, BaseTunerLayer):
        if module.merged_adapters:
            raise ModelError(f"an adapter is merged into {name}, so its base weight is gone; unmerge it first")
        module = module.get_base_layer()
    if not isinstance(getattr(module, "weight", None), torch.Tensor):
        raise ModelError(f"{name} is a {type(module).__name__} and has no weight")
    weight = dequantize_module_weight(module).detach()
    return _matrix(weight.T if isinstance(module, Conv1D) else weight, name)


def _matrix(weight: torch.Tensor, name: str) -> np.ndarray:
    if weight.ndim != 2:
        raise ModelError(f"the weight of {name} has the shape {tuple(weight.shape)}; only matrices are compared")
    return weight.to("cpu", torch.float64).numpy()


def _of_folder(folder: Path, files: dict[str, Path], name: str, *, transposed: bool, four_bit: bool) -> np.ndarray:
    # some checkpoints leave out the first part of a name (`h.0.attn` for `transformer.h.0.attn`)
    found = [key for key in files if key == name] or [key for key in files if name.endswith(f".{key}")]
    if len(found) != 1:
        raise ModelError(f"{folder} holds no weight of {name}; give the base that the adapter was trained on")
    path = files[found[0]]
    try:
        with safe_open(path, framework="pt") as weights:
            kind = weights.get_slice(f"{found[0]}.weight").get_dtype()
            if kind not in DTYPES:
                raise ModelError(f"{path}: {name} is packed ({kind}); give the loaded model, which is dequantised")
            weight = weights.get_tensor(f"{found[0]}.weight")
    except (OSError, SafetensorError) as error:
        raise ModelError(f"{path} cannot be read as safetensors: {models.first_line(error)}") from error
    matrix = _matrix(rounded_to_nf4(weight) if four_bit else weight, name)
    return matrix.T if transposed else matrix


def rounded_to_nf4(weight: torch.Tensor) -> torch.Tensor:
    """A weight after 4-bit quantisation and back, with the settings of `models.quantisation`."""
    settings = models.quantisation()
    packed, state = quantize_4bit(
        weight, quant_type=settings.bnb_4bit_quant_type, compress_statistics=settings.bnb_4bit_use_double_quant
    )
    return dequantize_4bit(packed, state)


DENSE, GRAM = 256, 2048  # smaller sides up to which all is decomposed, and up to which the Gram matrix is
LARGEST = 2**25  # entries of a matrix that may stand beside W0, as it does with an update: 256 MiB
FAITHFUL = 1e-4  # share of the largest value down to which a Gram matrix tells one: its rounding is squared


def leading(weight: np.ndarray, k: int | None = None, *, update: Factors | None = None) -> Directions:
    """The `k` largest singular triplets of W0 (out, in), or of W0 + s B A; None: all.

    Dense up to a smaller side of `DENSE`; up to `GRAM` and `LARGEST`, or for all, by the eigenvectors of the smaller
    Gram matrix; else by Lanczos: there the sum W0 + s B A is only ever multiplied with vectors, so nothing of the
    layer's size is made beside W0. All are exact to float64 for values that stand apart from the next (the Gram matrix
    up to some 1e-8). Values that are 0 in float64 have no direction of their own and are left out.
    """
    size = min(weight.shape)
    count = size if k is None else min(k, size)
    if (size <= GRAM and weight.size <= LARGEST) or count == size:
        whole = weight if update is None else weight + update.scaling * update.B @ update.A
        found = _by_gram(whole, count) if size > DENSE else None
        left, values, right = found or np.linalg.svd(whole, full_matrices=False)
    else:
        # Lanczos starts anywhere; a fixed start gives the same last digits every time
        left, values, right = svds(_operator(weight, update), k=count, rng=np.random.default_rng(0))
        order = np.argsort(-values)
        left, values, right = left[:, order], values[order], right[order]
    least = float(np.max(values, initial=0.0)) * max(weight.shape) * np.finfo(np.float64).eps
    count = min(int(np.sum(values > least)), count)
    return Directions(left[:, :count], values[:count], right[:count].T)


def _by_gram(whole: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """Left (out, k), values, right (k, in); None where one of them is too small beside the largest."""
    tall = whole if whole.shape[0] >= whole.shape[1] else whole.T
    size = tall.shape[1]
    squares, right = eigh(tall.T @ tall, subset_by_index=None if k == size else (size - k, size - 1))
    if squares[0] <= FAITHFUL**2 * squares[-1]:
        return None
    right = right[:, ::-1]
    left = tall @ right
    values = np.linalg.norm(left, axis=0)
    left /= values
    return (left, values, right.T) if tall is whole else (right, values, left.T)


def _operator(weight: np.ndarray, update: Factors | None) -> LinearOperator | np.ndarray:
    if update is None:
        return weight
    return aslinearoperator(weight) + aslinearoperator(update.scaling * update.B) @ aslinearoperator(update.A)


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

    Examples:
        >>> import tempfile
        >>> from workbench.models import shipped
        >>> from workbench.shift import read_factors, save_adapter
        >>> first = next(read_factors(shipped("narrow")))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     one = save_adapter(folder, [first], like=shipped("narrow"))
        ...     table = base_shares(one, lambda module: np.eye(576, 1536), top=1)
        >>> table["projection"].tolist(), bool(0 < table["inside"][0] < 1)
        (['down_proj'], True)
    """
    if top < 1:
        raise ValueError(f"top is {top}; at least one direction of the base must be looked at")
    adapter = AdapterFolder.open(adapter_folder)
    weight = matching_weights(adapter, base)
    # one module in memory at a time
    rows = [(one.module, one.layer, one.projection, *_shares(one, weight(one), top).values()) for one in adapter]
    return pd.DataFrame(rows, columns=["module", "layer", "projection", *SHARES])


def _shares(factors: Factors, weight: np.ndarray, top: int) -> dict[str, float]:
    """The values of `SHARES`; shares of a change that is 0 are 0."""
    change, own = directions(factors), leading(weight, top)
    out, into = weight.shape
    size, base_size = frobenius_norm(change.values), float(np.linalg.norm(weight))
    met = float(np.linalg.norm(change.left.T @ weight @ change.right))
    # (top, k): what U_top^T s B A is in the change's right directions
    written = own.left.T @ change.left * change.values
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
