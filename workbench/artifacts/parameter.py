"""One parameter of a notebook: its name, its default, and which values it takes."""

import math
import types
import typing
from dataclasses import dataclass
from typing import Any

from workbench.artifacts.rules import Rule

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
        if self.rule and fitted is not None and not self._keeps(fitted):
            raise ParameterError(
                f"{self.name} must keep to `{self.rule.text}`, and {_short(value)} does not; nothing was changed. "
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
            f"{self.name} must be {expected} (default {self.default!r}), not {_short(value)} ({kind}).{quote}"
        )

    def _as_float(self, value: int) -> float:
        try:
            return float(value)
        except OverflowError:
            raise ParameterError(f"{self.name} must be a finite number, and {_short(value)} is too large") from None

    def _keeps(self, value: Value) -> bool:
        assert self.rule is not None
        try:
            return self.rule.holds(value)
        except TypeError:  # an item of a list that is no number
            return False


def _short(value: Value, limit: int = 80) -> str:
    try:
        text = repr(value)
    except ValueError:  # a whole number of more digits than Python writes
        return "a number of thousands of digits"
    return text if len(text) <= limit else f"{text[:limit]}..."


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
