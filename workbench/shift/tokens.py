"""What the adapter adds to the tokens of a case's elements, beside what the base projection makes of the same tokens.

For a module with the change s B A and a token with the input h, the shift is ||s B A h||, and the relative shift is
||s B A h|| / ||W0 h||. h is taken twice: the token's input embedding (no context), and the module's real input in the
tuned model while it reads the case's prompt.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pandas as pd
import torch
from peft import PeftModel
from torch import nn

from workbench.cases import Case, Fact
from workbench.game import Engine
from workbench.models import LanguageModel
from workbench.prompts import Template
from workbench.shift.factors import Factors

MARKER = "\u27e6\u00a7\u27e7"  # stands in for a name to find where a template writes it
TINY = 1e-30  # a base projection that gives exactly 0 has no relative shift; this keeps the quotient finite


def element_tokens(case: Case, lm: LanguageModel) -> list[tuple[int, ...]]:
    """Positions in the case's prompt of the tokens of every element, in the order of `case.elements`.

    A fact has all tokens of its line; a node has the tokens of its name in the lines of its facts. The question does
    not count: no element's removal touches it.

    Raises:
        ValueError: the tokenizer cannot say which characters a token stands for, or a name is empty.
    """
    if not lm.tokenizer.is_fast:
        raise ValueError(f"{type(lm.tokenizer).__name__} gives no character offsets; use a model with a fast tokenizer")
    lines: dict[int, list[int]] = {}
    nodes: dict[str, list[int]] = {node: [] for node in case.nodes}
    marked = {node: _marked(case, lm.template, node) for node in case.nodes}
    position = 0
    for number, segment in enumerate(lm.template.segments(case)):
        encoded = lm.tokenizer(
            segment.text, add_special_tokens=False, split_special_tokens=not segment.markup, return_offsets_mapping=True
        )
        offsets = encoded["offset_mapping"]
        if segment.fact >= 0:
            lines[segment.fact] = list(range(position, position + len(offsets)))
            fact = case.facts[segment.fact]
            for node in dict.fromkeys((fact.head, fact.tail)):
                for start, end in _spans(marked[node][number], segment.text):
                    nodes[node] += [position + k for k, (a, b) in enumerate(offsets) if a < end and b > start]
        position += len(offsets)
    for node, tokens in nodes.items():
        if not tokens:
            raise ValueError(f"the name {case.names[node]!r} of {node!r} gives no token in the prompt; rename the node")
    return [tuple(nodes[node]) for node in case.nodes] + [tuple(lines[i]) for i in range(len(case.facts))]


def _marked(case: Case, template: Template, node: str) -> list[str]:
    """The texts of the prompt's segments with the marker in place of the node's name."""
    return [s.text for s in template.segments(replace(case, names={**case.names, node: MARKER}))]


def _spans(marked: str, text: str) -> Iterator[tuple[int, int]]:
    """Where the marked name stands in `text`, as (start, end) in characters."""
    parts = marked.split(MARKER)
    if len(parts) > 1:
        length = (len(text) - sum(map(len, parts))) // (len(parts) - 1)
        start = 0
        for part in parts[:-1]:
            start += len(part)
            yield start, start + length
            start += length


def token_shift(engine: Engine, cases: Sequence[Case], factors: Sequence[Factors]) -> pd.DataFrame:
    """Shift of every element of every case in every module of `factors`: one row for each, means over its tokens.

    Columns: `case` (id), `element` (index into `case.elements`), `kind` (node or fact), `node` (its id; empty for a
    fact), `layer`, `projection`, and `embedding`, `embedding_relative`, `context`, `context_relative`: the shift as a
    norm and relative to the base projection's output, at the input embedding and in the prompt. One pass a case, booked
    in the engine's ledger.

    Raises:
        ValueError: the model has no module of that name, or a factor does not fit it.
    """
    meters = [_Meter(engine.lm, one) for one in factors]
    rows: list[tuple] = []
    for case in cases:
        prompt = engine.prompt(case)
        with _reading(meters):
            engine.logits([prompt], [(int(engine.lm.tokenizer.eos_token_id),)])
        vectors = engine.lm.model.get_input_embeddings()(torch.tensor(prompt.ids, device=engine.lm.device))
        owners = element_tokens(case, engine.lm)
        for meter in meters:
            measured = np.column_stack([*meter.at(vectors), *meter.seen])  # (tokens, 4)
            place = (meter.factors.layer, meter.factors.projection)
            for i, (element, tokens) in enumerate(zip(case.elements, owners, strict=True)):
                rows.append((case.id, i, *_kind(element), *place, *measured[list(tokens)].mean(axis=0)))
    names = ["embedding", "embedding_relative", "context", "context_relative"]
    return pd.DataFrame(rows, columns=["case", "element", "kind", "node", "layer", "projection", *names])


def by_entity(table: pd.DataFrame, names: Mapping[str, str]) -> pd.DataFrame:
    """Mean shift of every node over the cases and layers: one row a node, largest in context first.

    table: what `token_shift` gave. Columns: `name`, `cases` (in how many it is shown), then per projection
    `<projection> embedding` and `<projection> context`, relative shifts.
    """
    rows = table[table["kind"] == "node"]
    means = (
        rows.groupby(["node", "projection"])[["embedding_relative", "context_relative"]].mean().unstack("projection")
    )
    means.columns = [f"{projection} {value.removesuffix('_relative')}" for value, projection in means.columns]
    means.insert(0, "cases", rows.groupby("node")["case"].nunique())
    means.insert(0, "name", [names[node] for node in means.index])
    return means.sort_values([c for c in means if c.endswith(" context")][-1], ascending=False)


def _kind(element: str | Fact) -> tuple[str, str]:
    return ("fact", "") if isinstance(element, Fact) else ("node", element)


class _Meter:
    """Measures the shift in one module. seen: (shift, relative shift) of the last pass, each (tokens,)."""

    def __init__(self, lm: LanguageModel, factors: Factors):
        base = lm.model.get_base_model() if isinstance(lm.model, PeftModel) else lm.model
        try:
            module = base.get_submodule(factors.module)
        except AttributeError:
            raise ValueError(f"{lm.name!r} has no module {factors.module!r}: the adapter is another model's") from None
        self.factors = factors
        self.layer: nn.Module = getattr(module, "base_layer", module)
        self.A = torch.as_tensor(factors.A, dtype=torch.float32, device=lm.device)
        self.B = torch.as_tensor(factors.B, dtype=torch.float32, device=lm.device)
        self.seen: tuple[np.ndarray, np.ndarray] = (np.empty(0), np.empty(0))

    @torch.no_grad()
    def at(self, h: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
        """(shift, relative shift) of inputs h (tokens, in), each (tokens,) float64."""
        return self.measure(h, self.layer(h))

    def measure(self, h: torch.Tensor, output: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
        """As `at`, with W0 h (tokens, out) known."""
        if (h.shape[-1], output.shape[-1]) != (self.A.shape[1], self.B.shape[0]):
            raise ValueError(
                f"{self.factors.module} maps {h.shape[-1]} to {output.shape[-1]} numbers, its factors "
                f"{self.A.shape[1]} to {self.B.shape[0]}: the adapter is another model's"
            )
        added = abs(self.factors.scaling) * (h.float() @ self.A.T @ self.B.T).norm(dim=-1).double()
        base = output.float().norm(dim=-1).double().clamp(min=TINY)
        return added.cpu().numpy(), (added / base).cpu().numpy()

    def listen(self, layer: nn.Module, given: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        """Forward hook on the base projection: its input is the module's input, its output W0 h; one row a pass."""
        self.seen = self.measure(given[0].detach()[0], output.detach()[0])


@contextmanager
def _reading(meters: Sequence[_Meter]) -> Iterator[None]:
    """Has every meter listen to its module inside the block, and takes the hooks away again whatever happens."""
    handles = [meter.layer.register_forward_hook(meter.listen) for meter in meters]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
