"""On how many facts answers hang, and what of that is due to tuning: counted by hand."""

from dataclasses import replace

import explain_cases as small
import pytest
from test_narrative_explained import explained

from workbench.explain import ChangedSets
from workbench.explain.answered import hanging, second_case

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
