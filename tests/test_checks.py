"""Settings of every kind: what is none of them is refused where they are made, by name, rule and value."""

from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.artifacts.state import State
from workbench.cases.sampling import SamplingConfig
from workbench.explain import ExplainConfig, Weights
from workbench.explain.masks import learn_masks
from workbench.pretrain.teaching import PretrainConfig
from workbench.train import TrainConfig

CONFIGS = (SamplingConfig(), TrainConfig(), ExplainConfig(), Weights(), PretrainConfig())
NUMBERS = [(config, field.name) for config in CONFIGS for field in fields(config)
           if type(getattr(config, field.name)) in (int, float)]  # fmt: skip
LISTS = [(SamplingConfig(), "length_shares"), (TrainConfig(), "shares"), (TrainConfig(), "modules")]
NEVER = [float("nan"), float("inf"), -float("inf"), -1, True, False, "3", "", None, [], {}, (1,), b"1", 1j]
HUGE = [10**26, 10**400, 10**5000, 1e26]


def refused(make: Callable[[], Any], name: str) -> None:
    with pytest.raises(ValueError) as caught:
        make()
    text = str(caught.value)
    assert name in text and " must " in text and ", not " in text and len(text) < 300, text


@pytest.mark.parametrize(("config", "name"), NUMBERS, ids=[f"{type(c).__name__}.{n}" for c, n in NUMBERS])
def test_numbers(config: Any, name: str) -> None:
    whole = type(getattr(config, name)) is int
    for value in [*NEVER, *([*HUGE, 1.5] if whole else HUGE[1:3])]:
        refused(lambda value=value: replace(config, **{name: value}), name)
    same = np.int64(getattr(config, name)) if whole else np.float32(getattr(config, name))
    assert getattr(replace(config, **{name: same}), name) == same


@pytest.mark.parametrize(("config", "name"), LISTS, ids=[name for _, name in LISTS])
def test_lists(config: Any, name: str) -> None:
    items = [(bad,) for bad in NEVER if (name, bad) != ("modules", "3")] + [(*getattr(config, name), None)]
    for value in [*[bad for bad in NEVER if bad != (1,)], "q_proj", (), *items]:
        refused(lambda value=value: replace(config, **{name: value}), name)


def test_shares_that_are_all_0_are_no_shares() -> None:
    refused(lambda: SamplingConfig(length_shares=(0, 0.0)), "length_shares")
    refused(lambda: SamplingConfig(tool_share=1.0), "tool_share")


@settings(deadline=None, max_examples=60)
@given(st.sampled_from(["steps", "learning_rate", "seed"]), st.sampled_from([*NEVER, *HUGE[1:3]]))
def test_learning_of_masks_refuses_what_it_cannot_learn_with(name: str, value: Any) -> None:
    given_ = {"steps": 1, "learning_rate": 0.1, "seed": 0} | {name: value}
    refused(lambda: learn_masks([], Weights(), lambda keep: keep, template=None, **given_), name)


@pytest.mark.parametrize("name", ["withheld", "seed"])
def test_a_state_refuses_what_no_generator_and_no_share_takes(name: str) -> None:
    for value in [*NEVER, *HUGE]:
        refused(lambda value=value: State(**{name: value}), name)
