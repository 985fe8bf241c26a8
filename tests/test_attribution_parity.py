"""On the same masks our forms give what the packages give, and what exhaustive sums give. Faithfulness of methods over
cases: the measures are those of the stats, cost is counted, chance is the control."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch
from explain_cases import cases, engine
from hypothesis import given
from hypothesis import strategies as st
from refusals import refused
from table_games import Smooth, table

from workbench.attribution import METHODS, fit_surrogate, kernel_masks, logit_of_logprob, shapley
from workbench.attribution.faithfulness import COSTS, MEASURES, cells, faithfulness, measured, scored
from workbench.game import Game
from workbench.stats import top_k_drop


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


def test_sampled_permutations_are_those_of_shapley():
    game = table(7, seed=2)
    found = METHODS["shapley_sampling"](game, rng=np.random.default_rng(0), permutations=40).scores
    assert np.array_equal(found, shapley(game, 7, permutations=40, rng=np.random.default_rng(0)).scores)


class Network(Smooth):
    """A small torch function as a game: captum sees the module, we see masks and gradients."""

    def __init__(self, n: int, seed: int):
        super().__init__(n, {})
        torch.manual_seed(seed)
        layers = torch.nn.Linear(n, 8), torch.nn.Tanh(), torch.nn.Linear(8, 8), torch.nn.Tanh(), torch.nn.Linear(8, 1)
        self.net = torch.nn.Sequential(*layers).double()

    def forward(self, keep: torch.Tensor) -> torch.Tensor:
        return self.net(keep)[:, 0]


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


NAMES = ("leave_one_out", "gradient_gate")


@pytest.fixture(scope="module")
def rows() -> list[dict]:
    return faithfulness(engine(), cases(), NAMES, masks=16, draws=3)


def test_a_row_for_each_case_and_method(rows: list[dict]) -> None:
    assert [(r["case"], r["method"]) for r in rows] == [(c.id, name) for c in cases() for name in NAMES]
    for row in rows:
        assert {*MEASURES, *COSTS, "control"} < set(row) and set(row["control"]) == set(MEASURES)
        assert -1 <= row["lds"] <= 1


def test_measures_are_those_of_the_games_own_values(rows: list[dict]) -> None:
    game = Game.of(engine(), cases()[1])
    scores = METHODS["leave_one_out"](game).scores
    (row,) = [r for r in rows if (r["case"], r["method"]) == ("two", "leave_one_out")]
    assert row["top_k_drop"] == pytest.approx(top_k_drop(game, np.argsort(-scores, kind="stable"), 3), abs=1e-4)
    assert {name: row[name] for name in MEASURES} == pytest.approx(measured(game, scores, masks=16), abs=1e-4)


def test_cost_is_that_of_a_game_nothing_is_known_of() -> None:
    run = engine()
    game = Game.of(run, cases()[0])
    game(~np.eye(game.n, dtype=bool))  # known now, but not to be counted as free
    first, cost = scored(game, "leave_one_out")
    facts = game.case.keep_facts(np.vstack([np.ones((1, game.n), bool), ~np.eye(game.n, dtype=bool)]))
    assert cost == {"prompts": len(np.unique(facts, axis=0)), "backward_passes": 0}
    assert first == pytest.approx(METHODS["leave_one_out"](game).scores, abs=1e-4)
    assert scored(game, "gradient_gate")[1] == {"prompts": 1, "backward_passes": 1}


def test_scores_without_order_foretell_nothing() -> None:
    game = Game.of(engine(), cases()[0])
    assert measured(game, np.zeros(game.n))["lds"] == 0


def test_cells_carry_n_interval_and_difference_to_chance(rows: list[dict]) -> None:
    table = cells(rows)
    assert list(table) == [*NAMES, "random"]
    for name in NAMES:
        mine = [r for r in rows if r["method"] == name]
        for measure in MEASURES:
            one = table[name][measure]
            assert one["n"] == 3 and one["low"] <= one["mean"] <= one["high"]
            assert one["mean"] == pytest.approx(np.mean([r[measure] for r in mine]))
            expected = np.mean([r[measure] - r["control"][measure] for r in mine])
            assert one["difference"]["mean"] == pytest.approx(expected) and 0 < one["difference"]["p"] <= 1
        assert table[name]["prompts"]["difference"] is None
        assert table[name]["lds"]["low"] >= -1 and table[name]["lds"]["high"] <= 1, "a rank correlation"
    assert table["random"]["lds"]["mean"] == pytest.approx(np.mean([r["control"]["lds"] for r in rows[::2]]))
    assert cells([]) == {}


def test_the_same_seed_gives_the_same_rows_and_progress_tells_methods(rows: list[dict]) -> None:
    heard: list[str] = []
    again = faithfulness(engine(), cases(), [*NAMES, "random"], masks=16, draws=3, progress=heard.append)
    assert heard == [*NAMES] * 3
    for one, other in zip(rows, again, strict=True):
        for name in (*MEASURES, *COSTS):
            assert one[name] == pytest.approx(other[name], abs=1e-4)


@pytest.mark.parametrize("name", ["magic", "random_aligned"])
def test_methods_that_cannot_score_a_case_by_themselves_are_refused(name: str) -> None:
    refused(f"'{name}' is no method that scores a case by itself", faithfulness, engine(), cases(), [name])
