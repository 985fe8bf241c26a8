"""The module game: every explainer plays it; the first-order check of its gradients is in test_shift_saliency."""

import numpy as np
import pytest
from dosed_models import MODULES, shipped, tiny
from refusals import refused
from tiny import chain_case

from workbench.attribution import METHODS, linear_surrogate, shapley
from workbench.explain import minimal_flip_set, minimal_sufficient_set, smallest_flip_set
from workbench.game import Engine, Game, ModuleGame, Restricted
from workbench.stats.games import all_masks, alone, without

CASE = chain_case()


@pytest.fixture(scope="module")
def lm():
    return tiny()


@pytest.fixture
def game(lm) -> ModuleGame:
    """The players are the adapter's modules; the answer is what the tuned model says."""
    return ModuleGame(Game.of(Engine(lm), CASE))


def test_all_on_is_the_tuned_model_and_none_the_base(game):
    one = np.ones((1, game.game.n), bool)
    ends = game(np.array([[True] * MODULES, [False] * MODULES]))
    assert ends == pytest.approx([game.game(one)[0], game.game.view(adapter=False)(one)[0]], abs=1e-5)
    assert game.n == MODULES == len(game.names) and game.names[0] == "model.layers.0.self_attn.q_proj"
    named = game.game.engine.lm.model.named_parameters()
    assert game.parameters.sum() == sum(p.numel() for k, p in named if "lora" in k)


def test_masks_are_one_batch_and_asked_once(game):
    masks = all_masks(MODULES)
    before = game.ledger.copy()
    values = game(masks)
    spent = game.ledger - before
    assert (spent.calls, spent.rows) == (1, 16)
    assert np.array_equal(game(masks[::-1]), values[::-1])
    assert (game.ledger - before).rows == 16
    game(np.vstack([masks * 0.5, masks * 0.5]))
    assert (game.ledger - before).rows == 16 + 15  # nothing at half a dose is nothing


@pytest.mark.parametrize("form", ["logprob", "margin", "decision"])
@pytest.mark.parametrize("unit", ["module", "part"])
def test_gradients_equal_finite_differences(form, unit):
    lm = tiny()
    lm.model.double()
    game = ModuleGame(Game.of(Engine(lm), CASE, path=CASE.path, form=form), unit=unit)
    at = np.random.default_rng(0).uniform(0.4, 1.2, (2, game.n))
    values, slopes = game.gradients(at)
    smooth = game.view(span=(0, len(game.game.answer)))  # the decision's margin, without its sign
    assert values == pytest.approx(smooth(at), rel=1e-6, abs=1e-5)
    for i in range(0, game.n, 3):
        step = np.zeros(game.n)
        step[i] = 5e-3
        assert slopes[:, i] == pytest.approx((smooth(at + step) - smooth(at - step)) / 1e-2, rel=3e-2, abs=2e-3)


def test_explainers_play_modules_as_they_play_elements(game):
    n, masks, rng = game.n, all_masks(game.n), np.random.default_rng(0)
    values = game(masks)
    exact = shapley(game, n)
    assert exact.scores.sum() == pytest.approx(values[-1] - values[0])
    left_out = METHODS["leave_one_out"](game, rng=np.random.default_rng(0)).scores
    assert left_out == pytest.approx(values[-1] - game(without(n, alone(n))))
    line = linear_surrogate(game, n, rng=rng, masks=masks, held_out=4)
    assert line.scores.sum() == pytest.approx(values[-1] - values[0])


def test_certified_sets_of_modules_agree_with_every_mask():
    """Six of the shipped reader's twelve modules play, the others stay on; the base answers something else."""
    whole = ModuleGame(Game.of(Engine(shipped()), CASE, form="decision"))
    single = whole(without(whole.n, alone(whole.n)))
    game = Restricted(whole, np.argsort(single)[[0, 1, 8, 9, 10, 11]])
    masks = all_masks(game.n)
    kept = game(masks) > 0
    assert kept[-1] and 0 < kept.sum() < len(kept)
    searches = minimal_flip_set, smallest_flip_set, minimal_sufficient_set
    flip, smallest, sufficient = (search(game, game.n, rng=np.random.default_rng(0)) for search in searches)
    assert flip.certified and smallest.certified
    assert len(smallest.elements) == min((~mask).sum() for mask, k in zip(masks, kept, strict=True) if not k)
    assert not kept[sum(2**i for i in range(game.n) if i not in flip.elements)]
    assert kept[sum(2**i for i in sufficient.elements)]


def test_a_games_own_dose_multiplies_and_parts_of_games_work(game):
    half = game.view(dose=0.5)
    masks = np.array([[1, 1, 0, 1], [1, 0.5, 1, 1]])
    assert half(masks) == pytest.approx(game(masks * 0.5), abs=1e-6)
    assert half.gradients(masks)[1] == pytest.approx(0.5 * game.gradients(masks * 0.5)[1], abs=1e-5)
    some = Restricted(game, np.array([2, 0]))
    assert some(np.array([[False, True]])) == pytest.approx(game(np.array([[True, True, False, True]])))
    parts = ModuleGame(game.game, unit="part")
    assert parts.n == 16 and parts.names[5] == "model.layers.0.self_attn.v_proj #1"
    assert parts.parameters.sum() == game.parameters.sum()
    assert parts(np.repeat(masks, 4, axis=1)) == pytest.approx(game(masks), abs=1e-5)
    assert parts.view(dose=0.5)(np.ones((1, 16))) == pytest.approx(game(np.full((1, 4), 0.5)), abs=1e-5)


def test_wrong_module_games_are_refused(game):
    refused("must be one of module, layer, projection, part", ModuleGame, game.game, unit="head")
    refused("adapter=True", ModuleGame, game.game.view(adapter=False))
    refused(r"shape \(m, 4\)", game, np.ones((1, 5)))
    refused("finite", game, np.full((1, 4), np.inf))
    refused("unit='part'", lambda: game.view(dose=np.ones(16))(np.ones((1, 4))))


@pytest.mark.parametrize("unit", ["layer", "projection"])
def test_a_layer_or_projection_is_all_its_modules_switched_together(game, unit):
    whole, place = ModuleGame(game.game, unit=unit), 2 if unit == "layer" else -1
    own = [[name.split(".")[place] == named.removeprefix("layer ") for name in game.names] for named in whole.names]
    assert np.sum(own, axis=0).tolist() == [1] * MODULES and whole.n == len(own) == 2
    keep = np.array([[1.0, 0.0], [0.0, 1.0], [0.3, 1.2], [1.0, 1.0]])
    assert whole(keep) == pytest.approx(game(keep @ np.array(own, float)), abs=1e-6)
    slopes = game.gradients(keep @ np.array(own, float))[1]
    assert whole.gradients(keep)[1] == pytest.approx(slopes @ np.transpose(own), abs=1e-5)
    assert whole.parameters.tolist() == [game.parameters[one].sum() for one in np.array(own)]


def test_gradients_that_do_not_fit_together_are_the_same_row_by_row(game, monkeypatch):
    at = np.random.default_rng(0).uniform(0, 1, (5, MODULES))
    element_game, keep = game.game.view(removal="gate"), np.random.default_rng(1).uniform(0.2, 1, (5, game.game.n))
    whole, gated = game.gradients(at), element_game.gradients(keep)
    assert game.ledger.backward_passes == 2
    monkeypatch.setattr("workbench.game.memory.KEPT_BYTES", 1)
    for found, together in ((game.gradients(at), whole), (element_game.gradients(keep), gated)):
        assert found[0] == pytest.approx(together[0], abs=1e-5) and found[1] == pytest.approx(together[1], abs=1e-4)
    assert game.ledger.backward_passes == 2 + 10
