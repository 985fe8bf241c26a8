"""Explanations in two or three plain sentences, made by template from their figures.

They say what was done, what it changed, how sure that is and what was not shown; nothing that the figures do not hold.
Names come from a graph: they are shortened, what cannot be printed is left out, and a name that is written from right
to left is kept apart from the words around it.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any

import numpy as np

from workbench.cases import Case, Fact
from workbench.explain import CERTIFIED, FLAGS, TERMS, Explanation, Weights, contributions, without
from workbench.explain.counterfactual import Element
from workbench.explain.verdict import count
from workbench.trial import Carriers, Check, Outcome

LONGEST = 40  # characters of a name
LONG_CHAIN = 7  # steps of a toolchain that are named
MOST = 4  # names in a list before the rest is counted
ALONE = "Facts that stand in for one another do not show."
SMALL = 0.01  # nats: what is nearer to 0 carries nothing worth a name
METHOD = {
    "paper": "The mask learned from the prompt's text, which never asked the model,",
    "in_loop": "The mask learned with the tuned model in the loop",
    CERTIFIED: "The search for a smallest set",
}
ANSWER = {
    "tuned_full": "the tuned model on G",
    "tuned_changed": "the tuned model on Gc",
    "base_full": "the base model on G",
    "base_changed": "the base model on Gc",
}


def clean(name: str, longest: int = LONGEST) -> str:
    """A name as one short line of letters that can be printed."""
    line = " ".join("".join(mark if mark.isprintable() else " " for mark in name).split()) or "(no name)"
    if len(line) > longest:
        line = f"{line[: longest * 2 // 3]}…{line[-(longest // 3) :]}"
    turned = any(unicodedata.bidirectional(mark) in ("R", "AL", "AN") for mark in line)
    return f"\u2068{line}\u2069" if turned else line


def element(case: Case, one: Element) -> str:
    """An element by name: a node's, or a fact as `FASTQ → hisat2`."""
    if isinstance(one, Fact):
        return f"{clean(case.names[one.head])} → {clean(case.names[one.tail])}"
    return clean(case.names[one])


def listed(names: Iterable[str], *, none: str = "nothing") -> str:
    """`a, b and c`; of many the first few and how many more."""
    known = list(names)
    if len(known) > MOST:
        known = [*known[: MOST - 1], f"{len(known) - MOST + 1} more"]
    return f"{', '.join(known[:-1])} and {known[-1]}" if len(known) > 1 else known[0] if known else none


def chain(path: Iterable[str], names: Mapping[str, str]) -> str:
    """A toolchain: `hisat2 → samtools sort × 2`; of a long one the first and the last steps."""
    steps = [f"{clean(names.get(node, node))}{f' × {times}' if times > 1 else ''}" for node, times in runs(path)]
    if len(steps) > LONG_CHAIN:
        steps[LONG_CHAIN - 2 : -1] = [f"({len(steps) - LONG_CHAIN + 1} more)"]
    return " → ".join(steps) or "no command"


def runs(path: Iterable[str]) -> list[tuple[str, int]]:
    """Nodes that follow one another, with how often each does so."""
    return [(node, len(list(some))) for node, some in groupby(path)]


def removal(case: Case, removed: Sequence[Element]) -> str:
    """What is taken out, with how many facts, and how many of those the right answer needs."""
    if not removed:
        return "Nothing is taken out: Gc is G."
    left = set(without(case, removed).facts)
    lost = [fact for fact in case.facts if fact not in left]
    needed = [fact for fact in case.needed if fact in case.facts]
    hit = len(set(lost) & set(needed))
    return (
        f"Taken out: {listed(element(case, one) for one in removed)} ({count(len(removed), 'element')}, with that "
        f"{len(lost)} of {count(len(case.facts), 'fact')}, {hit} of the {len(needed)} on the right answer's path)."
    )


def outcome(one: Outcome, names: Mapping[str, str]) -> str:
    """What became of both models' toolchains, by how much, and what nearly did."""
    said = [removal(one.case, one.removed)]
    for model in ("tuned", "base"):
        full, now = (one.toolchains[f"{model}_{which}"] for which in ("full", "changed"))
        lead = one.leads[model]
        right = "right" if full == one.case.toolchain else "not the right one"
        if not one.removed:
            said.append(f"The {model} model answers {chain(full, names)}, which is {right}; {_lead(lead)}.")
        elif not (full or now):
            said.append(f"The {model} model names no command, before or after.")
        elif full != now:
            said.append(f"The {model} model's toolchain changes from {chain(full, names)} to {chain(now, names)}.")
        else:
            said.append(f"The {model} model's toolchain stays {chain(full, names)}; {_lead(lead)}.")
    if one.removed and one.changed("tuned") and one.changed("base"):
        said.append("Since both change, this shows what the task needs, not what tuning added.")
    elif one.removed and one.changed("tuned") and one.toolchains["base_full"]:
        said.append("Only the tuned model changes.")
    return " ".join(said)


def _lead(nats: float) -> str:
    if nats <= 0:  # the words differ, the commands do not
        return "a token of it is no longer the first choice, but the commands are the same"
    return f"its least sure token leads by {nats:z.2f} nats"


def check(one: Check) -> str:
    """The certificate of a set chosen by hand."""
    if not one.removed:
        return "Nothing is taken out, so there is nothing to check."
    asked = f"({count(one.calls, 'prompt')} asked)"
    size = count(len(one.removed), "element")
    if not one.flips:
        return f"Not a flip set: without {size} the tuned model's toolchain stays; {_lead(one.value)} {asked}."
    if one.spare:
        back = listed(element(one.case, member) for member in one.spare)
        alone = "it" if len(one.spare) == 1 else "any one of them"
        return (
            f"It flips the tuned model, but is not minimal: put {back} back, {alone} alone, and it still flips {asked}."
        )
    single = "the member" if len(one.removed) == 1 else f"any one of the {len(one.removed)} members"
    left = " Sets that leave out two or more of the members were not asked." if len(one.removed) > 2 else ""
    flips = f"it flips the tuned model, and with {single} put back it does not"
    return f"Minimal for the facts in this order: {flips} {asked}.{left}"


def carriers(one: Carriers, names: Mapping[str, str]) -> str:
    """Which facts carry one command of an answer."""
    order = [i for i in np.argsort(-one.scores, kind="stable") if one.scores[i] > SMALL]
    tool, where = clean(names.get(one.node, one.node)), ANSWER[one.row]
    sure = f"log p of {tool} in the answer of {where} is {one.total:z.2f} nats"
    if not order:
        return f"No shown fact, left out alone, makes {tool} less likely by more than {SMALL:g} nats; {sure}."
    facts = [f"{element(one.case, one.case.facts[i])} ({one.scores[i]:z.2f} nats)" for i in order]
    against = int((one.scores < -SMALL).sum())
    other = f" Without {count(against, 'other fact')}, each alone, it is likelier." if against else ""
    verb = "makes" if len(facts) == 1 else "make"
    return f"Left out alone, {listed(facts)} {verb} {tool} less likely; {sure}.{other} {ALONE}"


def explanation(one: Explanation, names: Mapping[str, str]) -> str:
    """What a method removed, what became of the answers, what was proved and what was not."""
    who = METHOD.get(one.method, f"The method {one.method}")
    size, lost = len(one.removed), len(one.case.facts) - len(one.changed.facts)
    taken = listed(element(one.case, e) for e in one.removed)
    said = [
        f"{who} took out {taken}: {count(size, 'element')}, with that {lost} of {count(len(one.case.facts), 'fact')}."
    ]
    full, now = one.toolchains["tuned_full"], one.toolchains["tuned_changed"]
    if one.flipped:
        said.append(
            f"The tuned model's toolchain changes from {chain(full, names)} to {chain(now, names)}{_base(one)}."
        )
    else:
        said.append(f"The tuned model's toolchain stays {chain(full, names)}{_base(one)}.")
    return " ".join([*said, _proof(one), *_notes(one)])


def _base(one: Explanation) -> str:
    if "base_full" not in one.toolchains:
        return "; the base model was not asked"
    before, after = one.toolchains["base_full"], one.toolchains["base_changed"]
    if not (before or after):
        return "; the base model names no command, before or after"
    return f"; the base model's {'stays' if before == after else 'changes'}"


def _proof(one: Explanation) -> str:
    proof = one.certificate
    if one.method != CERTIFIED:
        return "Nothing here shows that a smaller set would not do; the certified search looks for that."
    asked = f"{count(int(proof['calls']), 'prompt')} asked"
    if not proof["found"]:
        return f"No set was seen to flip it ({asked}), which does not show that there is none."
    noted = f"; {proof['note']}" if proof["note"] else ""
    if not proof["certified"]:
        return f"It is not proved minimal ({asked}{noted})."
    size = len(proof["elements"])
    member = "the member" if size == 1 else f"any one of the {size} members"
    sure = f" at {proof['confidence']:.0%}" if proof.get("confidence", 1) < 1 else ""
    where = f"Certified{sure} for the facts in this order"
    return f"{where}: it flips, and with {member} put back it does not ({asked}{noted})."


def _notes(one: Explanation) -> list[str]:
    """Flags that the proof has not said already."""
    said = {"no_flip", "not_certified"} if one.method == CERTIFIED else set()
    return [f"Note: {FLAGS.get(flag, flag)}." for flag in one.flags if flag not in said]


def objective(row: Mapping[str, float], weights: Weights, *, learned: Mapping[str, float]) -> str:
    """What the terms of the last step add up to with these weights, and whether they are those it was learned with."""
    added = contributions(row, weights)
    whole = sum(abs(value) for value in added.values())
    if not whole:
        return "Every term is 0 or switched off."
    name = max(added, key=lambda term: abs(added[term]))
    share = abs(added[name]) / whole
    said = (
        f"The objective is {sum(added.values()):.4g}; {TERMS[name].name} alone makes {share:.0%} of the absolute sum."
    )
    stale = dict(learned) != weights.to_dict()
    return (
        f"{said} The mask was learned with other weights: only Recompute shows what these would remove."
        if stale
        else said
    )


def ledger(cost: Mapping[str, Any]) -> str:
    """What it cost: prompts, tokens, backward passes, seconds."""
    said = [f"{cost.get('rows', 0):,.0f} prompts with {cost.get('tokens', 0):,.0f} tokens"]
    if cost.get("backward_passes"):
        said.append(f"{cost['backward_passes']:,.0f} backward passes")
    cases = int(cost.get("cases", 1))
    over = f", for {cases} cases together" if cases > 1 else ""
    if "seconds" in cost:  # saved explanations hold none
        said.append(f"{cost['seconds']:.1f} s")
    return f"Cost: {', '.join(said)}{over}."
