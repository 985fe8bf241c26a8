"""Statistics of explanations: intervals and tests, faithfulness measures, agreement with planted truth."""

from workbench.stats.cell import Cell, cell
from workbench.stats.erasure import SHARES, comprehensiveness, ranking, top_k_drop
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
from workbench.stats.permutation import (
    STATISTICS,
    deal,
    dealt_correlations,
    partial,
    permutation_p,
    rank_correlations,
)
from workbench.stats.ranks import auroc, kendall_stability

__all__ = [
    "SHARES",
    "STATISTICS",
    "Cell",
    "Interval",
    "MedianInterval",
    "PairedDifference",
    "Proportion",
    "auroc",
    "benjamini_hochberg",
    "bootstrap_mean",
    "bootstrap_ratio",
    "cell",
    "comprehensiveness",
    "deal",
    "dealt_correlations",
    "holm",
    "kendall_stability",
    "lds",
    "median_interval",
    "paired_difference",
    "partial",
    "permutation_p",
    "proportion",
    "rank_correlations",
    "ranking",
    "spearman",
    "top_k_drop",
    "wilson",
]
