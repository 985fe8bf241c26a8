"""Every measure of how much an element of a case matters, by name, of many cases at once.

What several measures need is computed once: answers, the rows of the games, attention, shifts. Tables of them as they
are kept: rows of a manifest, files of a folder.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path

import numpy as np
import pandas as pd

from workbench.artifacts.files import atomic_write_text, neutral
from workbench.attribution import METHODS
from workbench.cases import Case
from workbench.explain import ExplainConfig, Session
from workbench.explain.session import Progress
from workbench.game import Difference, Engine, Game, attention_measures, element_attention
from workbench.models.adapter_folder import Factors
from workbench.shift.element_measures import Values, by_element, element_rows, saliency_shift, with_measures
from workbench.shift.tokens import token_shift


@dataclass
class Measurement:
    """Cases to be measured, and what the measures share.

    factors: the adapter's change, for the shifts. masks: name of a learned mask -> per case its degrees of removal, or
    None for a case without; a mask that is not given is learned, see `workbench.explain.Session`. saliency: how much
    each module matters, (modules,) or (cases, modules) in the order of `factors`, for `saliency shift`. progress: see
    `Session`.
    ValueError: no cases, or two with one id.

    Examples:
        >>> from workbench.game.case_game import example_game
        >>> game = example_game()
        >>> table = Measurement(game.engine, [game.case]).table(["leave one out", "certified set"])
        >>> table["certified set"].sum()  # one element alone turns the answer
        np.float64(1.0)
    """

    engine: Engine
    cases: Sequence[Case]
    factors: Sequence[Factors] = ()
    masks: Mapping[str, Values] = field(default_factory=dict)
    saliency: np.ndarray | None = None
    seed: int = 0
    config: ExplainConfig = field(default_factory=ExplainConfig)
    progress: Progress | None = None

    def __post_init__(self) -> None:
        self.session = Session(self.engine, self.cases, seed=self.seed, config=self.config, progress=self.progress)

    def table(self, names: Sequence[str] | None = None) -> pd.DataFrame:
        """One row per element and case, as `element_rows` has them, and a column a measure.

        names: of `MEASURES` and of the masks given; None: see `possible`. Higher means that the element matters more.
        ValueError: a name that is unknown, or a measure whose factors or saliency were not given.
        """
        chosen = self.possible if names is None else list(names)
        for name in chosen:
            if name not in MEASURES and name not in self.masks:
                raise ValueError(f"no measure is called {name!r}; there are {', '.join(MEASURES)}")
        return with_measures(element_rows(self.cases), self.cases, {name: self.values(name) for name in chosen})

    def values(self, name: str) -> Values:
        """One measure: per case (n,) float64."""
        return self.masks[name] if name in self.masks else MEASURES[name](self)

    @property
    def possible(self) -> list[str]:
        """The measures that need nothing that was not given; masks are learned where none was given."""
        projections = {f"{one.projection} shift" for one in self.factors}
        if self.factors and self.saliency is not None:
            projections.add(SALIENCY)
        settled = {*self.masks, *(LEARNED_MASKS if self.masks else ())}
        others = [name for name in MEASURES if not name.endswith(" shift") or name in projections]
        return [*self.masks, *(name for name in others if name not in settled)]

    @cached_property
    def games(self) -> list[Game]:
        """The game of every case on re-rendered text, values in nats of the tuned model's answer."""
        return [game.view(form="logprob") for game in self.session.games]

    @cached_property
    def attention(self) -> dict[str, list[np.ndarray]]:
        """Way of adding up -> per case (n,)."""
        found = attention_measures(self.engine, self.cases, self.session.full_ids)
        return {
            way: [element_attention(case, facts) for case, facts in zip(self.cases, values, strict=True)]
            for way, values in found.items()
        }

    @cached_property
    def shift(self) -> pd.DataFrame:
        """The table of `token_shift`. ValueError: no factors were given."""
        if not self.factors:
            raise ValueError("shifts are of an adapter: give factors=list(read_factors(folder))")
        return token_shift(self.engine, self.cases, self.factors)

    def of_shift(self, column: pd.Series) -> Values:
        """A column with the index (case, element) as values case by case."""
        return [column.loc[case.id].loc[list(range(len(case.elements)))].to_numpy() for case in self.cases]


def learned_mask(method: str, measured: Measurement) -> Values:
    """Degrees of removal that were learned, see `workbench.explain.masks`."""
    return [mask.elements for mask in measured.session.masks(method)]


def certified_set(measured: Measurement) -> Values:
    """1 for the members of the case's certified flip set, 0 for others; None where none was found."""
    pairs = zip(measured.cases, measured.session.certified, strict=True)
    return [
        np.isin(np.arange(len(case.elements)), one.elements).astype(float) if one.found else None for case, one in pairs
    ]


def scored(method: str, measured: Measurement) -> Values:
    """Scores of the tuned model's answer by one of `workbench.attribution.METHODS`, nats."""
    return [METHODS[method](game).scores for game in measured.games]


def delta(measured: Measurement) -> list[np.ndarray]:
    """What is lost without the element in the difference game, nats: above 0 where the tuned model depends on it more
    than the base model does, below 0 where it depends on it less.
    """
    return [METHODS["leave_one_out"](Difference(game)).scores for game in measured.games]


def projection_shift(projection: str, measured: Measurement) -> Values:
    """Relative shift in context of the modules of one projection, mean over the layers."""
    means, name = by_element(measured.shift), f"{projection} shift"
    if name not in means:
        raise ValueError(f"the adapter changes no {projection!r}, so that nothing is shifted there")
    return measured.of_shift(means[name])


def module_shift(measured: Measurement) -> Values:
    """Relative shift in context, modules weighted by their saliency."""
    if measured.saliency is None:
        raise ValueError(f"{SALIENCY!r} weights modules: give saliency=, one number for each of the factors")
    return measured.of_shift(saliency_shift(measured.shift, measured.factors, measured.saliency))


SALIENCY = "saliency shift"
LEARNED_MASKS = {"mask (paper)": "paper", "mask (in loop)": "in_loop"}
PROJECTIONS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")

MEASURES: dict[str, Callable[[Measurement], Values]] = {
    **{name: partial(learned_mask, method) for name, method in LEARNED_MASKS.items()},
    "certified set": certified_set,
    "leave one out": partial(scored, "leave_one_out"),
    "delta": delta,
    "size of delta": lambda measured: [np.abs(one) for one in delta(measured)],
    "gradient": partial(scored, "gradient_gate"),
    "attention": lambda measured: measured.attention["mean"],
    "attention rollout": lambda measured: measured.attention["rollout"],
    **{f"{name} shift": partial(projection_shift, name) for name in PROJECTIONS},
    SALIENCY: module_shift,
}
"""Name of a measure -> its values case by case; a mask that is given has its own name."""


def as_records(table: pd.DataFrame, *names: str) -> dict[str, dict[str, float | None]]:
    """A table of `agreement_tests` or `separation` for a manifest: row -> column -> number, None where undefined.

    names: the columns that name a row, joined by ` and `.

    Examples:
        >>> as_records(pd.DataFrame({"measure": ["shift"], "mean": [0.7]}), "measure")
        {'shift': {'mean': 0.7}}
    """
    rows = table.astype(object).where(table.notna(), None).to_dict("records")
    return {
        " and ".join(str(row[name]) for name in names): {str(k): v for k, v in row.items() if k not in names}
        for row in rows
    }


def write_tables(folder: Path, tables: Mapping[str, pd.DataFrame]) -> None:
    """Each table as `<name>.tsv` in a folder, numbers to 6 digits; no name is a formula to a spreadsheet.

    Examples:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     write_tables(Path(folder), {"sizes": pd.DataFrame({"module": ["q"], "norm": [2 / 3]})})
        ...     (Path(folder) / "sizes.tsv").read_text().split()
        ['module', 'norm', 'q', '0.666667']
    """
    for name, rows in tables.items():
        rows = rows.map(lambda cell: neutral(cell) if isinstance(cell, str) else cell)
        atomic_write_text(folder / f"{name}.tsv", rows.to_csv(sep="\t", index=False, float_format="%.6g"))
