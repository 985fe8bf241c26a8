"""Sentences about explanations: each number in them is the one it says."""

from dataclasses import replace

import explain_cases as small
import numpy as np
import pytest

from workbench.explain import ChangedSets, ElementSet, Explanation, OtherOrders, against, by_case, order_shares
from workbench.explain.counterfactual import verified_changes
from workbench.hands.narrative import explained as verdict
from workbench.stats import PairedDifference

FULL = ("command:hisat2",)
FEW, MANY = small.case().elements[:1], small.case().elements[:4]


def explained(
    method: str = "in_loop", *, id="one", removed=(), base=True, full=FULL, changed=(), flags=(), certificate=None
):
    case = small.case(id=id)
    said = {"tuned_full": full, "tuned_changed": changed} | ({"base_full": FULL, "base_changed": FULL} if base else {})
    metrics = {"jaccard": float(full == changed), "edit_distance": 0.0, "path_overlap": 0.0, "cosine": 0.0}
    given = (case, method, (0.0,) * len(case.elements), tuple(removed), tuple(flags), said, said, metrics)
    return Explanation(*given, weights={}, seed=0, certificate=certificate or {})


def groups_of(cases: int, **removed) -> dict[str, list[Explanation]]:
    return {name: [explained(name, id=str(i), removed=gone) for i in range(cases)] for name, gone in removed.items()}


def test_removal_counts_facts_and_needed_ones() -> None:
    case = small.case()
    said = verdict.removal(case, ["command:hisat2"])
    assert said == "Taken out: hisat2 (1 element and so 2 of 5 facts, 2 of the 5 on the right answer's path)."
    assert verdict.removal(case, case.facts, ["nothing_left"]).endswith("Note: no fact is left in Gc.")
    assert verdict.removal(case, ()) == "Nothing is taken out: Gc is G."


def test_a_base_model_that_names_no_command_has_no_toolchain_that_stays() -> None:
    case = small.case()
    one = explained(full=case.toolchain, changed=())
    one = replace(one, toolchains=one.toolchains | {"base_full": (), "base_changed": ()})
    for said in (verdict.over_cases([one]), verdict.explanation(one, case.names)):
        assert "the base model names no command" in said and "the base model's" not in said


def test_a_second_case_says_that_all_of_its_set_must_go() -> None:
    facts, names = small.case().facts, small.case().names
    proof = {"found": True, "certified": True, "calls": 9, "note": ""}
    for size, said in {2: "Both must go: either of them is enough", 3: "All 3 must go: any one of them is"}.items():
        one = explained("certified", removed=facts[:size], certificate={**proof, "elements": list(range(size))})
        told = verdict.second(one, names)
        assert told.startswith("one, from ") and said in told and f"the {size} members put back" in told
    assert verdict.second(None, names).startswith("No case has a certified set of two facts or more")


def test_over_cases_gives_shares_and_means() -> None:
    group = [explained(removed=["command:hisat2"]), explained(id="two", removed=["source:ena"], changed=FULL)]
    said = verdict.over_cases(group)
    assert "changed in 50% of 2 cases (the base model's: 0%)" in said
    assert "1.0 elements and with them 1.5 of 5.0 facts" in said


def test_against_is_first_minus_other() -> None:
    groups = {
        "in_loop": [explained(id=str(i)) for i in range(8)],
        "random_node": [explained("random_node", id=str(i), changed=("command:hisat2",)) for i in range(8)],
    }
    found = against(groups, "in_loop", metric="jaccard")
    assert set(found) == {"random_node"}
    assert found["random_node"].mean == -1.0 and found["random_node"].p == pytest.approx(2 / 2**8)
    assert "the toolchains more than random_node (level 0.0500); a method" in verdict.ranking(found, "in_loop")


def test_ranking_corrects_for_the_number_of_comparisons() -> None:
    some = {name: PairedDifference(-0.1, -0.2, 0.0, 60, 0.02) for name in "abc"}
    assert "with no sure difference to a, b, c" in verdict.ranking(some, "in_loop")
    assert "more than a" in verdict.ranking({"a": some["a"]}, "in_loop")


def planted(id: str, rng: np.random.Generator) -> small.Planted:
    """A game with one to three groups, of one to three elements each."""
    case = small.case(id=id)
    sizes = rng.integers(1, 4, size=rng.integers(1, 4))
    groups = [set(rng.permutation(len(case.elements))[:size].tolist()) for size in sizes]
    return small.Planted(*groups, case=case)


def by_chance(seed: int, cases: int = 24) -> tuple[dict, dict]:
    """Two orders by chance, one of them under the name of a method: under one stopping rule, and with as many elements
    removed as the first took."""
    rng = np.random.default_rng(seed)
    games = [planted(str(i), rng) for i in range(cases)]
    orders = {name: [rng.permutation(game.n) for game in games] for name in ("in_loop", "random_both")}
    stopped = {name: verified_changes(games, some) for name, some in orders.items()}
    equal = [
        [g.elements[i] for i in o[: len(one.elements)]]
        for g, o, one in zip(games, orders["random_both"], stopped["in_loop"], strict=True)
    ]

    def group(name: str, removed) -> list[Explanation]:
        out = []
        for game, gone in zip(games, removed, strict=True):
            lost = game(np.array([[e not in gone for e in game.elements]]))[0] <= 0
            out.append(explained(name, id=game.case.id, removed=gone, base=False, changed=() if lost else FULL))
        return out

    under = {name: group(name, [one.elements for one in found]) for name, found in stopped.items()}
    return under, {"in_loop": under["in_loop"], "random_both": group("random_both", equal)}


def test_an_order_by_chance_is_no_better_than_chance_under_one_stopping_rule() -> None:
    """Stopping one order where it flips, and the other wherever that was, makes chance look better than chance."""
    sooner, unlike, artefact, times = 0, 0, 0, 60
    for seed in range(times):
        stopped, equal = by_chance(seed)
        sooner += against(stopped, "in_loop", metric="elements_taken", seed=seed)["random_both"].p < 0.05
        unlike += against(stopped, "in_loop", metric="jaccard", seed=seed)["random_both"].p < 0.05
        artefact += against(equal, "in_loop", metric="jaccard", seed=seed)["random_both"].p < 0.05
    bound = 0.05 * times + 3 * np.sqrt(0.05 * 0.95 * times)
    assert sooner <= bound and unlike <= bound
    assert artefact > 0.9 * times, "with as many elements the stopping rule is measured, not the order"


def test_the_headline_names_sizes_and_ranks_the_searched_set_with_none() -> None:
    groups = groups_of(12, in_loop=FEW, random_both=MANY, certified=FEW)
    said = verdict.sooner(groups, "in_loop")
    assert "in_loop needs 1.0 [1.0, 1.0] elements, mean of 12 cases: fewer than random_both (4.0)" in said
    assert said.endswith("the searched set has 1.0")
    never = [explained(id=str(i), base=False, changed=FULL, flags=("no_flip",)) for i in range(12)]
    assert never[0].elements_taken == len(small.case().elements) and never[0].facts_taken == 5
    assert "in 12 cases no number of them" in verdict.sooner(groups | {"in_loop": never}, "in_loop")


def test_of_few_cases_nothing_is_told_apart_and_no_interval_is_shown() -> None:
    said = verdict.sooner(groups_of(3, in_loop=FEW, random_both=MANY), "in_loop")
    assert "needs 1.0 (n = 3) elements, mean of 3 cases: with no sure difference to random_both (4.0)" in said
    assert said.endswith("which 3 cases cannot show (level 0.0500)")
    difference = {"mean": 1.0, "low": -9.0, "high": 11.0, "p": 0.5}
    cells = {n: {"method": {"lds": {"mean": 0.4, "difference": difference | {"n": n}}}} for n in (2, 10)}
    said = "lds: none is surely above chance, which 2 cases cannot show (level 0.0500), highest mean method"
    assert verdict.above_chance(cells[2], "lds") == said
    assert verdict.above_chance(cells[10], "lds").startswith("lds: none is surely above chance (level 0.0500)")
    shown = verdict.table({"few": difference | {"n": 4}, "enough": difference | {"n": 5}})
    assert shown["low"].isna().tolist() == shown["high"].isna().tolist() == [True, False]
    assert shown["mean"].tolist() == [1.0, 1.0]


def test_an_interval_ends_where_no_case_can_be() -> None:
    sizes = (1, 1, 1, 1, 10)
    group = [explained(id=str(i), removed=small.case().elements[:k]) for i, k in enumerate(sizes)]
    assert " [1.0, " in verdict.sooner({"in_loop": group, "random_both": group}, "in_loop")


def test_what_other_orders_do_is_said_with_its_interval() -> None:
    found = [OtherOrders("a", (True, True, False, True), (True, False, True, True))] * 3
    found += [OtherOrders("b", (False,) * 4, (True,) * 4)]
    shares = order_shares(found)
    assert shares["flips"]["mean"] == pytest.approx(np.mean([0.75] * 3 + [1]))
    assert shares["kept"]["mean"] == pytest.approx(np.mean([0.75] * 3 + [0]))
    assert (shares["flips_where_kept"]["mean"], shares["flips_where_kept"]["n"]) == (pytest.approx(2 / 3), 3)
    said = verdict.under_orders(found)
    assert said.endswith(
        "in 4 other orders of each of 4 cases removing the set changes the toolchain in 81% (n = 4); all facts "
        "together give the answer as before in 56% (n = 4), and among these it is 67% (n = 3)"
    )
    assert "changes the toolchain in 81% [" in verdict.under_orders(2 * found)
    assert order_shares([]) == {} and "not known" in verdict.under_orders([])


def test_by_case_goes_case_by_case() -> None:
    groups = {m: [explained(m, id=i) for i in "ab"] for m in ("random_node", "certified", "in_loop", "paper")}
    assert [(one.case.id, one.method) for one in by_case(groups)] == [
        ("a", "paper"), ("a", "in_loop"), ("a", "certified"), ("b", "paper"), ("b", "in_loop"), ("b", "certified"),
    ]  # fmt: skip
    assert [one.method for one in by_case({"in_loop": groups["in_loop"]})] == ["in_loop", "in_loop"]


def test_a_found_set_is_named_with_its_proof_and_its_price() -> None:
    case = small.case()
    number = {element: i for i, element in enumerate(case.elements)}
    members = (number["command:hisat2"], number[case.facts[3]])
    flip = ElementSet("flip", members, True, True, 12, -0.5, note="no element flips alone")
    assert verdict.found_set(case, flip) == (
        "removing hisat2, SAM → samtools sort changes the toolchain: 2 elements; all of them must go, any one that "
        "is left is enough, certified for the facts in this order, asked for with 12 masks; no element flips alone"
    )
    keep = ElementSet("sufficient", (), True, False, 1, 0.5)
    said = "keeping only nothing keeps the toolchain: 0 elements, not certified, asked for with 1 mask"
    assert verdict.found_set(case, keep) == said
    none = ElementSet("flip", (), False, False, 3, float("nan"), note="the budget was spent")
    assert verdict.found_set(case, none) == "no set was found, asked for with 3 masks; the budget was spent"


def test_certified_counts_proofs_sizes_and_calls() -> None:
    proofs = [{"certified": True, "calls": 10}, {"certified": False, "calls": 30}]
    groups = {
        "paper": [explained("paper", id=i, removed=small.case().facts[:4]) for i in "ab"],
        "in_loop": [explained(id=i, removed=small.case().facts[:k]) for i, k in zip("ab", (1, 2), strict=True)],
    }
    pairs = zip("ab", proofs, strict=True)
    groups["certified"] = [explained("certified", id=i, removed=["source:ena"], certificate=p) for i, p in pairs]
    said = verdict.certified(groups)
    assert "found in 50% of 2 cases; a mean of" in said, "of few cases without an interval"
    many = verdict.certified({name: some * 5 for name, some in groups.items()})
    assert "found in 50% of 10 cases [24%, 76%]" in many
    assert "1.0 elements were removed, against 4.0 by paper and 1.5 by in_loop; it took a median of 20 masks" in said
    fewer = verdict.certified(groups | {name: groups[name][:1] for name in ("paper", "in_loop")})
    assert "of 2 cases" in fewer and "4.0 by paper and 1.0 by in_loop in 1 case;" in fewer


def test_shapes_of_sets_are_told_and_the_pairs_that_name_one_command() -> None:
    facts = {(f.head, f.tail): f for f in small.case().facts}
    reads = next(f for f in facts.values() if f.tail.startswith("command:"))
    writes = next(f for f in facts.values() if f.head == reads.tail)
    other = next(f for f in facts.values() if reads.tail not in (f.head, f.tail))
    sets = [["source:ena"], [reads], [writes, reads], [reads, other], [reads, writes, other]]
    some = [explained("certified", removed=one, certificate={"certified": True}) for one in sets]
    said = verdict.shapes([*some, explained("certified", removed=[other], certificate={"certified": False})])
    assert "of 5 certified sets 2 have one member (1 of these a fact), 2 two and 1 three or more" in said
    assert "in 1 of 2 pairs of facts the two are what one command reads and what it writes" in said
    assert "of 1 certified set 1 has one member" in verdict.shapes(some[:1])


def changed_sets(**of) -> ChangedSets:
    given = dict.fromkeys(("tuned", "base", "tuned_only", "base_only", "shared", "added", "kept", "dropped"), ())
    return ChangedSets(**{**given, "unsure": (), "calls": 7, **of})


def test_changed_elements_are_named_and_their_shares_given() -> None:
    case = small.case()
    found = changed_sets(added=(0,), kept=(6, 7), notes=("base: the budget was spent",))
    assert verdict.changed(case, found) == (
        "added: ENA archive; kept: ENA archive → FASTQ, FASTQ → hisat2; dropped: nothing "
        "(7 masks; base: the budget was spent)"
    )
    said = verdict.over_changed([found, changed_sets(dropped=(1,))])
    assert said == "of 4 elements in flip sets of 2 cases: 25% added, 50% kept, 25% dropped"
    left = changed_sets(unsure=(6,), notes=("base: the budget was spent",))
    assert "dropped: nothing; unsure: ENA archive → FASTQ (" in verdict.changed(case, left)
    assert verdict.over_changed([found, left]).endswith("0% dropped; of 1 more the search left it open")
    assert verdict.over_changed([]) == "of 0 elements in flip sets of 0 cases: 0% added, 0% kept, 0% dropped"
