"""What the comment behind a parameter demands of its value: `tau = 0.15  # temperature of the sample; tau > 0`.

A rule is the part of the comment behind its last semicolon, if that compares something. It is Python of the smallest
kind, read and never run: comparisons of the parameter's own name with literals, joined with `and`. For lists, `each`
stands for every item and `len(name)` for their number: `0 < each ≤ 1 and 1 ≤ len(shares) ≤ 20`. A line of the cell has
one equals sign, or papermill takes the name for unknown: hence ≤ and ≥.
"""

from __future__ import annotations

import ast
import io
import operator
import re
import tokenize
from dataclasses import dataclass
from typing import Any

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
            parts = _parts(self.text, self.name)
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            raise ValueError(
                f"the rule of {self.name} must compare {self.name}, each or len({self.name}) with literals, such as "
                f"`0 ≤ {self.name} ≤ 1`; it is `{self.text[:200]}`"
            ) from error
        object.__setattr__(self, "_compared", parts)

    @property
    def python(self) -> str:
        """The rule as Python."""
        return _python(self.text)

    def holds(self, value: Any) -> bool:
        """Whether a value keeps to the rule. TypeError: it cannot be compared so."""
        about = {self.name: lambda: [value], EACH: lambda: value, f"len({self.name})": lambda: [len(value)]}
        parts: list[tuple[ast.Compare, str]] = self.__dict__["_compared"]
        return all(_holds(part, item) for part, subject in parts for item in about[subject]())


def _parts(text: str, name: str) -> list[tuple[ast.Compare, str]]:
    """The comparisons of a rule, each with what it is about. ValueError: one is more than that."""
    parsed = ast.parse(_python(text), mode="eval").body
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


def _python(text: str) -> str:
    return text.strip().replace("≤", "<=").replace("≥", ">=")


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
