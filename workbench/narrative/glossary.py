"""What the words mean that explorers and report use: one glossary, shown where a word of it stands in a sentence."""

from __future__ import annotations

import re
from html import escape

GLOSSARY = {
    "node": "what facts join: a source, format, command, kind of data, tool, operation, topic or licence",
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

_WORD = re.compile(rf"(?<![\w-])({'|'.join(map(re.escape, sorted(GLOSSARY, key=len, reverse=True)))})(?=s?(?![\w-]))")


def glossed(text: str) -> str:
    """A text as HTML: the first of each word of the glossary in it shows its meaning to mouse, finger and keyboard.

    The text that can be read stays as it was; the style sheets of explorers and report draw the meaning.

    Examples:
        >>> glossed("2 modules < 3")
        '2 <dfn class="term" tabindex="0" data-means="one weight matrix ... of the adapter">module</dfn>s &lt; 3'
    """
    parts, seen = _WORD.split(text), set[str]()
    for i, part in enumerate(parts):
        parts[i] = escape(part)
        if i % 2 and part not in seen:
            seen.add(part)
            parts[i] = f'<dfn class="term" tabindex="0" data-means="{escape(GLOSSARY[part])}">{escape(part)}</dfn>'
    return "".join(parts)


def paragraph(text: str) -> str:
    """The same as a paragraph."""
    return f"<p>{glossed(text)}</p>"
