"""Sentences about explanations: each number in them is the one it says."""

import explain_cases as small
import pytest

from workbench.explain import Explanation, verdict
from workbench.stats import PairedDifference


def explained(method: str = "in_loop", *, id: str = "one", removed=(), base=True, full=("command:hisat2",), changed=()):
    case = small.case(id=id)
    answers = {"tuned_full": full, "tuned_changed": changed}
    if base:
        answers |= {"base_full": (), "base_changed": ()}
    return Explanation(
        case=case,
        method=method,
        degrees=(0.0,) * len(case.elements),
        removed=tuple(removed),
        flags=(),
        answers=answers,
        toolchains=answers,
        metrics={"jaccard": float(full == changed), "edit_distance": 0.0, "path_overlap": 0.0, "cosine": 0.0},
        weights={},
        seed=0,
    )


def test_removal_counts_facts_and_needed_ones() -> None:
    case = small.case()
    said = verdict.removal(case, ["command:hisat2"])
    assert said == "1 element removed, with that 2 of 5 facts; of the 5 needed ones 2"
    assert verdict.removal(case, case.facts, ["nothing_left"]).endswith("no fact is left in Gc")


def test_outcome_says_what_changed() -> None:
    case = small.case()
    right = explained(full=case.toolchain, changed=())
    assert verdict.outcome(right) == "the tuned model's toolchain, right on G, changed; the base model's stayed"
    same = explained(full=("command:x",), changed=("command:x",), base=False)
    assert verdict.outcome(same) == "the tuned model's toolchain, wrong on G, stayed"


def test_over_cases_gives_shares_and_means() -> None:
    group = [
        explained(removed=["command:hisat2"]),
        explained(id="two", removed=["source:ena"], changed=("command:hisat2",)),
    ]
    said = verdict.over_cases(group)
    assert "changed in 50% of 2 cases (the base model's: 0%)" in said
    assert "1.0 elements and with them 1.5 of 5.0 facts" in said


def test_against_is_first_minus_other() -> None:
    groups = {
        "in_loop": [explained(id=str(i)) for i in range(8)],
        "random_node": [explained("random_node", id=str(i), changed=("command:hisat2",)) for i in range(8)],
    }
    found = verdict.against(groups, "in_loop")
    assert set(found) == {"random_node"}
    assert found["random_node"].mean == -1.0 and found["random_node"].p == pytest.approx(2 / 2**8)
    assert "more than random_node; less than none; with no sure difference to none" in verdict.ranking(found, "in_loop")


def test_ranking_corrects_for_the_number_of_comparisons() -> None:
    some = {name: PairedDifference(-0.1, -0.2, 0.0, 60, 0.02) for name in "abc"}
    assert "with no sure difference to a, b, c" in verdict.ranking(some, "in_loop")
    assert "more than a" in verdict.ranking({"a": some["a"]}, "in_loop")


def test_learned_goes_case_by_case() -> None:
    groups = {m: [explained(m, id=i) for i in "ab"] for m in ("random_node", "in_loop", "paper")}
    assert [(one.case.id, one.method) for one in verdict.learned(groups)] == [
        ("a", "paper"), ("a", "in_loop"), ("b", "paper"), ("b", "in_loop"),
    ]  # fmt: skip
