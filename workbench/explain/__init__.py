"""Explaining an answer by the smallest change of the graph: masks, counterfactuals, metrics, baselines."""

from workbench.explain.baselines import BASELINES, CERTIFIED, LEARNED, METHODS, ExplainConfig
from workbench.explain.changed import ChangedSets, changed_sets
from workbench.explain.compare import (
    UNTIL_FLIP,
    OtherOrders,
    against,
    by_case,
    explain,
    order_shares,
    other_orders,
    records,
    summarise,
)
from workbench.explain.counterfactual import (
    FLAGS,
    Change,
    Element,
    Explanation,
    certified_change,
    first_flips,
    load,
    removed_elements,
    save,
    verified_changes,
    without,
)
from workbench.explain.masks import Masks, learn_masks, loop_masks, paper_masks
from workbench.explain.metrics import (
    METRICS,
    LoopDivergence,
    TextDivergence,
    cosine,
    edit_distance,
    jaccard,
    jensen_shannon,
    path_overlap,
)
from workbench.explain.session import Session
from workbench.explain.sets import (
    ElementSet,
    disjoint_pairs,
    diverse_flip_sets,
    minimal_flip_set,
    minimal_sufficient_set,
)
from workbench.explain.sets.minimal import smallest_flip_set
from workbench.explain.terms import PRESETS, TERMS, Layout, Sample, Term, Weights, contributions, evaluate, total
from workbench.explain.trial import answered, hanging, proved_set, second_case
