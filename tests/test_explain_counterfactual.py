"""Gc: what goes, what goes with it, and that a change is never empty. On how many facts answers hang, and what of that
is due to tuning: counted by hand."""

from dataclasses import replace

import explain_cases as small
import numpy as np
import pytest
from explain_cases import CHAIN, MORE, Planted, case
from hypothesis import given
from hypothesis import strategies as st
from refusals import refused
from table_games import TableGame, random_table
from test_narrative_explained import explained

from workbench.cases import Fact
from workbench.explain import FLAGS, ChangedSets, ElementSet, Masks, removed_elements, without
from workbench.explain.counterfactual import certified_change, first_flips, verified_changes
from workbench.explain.trial import hanging, second_case
from workbench.models.prompts import ReaderTemplate, text


def masks(nodes: list[float], edges: list[float]) -> Masks:
    return Masks(np.array(nodes), np.array(edges))


def test_elements_above_the_threshold_go_highest_first() -> None:
    c = case()
    change = removed_elements(c, masks([0.1, 0.7, 0.1, 0.5, 0.1, 0.1], [0.2, 0.2, 0.9, 0.2, 0.2]))
    assert change.elements == (c.facts[2], c.nodes[1])  # 0.5 itself is not above 0.5
    assert change.flags == ()
    assert removed_elements(c, masks([0.4] + [0.1] * 5, [0.1] * 5), threshold=0.3).elements == (c.nodes[0],)


def test_a_change_is_never_empty_and_says_so() -> None:
    c = case()
    change = removed_elements(c, masks([0.1] * 6, [0.1, 0.4, 0.4, 0.1, 0.1]))
    assert change.elements == (c.facts[1],)  # of equal ones the first
    assert change.flags == ("below_threshold",)
    assert removed_elements(c, masks([0.9] * 6, [0.9] * 5)).flags == ("nothing_left",)
    assert {"below_threshold", "nothing_left", "no_flip", "not_certified"} == set(FLAGS)


def test_removed_facts_are_gone_from_the_text_and_the_question_stays() -> None:
    c = case(CHAIN + MORE)
    rendered = text(without(c, ["command:hisat2"]), ReaderTemplate())
    assert "hisat2" not in rendered
    assert "samtools_sort BAM output" in rendered
    assert rendered.count("to Nucleic_acid_features from ENA_archive") == 2
    assert without(c, ["command:hisat2"]).path == c.path


@given(st.lists(st.floats(0, 1), min_size=15, max_size=15), st.floats(0, 1))
def test_what_stays_has_lost_neither_edge_nor_end(degrees: list[float], threshold: float) -> None:
    c = case(CHAIN + MORE)
    change = removed_elements(c, masks(degrees[:8], degrees[8:]), threshold)
    left = without(c, change.elements)
    assert change.elements and len(left.facts) < len(c.facts) and without(c, []).facts == c.facts
    gone = set(change.elements)
    for fact in c.facts:
        assert (fact in left.facts) == (not gone & {fact, fact.head, fact.tail})
    keep = c.keep_facts(np.array([[e not in gone for e in c.elements]]))[0]
    assert left.facts == tuple(f for f, k in zip(c.facts, keep, strict=True) if k)
    assert ("nothing_left" in change.flags) == (not left.facts)


def test_what_does_not_fit_is_refused() -> None:
    c = case()
    refused("does not show command:bwa", without, c, ["command:bwa"])
    refused("does not show", without, c, [Fact("format_1930", "output", "command:hisat2")])
    refused("5 nodes and 5 edges do not fit case 'one' with 6 and 5", removed_elements, c, masks([0.1] * 5, [0.1] * 5))
    refused(r"threshold must lie in \[0, 1\]", removed_elements, c, masks([0.1] * 6, [0.1] * 5), threshold=1.5)


@given(st.integers(0, 10**6))
def test_every_order_is_stopped_at_its_first_prefix_that_flips(seed: int) -> None:
    """Against a look at every prefix, on random rules, monotone and not; orders may leave elements out."""
    rng = np.random.default_rng(seed)
    games = [TableGame(random_table(n, rng)) for n in rng.integers(1, 7, size=4).tolist()]
    orders = [rng.permutation(game.n)[: rng.integers(1, game.n + 1)] for game in games]
    for game, order, found in zip(games, orders, first_flips(games, orders), strict=True):
        sizes = [k for k in range(1, len(order) + 1) if game.holds("flip", order[:k].tolist())]
        assert found == (sizes[0] if sizes else None)
        assert game.rows <= (found or len(order)) + 1, "nothing far beyond the first change is asked"


def test_a_verified_change_takes_no_threshold_and_ends_where_the_decision_does() -> None:
    c = case()
    game = Planted({1, 8}, {3}, case=c)
    degrees = np.linspace(0.9, 0.1, game.n)
    degrees[[1, 8]] = 0.95, 0.85  # 1 first, then 0, then 8
    orders = [Masks(degrees[:6], degrees[6:]).order, masks([0.1, 0.1, 0.1, 0.2, 0.1, 0.1], [0.1] * 5).order]
    long, short = verified_changes([game, game], orders)
    assert long.elements == (c.elements[1], c.elements[0], c.elements[8]) and long.flags == ()
    assert short.elements == (c.elements[3],), "degrees below any threshold go as well"
    (never,) = verified_changes([Planted(case=c)], [[1, 0, 2]])
    assert never.elements == (c.nodes[1],) and never.flags == ("no_flip",)


@pytest.mark.parametrize("order", [[], [0, 0], [11], [-1]])
def test_an_order_of_no_elements_or_unknown_ones_is_refused(order: list[int]) -> None:
    refused(r"order must name elements 0 \.\. 10, each once at most", first_flips, [Planted(case=case())], [order])


def test_a_certified_change_takes_out_the_set_that_was_found() -> None:
    c = case()
    game = Planted({2}, case=c)
    proved = ElementSet("flip", (2, 7), True, True, 9, -1.0)
    assert certified_change(game, proved).elements == (c.elements[2], c.elements[7])
    assert certified_change(game, proved).flags == ()
    doubtful = ElementSet("flip", (2,), True, False, 9, -1.0)
    assert certified_change(game, doubtful).flags == ("not_certified",)
    whole = ElementSet("flip", tuple(range(6)), True, True, 9, -1.0)
    assert certified_change(game, whole).flags == ("nothing_left",)
    assert game.asked == 0, "nothing needs to be asked again"
    none = ElementSet("flip", (), False, False, 3, float("nan"))
    change = certified_change(Planted({4}, {2, 3}, case=c), none)  # the element that moves the value most
    assert (change.elements, change.flags) == ((c.elements[4],), ("no_flip", "not_certified"))


FACTS = small.case().facts


def sets(*, base: tuple[str, ...] = ("command:hisat2",), after: tuple[tuple[str, ...], ...]) -> list:
    """Certified sets of 1, 1, 2 and 4 facts, and one without certificate; after: what the base answers then."""
    found = []
    for size, then in zip((1, 1, 2, 4), after, strict=True):
        one = explained("certified", removed=FACTS[:size], certificate={"certified": True})
        found.append(replace(one, toolchains=one.toolchains | {"base_full": base, "base_changed": then}))
    return [*found, explained("certified", removed=FACTS[:1], certificate={"certified": False})]


def changed(added: int, kept: int, dropped: int) -> ChangedSets:
    numbers = iter(range(9))
    groups = [tuple(next(numbers) for _ in range(count)) for count in (added, kept, dropped)]
    return ChangedSets((), (), (), (), (), *groups, (), 0)


def test_shares_are_those_counted_by_hand() -> None:
    stays, turns = ("command:hisat2",), ("command:x",)
    cases = [changed(0, 1, 3), changed(1, 1, 2), changed(0, 2, 2)]
    found = hanging(sets(after=(stays, turns, turns, turns)), cases)
    assert [found[name]["share"] for name in ("one", "two", "more")] == [0.5, 0.25, 0.25]
    assert found["one"]["n"] == 4, "a set without certificate does not count"
    assert found["tuned_alone"]["share"] == 0.25
    for role, share in {"added": 1 / 12, "kept": 4 / 12, "dropped": 7 / 12}.items():
        assert found[role]["mean"] == pytest.approx(share) and 0 <= found[role]["low"] <= found[role]["high"] <= 1
    assert found["dropped_over_added"]["mean"] == pytest.approx((3 + 1 + 2) / 3)


def test_the_second_case_hangs_on_several_facts_and_is_the_plainest_of_those() -> None:
    def one(id: str, size: int, *, certified: bool = True, right: bool = True, **removed):
        gone = removed.get("removed", FACTS[:size])
        found = explained("certified", id=id, removed=gone, certificate={"certified": certified})
        chain = found.case.toolchain if right else ("command:x",)
        return replace(found, toolchains=found.toolchains | {"tuned_full": chain})

    node = one("a", 2, removed=("command:hisat2", FACTS[4]))
    known = [one("b", 1), one("c", 2, certified=False), one("d", 2, right=False), node, one("f", 3), one("g", 2)]
    assert second_case(known).case.id == "g" and second_case([*known, one("e", 2)]).case.id == "e"
    assert second_case(known[:5]).case.id == "f" and second_case(known[:3]).case.id == "d"
    assert second_case(known[:2]) is None and second_case([node]) is None


def test_a_base_that_names_no_command_has_no_answer_that_stays() -> None:
    found = hanging(sets(base=(), after=((), (), (), ())), [])
    assert "tuned_alone" not in found and found["one"]["share"] == 0.5
    turned = sets(after=(("command:x",),) * 4)[:1]
    mixed = hanging([*turned, *sets(base=(), after=((), (), (), ()))], [])["tuned_alone"]
    assert (mixed["share"], mixed["n"]) == (0, 1)
    assert hanging([], []) == {}
