"""How small an adapter may be: accuracy with only the first units of an order left, and the smallest part enough."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import torch

from workbench.cases import Case, toolchain
from workbench.game import Engine, adapted_modules, unit_doses, unit_names, unit_parameters
from workbench.stats import proportion

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
        >>> from workbench.game.case_game import example_game
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
        paths = engine.answers(many, doses=rows, max_new_tokens=2 * max(map(len, own), default=0))
        right = [toolchain(path) == case.toolchain for path, case in zip(paths, many, strict=True)]
    else:
        prompts = [engine.prompt(case) for case in cases] * len(doses)
        with torch.no_grad():
            said = engine.logits(prompts, own, doses=rows, read=lambda z: z.argmax(-1).tolist())
        right = [one == list(ids) for one, ids in zip(said, own, strict=True)]
    return np.array(right).reshape(len(doses), len(cases))


def kept_accuracy(
    engine: Engine,
    cases: Sequence[Case],
    order: Sequence[int],
    *,
    sizes: Sequence[int],
    unit: str = "module",
    measure: str = "toolchain",
    tuned: np.ndarray | None = None,
) -> pd.DataFrame:
    """Right answers with only the first units of `order` left, a row a size: 0 is the base, all the tuned model.

    tuned: which cases the tuned model has right, (cases,) bool, by the same measure; None: it is asked. Columns: `size`
    (units kept), `parameters` (numbers they hold), `part` (of the adapter's), `exact, low, high, n` (share of cases and
    95 % interval), `lost` (cases the tuned model has right and this one not) and `gained`.
    ValueError: an order that is not one of all units, a size beyond them, or see `exact_at`.

    Examples:
        >>> from workbench.game.case_game import example_game
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
    asked = [*sorted({*sizes} - {n}), *([n] if tuned is None else [])]
    doses = np.zeros((len(asked), n))
    for row, size in zip(doses, asked, strict=True):
        row[list(order[:size])] = 1
    found = {} if tuned is None else {n: tuned}
    found |= zip(asked, exact_at(engine, cases, unit_doses(modules, unit, doses), measure=measure), strict=True)
    rows = []
    for size in sizes:
        exact = proportion(right := found[size])
        held = int(parameters[list(order[:size])].sum())
        lost, gained = int((found[n] & ~right).sum()), int((right & ~found[n]).sum())
        rows.append((size, held, held / parameters.sum(), exact.share, exact.low, exact.high, exact.n, lost, gained))
    return pd.DataFrame(rows, columns=["size", "parameters", "part", "exact", "low", "high", "n", "lost", "gained"])


def ladder(n: int, *, per_octave: int = PER_OCTAVE) -> list[int]:
    """Sizes from 0 to n, evenly in the logarithm, `per_octave` between one and its double.

    Examples:
        >>> ladder(8)[:4], ladder(8)[-1]
        ([0, 1, 2, 3], 8)
    """
    steps = int(np.ceil(np.log2(max(n, 1)) * per_octave))
    return sorted({0, n, *(round(2 ** (k / per_octave)) for k in range(steps))})


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
    tuned: np.ndarray | None = None,
) -> SmallestPart:
    """The fewest first units of `order` with which `enough` of the tuned model's accuracy is kept.

    By `MARGIN` standard errors of the paired difference to the tuned model, sqrt(lost + gained) / n, they must be above
    that. The smallest of many sizes is one that was lucky on the cases of the search; without a margin it keeps less on
    others (the one-standard-error rule of Breiman and others 1984).

    A ladder of sizes in one batch, then halving between the smallest that is enough and the next below, which is not.
    Where tokens are dear the ladder has half as many rungs. tuned: as in `kept_accuracy`, by the measure `path`.
    Accuracy need not grow with every unit, so a size in a gap of the ladder may be overlooked; none is claimed that is
    not enough. Judge the result on cases that neither this nor the order has seen.

    ValueError: the tuned model has no case right, or see `kept_accuracy`.

    Examples:
        >>> from workbench.game.case_game import example_game
        >>> game = example_game()
        >>> smallest_part(game.engine, [game.case], [1, 0], unit="projection").units  # the base alone is right
        ()
    """
    modules = adapted_modules(engine.lm.model)
    names = unit_names(modules, unit)
    if tuned is None:
        tuned = exact_at(engine, cases, np.ones((1, len(modules))), measure="path")[0]
    how: dict[str, Any] = {"unit": unit, "measure": "path", "tuned": tuned}
    sizes = ladder(len(names), per_octave=1 if engine.slow else PER_OCTAVE)
    table = kept_accuracy(engine, cases, order, sizes=sizes, **how)
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
        more = kept_accuracy(engine, cases, order, sizes=[int(passed + below) // 2], **how)
        table = pd.concat([table, more]).sort_values("size", ignore_index=True)
    kept = tuple(int(k) for k in order[: int(passed)])
    return SmallestPart(unit, kept, tuple(names[k] for k in kept), wanted, table)
