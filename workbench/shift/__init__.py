"""Where an adapter sits: the size and shape of its change of weights, and what it adds to the tokens of a prompt."""

from workbench.shift.agreement import measures_of, rank_agreement, separation, side_by_side, spearman
from workbench.shift.factors import AdapterError, Factors, read_factors
from workbench.shift.spectrum import (
    effective_rank,
    frobenius_norm,
    growth,
    random_spectra,
    singular_values,
    spectra,
    spectral_norm,
    stable_rank,
)
from workbench.shift.tokens import element_tokens, token_shift

__all__ = [
    "AdapterError",
    "Factors",
    "effective_rank",
    "element_tokens",
    "frobenius_norm",
    "growth",
    "measures_of",
    "random_spectra",
    "rank_agreement",
    "read_factors",
    "separation",
    "side_by_side",
    "singular_values",
    "spearman",
    "spectra",
    "spectral_norm",
    "stable_rank",
    "token_shift",
]
