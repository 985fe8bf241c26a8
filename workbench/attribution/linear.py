"""Linear models of a game's values in its masks: a ridge line with free strength, and ContextCite's lasso."""

from __future__ import annotations

import numpy as np

from workbench.attribution.result import Attribution, Features, Oracle, answer_tokens, attribution, inner
from workbench.cases import Case
from workbench.stats.games import Meter, draw_masks

STRENGTHS = np.logspace(-3, 3, 13)  # of the ridge penalty; columns are 0 and 1, and not scaled
NEAREST_ZERO = -1e-7  # nats: a log-probability of 0 in float32 is known no better, and its logit is not finite


def linear_surrogate(
    game: Oracle,
    n: int,
    *,
    rng: np.random.Generator,
    masks: int | np.ndarray = 256,
    held_out: int = 64,
    keep: float | np.ndarray | None = None,
    features: Features | None = None,
    alpha: float | None = None,
) -> Attribution:
    """A linear model of the game, fitted on random masks and tried on others (as ContextCite, Cohen-Wang et al. 2024).

    masks: how many, or the masks (m, n) themselves. keep: chance of an element to stay in the masks drawn; None: so
    large that half of them show a feature. features: what is fitted on, the elements when not given; scores are the
    model's exact Shapley values, see `Features`. alpha: strength of the ridge penalty, see `fit`.
    The line is made complete, see `completed`. For the elements of a case, `Features.of_facts(case)` is best: all that
    the model sees of a mask is which facts are left.

    Costs masks + held_out + 2 rows, asked together, fewer where masks repeat. ValueError: features of another n, or see
    `fit`.

    Examples:
        >>> def game(keep):
        ...     return keep @ np.array([2.0, 1.0, 0.0])
        >>> found = linear_surrogate(game, 3, rng=np.random.default_rng(0), masks=32, held_out=8, alpha=1e-9)
        >>> np.abs(found.scores.round(3)).tolist()
        [2.0, 1.0, 0.0]
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
    slopes = fit(design, fitted, alpha=alpha)
    whole = completed(slopes, difference)
    return attribution(
        "linear, ridge",
        columns,
        whole,
        fitted.mean() - design.mean(axis=0) @ whole,
        difference=difference,
        held_out=(unseen, tried),
        meter=meter,
        gap=float(difference - slopes.sum()),
    )


def fit(design: np.ndarray, values: np.ndarray, *, alpha: float | None = None) -> np.ndarray:
    """Slopes (columns,) of values (m,) on a design (m, columns) of 0 and 1, by ridge regression; the intercept is free.

    alpha: strength in scikit-learn's scale; None: leave-one-out over 13 strengths. Constant values have slopes of
    exactly 0. ValueError: too few masks.

    Examples:
        >>> design = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], float)
        >>> fit(design, 1 + design @ [2.0, -1.0], alpha=1e-9).round(4).tolist()
        [2.0, -1.0]
    """
    if len(values) < (least := 5 if alpha is None else 2):
        raise ValueError(f"a line needs {least} or more masks to be fitted on, not {len(values)}")
    if np.ptp(values) == 0:
        return np.zeros(design.shape[1])
    from sklearn.linear_model import Ridge, RidgeCV  # a second, which most starts do not need

    model = RidgeCV(STRENGTHS) if alpha is None else Ridge(alpha)
    return np.asarray(model.fit(design, values).coef_, dtype=float)


def completed(slopes: np.ndarray, difference: float) -> np.ndarray:
    """Slopes that add up to `difference`: what they lack is added in proportion to their size.

    So no column that had nothing gets something. Where all have nothing, the line says nothing of who is behind the
    difference, and all get the same.

    Examples:
        >>> completed(np.array([3.0, 1.0]), 8.0).tolist()
        [6.0, 2.0]
    """
    size = np.abs(slopes) if slopes.any() else np.ones(len(slopes))
    return slopes + (difference - slopes.sum()) * size / size.sum()


def context_cite(
    game: Oracle,
    case: Case | None = None,
    *,
    rng: np.random.Generator,
    masks: int = 64,
    alpha: float = 0.01,
    keep: float = 0.5,
    target: str | None = None,
) -> np.ndarray:
    """Weights (n,) of a sparse line: the change of the target when element i is there. `masks` rows.

    keep: probability that a mask keeps an element. target: `logit` of the answer's probability, or the plain `value`;
    None: `logit` where the game is one of log-probabilities. Source: Cohen-Wang, Shah, Georgiev, Madry 2024.
    """
    if target not in (None, "logit", "value"):
        raise ValueError(f"target must be 'logit' or 'value', not {target!r}")
    if masks < 2 or not 0 < keep < 1:
        raise ValueError(f"masks must be 2 or more and keep in (0, 1), not {masks!r} and {keep!r}")
    drawn = draw_masks(masks, game.n, rng=rng, keep=keep)
    values = np.asarray(game(drawn), dtype=float)
    logit = target == "logit" or (target is None and getattr(inner(game), "form", None) == "logprob")
    wanted = logit_of_logprob(values) if logit else values
    return fit_surrogate(drawn, wanted, tokens=answer_tokens(game), alpha=alpha).scores


def fit_surrogate(keep: np.ndarray, target: np.ndarray, *, tokens: int = 1, alpha: float = 0.01) -> Attribution:
    """ContextCite's line on masks (m, n): the lasso of target / tokens on standardised columns, of penalty alpha on
    (1 / 2m) squares, scaled back. A column without variance, and every one of a constant target, has the weight 0.

    Examples:
        >>> keep = np.random.default_rng(0).random((64, 3)) < 0.5
        >>> np.abs(fit_surrogate(keep, keep @ np.array([4.0, 0.0, 0.0])).scores.round(1)).tolist()
        [4.0, 0.0, 0.0]
    """
    columns = np.asarray(keep, dtype=float)
    if len(columns) < 2:
        raise ValueError(f"a line needs 2 or more masks, not {len(columns)}")
    weights, spread, each = np.zeros(columns.shape[1]), columns.std(0), target / tokens
    spread[spread == 0] = 1
    if np.ptp(each):
        from sklearn.linear_model import Lasso  # as above

        line = Lasso(alpha, max_iter=20_000).fit((columns - columns.mean(0)) / spread, each)
        weights = tokens * (np.asarray(line.coef_, dtype=float) / spread)
    return Attribution("context_cite", weights, intercept=float(target.mean() - columns.mean(0) @ weights))


def logit_of_logprob(logprob: np.ndarray) -> np.ndarray:
    """log p - log(1 - p) from log p in nats, without leaving the log domain. ValueError: a log p above 0.

    Summed over tokens, log sigma(x_y - logsumexp of the other logits) is log p(y): the token logits of the paper need
    not be kept apart.

    Examples:
        >>> logit_of_logprob(np.log([0.5, 0.9])).round(4).tolist()
        [0.0, 2.1972]
    """
    if (logprob > 0).any():
        raise ValueError(f"log-probabilities must be 0 or less, not {float(logprob.max())!r}; use target='value'")
    x = np.minimum(logprob, NEAREST_ZERO)
    return x - np.where(x > -np.log(2), np.log(-np.expm1(x)), np.log1p(-np.exp(x)))
