"""Switches: each adapted module off alone and on alone, pairs of them, and sets against random sets of equal size.

The difference is Delta = v_tuned - v_base of a case's answer. A share over cases is a ratio of sums: a case in which
tuning changed little then weighs little, where its own ratio would be noise.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations

import numpy as np
import pandas as pd

from workbench.game import Game, ModuleGame
from workbench.models.adapter_folder import layer_of
from workbench.stats import Interval, bootstrap_ratio
from workbench.stats.games import losses

ALL = "all"  # layers, or projections
CALLED = {"part": "direction"}  # unit -> its name for a reader, where it has another
TRIES = 200  # permutations looked at for one random set of the wanted size
TOLERANCE = 0.02  # of the wanted number of parameters


def switch_effects(games: Sequence[Game], *, unit: str = "module", among: Sequence[int] | None = None) -> pd.DataFrame:
    """Every module of every case switched off alone, all others on, and on alone: one row a case and module.

    Columns: `case, module, layer, projection, parameters, delta`, `off` = v_tuned - v(module off) and `on` = v(module
    alone) - v_base, all in nats. One batch a case: 2 modules + 2 rows. unit: what counts as one module, of
    `game.UNITS`; of a whole layer the projection is `ALL`, of a whole projection the layer. among: numbers of the units
    that are switched; None: all.

    Examples:
        >>> from workbench.game.case_game import example_game
        >>> games = [example_game()]
        >>> switch_effects(games, unit="projection")["projection"].tolist()
        ['q_proj', 'v_proj']
    """
    rows: list[tuple] = []
    for game in games:
        play = ModuleGame(game, unit=unit)
        chosen = list(range(play.n) if among is None else among)
        alone, n = np.eye(play.n)[chosen], len(chosen)
        values = play(np.vstack([np.ones((1, play.n)), np.zeros((1, play.n)), 1 - alone, alone]))
        (tuned, base), off, on = values[:2], values[2 : n + 2], values[n + 2 :]
        for i, k in enumerate(chosen):
            place = play.names[k], *unit_place(play.names[k], unit), int(play.parameters[k])
            rows.append((game.case.id, *place, tuned - base, tuned - off[i], on[i] - base))
    columns = ["case", "module", "layer", "projection", "parameters", "delta", "off", "on"]
    return pd.DataFrame(rows, columns=columns)


def unit_place(name: str, unit: str) -> tuple[int | str, str]:
    """Layer and projection of a unit by its name; `ALL` for what it has all of."""
    if unit == "layer":
        return int(name.rpartition(" ")[2]), ALL
    return (ALL, name) if unit == "projection" else (layer_of(name), name.rpartition(".")[2])


def unit_of(layer: int | str, projection: str) -> str:
    """What stands at a place: `module`, or a whole `layer` or `projection`."""
    return "layer" if projection == ALL else "projection" if layer == ALL else "module"


def place_words(layer: int | str, projection: str) -> str:
    """In words: `q_proj of layer 3`, `layer 3`, `q_proj of all layers`."""
    whole = {"layer": f"layer {layer}", "projection": f"{projection} of all layers"}
    return whole.get(unit_of(layer, projection), f"{projection} of layer {layer}")


def switch_shares(table: pd.DataFrame, *, rng: np.random.Generator) -> pd.DataFrame:
    """Per module the share of Delta that goes when it is switched off, and that comes when it alone is on.

    table: what `switch_effects` gave. Columns: `module, layer, projection, parameters`, then `off, off_low, off_high`
    and `on, on_low, on_high`, 95 % bootstrap-t over the `n` cases. In the order of the model.

    Examples:
        >>> place = {"module": "q", "layer": 0, "projection": "q_proj", "parameters": 8}
        >>> table = pd.DataFrame([{**place, "off": 1.0 * k, "on": 0.5 * k, "delta": 2.0 * k} for k in (1, 2)])
        >>> switch_shares(table, rng=np.random.default_rng(0))[["off", "on"]].values.tolist()
        [[0.5, 0.25]]
    """
    rows = []
    for name, part in table.groupby("module", sort=False):
        first = part.iloc[0]
        shares = [delta_share(part[key].to_numpy(), part["delta"].to_numpy(), rng=rng)[:3] for key in ("off", "on")]
        rows.append((name, first["layer"], first["projection"], first["parameters"], *shares[0], *shares[1], len(part)))
    names = [f"{key}{end}" for key in ("off", "on") for end in ("", "_low", "_high")]
    return pd.DataFrame(rows, columns=["module", "layer", "projection", "parameters", *names, "n"])


def looked_into(games: Sequence[Game], shares: pd.DataFrame, *, layers: int, rng: np.random.Generator) -> pd.DataFrame:
    """The shares of whole layers, or projections, with those of the other, and of single modules where it pays.

    shares: of `switch_shares`; of modules they come back as they are. layers: of so many, those with which most goes,
    every module is switched by itself.

    Examples:
        >>> shares = pd.DataFrame({"layer": [0], "projection": ["q_proj"], "off": [0.5]})
        >>> looked_into([], shares, layers=1, rng=np.random.default_rng(0)) is shares  # single modules already
        True
    """
    of_layers, of_projections = shares["projection"] == ALL, shares["layer"] == ALL
    if not (of_layers.any() or of_projections.any()):
        return shares
    other = "layer" if of_projections.any() else "projection"
    whole = pd.concat([shares, switch_shares(switch_effects(games, unit=other), rng=rng)], ignore_index=True)
    most = set(whole[whole["projection"] == ALL].nlargest(layers, "off")["layer"])
    among = [k for k, name in enumerate(ModuleGame(games[0]).names) if layer_of(name) in most]
    single = switch_shares(switch_effects(games, among=among), rng=rng)
    return pd.concat([whole, single], ignore_index=True)


def delta_share(effects: np.ndarray, delta: np.ndarray, *, rng: np.random.Generator) -> Interval:
    """Sum of the effects (cases,) over the sum of Delta (cases,), with a 95 % bootstrap-t interval over the cases.

    effects may be (cases, sets): the mean over the sets is taken. ValueError: shapes that do not fit, no cases, or
    a Delta of 0 in all of them.

    Examples:
        >>> delta_share(np.array([1.0, 3.0]), np.array([2.0, 6.0]), rng=np.random.default_rng(0)).mean
        0.5
    """
    effects, delta = np.asarray(effects, float), np.asarray(delta, float)
    effects = effects.mean(axis=1) if effects.ndim == 2 else effects
    if delta.ndim != 1 or effects.shape != delta.shape or not len(delta):
        raise ValueError(f"effects {effects.shape} and Delta {delta.shape} must have one value a case")
    if not delta.any():
        raise ValueError("Delta is 0 in every case: the adapter does nothing, so no share of it is defined")
    return bootstrap_ratio(effects, delta, rng=rng)


def set_effects(games: Sequence[Game], sets: Sequence[Sequence[int]], *, unit: str = "module") -> np.ndarray:
    """v_tuned - v(the set off): (cases, sets), nats. sets: numbers of units, see `ModuleGame`. One batch a case.

    Examples:
        >>> from workbench.game.case_game import example_game
        >>> games = [example_game()]
        >>> set_effects(games, [[0], [0, 1]], unit="projection").shape  # a case, two sets
        (1, 2)
    """
    plays = (ModuleGame(game, unit=unit) for game in games)
    return np.array([losses(play, play.n, sets) for play in plays])


def differences(games: Sequence[Game]) -> np.ndarray:
    """Delta = v_tuned - v_base of the whole graph: (cases,), nats.

    Examples:
        >>> from workbench.game.case_game import example_game
        >>> games = [example_game()]
        >>> differences(games).tolist()  # nothing was trained yet
        [0.0]
    """
    ends = np.array([[1.0], [0.0]])
    return np.array([np.subtract(*(play := ModuleGame(game))(np.repeat(ends, play.n, axis=1))) for game in games])


def interactions(games: Sequence[Game], modules: Sequence[int], *, unit: str = "module") -> np.ndarray:
    """v(both off) - v(one off) - v(other off) + v(on) of every two of the modules: (cases, k, k), nats, 0 diagonal.

    Below 0: together they take away more than the sum of each alone (either can stand in for the other); above 0:
    less, they work through one another.

    Examples:
        >>> from workbench.game.case_game import example_game
        >>> games = [example_game()]
        >>> interactions(games, [0, 1], unit="projection").shape
        (1, 2, 2)
    """
    k = len(modules)
    pairs = list(combinations(range(k), 2))
    out = np.zeros((len(games), k, k))
    sets = [[m] for m in modules] + [[modules[i], modules[j]] for i, j in pairs]
    effects = set_effects(games, sets, unit=unit)  # what goes: v(on) - v(off)
    for (i, j), both in zip(pairs, effects[:, k:].T, strict=True):
        out[:, i, j] = out[:, j, i] = effects[:, i] + effects[:, j] - both
    return out


def top_units(scores: np.ndarray, part: float) -> list[int]:
    """The `part` of the units with the highest scores (units,), rounded to the nearest number, at least one.

    Examples:
        >>> sorted(top_units(np.array([0.1, 0.9, 0.5, 0.7]), 0.5))
        [1, 3]
    """
    if not 0 < part <= 1:
        raise ValueError(f"part must lie in (0, 1], not {part!r}")
    count = max(1, int(np.floor(part * len(scores) + 0.5)))
    return np.argsort(-np.asarray(scores, float), kind="stable")[:count].tolist()


def removals(
    games: Sequence[Game],
    delta: np.ndarray,
    sets: Iterable[tuple[str, float]],
    by: Mapping[str, Mapping[str, np.ndarray]],
    *,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Share of Delta that goes when the leading units are switched off together, beside random sets of as many
    parameters as the first of them (mean over eight).

    delta: of `differences`. sets: unit, of `game.UNITS`, and share of the units. by: what they lead in -> unit ->
    scores (units,). Columns: `unit, share, off, of, by`, then those of `delta_share`.

    Examples:
        >>> from workbench.game.case_game import example_game
        >>> how = {"delta": np.ones(1), "sets": [("projection", 0.5)], "rng": np.random.default_rng(0)}
        >>> found = removals([example_game()], by={"norm": {"projection": np.array([2.0, 1.0])}}, **how)
        >>> found[["unit", "off", "of", "by"]].values.tolist()
        [['projection', 1, 2, 'norm'], ['projection', 1, 2, 'random']]
    """
    rows = []
    for unit, share in sets:
        sizes = ModuleGame(games[0], unit=unit).parameters
        leading = [top_units(scores[unit], share) for scores in by.values()]
        alike = random_sets(sizes, leading[0], draws=8, rng=rng)
        effects = set_effects(games, [*leading, *alike], unit=unit)
        place = {"unit": CALLED.get(unit, unit), "share": share, "off": len(leading[0]), "of": len(sizes)}
        for name, some in zip((*by, "random"), (*effects.T[: len(by)], effects[:, len(by) :]), strict=True):
            rows.append(place | {"by": name} | delta_share(some, delta, rng=rng)._asdict())
    return pd.DataFrame(rows)


def random_sets(
    parameters: np.ndarray, like: Sequence[int], *, draws: int, rng: np.random.Generator
) -> list[list[int]]:
    """Up to `draws` unlike random sets of units that hold as many parameters as `like`, to 2 %; never `like` itself.

    parameters: (units,) numbers each unit holds. Where units are few and of unlike sizes, sets that come nearest to as
    many without all of `like`; where that is every unit there is, itself.

    Examples:
        >>> sets = random_sets(np.array([8, 8, 8, 8]), [0, 1], draws=2, rng=np.random.default_rng(0))
        >>> [len(one) for one in sets], [0, 1] in [sorted(one) for one in sets]
        ([2, 2], False)
    """
    sizes = np.asarray(parameters)
    wanted, found, misses = sizes[list(like)].sum(), {}, {}
    for _ in range(TRIES * draws):
        chosen, total = [], 0
        order = rng.permutation(len(sizes)).tolist()
        for unit in order:
            if total + sizes[unit] <= wanted * (1 + TOLERANCE):
                chosen.append(unit)
                total += sizes[unit]
        key = tuple(sorted(chosen))
        if total >= wanted * (1 - TOLERANCE) and set(key) != set(like):
            found[key] = list(key)
        if len(found) == draws:
            break
        enough = int(np.searchsorted(np.cumsum(sizes[order]), wanted))  # units until as many are reached
        for some in (chosen, order[:enough], order[: enough + 1]):
            if some and not set(like) <= set(some):
                misses[tuple(sorted(some))] = abs(sizes[some].sum() - wanted)
    if not found:
        misses = misses or {tuple(like): 0}
        found = {key: list(key) for key, miss in misses.items() if miss == min(misses.values())}
    return list(found.values())[:draws]
