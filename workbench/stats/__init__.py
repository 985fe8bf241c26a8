"""Statistics of explanations: intervals and tests, faithfulness measures, agreement with planted truth."""

from workbench.stats.cell import Cell, cell
from workbench.stats.erasure import (
    SHARES,
    area,
    comprehensiveness,
    deletion_curve,
    insertion_curve,
    ranking,
    sufficiency,
    top_k_drop,
)
from workbench.stats.fidelity import Fidelity, characterisation, fidelity, flip_fidelity
from workbench.stats.graphs import Edits, case_edits, graph_edits, reordered, with_ends
from workbench.stats.intervals import (
    Interval,
    MedianInterval,
    PairedDifference,
    Proportion,
    bootstrap_mean,
    bootstrap_ratio,
    median_interval,
    paired_difference,
    proportion,
    wilson,
)
from workbench.stats.linear import lds, spearman
from workbench.stats.multiple import benjamini_hochberg, holm
from workbench.stats.oracle import draw_masks, per_token, probability
from workbench.stats.permutation import (
    STATISTICS,
    deal,
    dealt_correlations,
    partial,
    permutation_p,
    rank_correlations,
)
from workbench.stats.ranks import auroc, average_precision, kendall_stability, recall
from workbench.stats.shapley import all_masks, shapley_values
from workbench.stats.soft import (
    RETENTIONS,
    expected_drop,
    hellinger_drop,
    keep_probabilities,
    soft_comprehensiveness,
    soft_sufficiency,
    value_drop,
)

__all__ = [
    "RETENTIONS",
    "SHARES",
    "STATISTICS",
    "Cell",
    "Edits",
    "Fidelity",
    "Interval",
    "MedianInterval",
    "PairedDifference",
    "Proportion",
    "all_masks",
    "area",
    "auroc",
    "average_precision",
    "benjamini_hochberg",
    "bootstrap_mean",
    "bootstrap_ratio",
    "case_edits",
    "cell",
    "characterisation",
    "comprehensiveness",
    "deal",
    "dealt_correlations",
    "deletion_curve",
    "draw_masks",
    "expected_drop",
    "fidelity",
    "flip_fidelity",
    "graph_edits",
    "hellinger_drop",
    "holm",
    "insertion_curve",
    "keep_probabilities",
    "kendall_stability",
    "lds",
    "median_interval",
    "paired_difference",
    "partial",
    "per_token",
    "permutation_p",
    "probability",
    "proportion",
    "rank_correlations",
    "ranking",
    "recall",
    "reordered",
    "shapley_values",
    "soft_comprehensiveness",
    "soft_sufficiency",
    "spearman",
    "sufficiency",
    "top_k_drop",
    "value_drop",
    "wilson",
    "with_ends",
]
