"""A model that reasons first: its answers with the thought are generated, parsed and explained."""

from pathlib import Path

import pytest
import torch
from test_prompts import MARKS, reasoning_model
from tiny import NAMES, chain_case

from workbench import explain, models
from workbench.cases import Case, toolchain
from workbench.explain import CERTIFIED, ExplainConfig
from workbench.explain.counterfactual import without
from workbench.game import Engine, Game
from workbench.models import LanguageModel

CASE = chain_case()
SHORT = CASE.path[:4]
THOUGHTS = {
    CASE.path: "SRA -> archive would do.\nBut the target is BAM.",
    SHORT: "No aligner.\nSRA -> BAM is no chain.",
}
LONGEST = 200


def taught(engine: Engine, case: Case, path: tuple[str, ...]) -> tuple[list[int], list[int]]:
    """A row that a model can learn: prompt, thought, answer; and its labels."""
    tokenizer, prompt = engine.lm.tokenizer, list(engine.prompt(case).ids)
    said = tokenizer.encode(THOUGHTS[path], add_special_tokens=False)
    answer = [*said, *engine.answer_ids(case, path)]
    return [*prompt, *answer], [*[-100] * len(prompt), *answer]


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    """A tiny model with DeepSeek-R1's template that was taught to think, and to answer shorter without one fact."""
    folder = tmp_path_factory.mktemp("r1")
    reasoning_model(folder, NAMES)
    lm = models.load(str(folder), names=NAMES, four_bit=False, thought=True)
    engine = Engine(lm)
    rows = [taught(engine, CASE, CASE.path), taught(engine, without(CASE, [CASE.needed[3]]), SHORT)]
    learn(lm, rows)
    return engine


def learn(lm: LanguageModel, rows: list[tuple[list[int], list[int]]]) -> None:
    """Rows by heart."""
    weights = [weight.requires_grad_(True) for weight in lm.model.parameters()]
    optimiser = torch.optim.AdamW(weights, lr=3e-3, weight_decay=0.0)
    for _ in range(300):
        losses = [lm.model(input_ids=torch.tensor([ids]), labels=torch.tensor([labels])).loss for ids, labels in rows]
        (loss := torch.stack(losses).mean()).backward()
        optimiser.step()
        optimiser.zero_grad()
        if loss < 0.01:
            break
    assert loss < 0.02
    for weight in weights:
        weight.requires_grad_(False)


def test_the_thought_stays_open_and_the_chain_behind_it_is_the_decision(engine: Engine) -> None:
    prompt = engine.lm.tokenizer.decode(engine.prompt(CASE).ids)
    assert prompt.endswith("<｜Assistant｜><think>\n") and "</think>" not in prompt
    (text,) = engine.written([CASE], max_new_tokens=LONGEST)
    assert engine.lm.template.thought(text) == THOUGHTS[CASE.path]
    assert engine.parsed([CASE], [text]) == [CASE.path]
    assert engine.answers([CASE], max_new_tokens=9) == [(CASE.source,)], "a thought that is not closed answers nothing"


def test_a_direct_answer_is_one_with_an_empty_thought(engine: Engine) -> None:
    ids = engine.answer_ids(CASE, CASE.path)
    marks = engine.lm.tokenizer.convert_tokens_to_ids(MARKS)
    assert [t for t in ids if t in marks] == [marks[3]]
    assert Game(engine, CASE, ids).path == CASE.path


def test_an_explanation_holds_the_thoughts_and_turns_what_stands_behind_them(engine: Engine, tmp_path: Path) -> None:
    config = ExplainConfig(max_new_tokens=LONGEST, certified_budget=60, sets_of="facts")
    (one,) = explain.explain(engine, [CASE], CERTIFIED, config=config)
    assert one.answers["tuned_full"] == CASE.path and one.thoughts["tuned_full"] == THOUGHTS[CASE.path]
    assert one.certificate["certified"] and one.flipped
    again = engine.written([one.changed], max_new_tokens=LONGEST)[0]
    assert toolchain(engine.parsed([CASE], [again])[0]) == one.toolchains["tuned_changed"] != CASE.toolchain
    assert one.thoughts.get("tuned_changed", "") == engine.lm.template.thought(again)
    game = Game.of(engine, CASE, form="decision", max_new_tokens=LONGEST)
    keep = [[element != CASE.needed[3] for element in CASE.elements]]
    assert game(torch.tensor(keep).numpy())[0] < 0, "the fact without which it was taught another answer"
    assert explain.load(explain.save(tmp_path / "one.json", one)).thoughts == one.thoughts
