"""What explanations say: of one case, and over many."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from workbench.cases import Case, Fact, toolchain
from workbench.explain import CERTIFIED, FLAGS, LEARNED, TERMS, ChangedSets, ElementSet, Explanation, Weights
from workbench.explain.compare import OtherOrders, against, order_shares, records, summarise
from workbench.explain.counterfactual import Element, without
from workbench.explain.terms import contributions
from workbench.game import ForcedChoice, Game
from workbench.hands.narrative.names import SURE, between, blind, chain, clean, count, element, few, listed, named
from workbench.stats import PairedDifference, wilson

GROUPS = ("added", "kept", "dropped")
METHOD = {
    "paper": "The mask learned from the prompt's text, which never asked the model,",
    "in_loop": "The mask learned with the tuned model in the loop",
    CERTIFIED: "The search for a smallest set",
}


def taken(case: Case, removed: Sequence[Element]) -> str:
    """What is taken out, with how many facts, and how many of those the right answer needs."""
    lost = set(case.facts) - set(without(case, removed).facts)
    needed = {fact for fact in case.needed if fact in case.facts}
    return (
        f"{listed(element(case, one) for one in removed)} ({count(len(removed), 'element')} and so {len(lost)} of "
        f"{count(len(case.facts), 'fact')}, {len(lost & needed)} of the {len(needed)} on the right answer's path)"
    )


def removal(case: Case, removed: Iterable[Element], flags: Iterable[str] = ()) -> str:
    """The same as a sentence, with what must be noted of it."""
    gone = tuple(removed)
    said = f"Taken out: {taken(case, gone)}." if gone else "Nothing is taken out: Gc is G."
    return " ".join([said, *(f"Note: {FLAGS.get(flag, flag)}." for flag in flags)])


def explanation(one: Explanation, names: Mapping[str, str]) -> str:
    """What a method removed, what became of the answers, what was proved and what was not."""
    full, now = (chain(one.toolchains[f"tuned_{which}"], names) for which in ("full", "changed"))
    right = "right" if one.toolchains["tuned_full"] == one.case.toolchain else "wrong"
    became = f"changes from {full}, {right} on G, to {now}" if one.flipped else f"stays {full}, {right} on G"
    base = "; the base model was not asked"
    if "base_full" in one.toolchains:
        before, after = one.toolchains["base_full"], one.toolchains["base_changed"]
        base = f"; the base model's {'stays' if before == after else 'changes'}"
        base = base if before or after else "; the base model names no command, before or after"
    proved = {"no_flip", "not_certified"} if one.method == CERTIFIED else set()  # which the proof says already
    notes = [f"Note: {FLAGS.get(flag, flag)}." for flag in one.flags if flag not in proved]
    who = METHOD.get(one.method, f"The method {one.method}")
    said = f"{who} took out {taken(one.case, one.removed)}. The tuned model's toolchain {became}{base}."
    return " ".join([said, _proof(one), *notes])


def second(one: Explanation | None, names: Mapping[str, str]) -> str:
    """The case whose answer hangs on several facts together, and that there is none where there is none."""
    if one is None:
        return "No case has a certified set of two facts or more: there is no second case to show."
    size, case = len(one.removed), one.case
    both, left = ("Both", "either of them") if size == 2 else (f"All {size}", "any one of them")
    ends = " to ".join(clean(case.names[end]) for end in (case.source, case.target))
    return f"{case.id}, from {ends}. {explanation(one, names)} {both} must go: {left} is enough to keep the answer."


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
    size, where = len(proof["elements"]), certainty(proof.get("confidence", 1))
    member = "the member" if size == 1 else f"any one of the {size} members"
    return f"C{where[1:]}: it flips, and with {member} put back it does not ({asked}{noted})."


def certainty(confidence: float) -> str:
    """How far a certificate goes."""
    return f"certified{f' at {confidence:.0%}' if confidence < 1 else ''} for the facts in this order"


def found_set(case: Case, found: ElementSet) -> str:
    """A flip set or sufficient set: its members, how far it is proved, and what was asked."""
    flip = found.kind == "flip"
    asked = f"asked for with {count(found.calls, 'mask')}{f'; {found.note}' if found.note else ''}"
    if not found.found:
        return f"no set was found, {asked}"
    doing, end = ("removing", "changes") if flip else ("keeping only", "keeps")
    proved = certainty(found.confidence) if found.certified else "not certified"
    several = flip and found.certified and len(found.elements) > 1
    shape = "; all of them must go, any one that is left is enough" if several else ""
    members = named(case, found.elements) or "nothing"
    return f"{doing} {members} {end} the toolchain: {count(len(found.elements), 'element')}{shape}, {proved}, {asked}"


def over_cases(group: Sequence[Explanation]) -> str:
    """How often one method changed the toolchains, and at what price."""
    rows = [one.record() for one in group]
    removed, lost, flipped = (np.mean([r[key] for r in rows]) for key in ("removed", "facts_removed", "flipped"))
    asked = [one.toolchains for one in group if "base_full" in one.toolchains]
    base = [chains["base_full"] != chains["base_changed"] for chains in asked]
    also = f" (the base model's: {np.mean(base):.0%})" if base else ""
    silent = base and not any(chains[key] for chains in asked for key in ("base_full", "base_changed"))
    also = " (the base model names no command in any)" if silent else also
    flags = {flag: sum(flag in r["flags"] for r in rows) for flag in FLAGS}
    notes = "".join(f"; in {count(n, 'case')} {FLAGS[flag]}" for flag, n in flags.items() if n)
    return (
        f"the tuned model's toolchain changed in {flipped:.0%} of {count(len(group), 'case')}{also}, by removing "
        f"{removed:.1f} elements and with them {lost:.1f} of {np.mean([len(e.case.facts) for e in group]):.1f} "
        f"facts{notes}"
    )


def sooner(stopped: Mapping[str, Sequence[Explanation]], method: str, *, seed: int = 0) -> str:
    """How many elements an order takes until the toolchain changes, and which other orders need surely more or fewer.

    stopped: method -> explanations under the one stopping rule. The certified set, which is searched for, is told but
    not ranked.
    """
    fewer = against(stopped, method, metric="elements_taken", seed=seed)
    proved = fewer.pop(CERTIFIED, None)
    sizes = {name: np.mean([one.elements_taken for one in group]) for name, group in stopped.items()}
    rows = records({method: stopped[method]}, until_flip=True)
    own = summarise(rows, names=["elements_taken"], seed=seed)[method]["elements_taken"]
    named_sizes = {f"{name} ({sizes[name]:.1f})": difference for name, difference in fewer.items()}
    searched = f"; the searched set has {sizes[CERTIFIED]:.1f}" if proved else ""
    never = sum(not one.flipped for one in stopped[method])
    lost = f"; in {count(never, 'case')} no number of them changes it, and all elements are counted" if never else ""
    return (
        f"taken out in its order until the toolchain changes, {method} needs {between(own, form='.1f')} "
        f"elements, mean of {count(len(rows), 'case')}: {_told(named_sizes, 'fewer than', 'more than')}{searched}{lost}"
    )


def ranking(differences: Mapping[str, PairedDifference], method: str) -> str:
    """Which methods `method` changed the answers more than, less than, or not surely otherwise than, at its own sizes.

    differences: of a metric that is low where the answer changed much. What a method that stops at a change is said to
    be better at here is due to its stopping, not to its order; see `sooner`.
    """
    return (
        f"beside baselines of as many elements, and masks and sets of their own sizes, {method} changed the toolchains "
        f"{_told(differences, 'more than', 'less than')}; a method that stops where they change wins this by its "
        "stopping, whatever its order"
    )


def _told(differences: Mapping[str, PairedDifference], below: str, above: str) -> str:
    """Names by the sign of their mean difference, where it is sure: p below 0.05 over the number of names."""
    level = SURE / max(1, len(differences))
    sure = {name: d.mean for name, d in differences.items() if d.p < level}
    groups = {
        below: [name for name, mean in sure.items() if mean < 0],
        above: [name for name, mean in sure.items() if mean > 0],
        "with no sure difference to": [name for name in differences if name not in sure],
    }
    said = "; ".join(f"{text} {', '.join(names)}" for text, names in groups.items() if names)
    return said + _level(level, [difference.n for difference in differences.values()])


def _level(level: float, cases: Sequence[int]) -> str:
    """The level of tests, and that so few cases cannot come below it. cases: of each test, how many it is of."""
    few_for_it = f", which {count(max(cases), 'case')} cannot show" if cases and blind(max(cases), level) else ""
    return f"{few_for_it} (level {level:.4f})"


def certified(explanations: Mapping[str, Sequence[Explanation]]) -> str:
    """How often a certified set was found, and its size beside what the learned masks removed."""
    proofs = [one.certificate for one in explanations[CERTIFIED]]
    share = wilson(sum(bool(proof["certified"]) for proof in proofs), len(proofs))
    sizes = {name: np.mean([len(one.removed) for one in explanations[name]]) for name in (CERTIFIED, *LEARNED)}
    interval = "" if few(share._asdict()) else f" [{share.low:.0%}, {share.high:.0%}]"
    masked = len(explanations[LEARNED[0]])
    fewer = f" in {count(masked, 'case')}" if masked < len(proofs) else ""
    return (
        f"a certified flip set was found in {share.share:.0%} of {count(share.n, 'case')}{interval}; "
        f"a mean of {sizes[CERTIFIED]:.1f} elements were removed, against "
        f"{' and '.join(f'{sizes[name]:.1f} by {name}' for name in LEARNED)}{fewer}; it took a median of "
        f"{np.median([proof['calls'] for proof in proofs]):,.0f} masks a case"
    )


def shapes(explanations: Sequence[Explanation]) -> str:
    """How many members the certified sets have, and how many pairs of facts are two ways to name one command."""
    sets = [one.removed for one in explanations if one.certificate["certified"]]
    sizes = Counter(min(len(members), 3) for members in sets)
    single = sum(isinstance(members[0], Fact) for members in sets if len(members) == 1)
    facts = [[e for e in members if isinstance(e, Fact)] for members in sets if len(members) == 2]
    pairs = [pair for pair in facts if len(pair) == 2]
    same = sum(a.tail == b.head and a.tail.startswith("command:") for pair in pairs for a, b in (pair, pair[::-1]))
    why = ": either line is enough to name it, and only without both the answer changes" if same else ""
    ones = f"{sizes[1]} {'has' if sizes[1] == 1 else 'have'} one member ({single} of these a fact)"
    return (
        f"of {count(len(sets), 'certified set')} {ones}, {sizes[2]} two and {sizes[3]} three or more; in {same} of "
        f"{count(len(pairs), 'pair')} of facts the two are what one command reads and what it writes{why}"
    )


def under_orders(found: Sequence[OtherOrders]) -> str:
    """How often what was certified for one order of the facts changes the answer in others, with its interval."""
    told = {name: between(share, form=".0%") for name, share in order_shares(found).items()}
    if not told:
        return "no case has a set and another order of its facts, so what other orders do is not known"
    also = f", and among these it is {told['flips_where_kept']}" if "flips_where_kept" in told else ""
    return (
        f"certified for the facts in the order shown; in {count(len(found[0].flips), 'other order')} of each of "
        f"{count(len(found), 'case')} removing the set changes the toolchain in {told['flips']}; all facts "
        f"together give the answer as before in {told['kept']}{also}"
    )


def base_decisions(games: Sequence[Game | ForcedChoice]) -> str:
    """Whose answers the base model's decisions are about: `workbench.game.own_decisions`, the first case in detail."""
    forced = [game for game in games if isinstance(game, ForcedChoice)]
    if not forced:
        some = sum(bool(toolchain(game.path)) for game in games)
        return f"the base model writes a toolchain in {some} of {count(len(games), 'case')}: its decision is its own"
    bound, first = sum(not game.others for game in forced), forced[0]
    only = f"; in {bound} there is no other to choose" if bound else ""
    return (
        f"the base model writes no toolchain in any of {count(len(games), 'case')}: its decision is a forced choice, "
        f"step by step among the chains that the shown facts allow{only}. For {first.case.id} it is "
        f"{chain(first.path, first.case.names)}; what it writes by itself begins "
        f"{' '.join(first.written.split())[:80]!r}"
    )


def changed(case: Case, found: ChangedSets) -> str:
    """What of the elements that the answers hang on was added, kept and dropped by tuning, and what was left open."""
    groups = (*GROUPS, "unsure") if found.unsure else GROUPS
    said = "; ".join(f"{name}: {named(case, getattr(found, name)) or 'nothing'}" for name in groups)
    return f"{said} ({count(found.calls, 'mask')}{''.join(f'; {note}' for note in found.notes)})"


def over_changed(found: Sequence[ChangedSets]) -> str:
    """The same over cases, as shares of the elements that either model was seen to depend on."""
    sizes = {name: sum(len(getattr(one, name)) for one in found) for name in GROUPS}
    whole = sum(sizes.values())
    shares = ", ".join(f"{size / max(1, whole):.0%} {name}" for name, size in sizes.items())
    unsure = sum(len(one.unsure) for one in found)
    said = f"of {count(whole, 'element')} in flip sets of {count(len(found), 'case')}: {shares}"
    return said + (f"; of {unsure} more the search left it open" if unsure else "")


def above_chance(cells: Mapping[str, Mapping[str, Mapping]], measure: str) -> str:
    """Which methods a faithfulness measure puts surely above scores by chance, and which of them highest.

    cells: method -> measure -> {mean, difference: {mean, n, p} or None}, as `workbench.attribution.faithfulness.cells`.
    """
    tested = {name: row[measure] for name, row in cells.items() if row[measure].get("difference")}
    level = SURE / max(1, len(tested))
    sure = [name for name, one in tested.items() if one["difference"]["mean"] > 0 and one["difference"]["p"] < level]
    said = f"above chance {', '.join(sure)}" if sure else "none is surely above chance"
    best = max(tested, key=lambda name: tested[name]["mean"], default="none")
    cases = [one["difference"]["n"] for one in tested.values()]
    return f"{measure}: {said}{_level(level, cases)}, highest mean {best}"


def table(rows: Mapping[Any, Mapping[str, Any]]) -> pd.DataFrame:
    """Rows by name, each with its number of cases as `n`; of few cases without the ends of an interval."""
    shown = [{key: row[key] for key in row if not (few(row) and key in ("low", "high"))} for row in rows.values()]
    return pd.DataFrame(shown, index=list(rows))


def objective(row: Mapping[str, float], weights: Weights, *, learned: Mapping[str, float]) -> str:
    """What the terms of the last step add up to with these weights, and whether they are those it was learned with."""
    added = contributions(row, weights)
    whole = sum(abs(value) for value in added.values())
    if not whole:
        return "Every term is 0 or switched off."
    name = max(added, key=lambda term: abs(added[term]))
    total, share = sum(added.values()), abs(added[name]) / whole
    said = f"The objective is {total:.4g}; {TERMS[name].name} alone makes {share:.0%} of the absolute sum."
    stale = " The mask was learned with other weights: only Recompute shows what these would remove."
    return said + stale * (dict(learned) != weights.to_dict())


def ledger(cost: Mapping[str, Any]) -> str:
    """What it cost: prompts, tokens, backward passes, seconds."""
    said = [f"{cost.get('rows', 0):,.0f} prompts with {cost.get('tokens', 0):,.0f} tokens"]
    if cost.get("backward_passes"):
        said.append(f"{cost['backward_passes']:,.0f} backward passes")
    if "seconds" in cost:  # saved explanations hold none
        said.append(f"{cost['seconds']:.1f} s")
    cases = int(cost.get("cases", 1))
    return f"Cost: {', '.join(said)}{f', for {cases} cases together' if cases > 1 else ''}."
