"""Methods on a language model's game: attention, gradients through the gates, learned masks, and what texts are."""

import numpy as np
import pytest
from explain_cases import CHAIN, MORE, case, engine
from refusals import refused
from table_games import top
from tiny import chain_case

from workbench.attribution import METHODS, cf_search, fit_surrogate, logit_of_logprob
from workbench.attribution.perturbation import element_distances
from workbench.attribution.result import answer_tokens, kept
from workbench.explain import Weights
from workbench.explain import loop_masks as learn_in_loop
from workbench.explain import paper_masks as learn_on_texts
from workbench.game import Difference, Engine, Game, Restricted
from workbench.models import load
from workbench.stats.games import Meter, without

CASE = case(CHAIN + MORE)
NODES, FACTS = len(CASE.nodes), len(CASE.facts)


def game(**how) -> Game:
    return Game.of(engine(), CASE, path=CASE.path, **how)


MODEL = ("random", "attention_highest", "attention_lowest", "gradient_gate", "leave_one_out", "single_fact",
         "context_cite", "tracllm", "reagent", "lima", "cf_gnn", "paper_masks", "loop_masks")  # fmt: skip
FEWER = {"cf_gnn": {"steps": 3}, "paper_masks": {"steps": 3}, "loop_masks": {"steps": 2}, "reagent": {"steps": 3}}


@pytest.mark.parametrize("name", MODEL)
def test_every_method_scores_a_game_through_a_meter(name):
    method, few, counter = METHODS[name], FEWER.get(name, {}), Meter(game(), NODES + FACTS)
    scores = method(counter, CASE, rng=np.random.default_rng(1), **few).scores
    assert np.allclose(scores, method(game(), rng=np.random.default_rng(1), **few).scores, atol=1e-4)
    assert (counter.calls > 0) == (method.needs == () and name != "random")


def test_attention_is_that_of_the_game():
    scores = METHODS["attention_highest"](game()).scores
    assert np.array_equal(scores, game().attention()) and scores.min() >= 0 and scores.max() > 0
    assert np.array_equal(METHODS["attention_lowest"](game()).scores, -scores)
    few, keep = Restricted(game(), [NODES, NODES + 2], off=[NODES + 1]), np.arange(NODES + FACTS) != NODES + 1
    assert np.allclose(METHODS["attention_highest"](few).scores, game().attention(keep)[[NODES, NODES + 2]])


def test_gradient_and_path_integral_of_the_gates():
    one = game()
    _, (slope,) = one.view(removal="gate").gradients(np.ones((1, one.n)))
    assert np.allclose(METHODS["gradient_gate"](one).scores, slope)
    before = one.ledger.backward_passes
    scores = METHODS["integrated_gradients"](one, steps=16).scores
    assert one.ledger.backward_passes - before == 2
    ends = one.view(removal="gate")(np.array([[0.0] * one.n, [1.0] * one.n]))
    assert scores.sum() == pytest.approx(ends[1] - ends[0], abs=5e-3)
    coarse = METHODS["integrated_gradients"](one, steps=2).scores
    assert abs(coarse.sum() - (ends[1] - ends[0])) > abs(scores.sum() - (ends[1] - ends[0]))
    refused("steps must be 1 or more", METHODS["integrated_gradients"], one, steps=0)


def test_the_difference_game_has_values_and_gradients_but_no_attention():
    delta = Difference(game())
    tuned, base = (METHODS["leave_one_out"](game(adapter=a)).scores for a in (True, False))
    assert np.allclose(METHODS["leave_one_out"](delta).scores, tuned - base, atol=1e-6)
    slopes = [METHODS["gradient_gate"](game(adapter=a)).scores for a in (True, False)]
    assert np.allclose(METHODS["gradient_gate"](delta).scores, slopes[0] - slopes[1], atol=1e-5)
    refused(r"Difference has no attention\(\)", METHODS["attention_highest"], delta)


def test_context_cite_fits_logits_of_the_answer_over_the_facts():
    one = game(span=(1, 3))
    scores = METHODS["context_cite"](one, rng=np.random.default_rng(2), masks=40).scores
    drawn = np.random.default_rng(2).random((40, FACTS)) < 0.5
    keep = np.hstack([np.ones((40, NODES), dtype=bool), drawn])
    logprob = one.token_logprobs(keep)[:, 1:3].sum(1)
    expected = fit_surrogate(drawn, logit_of_logprob(logprob), tokens=2).scores
    assert np.allclose(scores[NODES:], expected) and answer_tokens(one) == 2
    plain = METHODS["context_cite"](one, rng=np.random.default_rng(2), masks=40, target="value").scores
    assert np.allclose(plain[NODES:], fit_surrogate(drawn, logprob, tokens=2).scores)
    margin = METHODS["context_cite"](one.view(form="decision"), rng=np.random.default_rng(2), masks=40).scores
    values = one.view(form="decision")(keep)
    assert np.allclose(margin[NODES:], fit_surrogate(drawn, values).scores)


def test_whether_a_decision_is_kept_is_asked_of_the_decision_form():
    one, keep = Game.of(engine(), CASE), np.random.default_rng(0).random((6, FACTS)) < 0.7
    keep[0] = True
    facts = Meter(Restricted(one, np.arange(NODES, NODES + FACTS)), FACTS)
    whole = np.hstack([np.ones((6, NODES), dtype=bool), keep])
    said = kept(facts, keep)
    assert said[0] and facts.calls == 6 and (one(whole) < 0).all()
    assert np.array_equal(said, one.view(form="decision")(whole) > 0)


def test_angles_between_the_embeddings_of_lines():
    distances = element_distances(game())
    assert distances.shape == (NODES + FACTS,) * 2 and np.allclose(distances, distances.T)
    assert distances.min() >= 0 and distances.max() <= 1 and np.allclose(np.diag(distances), 0, atol=1e-3)
    # a node whose only fact is this one has the same line
    only = CASE.nodes.index("source:ena")
    fact = NODES + next(i for i, f in enumerate(CASE.facts) if f.head == "source:ena")
    assert distances[only, fact] == pytest.approx(0, abs=1e-3)
    part = element_distances(Restricted(game(), [fact, 2]))
    assert np.allclose(part, distances[np.ix_([fact, 2], [fact, 2])])


def test_learned_masks_are_those_of_explain():
    one = game()
    seed = int(np.random.default_rng(4).integers(2**31))
    template = one.engine.lm.template
    expected = learn_on_texts([CASE], Weights(), template=template, steps=4, seed=seed)[0].elements
    assert np.array_equal(METHODS["paper_masks"](one, rng=np.random.default_rng(4), steps=4).scores, expected)
    expected = learn_in_loop(engine(), [CASE], Weights(), answers=[one.answer], steps=2, seed=seed)[0].elements
    assert np.allclose(METHODS["loop_masks"](one, rng=np.random.default_rng(4), steps=2).scores, expected)


def test_cf_gnn_flips_are_flips_of_the_text():
    shown = chain_case()
    one = Game.of(Engine(load(names=shown.names, four_bit=False)), shown)
    found = cf_search(one, steps=30)
    assert found.flips and () not in found.flips
    decision = one.view(form="decision")
    for flip in set(found.flips):
        assert decision(without(one.n, [flip]))[0] <= 0
    assert top(METHODS["cf_gnn"](one, steps=30).scores, len(found.best)) == set(found.best)


class Traced:
    """A game whose tokens receive known attention: fact i has i + 1 tokens with weights 1..i + 1, in tenths."""

    def __init__(self):
        self.case, self.n, self.shown = CASE, len(CASE.elements), []

    def token_attention(self, keep):
        self.shown.append(keep)
        own = [np.arange(1, i + 2) / 10 * keep[NODES + i] for i in range(FACTS)]
        own = [w if k else w[:0] for w, k in zip(own, keep[NODES:], strict=True)]
        nodes = [[w for w, f in zip(own, CASE.facts, strict=True) if n in (f.head, f.tail)] for n in CASE.nodes]
        return [np.concatenate(parts) for parts in nodes] + own


def test_attn_trace_averages_the_strongest_tokens_over_the_draws():
    traced = Traced()
    scores = METHODS["attn_trace"](traced, rng=np.random.default_rng(0), tokens=2).scores
    shown = np.array(traced.shown)
    assert shown.shape == (30, traced.n) and shown[:, :NODES].all()
    assert (shown[:, NODES:].sum(1) == int(0.4 * FACTS)).all() and shown[:, NODES:].any(0).all()
    assert np.allclose(scores[NODES:], [0.1 if i == 0 else (2 * i + 1) / 20 for i in range(FACTS)])
    end = CASE.nodes.index("data_1276")
    (only,) = [i for i, f in enumerate(CASE.facts) if "data_1276" in (f.head, f.tail)]
    assert scores[end] == pytest.approx(scores[NODES + only])
    once = METHODS["attn_trace"](Traced(), rng=np.random.default_rng(0), draws=1).scores
    assert (once == 0).any()
    refused(r"share in \(0, 1\]", METHODS["attn_trace"], traced, share=0.0)
