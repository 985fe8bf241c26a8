"""A difference attributed to the elements: what of v_tuned - v_base is due to which node and which fact.

Both forms work on any oracle `game(keep (m, n) bool) -> (m,)`; with `workbench.game.Difference` they say what tuning
changed. Where the two models are one, every value is 0, and so is every score, exactly.
"""

from __future__ import annotations

import numpy as np

from workbench.explain.attribution import Attribution, attribution
from workbench.explain.features import Features
from workbench.explain.surrogate import completed, fit
from workbench.meter import Meter, Oracle
from workbench.stats import all_masks, draw_masks, shapley_values

EXACT_UP_TO = 12  # elements: all 4096 masks are asked


def linear_surrogate(
    game: Oracle,
    n: int,
    *,
    rng: np.random.Generator,
    masks: int | np.ndarray = 256,
    held_out: int = 64,
    keep: float | np.ndarray | None = None,
    features: Features | None = None,
    penalty: str = "ridge",
    alpha: float | None = None,
) -> Attribution:
    """A linear model of the game, fitted on random masks and tried on others (as ContextCite, Cohen-Wang et al. 2024).

    masks: how many, or the masks (m, n) themselves. keep: chance of an element to stay in the masks drawn; None: so
    large that half of them show a feature. features: what is fitted on, the elements when not given; scores are the
    model's exact Shapley values, see `Features`. penalty: `ridge` or `lasso`, of strength alpha, see `surrogate.fit`.
    The line is made complete, see `surrogate.completed`. For the elements of a case, `Features.of_facts(case)` is best:
    all that the model sees of a mask is which facts are left.

    Costs masks + held_out + 2 rows, asked together, fewer where masks repeat. ValueError: features of another n, or see
    `surrogate.fit`.
    """
    columns = features or Features.of_elements(n)
    if columns.n != n:
        raise ValueError(f"features are of {columns.n} elements, the game is of {n}; make them for the same case")
    stay = columns.half if keep is None else keep
    seen = draw_masks(masks, n, rng=rng, keep=stay) if isinstance(masks, int) else np.asarray(masks, dtype=bool)
    unseen = draw_masks(held_out, n, rng=rng, keep=stay)
    meter = Meter(game, n)
    values = meter(np.vstack([np.ones((1, n), bool), np.zeros((1, n), bool), seen, unseen]))
    difference, (fitted, tried) = values[0] - values[1], np.split(values[2:], [len(seen)])
    design = columns(seen)
    slopes = fit(design, fitted, penalty=penalty, alpha=alpha)
    whole = completed(slopes, difference)
    return attribution(
        f"linear, {penalty}",
        columns,
        whole,
        fitted.mean() - design.mean(axis=0) @ whole,
        difference=difference,
        held_out=(unseen, tried),
        calls=meter.calls,
        ledger=meter.ledger,
        gap=float(difference - slopes.sum()),
    )


def shapley(
    game: Oracle,
    n: int,
    *,
    permutations: int | None = None,
    rng: np.random.Generator | None = None,
    held_out: int = 64,
    keep: float | np.ndarray = 0.5,
) -> Attribution:
    """Shapley values: an element's gain when it comes, mean over all orders of coming (Shapley 1953).

    permutations: how many orders are drawn (Castro et al. 2009), rounded up to an even number, since every order is
    walked backwards too, which cancels much of the noise (Mitchell et al. 2022). None: all masks, up to 12 elements;
    the result is then exact, and tried on all of them. Walks telescope: scores are complete however few there are.
    held_out, keep: how many masks the scores are tried on, and the chance of an element to stay in them.

    Costs permutations (n - 1) + held_out + 2 rows, asked together, fewer where masks repeat.
    ValueError: more than 12 elements and no permutations, or permutations and no rng.
    """
    if permutations is None:
        return exact_shapley(game, n)
    if permutations < 1 or rng is None:
        raise ValueError(f"permutations must be 1 or more, drawn with rng, not {permutations!r} with {rng!r}")
    half = np.array([rng.permutation(n) for _ in range((permutations + 1) // 2)])
    orders = np.stack([half, half[:, ::-1]], axis=1).reshape(-1, n)
    walks = np.argsort(orders, axis=1)[:, None, :] < np.arange(n + 1)[:, None]  # (orders, n + 1, n): the first k kept
    unseen = draw_masks(held_out, n, rng=rng, keep=keep)
    meter = Meter(game, n)
    values, tried = np.split(meter(np.vstack([walks.reshape(-1, n), unseen])), [len(orders) * (n + 1)])
    scores, stderr = mean_gains(values.reshape(-1, n + 1), orders)
    return attribution(
        "shapley, sampled",
        Features.of_elements(n),
        scores,
        values[0],
        difference=values[n] - values[0],
        held_out=(unseen, tried),
        calls=meter.calls,
        ledger=meter.ledger,
        stderr=stderr,
    )


def exact_shapley(game: Oracle, n: int) -> Attribution:
    """Shapley values from all 2^n masks, 12 elements at most (ValueError)."""
    if n > EXACT_UP_TO:
        raise ValueError(
            f"all masks are asked of {EXACT_UP_TO} elements at most, not of {n}; give permutations and rng"
        )
    masks = all_masks(n)
    meter = Meter(game, n)
    values = meter(masks)
    return attribution(
        "shapley, exact",
        Features.of_elements(n),
        shapley_values(values),
        values[0],
        difference=values[-1] - values[0],
        held_out=(masks, values),
        calls=meter.calls,
        ledger=meter.ledger,
        stderr=np.zeros(n),
    )


def mean_gains(values: np.ndarray, orders: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """Mean gain (n,) of every element over walks, and its standard error over pairs of walks (None: one pair).

    values (walks, n + 1): with none, one, ... all elements. orders (walks, n): who came when; a walk and the same
    backwards stand together.
    """
    gains = np.empty(orders.shape)
    np.put_along_axis(gains, orders, np.diff(values, axis=1), axis=1)
    pairs = gains.reshape(-1, 2, orders.shape[1]).mean(axis=1)
    stderr = pairs.std(axis=0, ddof=1) / np.sqrt(len(pairs)) if len(pairs) > 1 else None
    return pairs.mean(axis=0), stderr
