"""One state: everything that is chosen in the mask explorer, saved as JSON and taken by the notebook as parameters."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from workbench.artifacts.checks import check_number, check_seed
from workbench.artifacts.files import atomic_write_json
from workbench.artifacts.start import this_command
from workbench.cases import Fact
from workbench.explain import CERTIFIED, LEARNED, ExplainConfig, Weights
from workbench.explain.counterfactual import Element, to_lists

FORMAT = "mask explorer 1"
CHOICES = (*LEARNED, CERTIFIED)  # methods that can be explored
SETTINGS = tuple(f.name for f in fields(ExplainConfig) if f.name not in ("weights", "reference"))
LARGEST = 1_000_000  # characters of a state; more is no state


class StateError(ValueError):
    """A state that cannot be read: names the entry, the rule and the value."""


@dataclass(frozen=True)
class State:
    """What is explored. case: id of a stored case, empty for the showcase; question: (source, target) ids of one typed
    by hand, which then takes the case's place. withheld: share of the needed facts left out of the stored cases.

    removed: what was taken out by hand; None: what the method takes out. tool: (row of the answers, command id) whose
    facts are looked for; empty: none.
    """

    case: str = ""
    question: tuple[str, ...] = ()
    method: str = CERTIFIED
    config: ExplainConfig = field(default_factory=ExplainConfig)
    seed: int = 0
    withheld: float = 0.0
    removed: tuple[Element, ...] | None = None
    tool: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.method not in CHOICES:
            raise StateError(f"method must be one of {', '.join(CHOICES)}, not {self.method!r}")
        for name in ("question", "tool"):
            if len(getattr(self, name)) not in (0, 2):
                raise StateError(f"{name} must name two things or none, not {getattr(self, name)!r}")
        try:
            check_number("withheld", self.withheld, high=1)
            check_seed(self.seed)
        except ValueError as error:
            raise StateError(str(error)) from None

    def parameters(self) -> dict[str, Any]:
        """As parameters of notebook 3: name -> plain value. Run with them, it gives the same numbers."""
        weights = self.config.weights.to_dict()
        settings = {name: getattr(self.config, name) for name in SETTINGS}
        chosen: dict[str, Any] = {"explored_case": self.case, "question": list(self.question)}
        removed = None if self.removed is None else to_lists(self.removed)
        chosen |= {"explored_method": self.method, "by_hand": removed, "asked_tool": list(self.tool)}
        chosen |= {"withheld": self.withheld, "seed": self.seed}
        return chosen | weights | settings

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types; `from_dict` reads it back."""
        return {"format": FORMAT, **self.parameters()}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> State:
        """The inverse of `to_dict`; names that are missing keep their defaults.

        StateError: a name that is not known, a value of the wrong kind or out of range.
        """
        if not isinstance(data, Mapping):
            raise StateError(f"a state is an object with names and values, not a {type(data).__name__}")
        if data.get("format", FORMAT) != FORMAT:
            raise StateError(f"format must be {FORMAT!r}, not {str(data['format'])[:60]!r}")
        known, weights = cls().parameters(), Weights().to_dict()
        given = {name: _fit(name, value, known) for name, value in data.items() if name != "format"}
        try:
            config = ExplainConfig(
                Weights.from_dict({name: value for name, value in given.items() if name in weights}),
                **{name: value for name, value in given.items() if name in SETTINGS},
            )
        except ValueError as error:
            raise StateError(str(error)) from None
        names = {"explored_case": "case", "explored_method": "method", "by_hand": "removed", "asked_tool": "tool"}
        rest = {names.get(name, name): v for name, v in given.items() if name not in weights and name not in SETTINGS}
        return cls(config=config, **rest)

    def to_json(self) -> str:
        """Indented JSON, letters beyond ASCII escaped: it can be pasted anywhere."""
        return json.dumps(self.to_dict(), indent=1)

    @classmethod
    def from_json(cls, text: str) -> State:
        """The inverse of `to_json`. StateError: it is no JSON, or see `from_dict`."""
        if len(text) > LARGEST:
            raise StateError(f"a state has at most {LARGEST:,} characters, not {len(text):,}")
        try:
            return cls.from_dict(json.loads(text))
        except (json.JSONDecodeError, RecursionError) as error:
            raise StateError(f"this is no JSON: {error}; paste the whole text of a saved state") from None

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Writes it as JSON, in one step."""
        return atomic_write_json(path, self.to_dict())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> State:
        """The state that `save` wrote."""
        return cls.from_json(Path(path).read_text("utf-8"))

    def cell(self) -> str:
        """The state as lines for the parameters cell of notebook 3."""
        return "\n".join(f"{name} = {value!a}" for name, value in self.parameters().items())

    def command(self, run_dir: str | os.PathLike[str]) -> str:
        """The command that runs the chain with this state, finished stages before it kept; to be pasted in a shell."""
        default = State().parameters()
        given = [(name, value) for name, value in self.parameters().items() if value != default[name]]
        options = [part for name, value in given for part in ("-p", name, json.dumps(value))]
        return f"{this_command()} run {shlex.join(['--run-dir', os.path.abspath(run_dir), *options])}"


def _fit(name: str, value: Any, known: Mapping[str, Any]) -> Any:
    """A value as the field takes it: lists become tuples, facts `Fact`. What numbers must be, the settings say."""
    if name not in known:
        raise StateError(f"{name[:60]!r} is no part of a state; its parts are {', '.join(known)}")
    if name == "by_hand":
        return None if value is None else tuple(_element(one) for one in _list(name, value))
    if isinstance(known[name], list):
        if not all(isinstance(one, str) for one in _list(name, value)):
            raise StateError(f"{name} must be a list of texts, not {str(value)[:80]}")
        return tuple(value)
    if isinstance(known[name], str) and not isinstance(value, str):
        raise StateError(f"{name} must be a text, not {str(value)[:80]}")
    return value


def _list(name: str, value: Any) -> list[Any]:
    if not isinstance(value, list | tuple):
        raise StateError(f"{name} must be a list, not {str(value)[:80]!r}")
    return list(value)


def _element(value: Any) -> Element:
    if isinstance(value, str):
        return value
    if isinstance(value, list | tuple) and len(value) == 3 and all(isinstance(part, str) for part in value):
        return Fact(*value)
    raise StateError(f"by_hand holds node ids and facts [head, relation, tail], not {str(value)[:80]}")
