"""Settings that are what they must be: ValueErrors that name the setting, the rule and the value."""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any

MOST = 10**9  # of any count: steps, cases, tokens
LARGEST_SEED = 2**32 - 1  # numpy's and transformers' generators take no larger one
SHOWN = 80  # characters of a value


def check_whole(name: str, value: Any, *, low: int = 1, high: int = MOST) -> None:
    """ValueError unless `value` is a whole number in [low, high]; true and false are none."""
    if not _is_of(value, Integral):
        raise ValueError(f"{name} must be a whole number, not {shown(value)}")
    if int(value) < low:
        raise ValueError(f"{name} must be {low:,} or more, not {shown(value)}")
    if int(value) > high:
        raise ValueError(f"{name} must be at most {high:,}, not {shown(value)}")


def check_seed(value: Any) -> None:
    """ValueError unless `value` is a seed that every generator takes."""
    check_whole("seed", value, low=0, high=LARGEST_SEED)


def check_number(name: str, value: Any, *, low: float = 0.0, high: float = math.inf, without_low: bool = False) -> None:
    """ValueError unless `value` is a finite number in [low, high], or (low, high]; true and false are none."""
    if not _is_of(value, Real) or not _is_finite(value):
        raise ValueError(f"{name} must be a finite number, not {shown(value)}")
    number = float(value)
    if number < low or number > high or (without_low and number == low):
        least = f"above {low:g}" if without_low else f"{low:g} or more"
        rule = f"be {least}" if math.isinf(high) else f"lie in {'(' if without_low else '['}{low:g}, {high:g}]"
        raise ValueError(f"{name} must {rule}, not {shown(value)}")


def check_several(name: str, values: Any, what: str) -> Sequence[Any]:
    """The values of a list or tuple that holds at least one. what: they are, for the ValueError."""
    if not isinstance(values, list | tuple) or not values:
        raise ValueError(f"{name} must be one or more {what}, not {shown(values)}")
    return values


def shown(value: Any) -> str:
    """A value as an error names it: not too long."""
    try:
        text = repr(value)
    except ValueError:  # Python writes out no whole number of more than some thousand digits
        return f"a {type(value).__name__} too large to show"
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."


def _is_of(value: Any, kind: type) -> bool:
    """Whether a value is a number of a kind; true and false are none, numpy's numbers are."""
    return isinstance(value, kind) and not isinstance(value, bool)


def _is_finite(value: Any) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number beyond the floats
        return False
