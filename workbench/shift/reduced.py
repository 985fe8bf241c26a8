"""A smaller adapter: the modules, or the singular directions, that the map puts first, saved as a PEFT folder.

Doses tell beforehand what such an adapter would answer: with the rest at dose 0 the model is the one that the folder
makes, so that many candidates are tried in one batch and only the chosen one is written (`workbench.shift.smallest`).
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save
from torch import nn

from workbench.artifacts.files import atomic_write_bytes, atomic_write_json
from workbench.game import Adapted, adapted_modules, part_name
from workbench.models.adapter_folder import CONFIG, WEIGHTS, AdapterError, AdapterFolder, Factors, layer_of, read_config
from workbench.shift.spectrum import directions


def singular_parts(factors: Factors) -> Factors:
    """The same update with singular directions as its rank-one parts, largest first, its norm shared by both factors.

    Rank and scaling stay: parts beyond the directions there are hold 0.

    Examples:
        >>> skew = Factors("q_proj", 0, "q_proj", rank=2, scaling=1.0, A=np.ones((2, 2)), B=np.ones((2, 2)))
        >>> parts = singular_parts(skew)
        >>> bool(np.allclose(parts.B @ parts.A, skew.B @ skew.A))
        True
        >>> {name: round(one, 6) for name, one in part_energies([parts]).items()}
        {'q_proj #0': 16.0, 'q_proj #1': 0.0}
    """
    left, values, right = directions(factors)
    k = len(values)
    a, b = np.zeros_like(factors.A), np.zeros_like(factors.B)
    if k:
        size = np.sqrt(values / abs(factors.scaling))
        a[:k], b[:, :k] = (right * size).T, np.sign(factors.scaling) * left * size
    return replace(factors, A=a, B=b)


def to_singular_parts(model: nn.Module) -> None:
    """Rewrites the factors of a loaded adapter in place by `singular_parts`: the model computes what it did, to float
    precision, and a rank-one part is now a singular direction of its module. ValueError: see `adapted_modules`.

    Examples:
        >>> from workbench.models import add_adapter, load
        >>> lm = add_adapter(load(names={}), rank=2, alpha=2, modules=("q_proj",), dropout=0.0, seed=0)
        >>> to_singular_parts(lm.model)
        >>> bool((adapted_modules(lm.model)[0].A.weight @ adapted_modules(lm.model)[0].A.weight.T).isfinite().all())
        True
    """
    for module in adapted_modules(model):
        turned = singular_parts(factors_of(module))
        # float64 whatever they were: in fewer bits the update would be another
        for layer, values in ((module.A, turned.A), (module.B, turned.B)):
            layer.weight.data = torch.as_tensor(values, device=layer.weight.device)


def factors_of(module: Adapted) -> Factors:
    """The factors of a loaded module, as `read_factors` gives those of a folder.

    Examples:
        >>> from workbench.game.case_game import example_game
        >>> factors_of(adapted_modules(example_game().engine.lm.model)[0]).scaling
        1.0
    """
    a, b = (layer.weight.detach().double().cpu().numpy() for layer in (module.A, module.B))
    name = module.name
    return Factors(name, layer_of(name), name.rpartition(".")[2], module.rank, module.scaling, a, b)


def part_energies(factors: Iterable[Factors]) -> dict[str, float]:
    """Name of every rank-one part -> its squared Frobenius norm; of singular parts, the squared singular values.

    Examples:
        >>> factors = Factors("q_proj", 0, "q_proj", rank=2, scaling=1.0, A=np.diag([2.0, 1.0]), B=np.eye(2))
        >>> part_energies([factors])
        {'q_proj #0': 4.0, 'q_proj #1': 1.0}
    """
    return {
        part_name(one.module, k): float((one.scaling * np.linalg.norm(one.A[k]) * np.linalg.norm(one.B[:, k])) ** 2)
        for one in factors
        for k in range(one.rank)
    }


def reduced(factors: Iterable[Factors], keep: Collection[str]) -> list[Factors]:
    """The factors of what is kept: names of modules, or of rank-one parts, as `ModuleGame.names` has them.

    Modules without a part left are not among them. ValueError: a name that is none of the adapter's.

    Examples:
        >>> factors = Factors("q_proj", 0, "q_proj", rank=2, scaling=1.0, A=np.diag([2.0, 1.0]), B=np.eye(2))
        >>> [kept.rank for kept in reduced([factors], {"q_proj #0"})]
        [1]
    """
    left, out = set(keep), []
    for one in factors:
        names = [part_name(one.module, k) for k in range(one.rank)]
        parts = range(one.rank) if one.module in left else [k for k, name in enumerate(names) if name in left]
        left -= {one.module, *names}
        if parts:
            out.append(replace(one, rank=len(parts), A=one.A[list(parts)], B=one.B[:, list(parts)]))
    if left:
        raise ValueError(f"the adapter has no unit {min(left)[:200]!r}; take names from ModuleGame.names")
    return out


def save_adapter(folder: str | os.PathLike[str], factors: Sequence[Factors], *, like: str | os.PathLike[str]) -> Path:
    """Writes factors as a PEFT LoRA folder that names exactly these modules, and returns it.

    like: the adapter they come from; settings that say nothing of its weights, and their dtype, are taken from there.
    Ranks and scalings that differ between modules become `rank_pattern` and `alpha_pattern`. Names in `target_modules`
    are whole, so that no other layer gets an adapter. AdapterError: no module is left, one comes twice, or the source
    is no plain LoRA. ValueError: the folder is that of the source.

    Examples:
        >>> import tempfile
        >>> from workbench.models import shipped
        >>> from workbench.shift import read_factors
        >>> first = next(read_factors(shipped("narrow")))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     saved = save_adapter(folder, [first], like=shipped("narrow"))
        ...     [one.module == first.module for one in read_factors(saved)]
        [True]
    """
    place, source = Path(folder), Path(like)
    if place.resolve() == source.resolve():
        raise ValueError(f"{place} holds the adapter to be reduced; give another folder")
    names = [one.module for one in factors]
    if not names or len(set(names)) < len(names):
        raise AdapterError(f"an adapter needs one or more unlike modules, not {names[:5]}; keep more of it")
    opened = AdapterFolder.open(source)
    dtype = opened.tensors(next(iter(opened.scalings)))[0].dtype
    tensors = {}
    for one in factors:
        for factor, values in (("A", one.A), ("B", one.B)):
            name = f"base_model.model.{one.module}.lora_{factor}.weight"
            tensors[name] = torch.tensor(values).to(dtype).contiguous()
    place.mkdir(parents=True, exist_ok=True)
    atomic_write_bytes(place / WEIGHTS, save(tensors, metadata={"format": "pt"}))
    atomic_write_json(place / CONFIG, read_config(source) | _settings(factors))
    return place


def _settings(factors: Sequence[Factors]) -> dict[str, Any]:
    """What a PEFT config must say of these modules. alpha / rank is the scaling, whatever it was made from."""
    ranks = {one.module: one.rank for one in factors}
    alphas = {one.module: _whole(one.scaling * one.rank) for one in factors}
    rank, alpha = (Counter(values.values()).most_common(1)[0][0] for values in (ranks, alphas))
    return {
        "r": rank,
        "lora_alpha": alpha,
        "rank_pattern": {name: r for name, r in ranks.items() if r != rank},
        "alpha_pattern": {name: a for name, a in alphas.items() if a != alpha},
        "use_rslora": False,
        "init_lora_weights": True,
        "inference_mode": True,
        "target_modules": sorted(ranks),
        **dict.fromkeys(("exclude_modules", "layers_to_transform", "layers_pattern")),
    }


def _whole(value: float) -> float | int:
    """A whole number as an int, as PEFT writes it."""
    return round(value) if abs(value - round(value)) < 1e-9 else value
