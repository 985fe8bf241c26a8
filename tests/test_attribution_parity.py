"""On the same masks our forms give what the packages give, and what exhaustive sums give."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from table_games import Smooth, refused, table

from workbench.attribution import METHODS, fit_surrogate, kernel_masks, logit_of_logprob, shapley


def _context_cite_solver():
    """The package's solver alone: importing the whole package fetches data of a tokenizer."""
    found = importlib.util.find_spec("context_cite")
    if found is None:
        pytest.skip("context-cite is not installed (extra `bench`)")
    path = Path(found.submodule_search_locations[0]) / "solver.py"
    spec = importlib.util.spec_from_file_location("context_cite_solver", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("tokens", [1, 7])
def test_the_surrogate_is_that_of_context_cite(seed, tokens):
    solver = _context_cite_solver().LassoRegression(lasso_alpha=0.01)
    rng = np.random.default_rng(seed)
    n = 6 + 4 * seed
    masks = rng.random((64, n)) < 0.5
    weights = np.where(rng.random(n) < 0.4, rng.normal(size=n), 0) * tokens
    target = masks @ weights + 0.3 * rng.normal(size=64) * tokens
    ours = fit_surrogate(masks, target, tokens=tokens)
    theirs, bias = solver.fit(masks, target, tokens)
    # the package rounds its design matrix to float32
    assert np.allclose(ours.scores, theirs, atol=2e-6 * tokens, rtol=0)
    assert ours.intercept == pytest.approx(bias, abs=2e-6 * tokens)
    assert np.array_equal(ours.scores == 0, theirs == 0)


def test_the_surrogate_target_is_the_logit_of_the_answer():
    p = np.array([1e-30, 1e-3, 0.2, 0.5, 0.9, 1 - 1e-9])
    assert np.allclose(logit_of_logprob(np.log(p))[:5], np.log(p / (1 - p))[:5], rtol=1e-12)
    assert logit_of_logprob(np.array([-1e-3]))[0] == pytest.approx(-1e-3 - np.log(-np.expm1(-1e-3)))
    assert np.isfinite(logit_of_logprob(np.zeros(1)))[0]
    refused("use target='value'", logit_of_logprob, np.array([0.1]))
    logits = torch.randn(3, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    others = logits[:, 1:].logsumexp(-1)  # token logits of the paper: x_y - logsumexp of the others
    paper = torch.nn.functional.logsigmoid(logits[:, 0] - others).sum()
    assert torch.allclose(paper, logits.log_softmax(-1)[:, 0].sum())


@given(st.integers(1, 8), st.integers(0, 10_000))
def test_kernel_shap_on_all_masks_is_exact(n, seed):
    game = table(n, seed)
    scores = METHODS["kernel_shap"](game, samples=2**8, rng=np.random.default_rng(0)).scores
    assert np.allclose(scores, shapley(game, n).scores, atol=1e-6)


def test_sampled_kernel_shap_comes_near_and_nearer_with_more_masks():
    game, exact = table(10, seed=4), shapley(table(10, seed=4), 10).scores
    apart = {}
    for samples in (100, 800):
        some = [METHODS["kernel_shap"](game, samples=samples, rng=np.random.default_rng(s)).scores for s in range(6)]
        assert np.allclose(np.sum(some, axis=1), exact.sum())
        apart[samples] = np.sqrt(np.mean((some - exact) ** 2))
    assert apart[800] < 0.5 * apart[100]


def test_kernel_shap_draws_sizes_by_the_shapley_kernel():
    n, samples = 18, 20_000  # more masks than samples: they are drawn
    masks, weights = kernel_masks(n, samples=samples, rng=np.random.default_rng(1))
    assert np.array_equal(masks[::2], ~masks[1::2]) and (weights == 1).all()
    sizes = masks[::2].sum(1)
    chance = np.array([1 / (s * (n - s)) for s in range(1, n)])
    seen = np.bincount(sizes, minlength=n)[1:n] / len(sizes)
    expected = chance / chance.sum()
    assert np.all(np.abs(seen - expected) < 4 * np.sqrt(expected / len(sizes)))
    assert np.abs(masks.mean(0) - 0.5).max() == 0  # a pair keeps everyone once


def test_permutation_sampling_converges_to_the_exact_values():
    game, exact = table(7, seed=2), shapley(table(7, seed=2), 7).scores
    many = METHODS["shapley_sampling"](game, rng=np.random.default_rng(0), permutations=4000).scores
    assert np.abs(many - exact).max() < 0.06
    # an order and its reverse together are exact for every game of pairs
    pairs = Smooth(6, {(0, 1): 2.0, (2, 5): -1.0, (3,): 0.5})
    both = METHODS["shapley_sampling"](pairs, rng=np.random.default_rng(0), permutations=2).scores
    assert np.allclose(both, [1, 1, -0.5, 0.5, 0, -0.5])


class Network:
    """A small torch function as a game: captum sees the module, we see masks and gradients."""

    def __init__(self, n: int, seed: int):
        torch.manual_seed(seed)
        layers = torch.nn.Linear(n, 8), torch.nn.Tanh(), torch.nn.Linear(8, 8), torch.nn.Tanh(), torch.nn.Linear(8, 1)
        self.n, self.net = n, torch.nn.Sequential(*layers).double()

    def forward(self, keep: torch.Tensor) -> torch.Tensor:
        return self.net(keep)[:, 0]

    def __call__(self, keep: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            return self.forward(torch.as_tensor(keep, dtype=torch.float64)).numpy()

    def gradients(self, keep: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        mask = torch.tensor(keep, dtype=torch.float64, requires_grad=True)
        value = self.forward(mask)
        (slope,) = torch.autograd.grad(value.sum(), [mask])
        return value.detach().numpy(), slope.numpy()


@pytest.mark.parametrize(
    ("name", "how", "peer", "theirs", "near"),
    [
        ("leave_one_out", {}, "FeatureAblation", {}, 1e-12),
        ("feature_ablation", {}, "FeatureAblation", {}, 1e-12),
        ("gradient_gate", {}, "InputXGradient", {}, 1e-12),
        ("integrated_gradients", {"steps": 5}, "IntegratedGradients", {"n_steps": 5, "method": "gausslegendre"}, 1e-6),
        ("integrated_gradients", {}, "IntegratedGradients", {"n_steps": 32, "method": "gausslegendre"}, 1e-6),
    ],
)
def test_scores_are_those_of_captums_method(name, how, peer, theirs, near):
    game, whole = Network(9, seed=1), torch.ones(1, 9, dtype=torch.float64, requires_grad=True)
    found = getattr(pytest.importorskip("captum.attr"), peer)(game.forward).attribute(whole, **theirs)
    assert np.allclose(METHODS[name](game, **how).scores, found[0].detach().numpy(), atol=near)


def test_kernel_shap_and_permutations_agree_with_captums():
    captum = pytest.importorskip("captum.attr")
    game, whole = Network(8, seed=4), torch.ones(1, 8, dtype=torch.float64)
    exact = shapley(game, 8).scores
    torch.manual_seed(0)
    np.random.seed(0)
    kernel = captum.KernelShap(game.forward).attribute(whole, n_samples=4000)[0].numpy()
    orders = captum.ShapleyValueSampling(game.forward).attribute(whole, n_samples=400)[0].numpy()
    ours = METHODS["kernel_shap"](game, rng=np.random.default_rng(0)).scores  # all masks
    assert np.allclose(ours, exact, atol=1e-8)
    assert np.abs(kernel - ours).max() < 0.02 and np.abs(orders - ours).max() < 0.02
    assert np.array_equal(np.argsort(kernel), np.argsort(ours))
