"""ContextCite: a sparse linear model of the value in the masks (Cohen-Wang, Shah, Georgiev, Madry 2024)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from workbench.cases import Case
from workbench.peers.oracle import Oracle, answer_tokens, inner

NEAREST_ZERO = -1e-7  # nats: a log-probability of 0 in float32 is known no better, and its logit is not finite


class Surrogate(NamedTuple):
    """f(z) is about weights @ z + bias."""

    weights: np.ndarray  # (n,) float64
    bias: float

    def __call__(self, keep: np.ndarray) -> np.ndarray:
        """Predicted targets (m,) of masks (m, n)."""
        return np.asarray(keep, dtype=float) @ self.weights + self.bias


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
    """Weights of the surrogate: the change of the target when element i is there. `masks` rows.

    keep: probability that a mask keeps an element. target: `logit` of the answer's probability, or the plain `value`;
    None: `logit` where the game is one of log-probabilities.
    """
    if masks < 2 or not 0 < keep < 1:
        raise ValueError(f"masks must be 2 or more and keep in (0, 1), not {masks!r} and {keep!r}")
    check_target(target)
    drawn = rng.random((masks, game.n)) < keep
    values = np.asarray(game(drawn), dtype=float)
    tokens = answer_tokens(game)
    return fit_surrogate(drawn, targets(game, values, target), tokens=tokens, alpha=alpha).weights


def check_target(target: str | None) -> None:
    """ValueError: no such target."""
    if target not in (None, "logit", "value"):
        raise ValueError(f"target must be 'logit' or 'value', not {target!r}")


def targets(game: Oracle, values: np.ndarray, target: str | None = None) -> np.ndarray:
    """What the surrogate is fitted to, (m,): see `context_cite`. ValueError: an unknown target."""
    check_target(target)
    if target is None:
        target = "logit" if getattr(inner(game), "form", None) == "logprob" else "value"
    return logit_of_logprob(values) if target == "logit" else values


def logit_of_logprob(logprob: np.ndarray) -> np.ndarray:
    """log p - log(1 - p) from log p in nats, without leaving the log domain. ValueError: a log p above 0.

    Summed over tokens, log sigma(x_y - logsumexp of the other logits) is log p(y): the token logits of the paper need
    not be kept apart.
    """
    if (logprob > 0).any():
        raise ValueError(f"log-probabilities must be 0 or less, not {float(logprob.max())!r}; use target='value'")
    x = np.minimum(logprob, NEAREST_ZERO)
    return x - np.where(x > -np.log(2), np.log(-np.expm1(x)), np.log1p(-np.exp(x)))


def fit_surrogate(keep: np.ndarray, target: np.ndarray, *, tokens: int = 1, alpha: float = 0.01) -> Surrogate:
    """LASSO of target / tokens on standardised mask columns, penalty alpha on (1 / 2m) squares, scaled back."""
    from sklearn.linear_model import Lasso

    columns = np.asarray(keep, dtype=float)
    mean, spread = columns.mean(0), columns.std(0)
    spread[spread == 0] = 1  # a column without variance keeps the weight 0
    model = Lasso(alpha=alpha, max_iter=10_000).fit((columns - mean) / spread, target / tokens)
    weights = model.coef_ / spread
    return Surrogate(weights * tokens, float((model.intercept_ - mean @ weights) * tokens))
