"""All methods by name."""

from __future__ import annotations

from workbench.attribution import ablation, chance, inside
from workbench.attribution.attntrace import attn_trace
from workbench.attribution.cf_gnn import cf_gnn
from workbench.attribution.learned import loop_masks, paper_masks
from workbench.attribution.lima import lima
from workbench.attribution.linear import context_cite
from workbench.attribution.method import Method
from workbench.attribution.reagent import reagent
from workbench.attribution.shapley import kernel_shap, shapley_sampling
from workbench.attribution.tracllm import tracllm

THE_PAPER = "Wang, Chen, Kabir 2025, arXiv:2509.21241"

METHODS: dict[str, Method] = {
    method.name: method
    for method in (
        Method("random", ablation.uniform, "chance", "0", stochastic=True),
        Method("random_aligned", chance.aligned, THE_PAPER, "0", needs=("case", "reference"), stochastic=True),
        Method("random_degree", chance.degree_matched, "chance", "0", needs=("case", "reference"), stochastic=True),
        Method("attention_highest", inside.attention_highest, THE_PAPER, "1", needs=("attention",)),
        Method("attention_lowest", inside.attention_lowest, THE_PAPER, "1", needs=("attention",)),
        Method("gradient_gate", inside.gradient_gate, "Shrikumar et al. 2016, arXiv:1605.01713", "1",
               needs=("gradients",)),
        Method("integrated_gradients", inside.integrated_gradients, "Sundararajan, Taly, Yan 2017, arXiv:1703.01365",
               "steps", needs=("gradients",)),
        Method("leave_one_out", ablation.leave_one_out, "Li, Monroe, Jurafsky 2016, arXiv:1612.08220", "n + 1"),
        Method("feature_ablation", ablation.leave_one_out, "Captum, Kokhlikyan et al. 2020, arXiv:2009.07896", "n + 1"),
        Method("single_fact", ablation.single_fact, "AttriBoT, Liu, Kandpal, Raffel 2024, arXiv:2411.15102", "n + 1",
               plays="facts"),
        Method("context_cite", context_cite, "Cohen-Wang et al. 2024, arXiv:2409.00729", "masks", stochastic=True,
               plays="facts"),
        Method("kernel_shap", kernel_shap, "Lundberg, Lee 2017, arXiv:1705.07874; Covert, Lee 2021, arXiv:2012.01536",
               "samples + 2", stochastic=True),
        Method("shapley_sampling", shapley_sampling, "Castro et al. 2009; Mitchell et al. 2022, arXiv:2104.12199",
               "permutations * (n - 1) + 2 at most", stochastic=True),
        Method("tracllm", tracllm, "Wang, Zou, Geng, Jia 2025, arXiv:2506.04202",
               "(2 + 4 groups + 2 groups * permutations) * (log2(n / groups) + 1)", stochastic=True, plays="facts"),
        Method("attn_trace", attn_trace, "Wang, Geng, Chen, Jia 2025, arXiv:2508.03793", "draws",
               needs=("case", "attention"), stochastic=True),
        Method("reagent", reagent, "Zhao, Shan 2024, arXiv:2402.00794", "2 probes * steps + 2 at most",
               stochastic=True, plays="facts"),
        Method("lima", lima, "Chen et al. 2025, arXiv:2504.00470", "n^2 / 2 + n * candidates", plays="facts"),
        Method("cf_gnn", cf_gnn, "Lucic et al. 2022, arXiv:2102.03322", "2 steps", needs=("gradients",)),
        Method("paper_masks", paper_masks, THE_PAPER, "0", needs=("case", "prompt"), stochastic=True),
        Method("loop_masks", loop_masks, "this project: the paper's objective with the model in the loop", "steps",
               needs=("case", "prompt", "gradients"), stochastic=True),
    )
}  # fmt: skip
