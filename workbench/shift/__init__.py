"""Where an adapter sits: the size and shape of its change of weights, and what it adds to the tokens of a prompt."""

from workbench.shift.agreement import (
    as_records,
    case_correlations,
    masks_by_case,
    measures_of,
    rank_agreement,
    separation,
    side_by_side,
    spearman,
)
from workbench.shift.factors import AdapterError, Factors, read_factors
from workbench.shift.groups import (
    by_element,
    by_entity,
    by_group,
    element_layers,
    element_name,
    saliency_shift,
)
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
    "as_records",
    "by_element",
    "by_entity",
    "by_group",
    "case_correlations",
    "effective_rank",
    "element_layers",
    "element_name",
    "element_tokens",
    "frobenius_norm",
    "growth",
    "masks_by_case",
    "measures_of",
    "random_spectra",
    "rank_agreement",
    "read_factors",
    "saliency_shift",
    "separation",
    "side_by_side",
    "singular_values",
    "spearman",
    "spectra",
    "spectral_norm",
    "stable_rank",
    "token_shift",
]
