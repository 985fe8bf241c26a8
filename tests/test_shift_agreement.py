"""Mask, attention and shift side by side: correlations against scipy, random values, what cannot be compared."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from refusals import refused
from scipy.stats import kendalltau, spearmanr
from shift_tables import rank_agreement
from tiny import chain_case

from workbench import shift
from workbench.artifacts.files import plain
from workbench.cases import Case
from workbench.explain import Explanation
from workbench.stats import benjamini_hochberg, holm, spearman

CASE = chain_case()


def cases(n: int) -> list[Case]:
    return [replace(CASE, id=f"case {i}", facts=CASE.facts[: 5 + i % 4]) for i in range(n)]


def table_of(values: np.ndarray, needed: np.ndarray | None = None, names: str = "abcdef") -> pd.DataFrame:
    """(cases, n, measures) as rows of nodes."""
    rows = []
    for c, case in enumerate(values):
        for i, row in enumerate(case):
            is_needed = bool(needed[c, i]) if needed is not None else False
            rows.append({"case": str(c), "element": i, "kind": "node", "node": "x", "name": "x", "needed": is_needed})
            rows[-1] |= dict(zip(names, row, strict=False))
    return pd.DataFrame(rows)


def test_measures_stand_beside_every_element() -> None:
    some = cases(3)
    values = [np.random.default_rng(0).random(len(c.elements)) for c in some]
    table = shift.with_measures(shift.element_rows(some), some, {"mask": values})
    assert shift.measures_of(table) == ["mask"]
    np.testing.assert_array_equal(table["mask"], np.concatenate(values))
    row = table[(table.case == "case 2") & (table.element == 4)].iloc[0]
    assert row["name"] == some[2].names[some[2].nodes[4]]
    needed = shift.element_rows([CASE]).query("needed")
    assert set(needed.node) - {""} == set(CASE.path) and (needed.kind == "fact").sum() == len(CASE.needed)
    with pytest.raises(ValueError, match="attention of case 'tiny' must have 19 values, not 2"):
        shift.with_measures(shift.element_rows([CASE]), [CASE], {"attention": [[1.0, 2.0]]})


def test_agreement_is_the_mean_over_cases_with_a_random_band_corrected_over_kinds_and_pairs() -> None:
    rng = np.random.default_rng(6)
    values = rng.random((40, 12, 3))
    values[..., 1] = values[..., 0] + 0.7 * rng.random((40, 12))  # b follows a, c does not
    table = pd.concat([table_of(values), table_of(rng.random((30, 8, 3))).assign(kind="fact")])
    found = shift.agreement_tests(table, rng=np.random.default_rng(0), draws=499)
    assert len(found) == 2 * 2 * 3 and not found.isna().any(axis=None)
    for statistic, rows in found.groupby("statistic"):
        nodes, by = rows[rows.kind == "node"], {"kendall": kendalltau, "spearman": spearmanr}[statistic]
        assert list(zip(nodes["first"], nodes["second"], strict=True)) == [("a", "b"), ("a", "c"), ("b", "c")]
        means = [[by(case[:, i], case[:, j]).statistic for case in values] for i, j in ((0, 1), (0, 2), (1, 2))]
        np.testing.assert_allclose(nodes["mean"], np.mean(means, axis=1), atol=1e-12)
        assert (rows["low"] <= rows["mean"]).all() and (rows["mean"] <= rows["high"]).all()
        np.testing.assert_allclose(rows["holm"], holm(rows["p"]))
        np.testing.assert_allclose(rows["bh"], benjamini_hochberg(rows["p"]))
    spread = 1.96 / np.sqrt(11 * 40)  # variance of a random rank correlation: 1 / (n - 1)
    np.testing.assert_allclose(nodes["random_high"], spread, rtol=0.2)
    np.testing.assert_allclose(nodes["random_low"], -spread, rtol=0.2)
    assert nodes["p"].iloc[0] == pytest.approx(1 / 500)
    sure = found[found["holm"] < 0.05]
    assert set(zip(sure["kind"], sure["first"], sure["second"], strict=True)) == {("node", "a", "b")}


def test_random_vectors_rarely_look_as_if_they_agreed() -> None:
    rng = np.random.default_rng(2)
    p = [rank_agreement(table_of(rng.random((8, 9, 2))), kind="node", rng=rng, draws=199)["p"][0] for _ in range(60)]
    assert np.mean(np.array(p) <= 0.2) == pytest.approx(0.2, abs=0.15)


def test_cases_that_lack_a_measure_or_in_which_it_is_constant_are_left_out() -> None:
    values = np.random.default_rng(3).random((6, 9, 4))
    values[:2, :, 0], values[4:, 3, 1], values[..., 3] = 0.5, np.nan, 0
    result = rank_agreement(table_of(values), kind="node", rng=np.random.default_rng(0), draws=99)
    assert result["n"].tolist() == [2, 4, 0, 4, 0, 0]  # a b, a c, a d, b c, b d, c d
    assert result["mean"][1] == pytest.approx(np.mean([spearman(*case[:, [0, 2]].T) for case in values[2:]]))
    assert result["mean"][3] == pytest.approx(np.mean([spearman(*case[:, [1, 2]].T) for case in values[:4]]))
    empty = result[result["n"] == 0][["mean", "low", "high", "random_low", "random_high", "p"]]
    assert empty.isna().all(axis=None)
    assert rank_agreement(table_of(values), kind="fact", rng=np.random.default_rng(0))["n"].eq(0).all()


def test_blocks_of_permutations_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    table = table_of(np.random.default_rng(7).random((5, 9, 3)))
    whole = rank_agreement(table, kind="node", rng=np.random.default_rng(0), draws=300, statistic="kendall")
    monkeypatch.setattr(shift.validity, "BLOCK", 7)
    parts = rank_agreement(table, kind="node", rng=np.random.default_rng(0), draws=300, statistic="kendall")
    np.testing.assert_allclose(parts["mean"], whole["mean"])
    np.testing.assert_allclose(parts["random_high"], whole["random_high"], atol=0.1)


def test_what_a_control_explains_is_taken_out() -> None:
    rng = np.random.default_rng(9)
    degree = rng.integers(1, 4, size=(60, 14)).astype(float)
    values = degree[..., None] + 0.9 * rng.random((60, 14, 2))  # both follow the degree, and nothing else
    table = table_of(values)
    table["degree"] = degree.reshape(-1)
    for statistic in ("kendall", "spearman"):
        how = {"kind": "node", "draws": 199, "statistic": statistic}
        plain_rows = rank_agreement(table, rng=np.random.default_rng(0), **how)
        held = rank_agreement(table, rng=np.random.default_rng(0), control="degree", **how)
        assert plain_rows["mean"][0] > 0.5 and plain_rows["p"][0] == pytest.approx(1 / 200)
        assert abs(held["mean"][0]) < 0.15 and held["p"][0] > 0.05
        assert held["random_low"][0] < held["mean"][0] < held["random_high"][0]


def test_separation_is_the_area_under_the_roc_curve() -> None:
    values = np.zeros((3, 4, 3))
    values[:, :, 0] = [4, 3, 2, 1]  # needed first
    values[:, :, 1] = [1, 2, 3, 4]  # needed last
    needed = np.array([[1, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]], dtype=bool)  # the last case has none needed
    result = shift.separation(table_of(values, needed), kind="node", rng=np.random.default_rng(0))
    assert list(result["measure"]) == ["a", "b", "c"] and result["n"].tolist() == [2, 2, 0]
    np.testing.assert_allclose(result["mean"], [1, 0, np.nan])  # c is constant, so it ranks nothing
    assert shift.separation(table_of(values), kind="node", rng=np.random.default_rng(0))["n"].eq(0).all()


def explanation(case: Case, method: str, degree: float) -> Explanation:
    chains = {"tuned_full": case.toolchain, "tuned_changed": ()}
    answers = {"tuned_full": case.path, "tuned_changed": case.path[:1]}
    degrees = (degree,) * len(case.elements)
    return Explanation(case, method, degrees, case.facts[:1], (), answers, chains, {}, {}, 0)


def test_masks_of_the_learned_methods_are_gathered_case_by_case() -> None:
    some = cases(3)
    given = [explanation(case, method, k + 0.1) for k, case in enumerate(some) for method in ("in_loop", "random_node")]
    given += [explanation(case, "paper", k + 0.2) for k, case in reversed(list(enumerate(some[1:], start=1)))]
    found, masks = shift.masks_by_case(given)
    assert list(masks) == ["mask (paper)", "mask (in loop)"]
    assert {case.id for case in found} == {"case 1", "case 2"}
    for case, paper, loop in zip(found, masks["mask (paper)"], masks["mask (in loop)"], strict=True):
        k = int(case.id[-1])
        assert paper == (k + 0.2,) * len(case.elements) and loop == (k + 0.1,) * len(case.elements)
    alone, only = shift.masks_by_case([one for one in given if one.method == "in_loop"])
    assert len(alone) == 3 and list(only) == ["mask (in loop)"]


def test_without_a_shared_case_there_is_nothing_to_compare() -> None:
    first, second = cases(2)
    refused("no case has a mask of paper and in_loop", shift.masks_by_case, [explanation(first, "random_node", 1)])
    with pytest.raises(ValueError, match="explain the same cases by each"):
        shift.masks_by_case([explanation(first, "paper", 1), explanation(second, "in_loop", 1)])


def test_records_are_ready_for_a_manifest() -> None:
    table = pd.DataFrame({"first": ["a", "b"], "second": ["c", "d"], "n": [4, 0], "mean": [0.5, np.nan]})
    records = plain(shift.as_records(table, "first", "second"), where="metrics")
    assert records == {"a and c": {"n": 4, "mean": 0.5}, "b and d": {"n": 0, "mean": None}}


def test_entities_are_averaged_over_their_cases() -> None:
    columns = ["case", "node", "kind", "layer", "projection", "embedding_relative", "context_relative"]
    rows = [
        ("1", "x", "node", 0, "q_proj", 0.2, 1.0), ("1", "x", "node", 1, "q_proj", 0.4, 2.0),
        ("2", "x", "node", 0, "q_proj", 0.2, 3.0), ("2", "x", "node", 1, "q_proj", 0.4, 4.0),
        ("2", "y", "node", 0, "q_proj", 0.0, 9.0), ("2", "", "fact", 0, "q_proj", 7.0, 7.0),
    ]  # fmt: skip
    result = shift.by_entity(pd.DataFrame(rows, columns=columns), {"x": "X", "y": "Y"})
    assert list(result.columns) == ["name", "cases", "q_proj embedding", "q_proj context"]
    assert result.loc["x"].tolist() == ["X", 2, pytest.approx(0.3), pytest.approx(2.5)]
    assert list(result.name) == ["Y", "X"]
