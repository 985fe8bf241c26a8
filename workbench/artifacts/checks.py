"""What a setting or a parameter must be: errors that name it, the rule and the value.

A rule is the part of the comment behind a parameter's last semicolon, if that compares something, such as `tau = 0.15
# temperature of the sample; tau > 0`. It is Python of the smallest kind, read and never run: comparisons of the
parameter's own name with literals, joined with `and`. For lists, `each` stands for every item and `len(name)` for their
number: `0 < each ≤ 1 and 1 ≤ len(shares) ≤ 20`. A line of the cell has one equals sign, or papermill takes the name for
unknown: hence ≤ and ≥."""

from __future__ import annotations

import ast
import io
import math
import operator
import re
import tokenize
import types
import typing
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
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


def check_number(name: str, value: Any, *, high: float = math.inf, without_low: bool = False) -> None:
    """ValueError unless `value` is a finite number in [0, high], or (0, high]; true and false are none."""
    if not _is_of(value, Real) or not _is_finite(value):
        raise ValueError(f"{name} must be a finite number, not {shown(value)}")
    number = float(value)
    if number < 0 or number > high or (without_low and number == 0):
        least = "above 0" if without_low else "0 or more"
        rule = f"be {least}" if math.isinf(high) else f"lie in {'(' if without_low else '['}0, {high:g}]"
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


EACH = "each"
COMPARES = re.compile(r"[<>=≤≥]|\bin\s*\[")
OPERATORS: dict[type[ast.cmpop], Any] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.In: lambda value, allowed: value in allowed,
}


@dataclass(frozen=True)
class Rule:
    """A rule as it stands in the comment, for the parameter `name`. ValueError when it cannot be read as one."""

    text: str
    name: str

    def __post_init__(self) -> None:
        try:
            _ = self._compared
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            raise ValueError(
                f"the rule of {self.name} must compare {self.name}, each or len({self.name}) with literals, such as "
                f"`0 ≤ {self.name} ≤ 1`; it is `{self.text[:200]}`"
            ) from error

    @cached_property
    def _compared(self) -> list[tuple[ast.Compare, str]]:
        return _parts(self.text, self.name)

    def holds(self, value: Any) -> bool:
        """Whether a value keeps to the rule; one that cannot be compared so does not."""
        about = {self.name: lambda: [value], EACH: lambda: value, f"len({self.name})": lambda: [len(value)]}
        try:
            return all(_holds(part, item) for part, subject in self._compared for item in about[subject]())
        except TypeError:  # an item of a list that is no number
            return False


def _parts(text: str, name: str) -> list[tuple[ast.Compare, str]]:
    """The comparisons of a rule, each with what it is about. ValueError: one is more than that."""
    parsed = ast.parse(text.strip().replace("≤", "<=").replace("≥", ">="), mode="eval").body
    joined = parsed.values if isinstance(parsed, ast.BoolOp) and isinstance(parsed.op, ast.And) else [parsed]
    parts = []
    for part in joined:
        if not isinstance(part, ast.Compare) or not all(type(one) in OPERATORS for one in part.ops):
            raise ValueError(text)
        about = [ast.unparse(one) for one in (part.left, *part.comparators) if not _is_literal(one)]
        if about not in ([name], [EACH], [f"len({name})"]):
            raise ValueError(text)
        parts.append((part, about[0]))
    return parts


def _is_literal(node: ast.expr) -> bool:
    try:
        ast.literal_eval(node)
    except ValueError:
        return False
    return True


def _holds(part: ast.Compare, item: Any) -> bool:
    values = [ast.literal_eval(one) if _is_literal(one) else item for one in (part.left, *part.comparators)]
    pairs = zip(part.ops, values, values[1:], strict=False)
    return all(OPERATORS[type(compare)](left, right) for compare, left, right in pairs)


def comments(source: str) -> dict[int, str]:
    """Line of a cell, from 1 -> the comment on it, without its mark. Errors as those of `ast.parse`."""
    words = tokenize.generate_tokens(io.StringIO(source).readline)
    return {one.start[0]: one.string.lstrip("# ") for one in words if one.type == tokenize.COMMENT}


def rule_of(name: str, comment: str) -> Rule | None:
    """The rule in the comment behind a parameter; None where there is none. ValueError: it cannot be read as one."""
    text = comment.rpartition(";")[2].strip()
    return Rule(text, name) if COMPARES.search(text) else None


Value = None | bool | int | float | str | list[Any]
KINDS: dict[str, type] = {"bool": bool, "int": int, "float": float, "str": str, "list": list, "None": types.NoneType}


class ParameterError(ValueError):
    """A parameter has a name that no notebook knows, or a value of the wrong type or out of bounds."""


@dataclass(frozen=True)
class Parameter:
    """One name of a parameters cell. `kinds`: accepted type names; empty accepts all. `rule`: for its values."""

    name: str
    default: Value
    kinds: frozenset[str]
    rule: Rule | None = None

    def fit(self, value: Value) -> Value:
        """`value` as the notebook expects it: a whole number becomes a float where a float is wanted.

        Raises:
            ParameterError: its type is another, it is not finite, or it breaks the parameter's rule.
        """
        fitted = self._typed(value)
        if self.rule and fitted is not None and not self.rule.holds(fitted):
            raise ParameterError(
                f"{self.name} must keep to `{self.rule.text}`, and {shown(value)} does not; nothing was changed. "
                f"Give another with -p {self.name}."
            )
        return fitted

    def _typed(self, value: Value) -> Value:
        kind = kind_of(value)
        if isinstance(value, str) and not is_text(value):
            raise ParameterError(f"{self.name} is {value!a}, which holds bytes that are no text; give UTF-8")
        if isinstance(value, float) and not math.isfinite(value):
            raise ParameterError(f"{self.name} must be a finite number, not {value!r}")
        if isinstance(value, list):
            items = {kind_of(item) for item in self.default} if isinstance(self.default, list) else set()
            one = Parameter(f"every item of {self.name}", None, frozenset(items))
            value = [one._typed(item) for item in value]
        if not self.kinds or kind in self.kinds:
            return value
        if kind == "int" and "float" in self.kinds:
            return self._as_float(typing.cast(int, value))
        expected = " or ".join(sorted(self.kinds))
        quote = f" To give text, quote it: '\"{value}\"'." if "str" in self.kinds else ""
        raise ParameterError(
            f"{self.name} must be {expected} (default {self.default!r}), not {shown(value)} ({kind}).{quote}"
        )

    def _as_float(self, value: int) -> float:
        try:
            return float(value)
        except OverflowError:
            raise ParameterError(f"{self.name} must be a finite number, and {shown(value)} is too large") from None


def is_text(value: str) -> bool:
    """Whether UTF-8 can hold a text."""
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:  # half a character, as a terminal with another encoding hands over
        return False
    return True


def kind_of(value: Any) -> str:
    """Name of a value's type. ParameterError: it is none that parameters have."""
    for name, kind in KINDS.items():
        if type(value) is kind:
            return name
    raise ParameterError(
        f"{value!r} is a {type(value).__name__}; parameters are numbers, text, true/false, null, lists"
    )
