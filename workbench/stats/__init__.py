"""Statistics of explanations: intervals and tests, faithfulness measures, agreement with planted truth."""

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
from workbench.stats.ranks import (
    SHARES,
    STATISTICS,
    auroc,
    benjamini_hochberg,
    comprehensiveness,
    deal,
    dealt_correlations,
    holm,
    lds,
    partial,
    permutation_p,
    rank_correlations,
    ranking,
    spearman,
    top_k_drop,
)
