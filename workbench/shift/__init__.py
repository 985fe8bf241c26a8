"""Where an adapter sits: the size and shape of its change of weights, and what it adds to the tokens of a prompt."""

from workbench.shift.agreement import (
    as_records,
    element_rows,
    masks_by_case,
    measures_of,
    separation,
    side_by_side,
    with_measures,
)
from workbench.shift.base import base_weights
from workbench.shift.causal import causal_check, deletions
from workbench.shift.factors import Adapter, AdapterError, Factors, read_factors
from workbench.shift.groups import (
    by_element,
    by_entity,
    by_group,
    element_layers,
    element_name,
    saliency_shift,
)
from workbench.shift.intruders import Intruders, intruder_dimensions
from workbench.shift.measures import MEASURES, Measurement
from workbench.shift.pairs import agreement_tests, case_correlations, rank_agreement
from workbench.shift.share import base_shares
from workbench.shift.spectrum import (
    Directions,
    checkpoints,
    directions,
    effective_rank,
    energy,
    frobenius_norm,
    growth,
    random_factors,
    random_spectra,
    singular_values,
    spectra,
    spectral_norm,
    stable_rank,
)
from workbench.shift.subspaces import compare, overlap, principal_angles, update_cosine
from workbench.shift.tokens import element_tokens, token_shift
from workbench.shift.training import drift

__all__ = [
    "MEASURES",
    "Adapter",
    "AdapterError",
    "Directions",
    "Factors",
    "Intruders",
    "Measurement",
    "agreement_tests",
    "as_records",
    "base_shares",
    "base_weights",
    "by_element",
    "by_entity",
    "by_group",
    "case_correlations",
    "causal_check",
    "checkpoints",
    "compare",
    "deletions",
    "directions",
    "drift",
    "effective_rank",
    "element_layers",
    "element_name",
    "element_rows",
    "element_tokens",
    "energy",
    "frobenius_norm",
    "growth",
    "intruder_dimensions",
    "masks_by_case",
    "measures_of",
    "overlap",
    "principal_angles",
    "random_factors",
    "random_spectra",
    "rank_agreement",
    "read_factors",
    "saliency_shift",
    "separation",
    "side_by_side",
    "singular_values",
    "spectra",
    "spectral_norm",
    "stable_rank",
    "token_shift",
    "update_cosine",
    "with_measures",
]
