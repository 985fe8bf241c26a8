"""Other ways to score elements, behind one interface: `METHODS[name](game, case, rng=...) -> (n,)` float64, where a
higher score says that the element matters more for keeping the decision.
"""

from workbench.peers.cf_gnn import CfSearch, cf_search
from workbench.peers.inside import completeness_gap
from workbench.peers.lima import LimaWeights
from workbench.peers.method import Method
from workbench.peers.oracle import Oracle
from workbench.peers.registry import METHODS
from workbench.peers.shapley import KernelSample, exact_shapley, kernel_sample
from workbench.peers.surrogate import Surrogate, fit_surrogate, logit_of_logprob, targets

__all__ = [
    "METHODS",
    "CfSearch",
    "KernelSample",
    "LimaWeights",
    "Method",
    "Oracle",
    "Surrogate",
    "cf_search",
    "completeness_gap",
    "exact_shapley",
    "fit_surrogate",
    "kernel_sample",
    "logit_of_logprob",
    "targets",
]
