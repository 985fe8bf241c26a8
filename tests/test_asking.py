"""Which case a notebook follows when nobody names one."""

from dataclasses import replace

import pytest
from tiny import COMMANDS, chain_case

from workbench.cases import Case
from workbench.cases.asking import telling_case

WHOLE = chain_case()
SHORT = replace(WHOLE, path=WHOLE.path[:4], target=WHOLE.path[3])
WRONG = ("source:s", COMMANDS[1])


class Answered:
    """Answers written down beforehand: case id -> (tuned, base)."""

    def __init__(self, answers: dict[str, tuple]):
        self.known = answers

    def answers(self, cases: list[Case], *, adapter: bool) -> list[tuple[str, ...]]:
        return [self.known[case.id][0 if adapter else 1] for case in cases]


def told(**rights: tuple[Case, bool, bool]) -> str:
    """The choice among cases by id, each with whether tuned and base have it right."""
    cases = [replace(case, id=name) for name, (case, _, _) in rights.items()]
    answers = {n: (c.path if tuned else WRONG, c.path if base else WRONG) for n, (c, tuned, base) in rights.items()}
    return telling_case(Answered(answers), cases)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("rights", "chosen"),
    [
        ({"a": (WHOLE, True, True), "b": (SHORT, True, False), "c": (WHOLE, False, False)}, "b"),
        ({"a": (SHORT, True, False), "b": (WHOLE, True, False), "c": (WHOLE, True, False)}, "b"),
        ({"a": (SHORT, True, True), "b": (WHOLE, True, True), "c": (WHOLE, False, True)}, "b"),
        ({"a": (SHORT, False, True), "b": (WHOLE, False, False)}, "a"),
    ],
    ids=["put right", "the longest of those", "right before as well", "none right: the first"],
)
def test_the_case_that_tells_most_is_the_longest_that_tuning_put_right(rights: dict, chosen: str) -> None:
    assert told(**rights) == chosen
