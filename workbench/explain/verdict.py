"""What explanations say, in words made from their figures: nothing here is true of every run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from workbench.cases import Case, Fact, toolchain
from workbench.explain.changed import ChangedSets
from workbench.explain.config import CERTIFIED, LEARNED
from workbench.explain.counterfactual import FLAGS, Element, without
from workbench.explain.orders import OtherOrders, order_shares
from workbench.explain.result import Explanation
from workbench.explain.sets import ElementSet
from workbench.game import ForcedChoice, Game
from workbench.stats import PairedDifference, bootstrap_mean, paired_difference, wilson

SURE = 0.05  # p-value below which a difference counts, divided by the number of comparisons


def removal(case: Case, elements: Iterable[Element], flags: Sequence[str] = ()) -> str:
    """How much was removed and whether it hit what the answer needs."""
    gone = list(elements)
    left = set(without(case, gone).facts)
    lost = [fact for fact in case.facts if fact not in left]
    shown = [fact for fact in case.needed if fact in case.facts]
    hit = len(set(lost) & set(shown))
    notes = "".join(f"; {FLAGS.get(flag, flag)}" for flag in flags)
    return (
        f"{count(len(gone), 'element')} removed, with that {len(lost)} of {count(len(case.facts), 'fact')}; "
        f"of the {len(shown)} needed ones {hit}{notes}"
    )


def outcome(one: Explanation) -> str:
    """What became of the toolchains of the tuned model and, where it was asked, of the base model."""
    chains = one.toolchains
    right = "right" if chains["tuned_full"] == one.case.toolchain else "wrong"
    said = f"the tuned model's toolchain, {right} on G, {_changed(one.flipped)}"
    if "base_full" in chains:
        before, after = chains["base_full"], chains["base_changed"]
        silent = "; the base model names no command, before or after"
        said += f"; the base model's {_changed(before != after)}" if before or after else silent
    return said


def over_cases(group: Sequence[Explanation]) -> str:
    """How often one method changed the toolchains, and at what price."""
    records = [one.record() for one in group]
    facts = np.mean([len(one.case.facts) for one in group])
    removed, lost, flipped = (np.mean([r[key] for r in records]) for key in ("removed", "facts_removed", "flipped"))
    asked = [one.toolchains for one in group if "base_full" in one.toolchains]
    base = [chains["base_full"] != chains["base_changed"] for chains in asked]
    silent = not any(chains[key] for chains in asked for key in ("base_full", "base_changed"))
    also = f" (the base model's: {np.mean(base):.0%})" if base else ""
    also = " (the base model names no command in any)" if base and silent else also
    flags = {flag: sum(flag in r["flags"] for r in records) for flag in FLAGS}
    notes = "".join(f"; in {count(n, 'case')} {FLAGS[flag]}" for flag, n in flags.items() if n)
    return (
        f"the tuned model's toolchain changed in {flipped:.0%} of {count(len(group), 'case')}{also}, "
        f"by removing {removed:.1f} elements and with them {lost:.1f} of {facts:.1f} facts{notes}"
    )


def against(
    explanations: Mapping[str, Sequence[Explanation]], method: str, *, metric: str, seed: int = 0
) -> dict[str, PairedDifference]:
    """Other method -> mean over cases of a metric under `method` minus the metric under the other one.

    metric: `elements_taken`, of explanations under the one stopping rule, or one of the paper's four. A metric of the
    answers says how good a method is only where its removals were not chosen by asking for the answers.
    """
    values = {
        name: [float(one.metrics[metric] if metric in one.metrics else getattr(one, metric)) for one in group]
        for name, group in explanations.items()
    }
    return {
        name: paired_difference(values[method], other, rng=np.random.default_rng(seed))
        for name, other in values.items()
        if name != method
    }


def sooner(stopped: Mapping[str, Sequence[Explanation]], method: str, *, seed: int = 0) -> str:
    """How many elements an order takes until the toolchain changes, and which other orders need surely more or fewer.

    stopped: method -> explanations under the one stopping rule. The certified set, which is searched for, is told but
    not ranked.
    """
    fewer = against(stopped, method, metric="elements_taken", seed=seed)
    proved = fewer.pop(CERTIFIED, None)
    sizes = {name: np.mean([one.elements_taken for one in group]) for name, group in stopped.items()}
    own = bootstrap_mean([one.elements_taken for one in stopped[method]], rng=np.random.default_rng(seed))
    named_sizes = {f"{name} ({sizes[name]:.1f})": difference for name, difference in fewer.items()}
    searched = f"; the searched set has {sizes[CERTIFIED]:.1f}" if proved else ""
    never = sum(not one.flipped for one in stopped[method])
    return (
        f"taken out in its order until the toolchain changes, {method} needs {own.mean:.1f} elements "
        f"[{own.low:.1f}, {own.high:.1f}], mean of {count(own.n, 'case')}: "
        f"{_told(named_sizes, 'fewer than', 'more than')}{searched}; in {count(never, 'case')} no number of them "
        "changes it, and all elements are counted"
    )


def ranking(differences: Mapping[str, PairedDifference], method: str) -> str:
    """Which methods `method` changed the answers more than, less than, or not surely otherwise than, at its own sizes.

    differences: of a metric that is low where the answer changed much. What a method that stops at a change is said to
    be better at here is due to its stopping, not to its order; see `sooner`.
    """
    said = _told(differences, "more than", "less than")
    return (
        f"with as many elements removed as {method} took, {method} changed the toolchains {said}; a method that stops "
        "where they change wins this by its stopping, whatever its order"
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
    said = "; ".join(f"{text} {', '.join(names) or 'none'}" for text, names in groups.items())
    return f"{said} (level {level:.4f})"


def found_set(case: Case, found: ElementSet) -> str:
    """A flip set or sufficient set: its members, how far it is proved, and what was asked."""
    doing = "removing" if found.kind == "flip" else "keeping only"
    end = "changes the toolchain" if found.kind == "flip" else "keeps the toolchain"
    asked = f"asked for with {count(found.calls, 'mask')}"
    note = f"; {found.note}" if found.note else ""
    if not found.found:
        return f"no set was found, {asked}{note}"
    sure = f" at {found.confidence:.0%}" if found.confidence < 1 else ""
    proved = f"certified{sure} for the facts in this order" if found.certified else "not certified"
    members = named(case, found.elements) or "nothing"
    several = found.kind == "flip" and found.certified and len(found.elements) > 1
    shape = "; all of them must go, any one that is left is enough" if several else ""
    return f"{doing} {members} {end}: {count(len(found.elements), 'element')}{shape}, {proved}, {asked}{note}"


def certified(explanations: Mapping[str, Sequence[Explanation]]) -> str:
    """How often a certified set was found, and its size beside what the learned masks removed."""
    group = explanations[CERTIFIED]
    proved = sum(bool(one.certificate["certified"]) for one in group)
    share = wilson(proved, len(group))
    sizes = {name: np.mean([len(one.removed) for one in explanations[name]]) for name in (CERTIFIED, *LEARNED)}
    calls = np.median([one.certificate["calls"] for one in group])
    others = " and ".join(f"{sizes[name]:.1f} by {name}" for name in LEARNED)
    return (
        f"a certified flip set was found in {share.share:.0%} of {count(len(group), 'case')} "
        f"[{share.low:.0%}, {share.high:.0%}]; a mean of {sizes[CERTIFIED]:.1f} elements were removed, against "
        f"{others}; it took a median of {calls:,.0f} masks a case"
    )


def shapes(explanations: Sequence[Explanation]) -> str:
    """How many members the certified sets have, and how many pairs of facts are two ways to name one command."""
    sets = [one.removed for one in explanations if one.certificate["certified"]]
    sizes = Counter(min(len(members), 3) for members in sets)
    of_one = sum(isinstance(members[0], Fact) for members in sets if len(members) == 1)
    facts = [[e for e in members if isinstance(e, Fact)] for members in sets if len(members) == 2]
    pairs = [pair for pair in facts if len(pair) == 2]
    same = sum(
        one.tail == other.head and one.tail.startswith("command:")
        for pair in pairs
        for one, other in (pair, pair[::-1])
    )
    sized = f"{sizes[1]} have one member ({of_one} of these a fact), {sizes[2]} two and {sizes[3]} more"
    told = (
        f"of {count(len(sets), 'certified set')} {sized}; of {count(len(pairs), 'pair')} of facts {same} are what one "
    )
    why = ": either line is enough to name it, and only without both the answer changes" if same else ""
    return f"{told}command reads and what it writes{why}"


def under_orders(found: Sequence[OtherOrders]) -> str:
    """How often what was certified for one order of the facts changes the answer in others, with its interval."""
    shares = order_shares(found)
    if not shares:
        return "no case has a set and another order of its facts, so what other orders do is not known"
    told = {name: f"{s['mean']:.0%} [{s['low']:.0%}, {s['high']:.0%}]" for name, s in shares.items()}
    kept = told.get("flips_where_kept")
    also = f", in {kept} of those alone in which all facts together give the same answer as before" if kept else ""
    return (
        f"certified for the facts in the order shown; in {count(len(found[0].flips), 'other order')} of each of "
        f"{count(len(found), 'case')} removing the set changes the toolchain in {told['flips']}{also}; these are "
        f"{told['kept']} of all"
    )


def base_decisions(games: Sequence[Game | ForcedChoice]) -> str:
    """Whose answers the base model's decisions are about: `workbench.game.own_decisions`, the first case in detail."""
    forced = [game for game in games if isinstance(game, ForcedChoice)]
    if not forced:
        some = sum(bool(toolchain(game.path)) for game in games)
        return f"the base model writes a toolchain in {some} of {count(len(games), 'case')}: its decision is its own"
    bound, first = sum(not game.others for game in forced), forced[0]
    chosen = " → ".join(first.case.names[node] for node in toolchain(first.path))
    return (
        f"the base model writes no toolchain in any of {count(len(games), 'case')}: its decision is a forced choice, "
        f"the likeliest of the chains that the shown facts allow; in {bound} there is no other to choose. For "
        f"{first.case.id} it is {chosen}; what it writes by itself begins {' '.join(first.written.split())[:80]!r}"
    )


def changed(case: Case, found: ChangedSets) -> str:
    """What of the elements that the answers hang on was added, kept and dropped by tuning."""
    groups = {"added": found.added, "kept": found.kept, "dropped": found.dropped}
    said = "; ".join(f"{name}: {named(case, some) or 'nothing'}" for name, some in groups.items())
    return f"{said} ({count(found.calls, 'mask')}{''.join(f'; {note}' for note in found.notes)})"


def over_changed(found: Sequence[ChangedSets]) -> str:
    """The same over cases, as shares of the elements that either model was seen to depend on."""
    sizes = {name: sum(len(getattr(one, name)) for one in found) for name in ("added", "kept", "dropped")}
    whole = max(1, sum(sizes.values()))
    shares = ", ".join(f"{size / whole:.0%} {name}" for name, size in sizes.items())
    return f"of {count(sum(sizes.values()), 'element')} in flip sets of {count(len(found), 'case')}: {shares}"


def above_chance(cells: Mapping[str, Mapping[str, Mapping]], measure: str) -> str:
    """Which methods a faithfulness measure puts surely above scores by chance, and which of them highest.

    cells: method -> measure -> {mean, difference: {mean, p} or None}, as `workbench.peers.faithfulness.cells`.
    """
    tested = {name: row[measure] for name, row in cells.items() if row[measure].get("difference")}
    level = SURE / max(1, len(tested))
    sure = [name for name, one in tested.items() if one["difference"]["mean"] > 0 and one["difference"]["p"] < level]
    best = max(tested, key=lambda name: tested[name]["mean"], default="none")
    return f"{measure}: above chance {', '.join(sure) or 'none'} (level {level:.4f}), highest mean {best}"


def by_case(
    explanations: Mapping[str, Sequence[Explanation]], methods: Sequence[str] = (*LEARNED, CERTIFIED)
) -> list[Explanation]:
    """The explanations of those of the methods that are there, case by case, methods in the order given."""
    groups = [explanations[method] for method in methods if method in explanations]
    return [one for row in zip(*groups, strict=True) for one in row]


def named(case: Case, elements: Iterable[int | Element]) -> str:
    """Elements, or their numbers, by name: `hisat2, SAM → samtools sort`."""
    given = [case.elements[one] if isinstance(one, int) else one for one in elements]
    names = case.names
    return ", ".join(f"{names[e.head]} → {names[e.tail]}" if isinstance(e, Fact) else names[e] for e in given)


def count(number: int, word: str) -> str:
    """`1 element`, `2 elements`."""
    return f"{number:,} {word}{'' if number == 1 else 's'}"


def _changed(changed: bool) -> str:
    return "changed" if changed else "stayed"
