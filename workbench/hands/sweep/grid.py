"""The grid file of a sweep: what is to be done, over which values. YAML or JSON, read as plain data, checked at once.

what: explain                 # or: chain
runs: runs/demo               # whose cases and adapters
cases: held_out[:200]
methods: [certified, in_loop]
adapters: [adapter, adapter/checkpoints/checkpoint-250]
seeds: 3                      # 0, 1, 2
parameters:
  loop_steps: [30, 60]        # a list is an axis: each of its values with each of every other axis
"""

from __future__ import annotations

import difflib
import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from workbench.artifacts.checks import is_text

LARGEST = 1 << 20  # bytes of a grid file
MOST_TASKS = 1_000_000
MOST_DIGITS = 100  # of a number, as it is written
DEEPEST = 20  # levels of lists and maps
LARGEST_WHOLE = 2**63 - 1  # what the columns of the results hold
COMMON = ("what", "seeds", "models", "parameters", "batch", "resources")
KEYS = {
    "explain": (*COMMON, "runs", "cases", "methods", "adapters", "weights", "withheld"),
    "chain": (*COMMON, "notebooks", "timeout"),
}
"""What a sweep can do -> the keys its grid may have."""

POWER_OF_TEN = re.compile(r"[+-]?\d+(\.\d*)?[eE][+-]?\d+")  # YAML 1.1 takes 1e-3 for text
Scalar = None | bool | int | float | str


class GridError(ValueError):
    """A grid that cannot be carried out: names the file, the key, the rule and the value."""


@dataclass(frozen=True)
class Grid:
    """A grid as read: keys and values, and the name of its file for messages."""

    file: str
    values: Mapping[str, Any] = field(default_factory=dict)

    @property
    def what(self) -> str:
        """`explain` or `chain`."""
        return str(self.values["what"])

    @property
    def seeds(self) -> Sequence[int]:
        """A number n stands for the seeds 0 to n - 1."""
        given = self.values.get("seeds", 1)
        if type(given) is int and given > MOST_TASKS:
            raise self.error("seeds", f"must be at most {MOST_TASKS:,}, the most tasks of a sweep", given)
        if type(given) is int and given >= 1:
            return range(given)
        if isinstance(given, list) and given and all(type(one) is int and one >= 0 for one in given):
            return self.listed("seeds", given)
        raise self.error("seeds", "must be how many, 1 or more, or a list of whole numbers, 0 or more", given)

    @property
    def resources(self) -> dict[str, float]:
        """What a worker must offer, such as {"GPU": 1}."""
        given = self.values.get("resources", {})
        if not isinstance(given, dict) or not all(type(one) in (int, float) and one > 0 for one in given.values()):
            raise self.error("resources", "must map tags of workers to numbers above 0, such as {GPU: 1}", given)
        return {name: float(value) for name, value in given.items()}

    @property
    def parameters(self) -> dict[str, list[Any]]:
        """Name -> values."""
        given = self.values.get("parameters", {})
        if not isinstance(given, dict):
            raise self.error("parameters", "must map names to a value or a list of values", given)
        return {name: self.listed(f"parameters.{name}", value) for name, value in given.items()}

    def number(self, key: str, default: int) -> int:
        """A whole number, 1 or more."""
        given = self.values.get(key, default)
        if type(given) is not int or given < 1:
            raise self.error(key, "must be a whole number, 1 or more", given)
        return given

    def axis(self, key: str, default: Any) -> list[Any]:
        """The values of a key."""
        return self.listed(key, self.values.get(key, default))

    def texts(self, key: str, default: Any, *, none: bool = False) -> list[Any]:
        """An axis of texts; none: null may stand among them."""
        found = self.axis(key, default)
        for one in found:
            if not (isinstance(one, str) and one.strip() and "\0" not in one) and not (none and one is None):
                raise self.error(key, "must be text or a list of texts", one)
        return found

    def listed(self, key: str, given: Any) -> list[Any]:
        """A list is an axis, anything else one value. GridError: none, or one that comes twice: both were one task."""
        values = given if isinstance(given, list) else [given]
        if not values:
            raise self.error(key, "must hold at least one value", given)
        often, count = Counter(json.dumps(one, sort_keys=True) for one in values).most_common(1)[0]
        if count > 1:
            raise self.error(key, "must not name a value twice", json.loads(often))
        return values

    def known(self, key: str, name: Any, names: Iterable[str]) -> None:
        """GridError: `name` is none of `names`."""
        listed = list(names)
        if name not in listed:
            near = difflib.get_close_matches(str(name), listed, n=1)
            guess = f" Did you mean {near[0]!r}?" if near else ""
            raise self.error(key, f"must be of {', '.join(listed) or 'nothing: there is none'}", name, guess)

    def error(self, key: str, rule: str, value: Any, more: str = "") -> GridError:
        """The error of a key: file, key, rule, value."""
        try:
            shown = json.dumps(value, default=str)[:200]
        except (ValueError, RecursionError):  # more digits, or more levels, than are ever written out
            shown = f"this {type(value).__name__}"
        return GridError(f"{self.file}: {key} {rule}, not {shown}.{more}")


def read_grid(path: Path) -> Grid:
    """The grid in a YAML or JSON file, its keys checked; values are checked as they are used.

    GridError: it cannot be read, or is more than plain data; the message names file, key, rule and value.
    """
    name = path.name
    try:
        if not path.is_file():
            raise GridError(f"{name}: there is no such file; give the YAML or JSON file of a grid")
        if path.stat().st_size > LARGEST:
            raise GridError(f"{name}: a grid file has at most {LARGEST:,} bytes, this one {path.stat().st_size:,}")
        text = path.read_text(encoding="utf-8")
        values = json.loads(text, object_pairs_hook=_once) if path.suffix == ".json" else yaml.load(text, _Plain)
    except (OSError, ValueError, OverflowError, RecursionError, yaml.YAMLError) as error:
        if isinstance(error, GridError):
            raise
        raise GridError(f"{name}: cannot be read as a grid: {' '.join(str(error).split())[:300]}") from error
    grid = Grid(name, values if isinstance(values, dict) else {})
    if not isinstance(values, dict):
        raise grid.error("the file", "must map keys to values, such as `what: explain`", values)
    grid = Grid(name, _plain(grid, values, "", DEEPEST))
    grid.known("what", values.get("what"), KEYS)
    for key in values:
        grid.known("a key", key, KEYS[grid.what])
    _ = grid.resources  # asked for late, when the sweep is under way
    return grid


class _Plain(yaml.SafeLoader):
    """YAML that says what it means: no anchors (a few lines of them can stand for more values than there is memory), no
    tags, no number whose reading takes long, no key twice.
    """

    def compose_node(self, parent: Any, index: Any) -> Any:
        event = self.peek_event()
        line = event.start_mark.line + 1
        if isinstance(event, yaml.AliasEvent):
            raise ValueError(f"line {line} refers to an anchor; write the values out")
        if getattr(event, "tag", None):
            raise ValueError(f"line {line} has the tag {event.tag}; write the value without it")
        node = super().compose_node(parent, index)
        if node.tag.endswith((":int", ":float")) and len(node.value) > MOST_DIGITS:
            raise ValueError(f"line {line} has a number of more than {MOST_DIGITS} digits")
        return node

    def construct_mapping(self, node: Any, deep: bool = False) -> dict:
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise ValueError(f"line {key.start_mark.line + 1} has a list or map for a key; keys are text")
        _once([(key.value, None) for key, _ in node.value])
        return super().construct_mapping(node, deep)


def _once(pairs: list[tuple[Any, Any]]) -> dict:
    """The pairs as a dict; ValueError where a key comes twice."""
    found: dict = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"the key {key!r} comes twice")
        found[key] = value
    return found


def _plain(grid: Grid, value: Any, key: str, levels: int) -> Any:
    """The value, `1e-3` in it as the number it is meant to be. GridError: something in it is no plain data."""
    if isinstance(value, dict | list) and not levels:
        raise grid.error(key, f"must hold at most {DEEPEST} levels of lists and maps", value)
    if isinstance(value, list):
        return [_plain(grid, one, key, levels - 1) for one in value]
    if isinstance(value, dict):
        for name in value:
            if not isinstance(name, str):
                raise grid.error(key or "a key", "must be text", name)
        return {name: _plain(grid, one, f"{key}.{name}".lstrip("."), levels - 1) for name, one in value.items()}
    if isinstance(value, str) and POWER_OF_TEN.fullmatch(value):
        value = float(value)
    if isinstance(value, str) and not is_text(value):
        raise grid.error(key, "must hold text that UTF-8 can hold", value)
    if not isinstance(value, Scalar) or (isinstance(value, float) and not math.isfinite(value)):
        raise grid.error(key, "must hold text, finite numbers, true, false, null, lists and maps", value)
    if isinstance(value, int) and abs(value) > LARGEST_WHOLE:
        raise grid.error(key, f"must hold whole numbers of at most {LARGEST_WHOLE:,}", value)
    return value
