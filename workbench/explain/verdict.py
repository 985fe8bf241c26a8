"""What explanations say, in words made from their figures: nothing here is true of every run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from workbench.cases import Case
from workbench.explain.counterfactual import FLAGS, Element, without
from workbench.explain.result import Explanation
from workbench.explain.session import LEARNED
from workbench.stats import PairedDifference, paired_difference

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
        f"{_count(gone, 'element')} removed, with that {len(lost)} of {_count(case.facts, 'fact')}; "
        f"of the {len(shown)} needed ones {hit}{notes}"
    )


def outcome(one: Explanation) -> str:
    """What became of the toolchains of the tuned model and, where it was asked, of the base model."""
    chains = one.toolchains
    right = "right" if chains["tuned_full"] == one.case.toolchain else "wrong"
    said = f"the tuned model's toolchain, {right} on G, {_changed(one.flipped)}"
    if "base_full" in chains:
        said += f"; the base model's {_changed(chains['base_full'] != chains['base_changed'])}"
    return said


def over_cases(group: Sequence[Explanation]) -> str:
    """How often one method changed the toolchains, and at what price."""
    records = [one.record() for one in group]
    facts = np.mean([len(one.case.facts) for one in group])
    removed, lost, flipped = (np.mean([r[key] for r in records]) for key in ("removed", "facts_removed", "flipped"))
    asked = [one.toolchains for one in group if "base_full" in one.toolchains]
    base = [chains["base_full"] != chains["base_changed"] for chains in asked]
    also = f" (the base model's: {np.mean(base):.0%})" if base else ""
    flags = {flag: sum(flag in r["flags"] for r in records) for flag in FLAGS}
    notes = "".join(f"; in {_count(range(n), 'case')} {FLAGS[flag]}" for flag, n in flags.items() if n)
    return (
        f"the tuned model's toolchain changed in {flipped:.0%} of {_count(group, 'case')}{also}, "
        f"by removing {removed:.1f} elements and with them {lost:.1f} of {facts:.1f} facts{notes}"
    )


def against(
    explanations: Mapping[str, Sequence[Explanation]], method: str, *, metric: str = "jaccard", seed: int = 0
) -> dict[str, PairedDifference]:
    """Other method -> mean over cases of the metric under `method` minus the metric under the other one."""
    values = {name: [one.metrics[metric] for one in group] for name, group in explanations.items()}
    return {
        name: paired_difference(values[method], other, rng=np.random.default_rng(seed))
        for name, other in values.items()
        if name != method
    }


def ranking(differences: Mapping[str, PairedDifference], method: str) -> str:
    """Which methods `method` changed the answers more than, less than, or not surely otherwise than.

    differences: of a metric that is low where the answer changed much. The level is 0.05 over the number of methods.
    """
    level = SURE / max(1, len(differences))
    sure = {name: d.mean for name, d in differences.items() if d.p < level}
    groups = {
        "more than": [name for name, mean in sure.items() if mean < 0],
        "less than": [name for name, mean in sure.items() if mean > 0],
        "with no sure difference to": [name for name in differences if name not in sure],
    }
    said = "; ".join(f"{text} {', '.join(names) or 'none'}" for text, names in groups.items())
    return f"{method} changed the toolchains {said} (level {level:.4f})"


def learned(explanations: Mapping[str, Sequence[Explanation]]) -> list[Explanation]:
    """The explanations of learned methods, case by case, methods in their usual order."""
    groups = [explanations[method] for method in LEARNED if method in explanations]
    return [one for row in zip(*groups, strict=True) for one in row]


def _changed(changed: bool) -> str:
    return "changed" if changed else "stayed"


def _count(things: Sequence, word: str) -> str:
    return f"{len(things):,} {word}{'' if len(things) == 1 else 's'}"
