"""Sentences about a comparison: each number in them is the one it says, and each claim turns with its figures."""

import numpy as np
import pandas as pd
import pytest

from workbench.hands.narrative import shifted as verdict


def interval(mean: float, width: float = 0.1, n: int = 20) -> dict[str, float]:
    return {"mean": mean, "low": mean - width, "high": mean + width, "n": n}


def spectrum(*values: float) -> dict:
    sigma = np.array(values)
    norm, first = np.linalg.norm(sigma), sigma.max(initial=0.0)
    energy = np.cumsum(sigma**2) / max(norm**2, 1e-30)
    return {"projection": "q", "rank": len(sigma), "frobenius": norm, "spectral": first, "energy": energy}


def test_concentration_counts_modules_above_the_band() -> None:
    flat = {"q": np.ones((50, 4))}
    said = verdict.concentration(pd.DataFrame([spectrum(3, 1, 0, 0), spectrum(1, 1, 1, 1)]), flat)
    assert said.startswith("In 1 of 2 modules") and "1 to 2 of up to 4 directions" in said
    assert verdict.concentration(pd.DataFrame([spectrum(0.0, 0.0)]), flat) == "No module was changed."


def test_beside_base_gives_the_range_and_the_medians() -> None:
    alike = {"written_inside": 0.4, "written_chance": 0.2, "read_inside": 0.3, "read_chance": 0.1, "top": 16}
    said = verdict.beside_base(pd.DataFrame({"share_frobenius": [0.5, 2.0], **alike}))
    assert "0.50 to 2.00" in said and "2.0 times" in said and "3.0 times" in said and "first 16 directions" in said


def sweep(intruders: int, null: float, p: float) -> pd.DataFrame:
    row = {"vectors": 12, "intruders": intruders, "null_mean": null, "p": p}
    return pd.DataFrame([row | {"k": k, "threshold": t} for k in (1, 2) for t in (0.4, 0.5)])


NULLS = [
    (0.01, 0.01, "the directions themselves are new."),
    (0.01, 0.4, "what stands out against the first is explained by it."),
    (0.4, 0.4, "neither null is exceeded."),
]


@pytest.mark.parametrize(("norm", "spectrum", "ending"), NULLS)
def test_intruders_are_new_only_against_the_stricter_null(norm: float, spectrum: float, ending: str) -> None:
    said = verdict.intruders(sweep(11, 9.5, norm), sweep(11, 11.2, spectrum))
    assert said.startswith("Below 0.5, 11 of 12 leading vectors") and "make 9.5" in said and said.endswith(ending)


def test_no_intruder_is_not_explained_and_one_draw_explains_none() -> None:
    said = verdict.intruders(sweep(0, 0.0, 1.0), sweep(0, 0.0, 1.0))
    assert said.startswith("Below 0.5, 0 of 12") and said.endswith("So there is nothing to explain.")
    said = verdict.intruders(sweep(11, 9.5, 0.5), sweep(11, 11.2, 0.5), draws=1)
    assert said.endswith("1 random change of each kind cannot tell whether there are more than by chance.")


def test_training_says_from_when_the_change_is_near() -> None:
    alike = {"relative_norm": 0.5, "column_overlap": 0.3, "row_overlap": 0.6}
    rows = pd.DataFrame({"step": [10, 20, 30], "cosine": [0.4, 0.95, 1.0], **alike})
    assert "from step 20 on" in verdict.training(rows)
    assert "never reaches 0.9" in verdict.training(rows[:1])
    assert "no checkpoints" in verdict.training(pd.DataFrame())


def test_groups_are_apart_only_where_intervals_of_enough_cases_are() -> None:
    rows = [
        {"projection": where, "group": name, **interval(mean, width, n)}
        for where, width, n in (("k", 1.0, 20), ("q", 0.1, 20), ("v", 0.0, 2))
        for name, mean in (("tool", 2.0), ("data", 1.0))
    ]
    assert verdict.moved(pd.DataFrame(rows), "type") == (
        "By type: in k and v the largest and the smallest are not told apart. q shifts tool most, 2.000 [1.900, "
        "2.100], data least, 1.000 [0.900, 1.100]; the intervals do not meet. A large shift is not yet an effect."
    )


def responses(n: int = 20) -> list[pd.DataFrame]:
    """Margins, right answers and effects of needed facts at three doses."""
    tables = [
        pd.DataFrame([{"dose": dose, **interval(mean, n=n)} for dose, mean in zip((0.0, 1.0, 1.5), means, strict=True)])
        for means in ((-3, 5, 9), (0.1, 0.9, 0.4), (4, 1, 1))
    ]
    return [*tables[:2], tables[2].assign(kind="fact", needed=True)]


def test_response_names_the_best_dose_and_compares_the_ends() -> None:
    values, answered, effects = responses()
    said = verdict.response(values, answered, effects)
    assert "-3.00 [-3.10, -2.90] nats at dose 0" in said and "most answers are right at 1, 0.90" in said
    assert "costs 4.00" in said and "do not meet" in said
    assert "needed fact" not in verdict.response(values, answered, effects.assign(needed=False))


def test_a_response_of_few_cases_has_no_interval_and_claims_nothing() -> None:
    said = verdict.response(*responses(n=1))
    assert "[" not in said and "costs 4.00 (n = 1) nats at dose 0, 1.00 (n = 1) at 1; this does not tell" in said


@pytest.mark.parametrize(
    ("off", "on", "said"),
    [(0.5, 0.5, "one by one"), (0.9, 0.1, "several modules at once"), (0.1, 0.9, "stand in"), (0.9, 0.9, "against")],
)
def test_switches_add_up_or_do_not(off: float, on: float, said: str) -> None:
    part = {"off": off, "off_low": off - 0.1, "off_high": off + 0.1, "on": on, "on_low": on, "on_high": on}
    text = verdict.switches(pd.DataFrame([{"projection": "q", "layer": layer, **part} for layer in (0, 1)]))
    assert "largest norm" not in text and said in text
    assert f"add up to {2 * off:.2f} switched off and {2 * on:.2f} switched on" in text


@pytest.mark.parametrize(("low", "n", "doubtful"), [(0.1, 20, False), (-0.1, 20, True), (0.1, 2, True)])
def test_no_module_is_said_to_carry_most_on_few_cases_or_about_none(low: float, n: int, doubtful: bool) -> None:
    part = {"off": 0.5, "off_low": low, "off_high": 0.9, "on": 0.5, "on_low": low, "on_high": 0.9, "n": n}
    said = verdict.switches(pd.DataFrame([{"projection": "q", "layer": layer, **part} for layer in (0, 1)]))
    assert said.count("but none stands out") == 2 * doubtful and ("0.50 (n = 2)" in said) == (n == 2)


def test_the_module_of_the_largest_norm_is_told_by_what_goes_with_it() -> None:
    ends = {"off_low": -0.1, "off_high": 0.7, "on": 0.1, "on_low": 0.0, "on_high": 0.2}
    off = {"a": 0.6, "b": 0.0, "c": 0.2}
    rows = [{"module": m, "projection": "q", "layer": k, "off": off[m], **ends} for k, m in enumerate(off)]
    said = verdict.switches(pd.DataFrame(rows), pd.Series({"a": 1.0, "b": 9.0, "c": 2.0}))
    assert said.endswith("largest norm, q of layer 1, goes 0.00 [-0.10, 0.70]: it is number 3 of 3.")


def test_cheap_maps_are_named_only_above_chance() -> None:
    found = pd.Series({"norm": -0.9, "path": 0.8, "gradient": 0.3})
    assert verdict.foretold(found, units=12).endswith("above that: path.")
    assert verdict.foretold(found[["gradient"]], units=12).endswith("above that: none.")


@pytest.mark.parametrize(("mean", "said"), [(0.7, "is reached"), (0.45, "within the interval"), (0.2, "not reached")])
def test_half_of_delta_is_reached_or_not(mean: float, said: str) -> None:
    def told(chance: float, n: int = 20) -> str:
        rows = [{"by": by, **interval(one, n=n)} for by, one in (("map", mean), ("random", chance))]
        return verdict.removed(pd.DataFrame(rows).assign(unit="module", off=1, of=12))

    text = told(0.3)
    assert said in text and "first 1 of 12 modules" in text and "chance takes more than 0.15" in text
    assert "chance takes about 0.15" in told(0.15) and "Hoped for: half of Delta, and no more than 0.15" in text
    assert told(0.3, n=2).endswith("random ones of as many parameters 0.30 (n = 2).")


def test_owed_says_which_way_tuning_went() -> None:
    known = {"kind": "fact", "needed": True, "case": list("abcdef"), "leave one out": [1.0, 3.0] * 3}
    rows = pd.DataFrame(known | {"delta": [-5.0, -7.0] * 3})
    said = verdict.owed(rows)
    assert "loses 2.00 nats in the mean of 6 cases, 6.00 less than the same answer" in said and "depend less" in said
    assert "depend more" in verdict.owed(rows.assign(delta=1.0))
    for doubtful in (rows[:4], rows.assign(delta=[-1.0, 1.0, 0.5] * 2)):
        assert verdict.owed(doubtful).endswith("for the base model: this does not tell the two apart.")
    assert verdict.owed(rows.assign(needed=False)) == "No needed fact is shown."


def test_a_case_with_many_needed_facts_counts_once() -> None:
    rows = {"case": ["a", "a", "a", "b"], "leave one out": [1.0, 1.0, 1.0, 3.0], "delta": [2.0, 2.0, 2.0, -4.0]}
    said = verdict.owed(pd.DataFrame(rows).assign(kind="fact", needed=True))
    assert "loses 2.00 nats in the mean of 2 cases, 1.00 less than" in said and "tuning" not in said


def pairs(holm: float, n: int = 20) -> pd.DataFrame:
    rows = [("mask", "gradient", 0.5), ("mask", "attention", 0.2), ("gradient", "attention", -0.1)]
    table = pd.DataFrame([{"first": a, "second": b, **interval(mean, 0.01, n)} for a, b, mean in rows])
    return table.assign(statistic="kendall", kind="node", holm=holm)


def test_agreement_counts_both_ways_and_names_the_closest() -> None:
    said = verdict.agreement(pairs(0.01), draws=999)
    assert "Of 3 pairs of measures of nodes 2 agree and 1 disagree" in said and "mask with gradient, 0.50" in said
    assert "0 agree and 0 disagree" in verdict.agreement(pairs(0.5), draws=999) and "could be told" not in said
    said = verdict.agreement(pairs(0.01, n=2), draws=999)
    assert "beyond chance in these cases" in said and "mask with gradient, 0.50 (n = 2)" in said


@pytest.mark.parametrize(("draws", "few"), [(19, True), (59, True), (60, False)])
def test_too_few_permutations_are_told(draws: int, few: bool) -> None:
    said = verdict.agreement(pairs(0.5), draws=draws)
    assert ("none of 3 pairs could be told from chance; take more than 60" in said) == few


def test_judged_tells_partners_that_miss_and_of_too_few_cases_nothing() -> None:
    rows = [("mask", 5.0, 0.01), ("gradient", 4.0, 0.01), ("attention", 1.0, 0.9)]
    check = pd.DataFrame(rows, columns=["measure", "mean", "holm"])
    check = check.assign(outcome="drop", k=3, kind="node", random=0.9, n=30, difference=check["mean"] - 0.9)
    said = verdict.judged(check, pairs(0.01), k=3, anchor="mask")
    assert "costs more nats than random ones (0.9) by: mask 5.0, gradient 4.0; ranked like mask" in said
    assert said.endswith("told from random: attention.")
    assert " like mask" not in verdict.judged(check, pairs(0.5), k=3, anchor="mask")
    unsure = check.assign(holm=1.0)
    said = verdict.judged(unsure, pairs(0.01), k=3, anchor="mask")
    assert ": no measure surely beats random ones (0.9); ranked" in said and said.endswith("gradient, attention.")
    for n, blind in ((6, True), (7, False)):  # 2 ** (1 - 7) is the first below 0.05 / 3
        said = verdict.judged(unsure.assign(n=n), pairs(0.01), k=3, anchor="mask")
        few = f"Deleting the first 3 nodes: {n} cases cannot tell any measure from random ones (0.9)."
        assert (said == few) == blind


@pytest.mark.parametrize("exact", [0.78, 0.6])
def test_reduced_gives_the_share_on_the_other_cases_beside_the_one_that_was_wanted(exact: float) -> None:
    table = pd.DataFrame({"exact": [0.0, exact, 0.8], "part": [0.0, 0.5, 1.0], "n": 60, "lost": 2, "gained": 1})
    table = table.assign(low=table["exact"] - 0.1, high=table["exact"] + 0.1, size=16 * table["part"])
    text = verdict.reduced(table, unit="direction", enough=0.95)
    assert text.startswith("8 directions with 50% of the parameters") and "On 60 cases" in text
    assert "Right answers lost: 2;" in text and f"{exact / 0.8:.0%} of the whole, where 95% was wanted." in text
    assert f"{exact:.2f} (n = 2)" in verdict.reduced(table.assign(n=2), unit="direction", enough=0.95)
    assert "no accuracy to keep" in verdict.reduced(table.assign(exact=0.0), unit="part", enough=0.95)
