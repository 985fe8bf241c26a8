"""The tiny reader's cases as the contenders of `bench peers` get them."""

import importlib.util

import pytest
from explain_cases import cases, engine

from workbench.hands.bench.contenders import Asked


def has(module: str) -> pytest.MarkDecorator:
    """Skips where a package of the extra `bench` is missing; importing context-cite to find out would download."""
    return pytest.mark.skipif(importlib.util.find_spec(module) is None, reason=f"{module} is not installed (bench)")


def asked(number: int = 0) -> Asked:
    """A case whose answer is its own path: the tiny reader is random and would name no node."""
    run, case = engine(), cases()[number]
    return Asked(run, case, run.answer_ids(case, case.path), own=False)


def answered(number: int = 0) -> Asked:
    """A case with the answer that the random reader gives, so that there is a decision to flip."""
    run, case = engine(), cases()[number]
    return Asked(run, case, run.greedy_answers([case])[0], own=False)
