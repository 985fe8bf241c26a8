"""The element game: values, gradients, forms, spans, memory and the difference, against the model asked directly;
attention followed through the layers, against a loop over all paths of the tiny reader's weights."""

import dataclasses
from itertools import product
from pathlib import Path

import explain_cases
import numpy as np
import pytest
import torch
from dosed_models import with_adapter
from refusals import refused
from tiny import chain_case, save_tiny

from workbench.cases import toolchain
from workbench.cases.sampling import with_order
from workbench.game import Difference, Engine, Game, Restricted, values_together
from workbench.game.attention import attention_measures, attention_received, eager_attention, rollout
from workbench.models import LanguageModel, load
from workbench.models.prompts import encode, encode_answer

CASE = chain_case()
FACTS, NODES = len(CASE.facts), len(CASE.nodes)


@pytest.fixture(scope="module")
def lm() -> LanguageModel:
    """The shipped reader, not quantised, with a small random adapter."""
    return with_adapter(load(names=CASE.names, four_bit=False), size=0.02)


@pytest.fixture
def game(lm: LanguageModel) -> Game:
    """Of the case's own answer, in an engine that has computed nothing."""
    return Game.of(Engine(lm), CASE, path=CASE.path)


def masks(count: int, seed: int = 0) -> np.ndarray:
    """Random element masks."""
    return np.random.default_rng(seed).random((count, FACTS + NODES)) < 0.8


def direct_logits(lm: LanguageModel, keep: np.ndarray, answer: tuple[int, ...], *, adapter: bool) -> torch.Tensor:
    """The same value without the engine: one row, no padding, no mask."""
    ids = [*encode(CASE, lm.template, lm.tokenizer, keep).ids, *answer]
    with torch.no_grad(), lm.adapter(adapter):
        return lm.model(input_ids=torch.tensor([ids])).logits[0, -len(answer) - 1 : -1]


@pytest.mark.parametrize("adapter", [True, False])
def test_log_probability_of_the_answer_on_the_rendered_text(lm, adapter):
    answer = encode_answer(CASE, CASE.path, lm.template, lm.tokenizer)
    game = Game.of(Engine(lm), CASE, path=CASE.path, adapter=adapter)
    keep = masks(6)
    for mask, value, tokens in zip(keep, game(keep), game.token_logprobs(keep), strict=True):
        facts = CASE.keep_facts(mask[None])[0]
        logits = direct_logits(lm, facts, answer, adapter=adapter).log_softmax(-1)
        expected = logits.gather(1, torch.tensor(answer)[:, None])[:, 0]
        assert tokens == pytest.approx(expected.numpy(), abs=1e-4)
        assert value == pytest.approx(float(expected.sum()), abs=1e-4)


@pytest.mark.parametrize("form", ["logprob", "margin", "decision"])
def test_gradients_equal_finite_differences(lm, form):
    lm.model.double()
    try:
        game = Game.of(Engine(lm), CASE, path=CASE.path, removal="gate", form=form)
        keep = np.full((1, game.n), 0.7)
        value, slope = game.gradients(keep)
        assert game.ledger.backward_passes == 1
        assert value == pytest.approx(game(keep), abs=1e-5)
        for i in range(game.n):
            up, down = keep.copy(), keep.copy()
            up[0, i] += 1e-2
            down[0, i] -= 1e-2
            expected = (game(up)[0] - game(down)[0]) / 2e-2
            assert slope[0, i] == pytest.approx(expected, rel=2e-2, abs=1e-3)
    finally:
        lm.model.float()


def test_games_asked_together_say_what_each_says_alone(lm):
    engine = Engine(lm)
    cases = [CASE, with_order(CASE, np.random.default_rng(2))]
    games = [Game.of(engine, case, form="decision") for case in cases]
    games += [games[0], Game.of(engine, CASE, form="logprob"), Game.of(engine, CASE, form="decision", adapter=False)]
    keeps = [masks(9, seed) for seed in range(len(games))]
    before = engine.ledger.calls
    found = values_together(games[:3], keeps[:3])
    assert engine.ledger.calls - before <= 2, "one pass for all rows, one for all answers that are written anew"
    found += values_together(games[3:], keeps[3:])
    for game, keep, values in zip(games, keeps, found, strict=True):
        alone = dataclasses.replace(game, memory=type(game.memory)())(keep)
        assert values == pytest.approx(alone, abs=1e-4) and ((values > 0) == (alone > 0)).all()
    before = engine.ledger.rows
    assert (values_together(games[:3], keeps[:3])[1] == found[1]).all() and engine.ledger.rows == before


def test_answers_are_by_deletion_and_decisions_of_them_cost_nothing(lm):
    engine, keep = Engine(lm), masks(4)
    game = Game.of(engine, CASE, form="decision")
    gated = game.view(removal="gate", form="logprob")
    shown = [np.asarray(row, bool) for row in CASE.keep_facts(keep)]
    assert gated.answers(keep) == engine.answers([CASE] * 4, keeps=shown, max_new_tokens=game.max_new_tokens)
    calls = engine.ledger.calls
    values = game(keep)
    assert engine.ledger.calls == calls and (values == Game.of(Engine(lm), CASE, form="decision")(keep)).all()
    alone = Game.of(Engine(lm), CASE, removal="gate")(keep)
    assert gated(keep) == pytest.approx(alone, rel=1e-5), "what was read by deletion is no row of gates"


def test_margin_is_against_the_strongest_other_toolchain(lm):
    engine = Engine(lm)
    game = Game.of(engine, CASE, form="margin")
    everything = np.ones((1, game.n), bool)
    ours, theirs = (float(game.view(form="logprob", answer=a)(everything)[0]) for a in (game.answer, game.other))
    assert game(everything)[0] == pytest.approx(ours - theirs, abs=1e-4)
    path = lm.template.parse(CASE, lm.tokenizer.decode(game.other, skip_special_tokens=True), lm.ids)
    assert toolchain(path) != toolchain(game.path)
    assert game.view(adapter=False).other == game.other  # tuned and base are asked about the same pair


def test_spans_come_from_the_same_passes(game):
    keep = masks(5)
    tokens = game.token_logprobs(keep)
    rows = game.ledger.rows
    for k, node in enumerate(CASE.path[1:]):
        assert game.span_of(node) == (k, k + 1)  # one token a name
        assert game.view(span=(k, k + 1))(keep) == pytest.approx(tokens[:, k])
    assert game.ledger.rows == rows
    refused("does not name", game.span_of, "command:count")


def test_spans_of_names_of_many_tokens(tmp_path: Path):
    names = CASE.names
    game = Game.of(Engine(load(str(save_tiny(tmp_path, "qwen")), names=names, four_bit=False)), CASE, path=CASE.path)
    decode = game.engine.lm.tokenizer.decode
    for node in CASE.path[1:]:
        start, stop = game.span_of(node)
        assert names[node] in decode(game.answer[start:stop])


def test_masks_with_the_same_facts_are_asked_once(lm):
    engine = Engine(lm)
    game = Game.of(engine, CASE, path=CASE.path)
    before = engine.ledger.rows
    keep = np.ones((3, game.n), bool)
    keep[1, CASE.nodes.index("format_4")] = False  # takes the edge to it along
    keep[2, NODES + CASE.facts.index(next(f for f in CASE.facts if f.tail == "format_4"))] = False
    values = game(keep)
    assert engine.ledger.rows == before + 2 and values[1] == values[2]
    game(keep)
    assert engine.ledger.rows == before + 2


@pytest.mark.parametrize("form", ["logprob", "decision"])
def test_shared_prefix_gives_the_same_values_with_fewer_tokens(lm, form):
    keep = np.vstack([np.ones((1, FACTS + NODES), bool), ~np.eye(FACTS + NODES, dtype=bool), masks(12)])
    plain, shared = (Game.of(Engine(lm), CASE, path=CASE.path, form=form, shared_prefix=s) for s in (False, True))
    for adapter in (True, False):
        assert shared.view(adapter=adapter)(keep) == pytest.approx(plain.view(adapter=adapter)(keep), abs=1e-4)
    assert shared.ledger.tokens < 0.9 * plain.ledger.tokens


def test_difference_is_tuned_less_base_on_the_same_masks(game):
    keep, delta = masks(4), Difference(game)
    assert delta(keep) == pytest.approx(game(keep) - game.view(adapter=False)(keep))
    values, slopes = delta.gradients(np.ones((1, game.n)))
    assert values == pytest.approx(delta(np.ones((1, game.n), bool)), abs=1e-4)
    assert slopes.shape == (1, game.n) and delta.n == game.n and delta.case is CASE


def test_attention_of_a_reduced_graph_is_zero_on_what_is_gone(game):
    gone = CASE.elements.index("command:count")
    keep = np.ones(game.n, bool)
    keep[gone] = False
    full, less = game.attention(), game.attention(keep)
    assert (full > 0).all() and full[NODES:].sum() < 1
    assert less[gone] == 0 and less[CASE.elements.index("command:align")] > 0


def test_token_attention_adds_up_to_the_attention_of_facts(game):
    tokens = game.token_attention()
    assert [part.sum() for part in tokens[NODES:]] == pytest.approx(game.attention()[NODES:], abs=1e-6)
    keep = np.ones(game.n, bool)
    keep[NODES + 2] = False
    assert len(game.token_attention(keep)[NODES + 2]) == 0 and len(tokens[NODES + 2]) == 3


def test_what_is_off_is_gone_and_no_player_moves_it(game):
    dead = NODES + 1
    players = np.array([dead, NODES + 3, NODES + 4])
    part = Restricted(game, players, off=np.array([dead]))
    keep = np.array([[1, 1, 1], [0, 1, 1], [1, 0, 1], [1, 1, 0]], bool)
    whole = np.ones((4, game.n), bool)
    whole[:, dead] = False
    whole[2, NODES + 3] = whole[3, NODES + 4] = False
    values = part(keep)
    assert part.n == 3 and values == pytest.approx(game(whole)) and values[0] == values[1]
    gated = Restricted(game.view(removal="gate"), players, off=np.array([dead]))
    _, slopes = gated.gradients(keep)
    assert (slopes[:, 0] == 0).all() and (slopes[0, 1:] != 0).all()
    refused("players must be unlike numbers", Restricted, game, np.array([0, 0]))


def test_bad_input_is_named(game):
    refused(r"shape \(m, 19\)", game, np.ones((2, 3), bool))
    refused("removal='gate'", game, np.full((1, game.n), 0.5))
    refused(r"\[0, 1\], not 1.5", game.view(removal="gate"), np.full((1, game.n), 1.5))
    refused("form must be one of", game.view, form="accuracy")
    refused("span must lie", game.view, span=(3, 99))
    refused("shows no facts", Game.of, game.engine, dataclasses.replace(CASE, facts=()), path=CASE.path)


def weights(layers: int, tokens: int, seed: int = 0) -> torch.Tensor:
    """Causal attention weights, rows that sum to one."""
    scores = torch.randn(layers, tokens, tokens, generator=torch.Generator().manual_seed(seed)).double()
    return scores.masked_fill(~torch.ones(tokens, tokens, dtype=torch.bool).tril(), -torch.inf).softmax(-1)


def test_rollout_is_the_sum_over_all_paths() -> None:
    given, identity = weights(3, 4), torch.eye(4)
    found = rollout(given)
    for start, end in product(range(4), repeat=2):
        total = 0.0
        for a, b in product(range(4), repeat=2):  # start -> a in the last layer, a -> b, b -> end
            path = zip(reversed(given), ((start, a), (a, b), (b, end)), strict=True)
            total += np.prod([float((layer[i, j] + identity[i, j]) / 2) for layer, (i, j) in path])
        assert float(found[start, end]) == pytest.approx(total, abs=1e-12)
    asked = torch.tensor([[0.25, 0, 0.5, 0.25]]).double()
    assert torch.allclose(rollout(given, asked), asked @ found)


def test_facts_get_the_attention_and_the_rollout_of_the_answers_positions_in_one_pass() -> None:
    run, some = explain_cases.engine(), explain_cases.cases()
    answers = [run.answer_ids(case, case.path) for case in some]
    before = run.ledger.rows
    found = attention_measures(run, some, answers)
    assert run.ledger.rows - before == len(some)
    for i, (case, answer) in enumerate(zip(some, answers, strict=True)):
        prompt = run.prompt(case)
        with eager_attention(run), torch.no_grad():
            ids = torch.tensor([[*prompt.ids, *answer[:-1]]])
            layers = [one[0].mean(0).double().numpy() for one in run.lm.model(ids, output_attentions=True).attentions]
        matrix = np.eye(ids.shape[1])
        for layer in layers:
            matrix = (layer + np.eye(len(layer))) / 2 @ matrix
        for way, whole in (("mean", np.mean(layers, axis=0)), ("rollout", matrix)):
            asked = whole[-len(answer) :, : len(prompt.ids)].mean(axis=0)
            expected = [asked[np.array(prompt.fact) == k].sum() for k in range(len(case.facts))]
            np.testing.assert_allclose(found[way][i], expected, atol=1e-6)
        assert (found["mean"][i] > 0).all() and found["mean"][i].sum() < 1
    for alone, together in zip(attention_received(run, some, answers), found["mean"], strict=True):
        np.testing.assert_array_equal(alone, together)
    refused("mean, rollout, not by 'flow'", attention_measures, run, some, answers, ways=("flow",))
