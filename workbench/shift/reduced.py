"""A smaller adapter: the modules, or the singular directions, that the map puts first, saved as a PEFT folder.

Doses tell beforehand what such an adapter would answer: with the rest at dose 0 the model is the one that the folder
makes, so that many candidates are tried in one batch and only the chosen one is written. How many it takes: accuracy
with only the first units of an order left, and the smallest part that is enough.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from safetensors.torch import save
from torch import nn

from workbench.artifacts.files import atomic_write_bytes, atomic_write_json
from workbench.cases import Case, toolchain
from workbench.game import Adapted, Engine, adapted_modules, part_name, unit_doses, unit_names, unit_parameters
from workbench.models.adapter_folder import CONFIG, WEIGHTS, AdapterError, AdapterFolder, Factors, layer_of, read_config
from workbench.shift.spectrum import directions
from workbench.stats import proportion


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
        with torch.no_grad():
            for layer, values in ((module.A, turned.A), (module.B, turned.B)):
                layer.weight.copy_(torch.as_tensor(values))


def factors_of(module: Adapted) -> Factors:
    """The factors of a loaded module, as `read_factors` gives those of a folder.

    Examples:
        >>> from workbench.game.example_game import example_game
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


ENOUGH = 0.95  # of the tuned model's accuracy
MARGIN = 1.0  # standard errors
MEASURES = ("toolchain", "path")
PER_OCTAVE = 2  # sizes of the ladder between one and its double


def exact_at(engine: Engine, cases: Sequence[Case], doses: np.ndarray, *, measure: str = "toolchain") -> np.ndarray:
    """Whether the greedy answer is right with the adapter at each of the doses: (doses, cases) bool.

    doses: (d, units), see `workbench.game.doses`. measure: `toolchain` = the case's own commands, generated; `path` =
    the case's own answer token for token, formats too, in one pass a row: stricter, and many times as fast.
    ValueError: another measure.

    Examples:
        >>> from workbench.game.example_game import example_game
        >>> game = example_game()
        >>> doses = np.array([[0.0], [1.0]]).repeat(len(adapted_modules(game.engine.lm.model)), axis=1)
        >>> exact_at(game.engine, [game.case], doses, measure="path").tolist()
        [[True], [True]]
    """
    if measure not in MEASURES:
        raise ValueError(f"measure must be one of {', '.join(MEASURES)}, not {measure!r}")
    many = list(cases) * len(doses)
    rows = torch.tensor(np.repeat(np.asarray(doses, float), len(cases), axis=0), dtype=torch.float32)
    own = [engine.answer_ids(case, case.path) for case in cases] * len(doses)
    if measure == "toolchain":
        paths = engine.answers(many, doses=rows, max_new_tokens=2 * max(map(len, own)))
        right = [toolchain(path) == case.toolchain for path, case in zip(paths, many, strict=True)]
    else:
        prompts = [engine.prompt(case) for case in cases] * len(doses)
        with torch.no_grad():
            logits = engine.logits(prompts, own, doses=rows)
        right = [z.argmax(-1).tolist() == list(ids) for z, ids in zip(logits, own, strict=True)]
    return np.array(right).reshape(len(doses), len(cases))


def kept_accuracy(
    engine: Engine,
    cases: Sequence[Case],
    order: Sequence[int],
    *,
    sizes: Sequence[int],
    unit: str = "module",
    measure: str = "toolchain",
) -> pd.DataFrame:
    """Right answers with only the first units of `order` left, a row a size: 0 is the base, all the tuned model.

    Columns: `size` (units kept), `parameters` (numbers they hold), `part` (of the adapter's), `exact, low, high, n`
    (share of cases and 95 % interval), `lost` (cases the tuned model has right and this one not) and `gained`.
    ValueError: an order that is not one of all units, a size beyond them, or see `exact_at`.

    Examples:
        >>> from workbench.game.example_game import example_game
        >>> game = example_game()
        >>> table = kept_accuracy(game.engine, [game.case], [1, 0], sizes=[0, 1], unit="projection", measure="path")
        >>> table[["size", "exact"]].values.tolist()  # the base alone is right
        [[0.0, 1.0], [1.0, 1.0]]
    """
    modules = adapted_modules(engine.lm.model)
    n, parameters = len(unit_names(modules, unit)), unit_parameters(modules, unit)
    if sorted(order) != list(range(n)):
        raise ValueError(f"order must hold each of the {n} units once, not {len(order)} numbers")
    if not all(0 <= size <= n for size in sizes):
        raise ValueError(f"sizes must lie in 0..{n}, not {list(sizes)}")
    doses = np.zeros((len(sizes) + 1, n))
    for row, size in zip(doses, [*sizes, n], strict=True):
        row[list(order[:size])] = 1
    *found, tuned = exact_at(engine, cases, unit_doses(modules, unit, doses), measure=measure)
    rows = []
    for size, right in zip(sizes, found, strict=True):
        exact = proportion(right)
        held = int(parameters[list(order[:size])].sum())
        lost, gained = int((tuned & ~right).sum()), int((right & ~tuned).sum())
        rows.append((size, held, held / parameters.sum(), exact.share, exact.low, exact.high, exact.n, lost, gained))
    return pd.DataFrame(rows, columns=["size", "parameters", "part", "exact", "low", "high", "n", "lost", "gained"])


def ladder(n: int) -> list[int]:
    """Sizes from 0 to n, evenly in the logarithm, `PER_OCTAVE` between one and its double.

    Examples:
        >>> ladder(8)[:4], ladder(8)[-1]
        ([0, 1, 2, 3], 8)
    """
    steps = int(np.ceil(np.log2(max(n, 1)) * PER_OCTAVE))
    return sorted({0, n, *(round(2 ** (k / PER_OCTAVE)) for k in range(steps))})


@dataclass(frozen=True)
class SmallestPart:
    """The first `units` of an order that reach the wanted accuracy on the cases of the search.

    wanted: exact share of cases. table: every size that was tried, as `kept_accuracy` has it, sorted.

    Examples:
        >>> SmallestPart("layer", units=(3, 0), names=("layer 3", "layer 0"), wanted=0.9, table=pd.DataFrame()).units
        (3, 0)
    """

    unit: str
    units: tuple[int, ...]
    names: tuple[str, ...] = field(repr=False)
    wanted: float
    table: pd.DataFrame = field(repr=False)


def smallest_part(
    engine: Engine,
    cases: Sequence[Case],
    order: Sequence[int],
    *,
    enough: float = ENOUGH,
    unit: str = "module",
) -> SmallestPart:
    """The fewest first units of `order` with which `enough` of the tuned model's accuracy is kept.

    By `MARGIN` standard errors of the paired difference to the tuned model, sqrt(lost + gained) / n, they must be above
    that. The smallest of many sizes is one that was lucky on the cases of the search; without a margin it keeps less on
    others (the one-standard-error rule of Breiman and others 1984).

    A ladder of sizes in one batch, then halving between the smallest that is enough and the next below, which is not.
    Accuracy need not grow with every unit, so a size in a gap of the ladder may be overlooked; none is claimed that is
    not enough. Judge the result on cases that neither this nor the order has seen.

    ValueError: the tuned model has no case right, or see `kept_accuracy`.

    Examples:
        >>> from workbench.game.example_game import example_game
        >>> game = example_game()
        >>> smallest_part(game.engine, [game.case], [1, 0], unit="projection").units  # the base alone is right
        ()
    """
    modules = adapted_modules(engine.lm.model)
    names = unit_names(modules, unit)
    table = kept_accuracy(engine, cases, order, sizes=ladder(len(names)), unit=unit, measure="path")
    if not table["exact"].iloc[-1]:
        raise ValueError(
            f"the tuned model has none of {len(cases)} cases right, so there is nothing to keep; take others"
        )
    wanted = enough * float(table["exact"].iloc[-1])
    while True:
        spare = MARGIN * np.sqrt(table["lost"] + table["gained"]) / table["n"]
        passed = table[table["exact"] - spare >= wanted]["size"].min()
        below = table[table["size"] < passed]["size"].max()
        if passed == 0 or passed - below <= 1:
            break
        more = kept_accuracy(engine, cases, order, sizes=[int(passed + below) // 2], unit=unit, measure="path")
        table = pd.concat([table, more]).sort_values("size", ignore_index=True)
    kept = tuple(int(k) for k in order[: int(passed)])
    return SmallestPart(unit, kept, tuple(names[k] for k in kept), wanted, table)
