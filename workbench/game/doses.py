"""Doses: factors on an adapter's update, row by row, so that one batch holds many strengths and switches.

A unit is an adapted module, W0 + d s B A, or, finer, one of the rank-one parts of its update, W0 + s B diag(d) A, or,
coarser, all modules of a layer or of a projection together.
Dose 1 of every unit is the adapter, dose 0 the base. What multiplies are forward hooks on one of the two factors of
each LoRA layer; they are gone when the pass is over.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from workbench.models import base_of
from workbench.models.adapter_folder import layer_of
from workbench.models.lora import LoraLayer

COARSE = ("layer", "projection")
UNITS = ("module", *COARSE, "part")


def as_tensor(doses: np.ndarray | None) -> torch.Tensor | None:
    """Doses (m, units) as a model takes them, float32."""
    return None if doses is None else torch.tensor(doses, dtype=torch.float32)


@dataclass(frozen=True)
class Adapted:
    """An adapted module: its dotted name in the base model, the LoRA layer, and the adapter that is active in it.

    Examples:
        >>> from workbench.game.case_game import example_game
        >>> module = adapted_modules(example_game().engine.lm.model)[0]
        >>> module.name, module.rank, tuple(module.A.weight.shape)
        ('model.layers.0.self_attn.q_proj', 2, (2, 128))
    """

    name: str
    layer: LoraLayer
    adapter: str

    @property
    def rank(self) -> int:
        """Rank-one parts of its update."""
        return int(self.layer.r[self.adapter])

    @property
    def A(self) -> nn.Linear:
        """The factor (rank, in)."""
        return self.layer.lora_A[self.adapter]

    @property
    def B(self) -> nn.Linear:
        """The factor (out, rank)."""
        return self.layer.lora_B[self.adapter]

    @property
    def scaling(self) -> float:
        """s of s B A."""
        return float(self.layer.scaling[self.adapter])

    @property
    def parameters(self) -> int:
        """Numbers in both factors."""
        return sum(p.numel() for factor in (self.A, self.B) for p in factor.parameters())


def adapted_modules(model: nn.Module) -> tuple[Adapted, ...]:
    """The adapted modules, in the order of the model.

    ValueError: there is none, or one that is more than W0 + s B A of one adapter: merged, DoRA, an embedding's.

    Examples:
        >>> from workbench.game.case_game import example_game
        >>> lm = example_game().engine.lm
        >>> modules = adapted_modules(lm.model)
        >>> modules[0].rank, modules[0].scaling
        (2, 1.0)
    """
    found = []
    for name, layer in base_of(model).named_modules():
        if isinstance(layer, LoraLayer):
            known = {*layer.lora_A, *layer.lora_embedding_A}
            active = [a for a in layer.active_adapters if a in known]
            for wrong, rule in _refusals(layer, active):
                if wrong:
                    raise ValueError(f"module {name!r} takes no dose: {rule}")
            found += [Adapted(name, layer, adapter) for adapter in active]
    if not found:
        raise ValueError(
            "the model has no adapter, so there is nothing to dose; load one with models.load(adapter=...)"
        )
    return tuple(found)


def _refusals(layer: LoraLayer, active: Sequence[str]) -> Iterator[tuple[bool, str]]:
    """Whether a layer's update is something else than s B A of one adapter, with the reason."""
    yield bool(layer.merged), "its adapter is merged into the weights; unmerge it first"
    yield len(active) > 1, f"{len(active)} adapters are active in it; activate one"
    yield any(a in layer.lora_variant for a in active), "it is no plain LoRA (DoRA or the like)"
    yield any(a in layer.lora_embedding_A for a in active), "it is an embedding; only linear layers are dosed"


def unit_names(modules: Sequence[Adapted], unit: str) -> tuple[str, ...]:
    """Names of the units, in the order of doses: a module's dotted name in the base model, ` #k` behind it for rank-one
    part k; `layer 3`; a projection's name. ValueError: a unit that is not of `UNITS`.

    Examples:
        >>> from workbench.game.case_game import example_game
        >>> lm = example_game().engine.lm
        >>> unit_names(adapted_modules(lm.model), "projection")
        ('q_proj', 'v_proj')
    """
    if unit not in UNITS:
        raise ValueError(f"unit must be one of {', '.join(UNITS)}, not {unit!r}")
    if unit == "part":
        return tuple(part_name(m.name, k) for m in modules for k in range(m.rank))
    return tuple(dict.fromkeys(_unit_of(m.name, unit) for m in modules))


def unit_index(modules: Sequence[Adapted], unit: str) -> np.ndarray:
    """Number of the unit, `module` or coarser, that each module belongs to: (modules,) int64.

    Examples:
        >>> from workbench.game.case_game import example_game
        >>> lm = example_game().engine.lm
        >>> unit_index(adapted_modules(lm.model), "layer")[:4].tolist()  # q and v of a layer are one unit
        [0, 0, 1, 1]
    """
    number = {name: k for k, name in enumerate(unit_names(modules, unit))}
    return np.array([number[_unit_of(m.name, unit)] for m in modules])


def unit_doses(modules: Sequence[Adapted], unit: str, doses: np.ndarray) -> np.ndarray:
    """Doses (m, units) as those that `dosed` takes: (m, modules), or (m, parts).

    Examples:
        >>> from workbench.game.case_game import example_game
        >>> lm = example_game().engine.lm
        >>> modules = adapted_modules(lm.model)
        >>> unit_doses(modules, "projection", np.array([[1.0, 0.0]]))[0, :4].tolist()  # q on, v off
        [1.0, 0.0, 1.0, 0.0]
    """
    return doses if unit == "part" else doses[:, unit_index(modules, unit)]


def _unit_of(module: str, unit: str) -> str:
    named = {"layer": f"layer {layer_of(module)}", "projection": module.rpartition(".")[2]}
    return named.get(unit, module)


def part_name(module: str, k: int) -> str:
    """The name of rank-one part k of a module's update.

    Examples:
        >>> part_name("model.layers.0.self_attn.q_proj", 3)
        'model.layers.0.self_attn.q_proj #3'
    """
    return f"{module} #{k}"


def unit_parameters(modules: Sequence[Adapted], unit: str) -> np.ndarray:
    """Numbers (units,) int64 that each unit holds in the adapter's factors.

    Examples:
        >>> from workbench.game.case_game import example_game
        >>> lm = example_game().engine.lm
        >>> held = unit_parameters(adapted_modules(lm.model), "projection")
        >>> int(held.sum()) == sum(p.numel() for name, p in lm.model.named_parameters() if "lora_" in name)
        True
    """
    whole = np.array([m.parameters for m in modules])
    if unit == "part":
        ranks = [m.rank for m in modules]
        return np.repeat(whole // ranks, ranks)
    return np.bincount(unit_index(modules, unit), weights=whole).astype(np.int64)


def dose_row(model: nn.Module, dose: float | Sequence[float] | np.ndarray) -> np.ndarray:
    """A dose as factors (units,) float64: one number for all modules, or one each, (modules,) or (rank-one parts,).

    ValueError: another number of factors, or one that is not finite.

    Examples:
        >>> from workbench.game.case_game import example_game
        >>> lm = example_game().engine.lm
        >>> set(dose_row(lm.model, 0.5).tolist())  # the same for every module
        {0.5}
    """
    modules = adapted_modules(model)
    row = np.asarray(dose, float)
    row = np.full(len(modules), float(row)) if row.ndim == 0 else row
    parts = sum(m.rank for m in modules)
    if row.shape not in {(len(modules),), (parts,)}:
        raise ValueError(
            f"a dose is one number, {len(modules)} (a module) or {parts} (a rank-one part), not {row.shape}"
        )
    if not np.isfinite(row).all():
        raise ValueError(f"a dose must be finite, not {float(row[~np.isfinite(row)][0])}")
    return row


@contextlib.contextmanager
def dosed(model: nn.Module, doses: torch.Tensor | None, *, as_they_are: bool = False) -> Iterator[None]:
    """Runs its block with row k of every batch at doses[k]: (rows, modules) or (rows, rank-one parts), float.

    Gradients flow to the doses where they ask for it; None changes nothing. The hooks go whatever happens.
    as_they_are: modules at 1 in all rows pass as trained, in one product where that is held, and those at 0 as the
    base, which is faster and the same up to rounding.
    ValueError: doses of another width, or a batch of another number of rows.

    Examples:
        >>> from workbench.game.case_game import example_game
        >>> lm = example_game().engine.lm
        >>> ids = torch.tensor([[1, 2], [1, 2]])
        >>> doses = torch.tensor([[0.0], [1.0]]).repeat(1, len(adapted_modules(lm.model)))
        >>> with dosed(lm.model, doses):
        ...     off, on = lm.model(ids).logits
        >>> bool(torch.equal(off, on))  # an adapter that was not trained changes nothing at any dose
        True
    """
    if doses is None:
        yield
        return
    modules = adapted_modules(model)
    ranks = [m.rank for m in modules]
    if doses.ndim != 2 or doses.shape[1] not in {len(modules), sum(ranks)}:
        raise ValueError(
            f"doses must be (rows, {len(modules)}), a factor a module, or (rows, {sum(ranks)}), one a rank-one part, "
            f"not {tuple(doses.shape)}"
        )
    whole = doses.shape[1] == len(modules)
    plain = as_they_are and not doses.requires_grad
    with contextlib.ExitStack() as stack:
        for module, factors in zip(modules, doses.split([1] * len(ranks) if whole else ranks, dim=1), strict=True):
            if plain and (factors == 1).all():
                continue
            if plain and (factors == 0).all():
                stack.callback(setattr, module.layer, "_disable_adapters", module.layer._disable_adapters)
                module.layer._disable_adapters = True
                continue
            # a module's factor stands behind B, so that a bias of B is scaled too
            hook = (module.B if whole else module.A).register_forward_hook(_multiplied_by(factors))
            stack.callback(hook.remove)
        yield


def _multiplied_by(factors: torch.Tensor) -> Callable[[nn.Module, Any, torch.Tensor], torch.Tensor]:
    """A forward hook that multiplies row k of (rows, tokens, features) by factors[k], (1,) or (features,)."""

    def hook(module: nn.Module, given: Any, output: torch.Tensor) -> torch.Tensor:
        if output.ndim != 3 or len(output) != len(factors):
            raise ValueError(f"doses of {len(factors)} rows met an adapted module's output {tuple(output.shape)}")
        return output * factors[:, None, :].to(output)

    return hook


def rows_of(doses: Sequence[torch.Tensor] | torch.Tensor | None, rows: Sequence[int]) -> torch.Tensor | None:
    """The doses of some rows, (rows, units)."""
    return None if doses is None else torch.stack([doses[i] for i in rows])
