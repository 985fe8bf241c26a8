"""The element game: values, gradients, forms, spans, memory and the difference, against the model asked directly."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from dosed_models import with_adapter
from tiny import chain_case, save_tiny, tiny_reader

from workbench.cases import toolchain
from workbench.cases.sampling import with_order
from workbench.game import Difference, Engine, Game, Restricted, values_together
from workbench.models import LanguageModel, load
from workbench.models.prompts import encode, encode_answer

CASE = chain_case()
FACTS, NODES = len(CASE.facts), len(CASE.nodes)


@pytest.fixture(scope="module")
def lm() -> LanguageModel:
    """The shipped reader, not quantised, with a small random adapter."""
    return with_adapter(load(names=CASE.names, four_bit=False), size=0.02)


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


def test_gates_of_zero_and_one_are_gates_and_differ_from_deletion_by_positions_alone(lm):
    game = Game.of(Engine(lm), CASE, path=CASE.path)
    everything = np.ones((1, game.n), bool)
    assert game.view(removal="gate")(everything) == pytest.approx(game(everything), abs=1e-4)
    keep = masks(4)
    gated = game.view(removal="gate")(keep)
    assert gated == pytest.approx(game.view(removal="gate")(keep.astype(float)), abs=1e-6)
    assert not np.allclose(gated, game(keep), atol=1e-4)


@pytest.mark.parametrize("form", ["logprob", "margin", "decision"])
def test_gradients_equal_finite_differences(lm, form):
    lm.model.double()
    try:
        game = Game.of(Engine(lm), CASE, path=CASE.path, removal="gate", form=form)
        keep = np.full((1, game.n), 0.7)
        value, slope = game.gradients(keep)
        assert value == pytest.approx(game(keep), abs=1e-5)
        for i in range(game.n):
            up, down = keep.copy(), keep.copy()
            up[0, i] += 1e-2
            down[0, i] -= 1e-2
            expected = (game(up)[0] - game(down)[0]) / 2e-2
            assert slope[0, i] == pytest.approx(expected, rel=2e-2, abs=1e-3)
    finally:
        lm.model.float()


def test_gradient_is_taken_where_everything_is_kept_and_is_booked(lm):
    game = Game.of(Engine(lm), CASE, path=CASE.path, removal="gate")
    assert game.gradient() == pytest.approx(game.gradients(np.ones((1, game.n)))[1][0])
    assert game.ledger.backward_passes == 2


def test_the_decision_is_kept_exactly_where_the_greedy_toolchain_is_the_same(lm):
    engine = Engine(lm)
    game = Game.of(engine, CASE, form="decision")
    keep = np.concatenate([np.ones((1, game.n), bool), ~np.eye(game.n, dtype=bool), masks(40)])
    answers = engine.answers([CASE] * len(keep), keeps=list(CASE.keep_facts(keep) > 0), max_new_tokens=32)
    same = np.array([toolchain(a) == toolchain(game.path) for a in answers])
    values = game(keep)
    assert values[0] > 0 and (values != 0).all()
    assert ((values > 0) == same).all()
    assert same.any() and not same.all()  # the check can fail in both directions


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


def test_margin_is_against_the_strongest_other_toolchain(lm):
    engine = Engine(lm)
    game = Game.of(engine, CASE, form="margin")
    everything = np.ones((1, game.n), bool)
    ours, theirs = (float(game.view(form="logprob", answer=a)(everything)[0]) for a in (game.answer, game.other))
    assert game(everything)[0] == pytest.approx(ours - theirs, abs=1e-4)
    path = lm.template.parse(CASE, lm.tokenizer.decode(game.other, skip_special_tokens=True), lm.ids)
    assert toolchain(path) != toolchain(game.path)
    assert game.view(adapter=False).other == game.other  # tuned and base are asked about the same pair


def test_spans_come_from_the_same_passes(lm):
    game = Game.of(Engine(lm), CASE, path=CASE.path)
    keep = masks(5)
    tokens = game.token_logprobs(keep)
    rows = game.ledger.rows
    for k, node in enumerate(CASE.path[1:]):
        assert game.span_of(node) == (k, k + 1)  # one token a name
        assert game.view(span=(k, k + 1))(keep) == pytest.approx(tokens[:, k])
    assert game.ledger.rows == rows
    with pytest.raises(ValueError, match="does not name"):
        game.span_of("command:count")


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


def test_an_adapter_that_does_nothing_makes_no_difference():
    game = Game.of(Engine(with_adapter(tiny_reader(), size=0.0)), CASE, path=CASE.path)
    assert (Difference(game)(masks(8)) == 0).all()  # B = 0


def test_difference_is_tuned_less_base_on_the_same_masks(lm):
    game = Game.of(Engine(lm), CASE, path=CASE.path)
    keep, delta = masks(4), Difference(game)
    assert delta(keep) == pytest.approx(game(keep) - game.view(adapter=False)(keep))
    values, slopes = delta.gradients(np.ones((1, game.n)))
    assert values == pytest.approx(delta(np.ones((1, game.n), bool)), abs=1e-4)
    assert slopes.shape == (1, game.n) and delta.n == game.n and delta.case is CASE


def test_attention_of_a_reduced_graph_is_zero_on_what_is_gone(lm):
    game = Game.of(Engine(lm), CASE, path=CASE.path)
    gone = CASE.elements.index("command:count")
    keep = np.ones(game.n, bool)
    keep[gone] = False
    full, less = game.attention(), game.attention(keep)
    assert (full > 0).all() and full[NODES:].sum() < 1
    assert less[gone] == 0 and less[CASE.elements.index("command:align")] > 0


def test_token_attention_adds_up_to_the_attention_of_facts(lm):
    game = Game.of(Engine(lm), CASE, path=CASE.path)
    tokens = game.token_attention()
    assert [part.sum() for part in tokens[NODES:]] == pytest.approx(game.attention()[NODES:], abs=1e-6)
    keep = np.ones(game.n, bool)
    keep[NODES + 2] = False
    assert len(game.token_attention(keep)[NODES + 2]) == 0 and len(tokens[NODES + 2]) == 3


def test_what_is_off_is_gone_and_no_player_moves_it(lm):
    game = Game.of(Engine(lm), CASE, path=CASE.path)
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
    with pytest.raises(ValueError, match="players must be unlike numbers"):
        Restricted(game, np.array([0, 0]))


def test_bad_input_is_named(lm):
    game = Game.of(Engine(lm), CASE, path=CASE.path)
    with pytest.raises(ValueError, match=r"shape \(m, 19\)"):
        game(np.ones((2, 3), bool))
    with pytest.raises(ValueError, match="removal='gate'"):
        game(np.full((1, game.n), 0.5))
    with pytest.raises(ValueError, match=r"\[0, 1\], not 1.5"):
        game.view(removal="gate")(np.full((1, game.n), 1.5))
    with pytest.raises(ValueError, match="form must be one of"):
        game.view(form="accuracy")
    with pytest.raises(ValueError, match="span must lie"):
        game.view(span=(3, 99))
    with pytest.raises(ValueError, match="shows no facts"):
        Game.of(Engine(lm), dataclasses.replace(CASE, facts=()), path=CASE.path)
