"""What the comment behind a parameter demands of its value: `tau = 0.15  # temperature of the sample; tau > 0`.

A rule is the part of the comment behind its last semicolon, if that compares something. It is Python of the smallest
kind, read and never run: comparisons of the parameter's own name with literals, joined with `and`. For lists, `each`
stands for every item and `len(name)` for their number: `0 < each <= 1 and 1 <= len(shares) <= 20`.
"""

from __future__ import annotations

import ast
import io
import operator
import re
import tokenize
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

EACH = "each"
COMPARES = re.compile(r"[<>=]|\bin\s*\[")
OPERATORS: dict[type[ast.cmpop], Any] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.In: lambda value, allowed: value in allowed,
}


@dataclass(frozen=True)
class Rule:
    """A rule as it stands in the comment, and read. ValueError when it is none."""

    text: str
    name: str

    def __post_init__(self) -> None:
        try:
            parsed = ast.parse(self.text.strip(), mode="eval").body
            self._check(parsed)
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            raise ValueError(
                f"the rule of {self.name} must compare {self.name}, each or len({self.name}) with literals, such as "
                f"`0 <= {self.name} <= 1`; it is `{self.text}`"
            ) from error
        object.__setattr__(self, "_parsed", parsed)

    def holds(self, value: Any) -> bool:
        """Whether a value keeps to the rule. TypeError: it cannot be compared so."""
        parsed: ast.expr = self.__dict__["_parsed"]
        if not any(isinstance(node, ast.Name) and node.id == EACH for node in ast.walk(parsed)):
            return _holds(parsed, {self.name: value})
        return all(_holds(parsed, {self.name: value, EACH: item}) for item in value)

    def _check(self, node: ast.expr) -> None:
        """ValueError: the expression is more than a rule, or says nothing about the parameter."""
        if isinstance(node, ast.BoolOp) and isinstance(node.op, ast.And):
            for part in node.values:
                self._check(part)
            return
        if not isinstance(node, ast.Compare) or not all(type(one) in OPERATORS for one in node.ops):
            raise ValueError(ast.unparse(node))
        about = [one for one in (node.left, *node.comparators) if not _is_literal(one)]
        if [ast.unparse(one) for one in about] not in ([self.name], [EACH], [f"len({self.name})"]):
            raise ValueError(ast.unparse(node))


def _is_literal(node: ast.expr) -> bool:
    try:
        ast.literal_eval(node)
    except ValueError:
        return False
    return True


def _holds(node: ast.expr, known: Mapping[str, Any]) -> bool:
    if isinstance(node, ast.BoolOp):
        return all(_holds(part, known) for part in node.values)
    assert isinstance(node, ast.Compare)
    values = [_value(one, known) for one in (node.left, *node.comparators)]
    pairs = zip(node.ops, values, values[1:], strict=False)
    return all(OPERATORS[type(compare)](left, right) for compare, left, right in pairs)


def _value(node: ast.expr, known: Mapping[str, Any]) -> Any:
    if isinstance(node, ast.Name):
        return known[node.id]
    if isinstance(node, ast.Call):
        return len(known[ast.unparse(node.args[0])])
    return ast.literal_eval(node)


def comments(source: str) -> dict[int, str]:
    """Line of a cell, from 1 -> the comment on it, without its mark. Errors as those of `ast.parse`."""
    words = tokenize.generate_tokens(io.StringIO(source).readline)
    return {one.start[0]: one.string.lstrip("# ") for one in words if one.type == tokenize.COMMENT}


def rule_of(name: str, comment: str) -> Rule | None:
    """The rule in the comment behind a parameter; None where there is none. ValueError: it cannot be read as one."""
    text = comment.rpartition(";")[2].strip()
    return Rule(text, name) if COMPARES.search(text) else None
