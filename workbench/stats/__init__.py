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
