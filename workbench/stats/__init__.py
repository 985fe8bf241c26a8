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
from workbench.stats.permutation import (
    STATISTICS,
    benjamini_hochberg,
    deal,
    dealt_correlations,
    holm,
    partial,
    permutation_p,
    rank_correlations,
)
from workbench.stats.ranks import (
    SHARES,
    auroc,
    comprehensiveness,
    lds,
    ranking,
    spearman,
    top_k_drop,
)
