"""What became of a case that a person changed: elements taken out by hand, doses and switches of the adapter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from workbench.cases import toolchain
from workbench.explain.trial import Carriers, Check, Outcome
from workbench.game.rows import named_path
from workbench.hands.narrative.explained import removal
from workbench.hands.narrative.names import SMALL, chain, clean, count, element, listed
from workbench.shift.response import GRID, Answered, Settings

LEAST = 0.001  # of a measure: what is nearer to 0 is told as below it
ALONE = "Facts that stand in for one another do not show."
ANSWER = {
    "tuned_full": "the tuned model on G",
    "tuned_changed": "the tuned model on Gc",
    "base_full": "the base model on G",
    "base_changed": "the base model on Gc",
}


def outcome(one: Outcome, names: Mapping[str, str]) -> str:
    """What became of both models' toolchains, by how much, and what nearly did."""
    said = [removal(one.case, one.removed)]
    for model in ("tuned", "base"):
        full, now = (one.toolchains[f"{model}_{which}"] for which in ("full", "changed"))
        was, lead = chain(full, names), _lead(one.leads[model])
        right = "right" if full == one.case.toolchain else "not the right one"
        if not one.removed:
            said.append(f"The {model} model answers {was}, which is {right}; {lead}.")
        elif not (full or now):
            said.append(f"The {model} model names no command, before or after.")
        elif full != now:
            said.append(f"The {model} model's toolchain changes from {was} to {chain(now, names)}.")
        else:
            said.append(f"The {model} model's toolchain stays {was}; {lead}.")
    if one.removed and one.changed("tuned"):
        both = "Since both change, this shows what the task needs, not what tuning added."
        if one.toolchains["base_full"] != one.case.toolchain:
            both = "Both change, but the base model was not right before: this does not tell what tuning added."
        if one.changed("base") or one.toolchains["base_full"]:
            said.append(both if one.changed("base") else "Only the tuned model changes.")
    return " ".join(said)


def _lead(nats: float) -> str:
    if nats <= 0:  # the words differ, the commands do not
        return "a token of it is no longer the first choice, but the commands are the same"
    return f"its least sure token leads by {nats:z.2f} nats"


def check(one: Check) -> str:
    """The certificate of a set chosen by hand."""
    members, asked = len(one.removed), f"({count(one.calls, 'prompt')} asked)"
    if not members:
        return "Nothing is taken out, so there is nothing to check."
    if not one.flips:
        size = count(members, "element")
        return f"Not a flip set: without {size} the tuned model's toolchain stays; {_lead(one.value)} {asked}."
    if one.spare:
        back = listed(element(one.case, member) for member in one.spare)
        alone = "it" if len(one.spare) == 1 else "any one of them"
        return (
            f"It flips the tuned model, but is not minimal: put {back} back, {alone} alone, and it still flips {asked}."
        )
    single = "the member" if members == 1 else f"any one of the {members} members"
    left = " Sets that leave out two or more of the members were not asked." if members > 2 else ""
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


def setting(settings: Settings, found: Answered) -> str:
    """The answer at a dose with modules off, beside that of the adapter as trained, and the value."""
    trained, base = settings.at(), float(settings.curve()[GRID.index(0.0)])
    off = f" with {len(found.off)} of {count(settings.play.n, settings.unit)} off" if found.off else ""
    same = "as trained" if found.toolchain == trained.toolchain else "which is not its answer as trained"
    right = "the right answer" if found.toolchain == settings.case.toolchain else "not the right answer"
    names, what = settings.engine.lm.names, "The log p of the answer as trained"
    if settings.game.form == "margin":
        other = toolchain(named_path(settings.engine, settings.case, settings.game.other))
        what = f"The lead of the answer as trained over {chain(other, names)}"
    return (
        f"At dose {found.dose:g}{off} the model answers {chain(found.toolchain, names)}, {same}; "
        f"that is {right}. {what} is {found.value:+.2f} nats; with the adapter as trained {trained.value:+.2f}, "
        f"without it {base:+.2f}."
    )


def picked(rows: pd.DataFrame, measures: Sequence[str], one: int | None) -> str:
    """An element by every measure, with its rank among its own kind. rows: of one case, `shift.with_measures`."""
    some = rows[rows["element"] == one]
    if some.empty or not measures:
        return ""
    row = some.iloc[0]
    kin = rows[rows["kind"] == row["kind"]]
    said = [
        f"{name} {_short(float(row[name]))} (number {int((kin[name] > row[name]).sum()) + 1} of "
        f"{count(int(kin[name].notna().sum()), row['kind'])})"
        for name in measures
        if pd.notna(row[name]) and kin[name].nunique() > 1  # what is alike for all has no first
    ]
    return f"{clean(str(row['name']))}: {', '.join(said) or 'no measure ranks it'}."


def _short(value: float) -> str:
    if value and abs(value) < LEAST:
        return f"below {LEAST:g}"
    return f"{value:.0f}" if abs(value) >= 10 else f"{value:.2g}"
