"""What the words mean that explorers and report use: one glossary, and terms that show their meaning."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

GLOSSARY = {
    "fact": "one edge of the graph, one line of the prompt",
    "G": "the graph of the case: every fact that the prompt shows",
    "Gc": "the counterfactual graph: G without what is taken out",
    "toolchain": "the commands of an answer, in order",
    "needed": "the right answer runs through this fact",
    "withheld": "needed facts that the prompt leaves out, so that a model must remember them",
    "mask": "a degree of removal for every node and fact, learned so that removing little changes much",
    "m": "degree of removal: 0 keeps it, 1 removes it",
    "flip set": "what has to be taken out for the toolchain to change; in a minimal one no member can be put back",
    "sufficient set": "facts that keep the toolchain when nothing else is shown; in a minimal one none can be dropped",
    "certified": "asked of the model itself, not inferred: the set holds, and without any one member it does not",
    "lead": "by how much the least sure token of an answer is likelier than the next best one, in nats",
    "nat": "unit of log p by the natural logarithm: one nat less is a probability lower by a factor of 2.7",
    "log p": "logarithm of the probability that the model gives to the whole answer",
    "exact": "the commands of the answer are those of the right one, in order",
    "base": "the model as it was before tuning: the adapter switched off",
    "tuned": "the same model with the adapter switched on",
    "adapter": "thin matrices (LoRA) that tuning adds to the weights of the base model",
    "module": "one weight matrix of the model, with its own part of the adapter",
    "dose": "what the update of every module is multiplied by: 0 is the base, 1 the model as trained",
    "Delta": "by how much tuning made an answer likelier, in nats",
}
"""Term -> its meaning, in plain words."""

MASKS = ("G", "Gc", "toolchain", "needed", "mask", "m", "flip set", "certified", "lead", "nat", "base", "tuned")
SHIFT = ("adapter", "module", "dose", "Delta", "log p", "lead", "nat", "base", "tuned", "toolchain")
REPORT = ("fact", "toolchain", "exact", "withheld", "flip set", "sufficient set", "certified", "log p", "module")


def terms(names: Iterable[str]) -> str:
    """A line of terms as HTML, each with its meaning where mouse, finger or keyboard are on it. KeyError: an unknown
    term."""
    shown = (
        f'<span class="term" tabindex="0">{escape(name)}<span role="tooltip">{escape(GLOSSARY[name])}</span></span>'
        for name in names
    )
    return f'<div class="terms">Words: {" · ".join(shown)}</div>'
