"""Ways to score elements, behind one interface: `METHODS[name](game, case, rng=...)` gives an `Attribution`, in whose
scores (n,) a higher one says that the element matters more for keeping the decision. Those of `shapley` and
`linear_surrogate` are also tried on masks that they have not seen.
"""

from workbench.attribution import faithfulness
from workbench.attribution.inside import CfSearch, cf_search
from workbench.attribution.linear import completed, fit, fit_surrogate, linear_surrogate, logit_of_logprob
from workbench.attribution.method import METHODS, Method
from workbench.attribution.perturbation import LimaWeights
from workbench.attribution.result import Attribution, Features, Oracle
from workbench.attribution.shapley import kernel_masks, shapley, shapley_values
