"""On the same masks our forms give what the packages give, and what exhaustive sums give."""

import importlib.util
import itertools
from math import factorial
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from peer_games import Counted, Smooth, additive, table

from workbench.peers import METHODS, exact_shapley, fit_surrogate, kernel_sample, logit_of_logprob


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


@pytest.mark.parametrize("seed", range(8))
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
    assert np.allclose(ours.weights, theirs, atol=2e-6 * tokens, rtol=0)
    assert ours.bias == pytest.approx(bias, abs=2e-6 * tokens)
    assert np.array_equal(ours.weights == 0, theirs == 0)
    assert np.allclose(ours(masks), masks @ ours.weights + ours.bias)


def test_the_surrogate_target_is_the_logit_of_the_answer():
    p = np.array([1e-30, 1e-3, 0.2, 0.5, 0.9, 1 - 1e-9])
    assert np.allclose(logit_of_logprob(np.log(p))[:5], np.log(p / (1 - p))[:5], rtol=1e-12)
    assert logit_of_logprob(np.array([-1e-3]))[0] == pytest.approx(-1e-3 - np.log(-np.expm1(-1e-3)))
    assert np.isfinite(logit_of_logprob(np.zeros(1)))[0]
    with pytest.raises(ValueError, match="use target='value'"):
        logit_of_logprob(np.array([0.1]))
    logits = torch.randn(3, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    others = logits[:, 1:].logsumexp(-1)  # token logits of the paper: x_y - logsumexp of the others
    paper = torch.nn.functional.logsigmoid(logits[:, 0] - others).sum()
    assert torch.allclose(paper, logits.log_softmax(-1)[:, 0].sum())


def brute_force(game: Counted) -> np.ndarray:
    """Shapley values by going through all n! orders."""
    total = np.zeros(game.n)
    for order in itertools.permutations(range(game.n)):
        keep = np.zeros((game.n + 1, game.n), dtype=bool)
        for k, i in enumerate(order):
            keep[k + 1 :, i] = True
        total[list(order)] += np.diff(game(keep))
    return total / factorial(game.n)


@pytest.mark.parametrize("n", [1, 2, 5])
def test_exact_shapley_values_are_the_mean_over_all_orders(n):
    game = table(n, seed=n)
    assert np.allclose(exact_shapley(game), brute_force(game), atol=1e-12)
    with pytest.raises(ValueError, match="n at most 16, not 17"):
        exact_shapley(additive(np.ones(17)))


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 8), st.integers(0, 10_000))
def test_kernel_shap_on_all_masks_is_exact(n, seed):
    game = table(n, seed)
    scores = METHODS["kernel_shap"](game, samples=2**8, rng=np.random.default_rng(0))
    assert np.allclose(scores, exact_shapley(game), atol=1e-6)


def test_sampled_kernel_shap_comes_near_and_knows_how_near():
    game, exact = table(10, seed=4), exact_shapley(table(10, seed=4))
    errors = []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        sample = kernel_sample(game, samples=800, rng=rng)
        assert np.array_equal(sample.masks[::2], ~sample.masks[1::2])
        assert sample.fit().sum() == pytest.approx(sample.full - sample.empty)
        errors.append((sample.fit() - exact) / sample.standard_errors(rng=rng, draws=60))
    assert 0.6 < np.std(errors) < 1.5 and np.abs(np.mean(errors)) < 0.5


def test_kernel_shap_draws_sizes_by_the_shapley_kernel():
    n, samples = 18, 20_000  # more masks than samples: they are drawn
    sample = kernel_sample(Counted(n, lambda keep: keep.sum(1)), samples=samples, rng=np.random.default_rng(1))
    sizes = sample.masks[::2].sum(1)
    chance = np.array([1 / (s * (n - s)) for s in range(1, n)])
    seen = np.bincount(sizes, minlength=n)[1:n] / len(sizes)
    expected = chance / chance.sum()
    assert np.all(np.abs(seen - expected) < 4 * np.sqrt(expected / len(sizes)))
    assert np.abs(sample.masks.mean(0) - 0.5).max() == 0  # a pair keeps everyone once
    assert np.allclose(sample.fit(), 1)


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 7), st.integers(0, 10_000), st.booleans())
def test_permutation_sampling_adds_up_and_is_exact_over_orders(n, seed, antithetic):
    game, rng = table(n, seed), np.random.default_rng(seed)
    scores = METHODS["shapley_sampling"](game, rng=rng, permutations=3, antithetic=antithetic)
    ends = game(np.array([[False] * n, [True] * n]))
    assert scores.sum() == pytest.approx(ends[1] - ends[0])
    linear = METHODS["shapley_sampling"](additive(np.arange(n)), rng=rng, permutations=1)
    assert np.allclose(linear, np.arange(n))


def test_permutation_sampling_converges_to_the_exact_values():
    game, exact = table(7, seed=2), exact_shapley(table(7, seed=2))
    many = METHODS["shapley_sampling"](game, rng=np.random.default_rng(0), permutations=4000)
    assert np.abs(many - exact).max() < 0.06
    # an order and its reverse together are exact for every game of pairs
    pairs = Smooth(6, {(0, 1): 2.0, (2, 5): -1.0, (3,): 0.5})
    both = METHODS["shapley_sampling"](pairs, rng=np.random.default_rng(0), permutations=2)
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


@pytest.mark.parametrize("name", ["leave_one_out", "feature_ablation"])
def test_ablation_is_captums_feature_ablation(name):
    captum = pytest.importorskip("captum.attr")
    game = Network(9, seed=1)
    theirs = captum.FeatureAblation(game.forward).attribute(torch.ones(1, 9, dtype=torch.float64))
    assert np.allclose(METHODS[name](game), theirs[0].numpy(), atol=1e-12)


@pytest.mark.parametrize("steps", [5, 20])
def test_integrated_gradients_are_captums(steps):
    captum = pytest.importorskip("captum.attr")
    game = Network(9, seed=2)
    theirs = captum.IntegratedGradients(game.forward).attribute(
        torch.ones(1, 9, dtype=torch.float64), n_steps=steps, method="gausslegendre"
    )
    assert np.allclose(METHODS["integrated_gradients"](game, steps=steps), theirs[0].numpy(), atol=1e-6)


def test_gradient_times_gate_is_captums_input_times_gradient():
    captum = pytest.importorskip("captum.attr")
    game = Network(9, seed=3)
    whole = torch.ones(1, 9, dtype=torch.float64, requires_grad=True)
    theirs = captum.InputXGradient(game.forward).attribute(whole)
    assert np.allclose(METHODS["gradient_gate"](game), theirs[0].detach().numpy(), atol=1e-12)


def test_kernel_shap_and_permutations_agree_with_captums():
    captum = pytest.importorskip("captum.attr")
    game, whole = Network(8, seed=4), torch.ones(1, 8, dtype=torch.float64)
    exact = exact_shapley(game)
    torch.manual_seed(0)
    np.random.seed(0)
    kernel = captum.KernelShap(game.forward).attribute(whole, n_samples=4000)[0].numpy()
    orders = captum.ShapleyValueSampling(game.forward).attribute(whole, n_samples=400)[0].numpy()
    ours = METHODS["kernel_shap"](game, rng=np.random.default_rng(0))  # all masks
    assert np.allclose(ours, exact, atol=1e-8)
    assert np.abs(kernel - ours).max() < 0.02 and np.abs(orders - ours).max() < 0.02
    assert np.array_equal(np.argsort(kernel), np.argsort(ours))
