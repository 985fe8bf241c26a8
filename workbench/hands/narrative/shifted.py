"""What a comparison of weights, or of adapters, says: what was measured, how it stands to chance, what is not shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from workbench.hands.narrative.names import SURE, apart, between, blind, count, few, listed
from workbench.shift.intruders import at_threshold
from workbench.shift.saliency import MEMORY, READING, gain_shares
from workbench.shift.switches import ALL, place_words
from workbench.stats import bootstrap_mean, spearman

THRESHOLD = 0.5  # of |cos|: a vector that no vector of the base comes nearer to is an intruder
HALF = 0.5  # of Delta: what the first tenth of a map is hoped to carry
NEAR = 0.25  # of Delta: sums of shares that differ from the whole by less count as equal
SOME = 0.15  # of Delta: the most that random units of equal size are hoped to carry


def concentration(table: pd.DataFrame, drawn: Mapping[str, np.ndarray]) -> str:
    """Few directions or many. table: rows of `spectra` with `more=True`; drawn: projection -> `random_spectra`."""
    changed = table[table["frobenius"] > 0]
    if changed.empty:
        return "No module was changed."
    random = {p: np.quantile(one[:, 0] / np.linalg.norm(one, axis=1), 0.975) for p, one in drawn.items()}
    above = int((changed["spectral"] / changed["frobenius"] > changed["projection"].map(random)).sum())
    half = [int(np.argmax(share >= 0.5)) + 1 for share in changed["energy"]]
    some = f"{min(half)} to {max(half)}" if min(half) < max(half) else half[0]
    return (
        f"In {above} of {count(len(changed), 'module')} the first direction holds more of the norm than in 97.5 % of "
        f"random changes; {some} of up to {changed['rank'].max()} directions hold half of the energy. That says how "
        "the change is shaped, not whether these directions matter."
    )


def beside_base(table: pd.DataFrame) -> str:
    """Size and place beside the base weight. table: rows of `base_shares`."""
    sizes = table["share_frobenius"]
    wrote, read = ((table[f"{how}_inside"] / table[f"{how}_chance"]).median() for how in ("written", "read"))
    return (
        f"The changes have {sizes.min():.2f} to {sizes.max():.2f} of the norm of the weights they were added to. Into "
        f"the base's first {table['top'].max():.0f} directions they write {wrote:.1f} times, and from them they read "
        f"{read:.1f} times, the energy that random directions would (medians over the modules)."
    )


def intruders(norm: pd.DataFrame, spectrum: pd.DataFrame, *, draws: int = 20) -> str:
    """Intruders among the first vectors, beside so many draws of both kinds of random changes: `Intruders.sweep`."""
    one, other = (at_threshold(sweep, k=1, threshold=THRESHOLD) for sweep in (norm, spectrum))
    vectors = count(int(one["vectors"]), "leading vector")
    said = f"Below {THRESHOLD:g}, {int(one['intruders'])} of {vectors} resemble none of the base's. "
    if not one["intruders"]:
        return f"{said}So there is nothing to explain."
    for row, null in ((one, "the same norm"), (other, "the same singular values")):
        said += f"Random changes of {null} make {row['null_mean']:.1f} (p = {row['p']:.2f} of as many or more). "
    if other["p"] < SURE:
        return f"{said}There are more than the spectrum explains: the directions themselves are new."
    if 1 / (draws + 1) >= SURE:
        return f"{said}{count(draws, 'random change')} of each kind cannot tell whether there are more than by chance."
    above = one["p"] < SURE
    rest = "what stands out against the first is explained by it" if above else "neither null is exceeded"
    return f"{said}So the count mostly restates the size and the spectrum: {rest}."


def training(table: pd.DataFrame) -> str:
    """How the change came to be. table: rows of `drift`."""
    if table.empty:
        return "The adapter folder holds no checkpoints, so nothing can be said of how the change grew."
    by_step = table.groupby("step")[["cosine", "relative_norm", "column_overlap", "row_overlap"]].median()
    first, near = by_step.iloc[0], by_step.index[by_step["cosine"] >= 0.9]
    since = f"is 0.9 or more from step {near[0]} on" if len(near) else "never reaches 0.9"
    return (
        f"At step {by_step.index[0]} the change has {first['relative_norm']:.2f} of its final norm and a cosine of "
        f"{first['cosine']:.2f} to the final one, reads from {first['row_overlap']:.2f} and writes into "
        f"{first['column_overlap']:.2f} of the final directions' span. The cosine {since} (medians over modules)."
    )


def moved(groups: pd.DataFrame, kind: str) -> str:
    """Which type or relation is shifted most and least. groups: rows of `by_group`."""
    said, alike = [], []
    for projection, rows in groups.groupby("projection", sort=True):
        most, least = rows.iloc[0], rows.iloc[-1]
        if apart(most, least):
            high, low = (between(row, form=".3f") for row in (most, least))
            ends = f"{most['group']} most, {high}, {least['group']} least, {low}"
            said.append(f"{projection} shifts {ends}; the intervals do not meet")
        else:
            alike.append(str(projection))
    if alike:
        said.insert(0, f"in {listed(alike)} the largest and the smallest are not told apart")
    return f"By {kind}: {'. '.join(said)}. A large shift is not yet an effect."


def response(values: pd.DataFrame, answered: pd.DataFrame, effects: pd.DataFrame) -> str:
    """The margin, the right answers and the effects of needed facts over the doses: rows of `over_cases`, or alike."""
    rows, right = values.set_index("dose"), answered.set_index("dose")
    low, high, best = rows.index.min(), rows.index.max(), right["mean"].idxmax()
    margins = [between(rows.loc[dose]) for dose in (low, 1.0, high)]
    said = (
        f"The margin goes from {margins[0]} nats at dose {low:g} to {margins[1]} as trained and {margins[2]} at "
        f"{high:g}; most answers are right at {best:g}, {between(right.loc[best])}, and {between(right.loc[high])} at "
        f"{high:g}."
    )
    part = effects[(effects["kind"] == "fact") & effects["needed"].astype(bool)].set_index("dose")
    if part.empty:
        return said
    without, trained = part.loc[part.index.min()], part.loc[1.0]
    costs = f"{between(without)} nats at dose {low:g}, {between(trained)} at 1"
    sure = "the intervals do not meet" if apart(without, trained) else "this does not tell the two apart"
    return f"{said} Taking out a shown needed fact costs {costs}; {sure}."


def switches(shares: pd.DataFrame, norms: pd.Series | None = None) -> str:
    """Modules, layers or projections one by one. shares: rows of `switch_shares` of one unit; norms: module -> that of
    its update."""
    best, alone = shares.loc[shares["off"].idxmax()], shares.loc[shares["on"].idxmax()]
    off, on = shares["off"].sum(), shares["on"].sum()
    if max(abs(off - 1), abs(on - 1)) < NEAR:
        together = "they act nearly one by one"
    elif off > 1 > on:
        together = f"much of Delta needs several {_units(shares)} at once"
    else:
        together = "some stand in for others" if off < 1 else "some work against others"
    said = (
        f"Most goes with {_place(best)}, {between(best, 'off')} of Delta{_doubt(best, 'off')}; most comes "
        f"with {_place(alone)} alone, {between(alone, 'on')}{_doubt(alone, 'on')}. Over all {_units(shares)} the "
        f"shares add up to {off:.2f} switched off and {on:.2f} switched on: {together}."
    )
    if norms is None:
        return said
    large = shares.set_index("module").loc[norms.idxmax()]
    rank = int((shares["off"] > large["off"]).sum()) + 1
    return (
        f"{said} With the module whose update has the largest norm, {_place(large)}, "
        f"goes {between(large, 'off')}: it is number {rank} of {len(shares)}."
    )


def _doubt(row: Mapping, name: str) -> str:
    return ", but none stands out" if few(row) or row[f"{name}_low"] <= 0 else ""


def _place(row: Mapping) -> str:
    return place_words(row["layer"], row["projection"])


def _units(shares: pd.DataFrame) -> str:
    if (shares["projection"] == ALL).all():
        return "layers"
    return "projections" if (shares["layer"] == ALL).all() else "modules"


def foretold(correlations: pd.Series, *, units: int, unit: str = "module") -> str:
    """How well cheap numbers rank the units as switching off does: name -> Spearman correlation over the units."""
    chance = 1.96 / np.sqrt(max(units - 1, 1))
    said = ", ".join(f"{name} {value:+.2f}" for name, value in correlations.items())
    above = ", ".join(correlations.index[correlations > chance]) or "none"
    return (
        f"Rank correlation with what goes when a {unit} is switched off: {said}. Over {count(units, unit)} "
        f"chance alone reaches {chance:.2f} in one of twenty; above that: {above}."
    )


def removed(rows: pd.DataFrame) -> str:
    """The first units of the map off, beside random ones. rows: `unit, off, of, by, mean, low, high`, where `by` is
    `map` or `random`."""
    said = []
    for (unit, off, of), part in rows.groupby(["unit", "off", "of"], sort=False):
        one, random = (part[part["by"] == by].iloc[0] for by in ("map", "random"))
        told = (
            f"With the first {off} of {of} {unit}s of the map {between(one)} of Delta goes, with random ones of as "
            f"many parameters {between(random)}"
        )
        if not few(one):
            half = "not reached" if one["high"] < HALF else "reached" if one["low"] >= HALF else "within the interval"
            little = "no more than" if random["high"] <= SOME else "more than" if random["low"] > SOME else "about"
            told += f": half of Delta is {half}, and chance takes {little} {SOME:g}"
        said.append(told)
    hoped = "" if few(rows.iloc[0]) else f" Hoped for: half of Delta, and no more than {SOME:g} by chance."
    return f"{'. '.join(said)}.{hoped}"


def owed(elements: pd.DataFrame) -> str:
    """Whether tuning made the answer depend on needed facts more or less: `leave one out` and `delta` of elements. A
    case counts once, and the claim needs an interval over the cases that leaves 0 out."""
    facts = elements[(elements["kind"] == "fact") & elements["needed"].astype(bool)]
    if facts.empty:
        return "No needed fact is shown."
    means = facts.groupby("case")[["leave one out", "delta"]].mean()
    tuned, change = means["leave one out"].mean(), bootstrap_mean(means["delta"], rng=np.random.default_rng(0))
    which, told = "less" if change.mean < 0 else "more", count(change.n, "case")
    sure = not few(change._asdict()) and not change.low <= 0 <= change.high
    lean = f"tuning made it depend {which} on what the prompt says" if sure else "this does not tell the two apart"
    return (
        f"Without a needed fact the tuned model's answer loses {tuned:.2f} nats in the mean of {told},"
        f" {abs(change.mean):.2f} {which} than the same answer loses for the base model: {lean}."
    )


def agreement(tests: pd.DataFrame, *, draws: int) -> str:
    """How many pairs of measures agree beyond chance, and which most: rows of `agreement_tests` with so many `draws`;
    and whether these were enough for any pair to be told from chance."""
    said = []
    known = tests[(tests["statistic"] == "kendall") & (tests["n"] > 0)]
    for kind, rows in known.groupby("kind", sort=False):
        agree, disagree = (int(((rows["holm"] < SURE) & (sign * rows["mean"] > 0)).sum()) for sign in (1, -1))
        best = rows.loc[rows["mean"].idxmax()]
        said.append(
            f"Of {count(len(rows), 'pair')} of measures of {kind}s {agree} agree and {disagree} disagree beyond chance "
            f"in these cases (Holm, {SURE:g}); closest are {best['first']} with {best['second']}, {between(best)}"
        )
    if len(known) / (draws + 1) >= SURE:
        said.append(
            f"With {count(draws, 'permutation')} none of {count(len(known), 'pair')} could be told from chance; "
            f"take more than {int(len(known) / SURE)}"
        )
    return f"{'. '.join(said)}. Agreement says that two measures rank alike, not that either is right."


def judged(check: pd.DataFrame, tests: pd.DataFrame, *, k: int, anchor: str) -> str:
    """Who finds what the answer hangs on, and whether agreement with `anchor` would have told: rows of `causal_check`
    and of `agreement_tests`."""
    said = []
    drops = check[check["outcome"] == "drop"]
    level = SURE / len(drops)  # of the least p, by Holm
    for kind, rows in drops[drops["k"] == k].groupby("kind", sort=False):
        random, n = f"random ones ({rows['random'].mean():.1f})", int(rows["n"].max())
        sure = rows[(rows["holm"] < SURE) & (rows["difference"] > 0)].sort_values("mean", ascending=False)
        names = ", ".join(f"{row['measure']} {row['mean']:.1f}" for _, row in sure.iterrows())
        fooled = [name for name in _partners(tests, kind, anchor) if name not in {*sure["measure"], anchor}]
        told = f" costs more nats than {random} by: {names}" if names else f": no measure surely beats {random}"
        if blind(n, level) and not names:
            told, fooled = f": {count(n, 'case')} cannot tell any measure from {random}", []
        yet = f"; ranked like {anchor} beyond chance, yet here not told from random: {', '.join(fooled)}"
        said.append(f"Deleting the first {k} {kind}s{told}{yet if fooled else ''}")
    return f"{'. '.join(said)}."


def _partners(tests: pd.DataFrame, kind: str, anchor: str) -> Sequence[str]:
    """Measures that agree with the anchor beyond chance."""
    sure = (tests["statistic"] == "kendall") & (tests["holm"] < SURE) & (tests["mean"] > 0)
    rows = tests[sure & (tests["kind"] == kind) & ((tests["first"] == anchor) | (tests["second"] == anchor))]
    return [b if a == anchor else a for a, b in zip(rows["first"], rows["second"], strict=True)]


def reduced(accuracy: pd.DataFrame, *, unit: str, enough: float) -> str:
    """The smallest part, judged on cases it was not chosen on: rows of `kept_accuracy` for nothing, the part, all."""
    base, kept, tuned = (accuracy.iloc[i] for i in range(3))
    if not tuned["exact"]:
        return f"The whole adapter has none of {count(int(tuned['n']), 'case')} right, so there is no accuracy to keep."
    share = kept["exact"] / tuned["exact"]
    return (
        f"{count(int(kept['size']), unit)} with {kept['part']:.0%} of the parameters are left. On "
        f"{count(int(kept['n']), 'case')} that had no part in the choice they are exact in {between(kept, 'exact')}, "
        f"the whole adapter in {between(tuned, 'exact')} and the base in {between(base, 'exact')}: {share:.0%} of the "
        f"whole, where {enough:.0%} was wanted. Right answers lost: {int(kept['lost'])}; gained: {int(kept['gained'])}."
    )


def two_adapters(sides: pd.DataFrame, gains: pd.DataFrame) -> str:
    """Their directions, their sizes, and what carries reading and memory in each.

    sides: rows of `workbench.shift.compare`; gains: rows of `workbench.shift.saliency` with the column `adapter`.
    """
    said = [_directions(sides)]
    for name, rows in gains.groupby("adapter", sort=False):
        nats = rows.groupby(["kind", "case"])["path"].sum().groupby("kind").mean()
        modules, parts = (gain_shares(rows, by=[by]) for by in ("module", "projection"))
        alike = spearman(modules[READING], modules[MEMORY])
        more = (parts[MEMORY] - parts[READING]).sort_values().index[[-1, 0]]
        most, least = (f"{one} ({parts[MEMORY][one]:.2f} against {parts[READING][one]:.2f})" for one in more)
        cases = rows["case"].nunique()
        parted = f"; memory takes more of its gain than reading from {most}, and less from {least}"
        said.append(
            f"{name} adds {nats[READING]:.1f} nats to the right answer where every name is made up and "
            f"{nats[MEMORY]:.1f} where needed facts are withheld ({count(cases, 'case')}); what each "
            f"module adds has a rank correlation of {alike:.2f} between the two{'' if few({'n': cases}) else parted}"
        )
    return f"{'. '.join(said)}."


def _directions(sides: pd.DataFrame) -> str:
    one, other = sides["first"].iloc[0], sides["second"].iloc[0]
    low, middle, high = (sides["norm_second"] / sides["norm_first"]).quantile([0.05, 0.5, 0.95])
    shared = {kind: (sides[f"{kind}_overlap"].median(), sides[f"{kind}_null"].median()) for kind in ("column", "row")}
    spaces = [f"{mean:.2f} of the directions {kind} (by chance up to {chance:.2f})" for kind, (mean, chance) in
              zip(("written into", "read from"), shared.values(), strict=True)]  # fmt: skip
    return (
        f"Over {count(len(sides), 'module')} the changes of {one} and {other} have a cosine of "
        f"{sides['cosine'].median():.2f} and share {' and '.join(spaces)}, medians; that of {other} is {middle:.2f} "
        f"times as large ({low:.2f} to {high:.2f} in nine of ten modules)"
    )
