"""Where an adapter sits: the size and shape of its change of weights, and what it adds to the tokens of a prompt."""

from workbench.models.adapter_folder import AdapterError, Factors, read_factors
from workbench.shift.base import base_shares, base_weights
from workbench.shift.element_measures import (
    by_element,
    by_entity,
    by_group,
    element_layers,
    element_rows,
    masks_by_case,
    measures_of,
    over_cases,
    saliency_shift,
    separation,
    with_measures,
)
from workbench.shift.intruders import Intruders, at_threshold, intruders_beside
from workbench.shift.measures import MEASURES, Measurement, as_records, write_tables
from workbench.shift.reduced import factors_of, part_energies, reduced, save_adapter, singular_parts, to_singular_parts
from workbench.shift.response import contests, dose_effects, dose_path, dose_values
from workbench.shift.saliency import (
    by_unit,
    carried,
    cheap_scores,
    first_order,
    gain_shares,
    module_saliency,
    over_parts,
)
from workbench.shift.smallest import SmallestPart, exact_at, kept_accuracy, ladder, smallest_part
from workbench.shift.spectrum import (
    Directions,
    checkpoints,
    directions,
    effective_rank,
    energy,
    frobenius_norm,
    random_factors,
    random_spectra,
    singular_values,
    spectra,
    spectral_norm,
    stable_rank,
)
from workbench.shift.subspaces import compare, drift, overlap, principal_angles, update_cosine
from workbench.shift.switches import (
    delta_share,
    differences,
    interactions,
    looked_into,
    random_sets,
    removals,
    set_effects,
    switch_effects,
    switch_shares,
    top_units,
)
from workbench.shift.tokens import element_tokens, token_shift
from workbench.shift.validity import agreement_tests, causal_check, deletions
