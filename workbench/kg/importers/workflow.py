"""Importer `workflow`: published Galaxy workflows (`.ga`) as toolchains, subworkflows opened up.

A link goes from the command that makes a file to the command that reads it. Steps also tell the formats of their
outputs, which are facts; what a link carries into a command is one of its input.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from workbench.kg.importers.imports import Importer, Options, ending_in
from workbench.kg.importers.items import REGISTRIES, Item, Provenance, Report, Spot, Toolchain, Unit
from workbench.kg.importers.reading import json_records
from workbench.kg.importers.registered import Command, Given, Port, Tool
from workbench.kg.importers.vocabulary import licence_id, listed, text
from workbench.kg.naming import slug

MAX_NESTING = 10  # of subworkflows
MAX_STEPS = 5000  # of a workflow, those of subworkflows included
NO_DATA = ("data_input", "data_collection_input", "parameter_input", "pause")


class Origin(NamedTuple):
    """Where a file comes from: the command that makes it, and its format as the workflow names it."""

    command: str
    format: str


@dataclass
class _Call:
    """What a workflow says of a command, all its steps together."""

    tool: str
    outputs: dict[str, str] = field(default_factory=dict)
    inputs: dict[str, set[str]] = field(default_factory=dict)


@dataclass
class _Found:
    """What one file gives: commands by id, links in order, steps read."""

    calls: dict[str, _Call] = field(default_factory=dict)
    links: dict[tuple[str, str], None] = field(default_factory=dict)
    steps: int = 0


class _Flow:
    """A workflow, with the files that come in by the labels of its input steps."""

    def __init__(self, steps: object, incoming: dict[str, list[Origin]], spot: Spot, depth: int) -> None:
        self.steps: dict[str, tuple[dict[str, Any], Spot]] = {}
        for key, step in _pairs(steps):
            if isinstance(step, dict):
                self.steps[str(step.get("id", key))[:40]] = (step, spot.at("steps", key))
            else:
                spot.at("steps", key).dropped("step is not an object", step)
        self.incoming, self.depth = incoming, depth
        self.inner: dict[str, _Flow] = {}

    def origins(self, step_id: str, output: str, visited: frozenset[tuple[int, str]] = frozenset()) -> list[Origin]:
        """The commands a step's output comes from; a step that hands on what it is given has several or none."""
        step = self.steps[step_id][0] if step_id in self.steps else {}
        mark = (id(self), step_id)
        if mark in visited:
            return []
        if step_id in self.inner:
            return self.inner[step_id].given(output, visited | {mark})
        if step.get("type") in NO_DATA:
            label = step.get("label")
            return self.incoming.get(label if isinstance(label, str) and label else step_id, [])
        command, _ = command_of(step)
        named = dict(_outputs(step))
        return [Origin(command, named.get(output, ""))] if command else []

    def given(self, output: str, visited: frozenset[tuple[int, str]]) -> list[Origin]:
        """The origins of what the workflow gives out by this label."""
        for step_id, (step, _) in self.steps.items():
            for one in listed(step.get("workflow_outputs")):
                if isinstance(one, dict) and output in (one.get("label"), one.get("output_name")):
                    return self.origins(step_id, str(one.get("output_name")), visited)
        return []


def read_unit(unit: Unit, note: Report, options: Options) -> Iterator[Item]:
    """The items of one workflow."""
    for spot, record in json_records(unit, note, key=""):
        if not isinstance(record, dict) or not isinstance(record.get("steps"), dict | list):
            spot.dropped("no Galaxy workflow: an object with steps is needed", record)
            continue
        found = _Found()
        _walk(_Flow(record["steps"], {}, spot, 0), found)
        licence = licence_id(record.get("license"), spot.at("license")) or REGISTRIES["Galaxy"]
        source = Provenance("Galaxy workflows", unit.name, licence)
        if not found.calls:
            spot.dropped("workflow without tool steps", record.get("name"))
            continue
        name = text(record.get("name"), spot.at("name")) or unit.name
        commands = tuple(f"command:{command}" for command in found.calls)
        links = tuple((f"command:{head}", f"command:{tail}") for head, tail in found.links)
        yield Toolchain(f"galaxy:{unit.name}:{spot.place}", name, links, commands, source)
        for command, call in found.calls.items():
            yield from _call(command, call, source, spot, options)


def _walk(flow: _Flow, found: _Found) -> None:
    """Reads the steps of a workflow, those of subworkflows first, as links may come out of them."""
    for step_id, (step, spot) in flow.steps.items():
        found.steps += 1
        if found.steps > MAX_STEPS:
            return spot.dropped(f"more than {MAX_STEPS} steps")
        nested = step.get("subworkflow")
        if step.get("type") == "subworkflow" or isinstance(nested, dict):
            if flow.depth >= MAX_NESTING or not isinstance(nested, dict) or not nested.get("steps"):
                spot.dropped("subworkflow that is missing, empty or nested too deeply", nested)
                continue
            flow.inner[step_id] = _Flow(nested["steps"], {}, spot.at("subworkflow"), flow.depth + 1)
    for step_id, (step, spot) in flow.steps.items():
        if step_id in flow.inner:
            given = _connected(flow, step, spot)
            flow.inner[step_id].incoming.update({re.sub(r"^\d+:", "", key): one for key, one in given.items()})
            _walk(flow.inner[step_id], found)
        elif step.get("type") not in NO_DATA and step.get("type") != "subworkflow":
            _step(flow, step, spot, found)


def _step(flow: _Flow, step: dict[str, Any], spot: Spot, found: _Found) -> None:
    command, package = command_of(step)
    if not command:
        return spot.dropped("step without a tool id", step.get("tool_id"))
    call = found.calls.setdefault(command, _Call(package or command))
    call.outputs.update(_outputs(step))
    for key, origins in _connected(flow, step, spot).items():
        for origin in origins:
            if origin.format == "expression.json":  # a parameter's value, no data
                continue
            found.links[origin.command, command] = None
            call.inputs.setdefault(re.sub(r"_\d+(?=\||$)", "", key), set()).add(origin.format)


def _connected(flow: _Flow, step: dict[str, Any], spot: Spot) -> dict[str, list[Origin]]:
    """Origins by the step's input; a connection is `{"id", "output_name"}` or a list of these."""
    found: dict[str, list[Origin]] = {}
    for key, value in _pairs(step.get("input_connections")):
        for one in value if isinstance(value, list) else [value]:
            if not isinstance(one, dict) or not isinstance(one.get("id"), int | str):
                spot.at("input_connections", key).dropped("connection without a step id", one)
                continue
            step_id = str(one["id"])[:40]
            if step_id not in flow.steps:
                spot.at("input_connections", key).dropped("connection to a step that is not there", step_id)
            found.setdefault(key, []).extend(flow.origins(step_id, str(one.get("output_name"))))
    return found


def command_of(step: dict[str, Any]) -> tuple[str, str]:
    """(command, tool) of a step: of `host/repos/owner/repository/tool/version` the tool id and the repository."""
    given = step.get("tool_id") or step.get("content_id")
    name = text(given if isinstance(given, str) else None, Report().at(""))
    parts = name.split("/")
    if len(parts) >= 6 and parts[1] == "repos":
        return parts[4], parts[3]
    return (parts[-1], "") if len(parts) == 1 else (parts[-2], "")


def _call(command: str, call: _Call, source: Provenance, spot: Spot, options: Options) -> Iterator[Item]:
    here = spot.at(command)
    if not slug(call.tool):
        return here.dropped("step whose tool id makes no name", call.tool)
    yield from Tool(id=call.tool, name=call.tool).items(source, here, options.vocabulary)
    ports = [Port([Given(one) for one in sorted(formats) if _says(one)]) for _, formats in sorted(call.inputs.items())]
    outputs = [Port([Given(kind)]) for _, kind in sorted(call.outputs.items()) if _says(kind)]
    made = Command(id=command, name=command, inputs=ports, outputs=outputs)
    yield from made.items(f"tool:{slug(call.tool)}", source, here, options.vocabulary)


def _says(kind: str) -> bool:
    return kind not in ("", "input", "auto", "data", "_sniff_", "expression.json")


def _outputs(step: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for one in listed(step.get("outputs")):
        if isinstance(one, dict) and isinstance(one.get("name"), str):
            kind = one.get("type")
            yield one["name"], kind if isinstance(kind, str) else ""


def _pairs(value: object) -> list[tuple[str, Any]]:
    if isinstance(value, dict):
        return [(str(key)[:200], one) for key, one in value.items()]
    return [(str(index), one) for index, one in enumerate(listed(value))]


WORKFLOW = Importer("workflow", ending_in(".ga"), read_unit)
