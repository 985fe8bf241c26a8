"""What the adapter adds to the tokens of a case's elements, beside what the base projection makes of the same tokens.

For a module with the change s B A and a token with the input h, the shift is ||s B A h||, and the relative shift is
||s B A h|| / ||W0 h||. h is taken twice: the token's input embedding (no context), and the module's real input in the
tuned model while it reads the case's prompt.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace

import numpy as np
import pandas as pd
import torch
from torch import nn
from transformers import PreTrainedTokenizerBase

from workbench.cases import Case
from workbench.game import Engine
from workbench.models import LanguageModel, base_of
from workbench.models.adapter_folder import Factors
from workbench.models.prompts import Segment, Template, unmarked
from workbench.shift.element_measures import element_rows

MARKER = "\u27e6\u00a7\u27e7"  # stands in for a name to find where a template writes it
PLACES = ("case", "element", "kind", "node", "layer", "projection")
VALUES = ("embedding", "embedding_relative", "context", "context_relative")  # what is measured of an element
TINY = 1e-30  # a base projection that gives exactly 0 has no relative shift; this keeps the quotient finite


def element_tokens(case: Case, lm: LanguageModel) -> list[tuple[int, ...]]:
    """Positions in the case's prompt of the tokens of every element, in the order of `case.elements`.

    A fact has all tokens of its line; a node has the tokens of its name in the lines of its facts. The question does
    not count: no element's removal touches it.

    Raises:
        ValueError: the tokenizer cannot say which characters a token stands for, or a name is empty.

    Examples:
        >>> from workbench.cases import example_case
        >>> from workbench.models import load
        >>> case = example_case()
        >>> tokens = element_tokens(case, load(names=case.names))
        >>> set(tokens[0]) <= set(tokens[4])  # the name of SRA stands in the line of the first fact
        True
    """
    if not lm.tokenizer.is_fast:
        raise ValueError(f"{type(lm.tokenizer).__name__} gives no character offsets; use a model with a fast tokenizer")
    lines: dict[int, list[int]] = {}
    nodes: dict[str, list[int]] = {node: [] for node in case.nodes}
    marked = {node: _marked(case, lm.template, node) for node in case.nodes}
    position = 0
    for number, segment in enumerate(lm.template.segments(case)):
        offsets = _offsets(segment, lm.tokenizer)
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


def _offsets(segment: Segment, tokenizer: PreTrainedTokenizerBase) -> list[tuple[int, int]]:
    """Where every token of a segment stands in its text, as (start, end) in characters; tokens as in `encode`."""
    out: list[tuple[int, int]] = []
    before = 0
    for part in [segment.text] if segment.markup else unmarked(segment.text, tokenizer):
        encoded = tokenizer(
            part, add_special_tokens=False, split_special_tokens=not segment.markup, return_offsets_mapping=True
        )
        out += [(before + start, before + end) for start, end in encoded["offset_mapping"]]
        before += len(part)
    return out


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
    norm and relative to the base projection's output, at the input embedding and in the prompt. Cases are read in
    batches, a row each, booked in the engine's ledger.

    Raises:
        ValueError: the model has no module of that name, or a factor does not fit it.

    Examples:
        >>> from workbench.game.case_game import example_game
        >>> game = example_game()
        >>> from workbench.game import adapted_modules
        >>> from workbench.shift import factors_of
        >>> factors = [factors_of(adapted_modules(game.engine.lm.model)[0])]
        >>> table = token_shift(game.engine, [game.case], factors)
        >>> len(table), table["context"].sum()  # an untrained adapter shifts nothing
        (7, np.float64(0.0))
    """
    meters = [_Meter(engine.lm, one) for one in factors]
    if not cases or not meters:
        return pd.DataFrame(columns=[*PLACES, *VALUES])
    ids = [engine.prompt(case).ids for case in cases]
    bare = _at_embedding(engine.lm, ids, meters)
    order = sorted(range(len(cases)), key=lambda i: len(ids[i]))  # as `Engine.logits` takes its rows
    with ExitStack() as hooks, engine.heads.left_out():
        for meter in meters:
            hooks.enter_context(meter.layer.register_forward_hook(meter.listen))
        engine.logits([engine.prompt(cases[i]) for i in order], [(int(engine.lm.tokenizer.eos_token_id),)] * len(order))
    blocks = []
    for k, i in sorted(enumerate(order), key=lambda pair: pair[1]):
        context = np.stack([meter.seen[k][:, -len(ids[i]) :] for meter in meters])  # (modules, 2, tokens)
        measured = np.concatenate([bare[i], context], axis=1)  # (modules, 4, tokens)
        tokens = _mean_over(element_tokens(cases[i], engine.lm), len(ids[i]))  # (n, tokens)
        blocks.append((measured @ tokens.T).transpose(0, 2, 1).reshape(-1, len(VALUES)))
    return pd.concat([_places(cases, factors), pd.DataFrame(np.concatenate(blocks), columns=list(VALUES))], axis=1)


def _at_embedding(lm: LanguageModel, ids: Sequence[Sequence[int]], meters: Sequence[_Meter]) -> list[np.ndarray]:
    """Per prompt (modules, 2, tokens): the shift of bare embeddings, each token of the vocabulary measured once.

    0 in a module that reads vectors of another width than an embedding's, such as `down_proj`: none can reach it.
    """
    seen, place = np.unique(np.concatenate([np.asarray(one) for one in ids]), return_inverse=True)
    vectors = lm.model.get_input_embeddings()(torch.as_tensor(seen, device=lm.device))
    measured = np.stack([meter.at(vectors) if meter.reads(vectors) else np.zeros((2, len(seen))) for meter in meters])
    measured = measured[..., place]
    return np.split(measured, np.cumsum([len(one) for one in ids])[:-1], axis=-1)


def _mean_over(owners: Sequence[Sequence[int]], tokens: int) -> np.ndarray:
    """(n, tokens) weights that take the mean over every element's tokens."""
    return np.array([np.bincount(owned, minlength=tokens) / len(owned) for owned in owners])


def _places(cases: Sequence[Case], factors: Sequence[Factors]) -> pd.DataFrame:
    """What the rows of `token_shift` are of: case by case, module by module, element by element."""
    modules = pd.DataFrame({name: [getattr(one, name) for one in factors] for name in ("layer", "projection")})
    numbers = np.repeat(np.arange(len(cases)), [len(case.elements) for case in cases])
    both = element_rows(cases).assign(number=numbers).merge(modules.reset_index(names="module"), how="cross")
    return both.sort_values(["number", "module"], kind="stable", ignore_index=True)[list(PLACES)]


class _Meter:
    """Measures the shift in one module. seen: a row of each pass as (2, width): shift and relative shift."""

    def __init__(self, lm: LanguageModel, factors: Factors):
        try:
            module = base_of(lm.model).get_submodule(factors.module)
        except AttributeError:
            raise ValueError(f"{lm.name!r} has no module {factors.module!r}: the adapter is another model's") from None
        self.factors = factors
        self.layer: nn.Module = getattr(module, "base_layer", module)
        self.A = torch.as_tensor(factors.A, dtype=torch.float32, device=lm.device)
        self.B = torch.as_tensor(factors.B, dtype=torch.float32, device=lm.device)
        self.seen: list[np.ndarray] = []

    def reads(self, h: torch.Tensor) -> bool:
        """Whether inputs h (tokens, in) are as wide as what the module's weights take."""
        return h.shape[-1] == getattr(self.layer, "in_features", h.shape[-1])

    @torch.no_grad()
    def at(self, h: torch.Tensor) -> np.ndarray:
        """Shift and relative shift (2, tokens) float64 of inputs h (tokens, in)."""
        return self.measure(h, self.layer(h))

    def measure(self, h: torch.Tensor, output: torch.Tensor) -> np.ndarray:
        """As `at`, with W0 h (tokens, out) known; batches of tokens may stand before both."""
        if (h.shape[-1], output.shape[-1]) != (self.A.shape[1], self.B.shape[0]):
            raise ValueError(
                f"{self.factors.module} maps {h.shape[-1]} to {output.shape[-1]} numbers, its factors "
                f"{self.A.shape[1]} to {self.B.shape[0]}: the adapter is another model's"
            )
        added = abs(self.factors.scaling) * (h.float() @ self.A.T @ self.B.T).norm(dim=-1).double()
        base = output.float().norm(dim=-1).double().clamp(min=TINY)
        return torch.stack([added, added / base], dim=-2).cpu().numpy()

    def listen(self, layer: nn.Module, given: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        """Forward hook on the base projection: its input is the module's input, its output W0 h."""
        self.seen.extend(self.measure(given[0].detach(), output.detach()))
