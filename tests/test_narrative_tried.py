"""Sentences made from figures: what they say, what they must not say, and names that mean harm."""

from dataclasses import replace

import explain_cases as small
import numpy as np
import pandas as pd
import pytest
from hostile_inputs import TEXTS
from test_narrative_explained import explained as explaining

from workbench.cases import Fact
from workbench.explain import TERMS, Weights
from workbench.explain.trial import Carriers, Check, Outcome
from workbench.hands.narrative import explained, names, tried
from workbench.stats import paired_difference

CASE = small.case()
NAMES = small.NAMES
ALIGN, SORT = "command:hisat2", "command:samtools sort"
FULL, OTHER = ("source:ena", ALIGN, SORT), ("source:ena", SORT)
HOSTILE = [*TEXTS, "</s>", "a\u202egpj.exe", "x\ny\t\0z", "$x$ %{y}"]


def outcome(removed=(ALIGN,), *, tuned=OTHER, base=FULL, leads=(-1.5, 0.25)) -> Outcome:
    answers = {"tuned_full": FULL, "tuned_changed": tuned, "base_full": FULL, "base_changed": base}
    return Outcome(CASE, tuple(removed), answers, dict(zip(("tuned", "base"), leads, strict=True)))


def test_an_outcome_says_what_changed_and_by_how_much_the_rest_stays() -> None:
    said = tried.outcome(outcome(), NAMES)
    assert "Taken out: hisat2 (1 element and so 2 of 5 facts, 2 of the 5 on the right answer's path)" in said
    assert "tuned model's toolchain changes from hisat2 → samtools sort to samtools sort" in said
    assert "base model's toolchain stays hisat2 → samtools sort; its least sure token leads by 0.25 nats" in said
    assert said.endswith("Only the tuned model changes.")


def test_both_models_changing_is_not_put_down_to_tuning() -> None:
    said = tried.outcome(outcome(base=OTHER), NAMES)
    assert "what the task needs, not what tuning added" in said and "Only the tuned" not in said


def test_a_base_that_was_wrong_before_tells_nothing_of_tuning_when_it_changes() -> None:
    both = outcome(base=FULL)
    both = replace(both, answers={**both.answers, "base_full": OTHER})
    assert tried.outcome(both, NAMES).endswith("was not right before: this does not tell what tuning added.")


def test_nothing_removed_says_so_and_claims_no_change() -> None:
    said = tried.outcome(outcome((), tuned=FULL, leads=(2.0, 1.0)), NAMES)
    assert "Nothing is taken out" in said and "changes" not in said and "which is right" in said


def test_a_token_that_turned_without_its_command_is_told() -> None:
    said = tried.outcome(outcome(tuned=FULL, leads=(-0.1, 0.25)), NAMES)
    assert "the commands are the same" in said and "-0.1" not in said


CHECKS = [
    (Check(CASE, (), False, 1.0, (), 1), "nothing to check", "inimal for"),
    (Check(CASE, (ALIGN,), False, 0.5, (), 2), "Not a flip set", "inimal for"),
    (Check(CASE, (ALIGN, SORT), True, -1.0, (SORT,), 3), "put samtools sort back, it alone", "Minimal for"),
    (Check(CASE, (ALIGN, SORT), True, -1.0, (), 3), "Minimal for the facts in this order:", "were not asked"),
    (Check(CASE, (ALIGN, SORT, "source:ena"), True, -1.0, (), 4), "or more of the members were not asked", "Not a"),
]


@pytest.mark.parametrize(("one", "has", "lacks"), CHECKS)
def test_a_check_claims_no_more_than_was_asked(one: Check, has: str, lacks: str) -> None:
    said = tried.check(one)
    assert has in said and lacks not in said
    assert not one.removed or f"{one.calls} prompts asked" in said


def test_carriers_are_named_in_order_with_their_nats() -> None:
    scores = np.array([0.2, 3.0, 0.0, -0.5, 0.004])
    said = tried.carriers(Carriers(CASE, "tuned_full", ALIGN, scores, np.ones(5, bool), -0.3), NAMES)
    assert said.index("FASTQ → hisat2 (3.00 nats)") < said.index("ENA archive → FASTQ (0.20 nats)")
    assert "make hisat2 less likely" in said and "is -0.30 nats" in said and "1 other fact" in said
    none = tried.carriers(Carriers(CASE, "base_changed", ALIGN, scores * 0, np.ones(5, bool), -9.0), NAMES)
    assert none.startswith("No shown fact") and "base model on Gc" in none


def test_a_mask_is_never_called_certified() -> None:
    for method in ("paper", "in_loop", "random_both"):
        said = explained.explanation(explaining(method, flags=("no_flip",)), NAMES)
        assert "Certified" not in said and "Nothing here shows that a smaller set" in said
        assert "Note: no set was found" in said


PROOFS = [
    (True, True, "Certified for the facts in this order: it flips"),
    (True, False, "not proved minimal"),
    (False, False, "does not show that there is none"),
]


@pytest.mark.parametrize(("found", "certified", "has"), PROOFS)
def test_a_certificate_is_told_as_it_is(found: bool, certified: bool, has: str) -> None:
    proof = {"found": found, "certified": certified, "calls": 12, "note": "", "elements": [1], "value": -1.0}
    flags = () if certified else ("not_certified",)
    said = explained.explanation(explaining("certified", certificate=proof, flags=flags), NAMES)
    assert has in said and "12 prompts asked" in said and ("Certified for" in said) == certified
    assert "the base model's stays" in said
    noisy = explaining("certified", certificate={**proof, "confidence": 0.95}, flags=flags)
    words = "Certified at 95% for the facts in this order: it flips"
    assert (words in explained.explanation(noisy, NAMES)) == certified


def test_the_objective_says_whether_it_is_of_these_weights() -> None:
    row = dict.fromkeys(TERMS, 1.0)
    same = explained.objective(row, Weights(), learned=Weights().to_dict())
    assert "divergence alone makes 94%" in same and "Recompute" not in same
    assert "only Recompute" in explained.objective(row, Weights(alpha=1.0), learned=Weights().to_dict())
    assert explained.objective(dict.fromkeys(TERMS, 0.0), Weights(), learned={}) == "Every term is 0 or switched off."


def interval(low: float, high: float, n: int) -> dict[str, float]:
    return {"share": 0.5, "share_low": low, "share_high": high, "n": n}


def test_few_cases_have_no_interval_and_tell_nothing_apart() -> None:
    enough, other, few = interval(0.1, 0.4, 5), interval(0.5, 0.6, 5), interval(0.8, 0.9, 4)
    assert names.between(enough, "share") == "0.50 [0.10, 0.40]" and names.between(few, "share") == "0.50 (n = 4)"
    assert names.between({"mean": 0.25, "low": 0.125, "high": 0.5}, form=".3f") == "0.250 [0.125, 0.500]"
    assert [names.few(row) for row in (enough, few, {})] == [False, True, False], "a row without n is as it was made"
    assert names.apart(enough, other, "share") and names.apart(other, enough, "share")
    assert not names.apart(enough, interval(0.4, 0.6, 5), "share") and not names.apart(enough, few, "share")


def test_a_sign_flip_test_of_few_pairs_is_blind() -> None:
    assert [names.blind(n, 0.05) for n in (1, 5, 6)] == [True, True, False]
    same = paired_difference([1.0] * 5, [0.0] * 5, rng=np.random.default_rng(0))
    assert same.p == 2.0 ** (1 - 5), "the least there is"


def test_an_element_is_ranked_only_by_measures_that_rank_its_kind() -> None:
    rows = pd.DataFrame({"element": range(3), "kind": "node", "name": list("abc")})
    rows = rows.assign(mask=[0.5, 58.39, 0.1], set=0.0, rollout=[5.88e-07, 0.0, 0.2])
    measures = ["mask", "set", "rollout"]
    said = tried.picked(rows, measures, 0)
    assert said == "a: mask 0.5 (number 2 of 3 nodes), rollout below 0.001 (number 2 of 3 nodes)."
    assert tried.picked(rows, measures, 1) == "b: mask 58 (number 1 of 3 nodes), rollout 0 (number 3 of 3 nodes)."
    assert tried.picked(rows, ["set"], 0) == "a: no measure ranks it."


def test_long_lists_and_chains_are_counted_not_cut() -> None:
    assert names.listed("abcdef") == "a, b, c and 3 more"
    assert names.listed([]) == "nothing" and names.listed(["a", "b"]) == "a and b"
    path = [f"n{i}" for i in range(12)]
    assert names.chain(path, {}).count("→") == 6 and "(6 more)" in names.chain(path, {})
    assert names.chain(["n", "n", "m"], {}) == "n × 2 → m"


@pytest.mark.parametrize("name", HOSTILE)
def test_names_are_one_short_printable_line(name: str) -> None:
    case = replace(CASE, names={node: f"{name}{i}" for i, node in enumerate(CASE.names)})
    for said in (
        tried.outcome(replace(outcome(), case=case), case.names),
        names.element(case, Fact("source:ena", "download_from", "format_1930")),
        explained.explanation(replace(explaining(removed=(ALIGN,)), case=case), case.names),
    ):
        assert all(mark.isprintable() for mark in said)
    assert len(names.clean(name * 50)) <= names.LONGEST
    assert names.clean("\u05d0\u05d1") == "\u2068\u05d0\u05d1\u2069", "from right to left: kept apart"


def test_the_cost_names_what_was_spent() -> None:
    said = explained.ledger({"rows": 1234, "tokens": 5, "backward_passes": 60, "seconds": 2.04, "cases": 3})
    assert said == "Cost: 1,234 prompts with 5 tokens, 60 backward passes, 2.0 s, for 3 cases together."
    assert "backward" not in explained.ledger({"rows": 1})
