"""Captum and context-cite called as their users call them, on the prompt and the answer that our own methods see.

Both are optional (extra `bench`). What they ablate are the lines of the facts; all text around these lines stays.
"""

from __future__ import annotations

import contextlib
import copy
import importlib
import io
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import metadata
from types import ModuleType
from typing import Any
from unittest.mock import patch

import numpy as np
import torch

from workbench.artifacts.start import install_command
from workbench.cases import Case
from workbench.models import LanguageModel
from workbench.models.prompts import Segment

PACKAGES = {"captum": "captum.attr", "context-cite": "context_cite"}
PLAIN = "{{ messages[0]['content'] }}"  # a chat template that adds nothing: the frame is in the text already


class PackageMissing(ImportError):
    """A package of the extra `bench` that is not installed; says how to install it."""


def installed() -> dict[str, str | None]:
    """Package -> its version, None where it is not installed."""
    found: dict[str, str | None] = {}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = None
    return found


def versions_told(versions: dict[str, str | None]) -> dict[str, str]:
    """Package -> its version, or how to install it."""
    return {name: version or f"not installed; {install_command('bench')}" for name, version in versions.items()}


def package(name: str) -> ModuleType:
    """The module of a package. PackageMissing: it cannot be imported."""
    try:
        if name == "captum":
            return importlib.import_module(PACKAGES[name])
        with patch.object(importlib.import_module("nltk"), "download", lambda *_, **__: False):
            # its sentence splitter would be downloaded at import; lines are split without it
            return importlib.import_module(PACKAGES[name])
    except ImportError as error:
        raise PackageMissing(
            f"{name} cannot be imported ({error}); install it with: {install_command('bench')}"
        ) from error


@dataclass(frozen=True)
class Text:
    """A case's prompt as text: what stands before its fact lines, the lines, what stands after them."""

    before: str
    lines: tuple[str, ...]
    after: str

    @classmethod
    def of(cls, segments: Sequence[Segment]) -> Text:
        """A prompt whose facts stand behind one another."""
        at = [i for i, s in enumerate(segments) if s.fact >= 0]
        before, after = ("".join(s.text for s in part if s.fact < 0) for part in (segments[: at[0]], segments[at[0] :]))
        return cls(before, tuple(segments[i].text for i in at), after)

    def __call__(self, *lines: str) -> str:
        """The prompt with these lines in place of its own; an ablated one is empty."""
        return self.before + "".join(lines) + self.after


def captum_scores(
    lm: LanguageModel, case: Case, answer: Sequence[int], *, method: str, seed: int = 0, **call: Any
) -> np.ndarray:
    """Scores (facts,), nats, of `LLMAttribution(method(model), tokenizer).attribute(...)` with a `TextTemplateInput`.

    method: `FeatureAblation`, `ShapleyValueSampling` or `KernelShap`. call: what `attribute` is called with beside the
    input and the answer; nothing means the package's defaults.
    """
    attr, text = package("captum"), Text.of(lm.template.segments(case))
    wrapped = attr.LLMAttribution(getattr(attr, method)(lm.model), lm.tokenizer)
    lines = attr.TextTemplateInput(text, list(text.lines))
    with quiet(), drawn_from(seed):
        result = wrapped.attribute(lines, target=torch.tensor(answer), **call)
    return result.seq_attr.double().cpu().numpy()


@dataclass(frozen=True)
class Cited:
    """What context-cite found: scores (facts,) of the answer's logit, the masks (m, facts) bool that it asked, and the
    tokens of the answer that it explained.
    """

    scores: np.ndarray
    masks: np.ndarray
    answer: tuple[int, ...]


def context_cite_scores(lm: LanguageModel, case: Case, answer: Sequence[int] | None = None) -> Cited:
    """`ContextCiter(...).get_attributions()` with its defaults, each fact line a source.

    answer: tokens that its generation is held to; None: what the model answers.
    ValueError: the package's own, where the answer's probability is 1 to float precision and its logit not finite.
    """
    return cited_text(lm, Text.of(lm.template.segments(case)), answer)


def cited_text(lm: LanguageModel, text: Text, answer: Sequence[int] | None = None) -> Cited:
    """The same of a prompt as text."""
    tokenizer = copy.deepcopy(lm.tokenizer)
    tokenizer.chat_template = PLAIN
    partitioner = _lines(package("context-cite"), text)
    with quiet():
        citer = package("context-cite").ContextCiter(
            lm.model,
            tokenizer,
            partitioner.context,
            "",
            partitioner=partitioner,
            prompt_template=_braces(text.before) + "{context}" + _braces(text.after),
            generate_kwargs=_held_to(answer) if answer else None,
        )
        response = citer.response
        partitioner.asked.clear()
        scores = np.asarray(citer.get_attributions(verbose=False), dtype=np.float64)
    said = tuple(tokenizer.encode(response, add_special_tokens=False))
    return Cited(scores, np.array(partitioner.asked), said)


def _lines(module: ModuleType, text: Text) -> Any:
    """A partitioner of the package whose sources are the fact lines; it keeps the masks that are asked for."""

    class Lines(module.context_partitioner.BaseContextPartitioner):  # type: ignore[name-defined]
        def __init__(self) -> None:
            super().__init__("".join(text.lines))
            self.asked: list[np.ndarray] = []

        @property
        def num_sources(self) -> int:
            return len(text.lines)

        def split_context(self) -> None:
            pass

        def get_source(self, index: int) -> str:
            return text.lines[index]

        def get_context(self, mask: np.ndarray | None = None) -> str:
            if mask is None:
                return self.context
            self.asked.append(np.array(mask, dtype=bool))
            return "".join(line for line, kept in zip(text.lines, mask, strict=True) if kept)

    return Lines()


def _braces(text: str) -> str:
    """Text that `str.format` gives back as it is."""
    return text.replace("{", "{{").replace("}", "}}")


def _held_to(answer: Sequence[int]) -> dict:
    """Arguments of `generate` under which it can give nothing but `answer`."""
    start: list[int] = []

    def allowed(_batch: int, ids: torch.Tensor) -> list[int]:
        if not start:
            start.append(len(ids))
        return [answer[min(len(ids) - start[0], len(answer) - 1)]]

    return {"max_new_tokens": len(answer), "do_sample": False, "prefix_allowed_tokens_fn": allowed}


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keeps the progress bars and warnings of packages from the terminal."""
    with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        yield


@contextlib.contextmanager
def drawn_from(seed: int) -> Iterator[None]:
    """The global generators of torch and numpy, which packages draw from, set to `seed` and put back afterwards."""
    state = np.random.get_state()
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        np.random.seed(seed)
        try:
            yield
        finally:
            np.random.set_state(state)
