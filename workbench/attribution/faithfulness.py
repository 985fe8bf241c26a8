"""How faithful the scores of methods are to the model: measures by removal, case by case, beside scores by chance."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from workbench.attribution.method import METHODS
from workbench.attribution.result import Features, inner
from workbench.cases import Case
from workbench.game import Engine, Game, Restricted
from workbench.stats import bootstrap_mean, comprehensiveness, lds, paired_difference, ranking, top_k_drop
from workbench.stats.intervals import ANYWHERE

MEASURES = ("top_k_drop", "comprehensiveness", "lds")
COSTS = ("prompts", "backward_passes")
CONTROL = "random"


def faithfulness(
    engine: Engine,
    cases: Sequence[Case],
    methods: Sequence[str],
    *,
    seed: int = 0,
    k: int = 3,
    masks: int = 64,
    draws: int = 5,
    settings: Mapping[str, Mapping] | None = None,
    max_new_tokens: int = 32,
    progress: Callable[[str], None] | None = None,
) -> list[dict]:
    """A row for each case and method: `case`, `method`, the measures of `measured`, what it cost, and the control's.

    Scores are of the log-probability (nats) of the tuned model's answer. `prompts`: prompts the engine read for the
    scores, masks that show the same facts once; `backward_passes`. `control`: measure -> that of scores by chance, mean
    of `draws`, the same for all methods of a case. settings: method -> what it is called with beside game and rng.
    progress: called with each method's name. ValueError: a method that is unknown or needs a reference set, fewer than
    2 masks, no draws, or k below 1; no model was asked.
    """
    if masks < 2 or draws < 1 or k < 1:
        raise ValueError(f"masks must be 2 or more, draws and k 1 or more, not {masks!r}, {draws!r}, {k!r}")
    bad = [name for name in methods if name not in METHODS or "reference" in METHODS[name].needs]
    if bad:
        raise ValueError(f"{bad[0]!r} is no method that scores a case by itself; there are {', '.join(METHODS)}")
    rows = []
    for case in cases:
        game = Game.of(engine, case, max_new_tokens=max_new_tokens)
        rng = np.random.default_rng(seed)
        chance = [measured(game, rng.random(game.n), seed=seed, k=k, masks=masks) for _ in range(draws)]
        control = {name: float(np.mean([one[name] for one in chance])) for name in MEASURES}
        for name in dict.fromkeys(methods):
            if name == CONTROL:
                continue
            scores, cost = scored(game, name, seed=seed, **(settings or {}).get(name, {}))
            row = {"case": case.id, "method": name, **measured(game, scores, seed=seed, k=k, masks=masks), **cost}
            rows.append(row | {"control": control})
            if progress:
                progress(name)
    return rows


def scored(game: Game, name: str, *, seed: int = 0, **settings) -> tuple[np.ndarray, dict[str, int]]:
    """A method's scores (n,) of a case, and what it cost when nothing is known beforehand."""
    fresh = Game(game.engine, game.case, game.answer, form=game.form, max_new_tokens=game.max_new_tokens)
    with game.engine.known.left_out():
        found = METHODS[name](fresh, rng=np.random.default_rng(seed), **settings)
    return found.scores, {"prompts": found.ledger.rows, "backward_passes": found.ledger.backward_passes}


def measured(
    game: Game | Restricted,
    scores: np.ndarray,
    *,
    seed: int = 0,
    k: int = 3,
    masks: int = 64,
    keep: float | np.ndarray | None = None,
) -> dict[str, float]:
    """Top-k drop and comprehensiveness, nats, and the linear datamodelling score, all high where scores are faithful.

    Ties are broken at random. Scores without order foretell nothing: their lds is 0. The same seed, the same masks,
    which are held out: not the numbers that a method drew its own from. keep: chance of an element to stay in them;
    None: so that half of the facts of the game's case stay.
    """
    order = ranking(scores, rng=np.random.default_rng(seed))
    stay = Features.of_facts(inner(game).case).half if keep is None else keep
    foretold = lds(game, scores, rng=np.random.default_rng([seed, 1]), masks=masks, keep=stay)
    return {
        "top_k_drop": top_k_drop(game, order, min(k, len(order))),
        "comprehensiveness": comprehensiveness(game, order),
        "lds": 0.0 if np.isnan(foretold) else foretold,
    }


def cells(rows: Sequence[Mapping], *, seed: int = 0) -> dict[str, dict[str, dict]]:
    """method -> measure -> {mean, low, high, n, interval, difference}, `interval` how it was made, `difference` the
    paired one to the control, {mean, low, high, n, p}, None of costs; and the control itself.
    """
    groups: dict[str, list[Mapping]] = {}
    for row in rows:
        groups.setdefault(row["method"], []).append(row)
    table = {name: _line(group, seed=seed) for name, group in groups.items()}
    if rows:
        chance = [row["control"] | dict.fromkeys(COSTS, 0) for row in next(iter(groups.values()))]
        table[CONTROL] = _line([row | {"control": None} for row in chance], seed=seed)
    return table


def _line(group: Sequence[Mapping], *, seed: int) -> dict[str, dict]:
    line = {}
    for name in (*MEASURES, *COSTS):
        values, rng = [row[name] for row in group], np.random.default_rng(seed)
        mean = bootstrap_mean(values, rng=rng, within=(-1, 1) if name == "lds" else ANYWHERE)
        line[name] = {**mean._asdict(), "interval": "bootstrap-t", "difference": None}
        if name in MEASURES and group[0]["control"]:
            chance = [row["control"][name] for row in group]
            line[name]["difference"] = paired_difference(values, chance, rng=rng)._asdict()
    return line
