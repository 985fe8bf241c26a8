"""Token shifts summed up: by hand."""

from dataclasses import replace
from itertools import product

import numpy as np
import pandas as pd
import pytest
from tiny import chain_case

from workbench.cases import Fact
from workbench.shift import Factors, by_element, by_group, element_layers, saliency_shift

CASES = [chain_case(), replace(chain_case(), id="other", facts=chain_case().facts[:5])]
PLACES = [(0, "q_proj"), (0, "v_proj"), (1, "q_proj"), (1, "v_proj")]
FACTORS = [Factors(f"layers.{k}.{p}", k, p, 1, 1.0, np.ones((1, 2)), np.ones((2, 1))) for k, p in PLACES]


def table(seed: int = 0) -> pd.DataFrame:
    rng, rows = np.random.default_rng(seed), []
    for case, (layer, projection) in product(CASES, PLACES):
        for i, element in enumerate(case.elements):
            kind, node = ("fact", "") if isinstance(element, Fact) else ("node", element)
            rows.append((case.id, i, kind, node, layer, projection, *rng.random(4)))
    values = ["embedding", "embedding_relative", "context", "context_relative"]
    return pd.DataFrame(rows, columns=["case", "element", "kind", "node", "layer", "projection", *values])


def test_elements_get_the_mean_over_layers() -> None:
    rows = table()
    found = by_element(rows, value="context")
    one = rows[(rows.case == "other") & (rows.element == 2) & (rows.projection == "v_proj")]
    assert list(found.columns) == ["q_proj shift", "v_proj shift"]
    assert found.loc[("other", 2), "v_proj shift"] == pytest.approx(one["context"].mean())


def test_saliency_weights_the_modules() -> None:
    rows = table()
    weights = np.array([1.0, -3.0, 0.0, 4.0])
    found = saliency_shift(rows, FACTORS, weights)
    one = rows[(rows.case == "other") & (rows.element == 3)].set_index(["layer", "projection"])["context_relative"]
    expected = sum(abs(w) / 8 * one[place] for w, place in zip(weights, PLACES, strict=True))
    assert found[("other", 3)] == pytest.approx(expected)
    apart = saliency_shift(rows, FACTORS, np.array([[1.0, 0, 0, 0], weights]))
    assert apart[("other", 3)] == pytest.approx(expected)
    first = rows[(rows.case == CASES[0].id) & (rows.element == 3) & (rows.layer == 0) & (rows.projection == "q_proj")]
    assert apart[(CASES[0].id, 3)] == pytest.approx(first["context_relative"].item())
    for wrong in (np.ones(3), np.zeros(4), np.array([1, 1, 1, np.nan])):
        with pytest.raises(ValueError, match="saliency must be 4 finite numbers"):
            saliency_shift(rows, FACTORS, wrong)


@pytest.mark.parametrize(("by", "group"), [("type", "command"), ("relation", "input"), ("entity", "format_1")])
def test_groups_are_means_over_cases_of_means_over_elements(by: str, group: str) -> None:
    rows = table()
    found = by_group(rows, CASES, by, rng=np.random.default_rng(0))
    means, elements = [], 0
    for case in CASES:
        members = {
            "type": [i for i, e in enumerate(case.elements) if not isinstance(e, Fact) and e.startswith("command:")],
            "relation": [i for i, e in enumerate(case.elements) if isinstance(e, Fact) and e.relation == "input"],
            "entity": [i for i, e in enumerate(case.elements) if e == "format_1"],
        }[by]
        part = rows[(rows.case == case.id) & rows.element.isin(members) & (rows.projection == "q_proj")]
        means.append(part["context_relative"].mean())
        elements += len(members)
    line = found[(found.group == group) & (found.projection == "q_proj")].iloc[0]
    assert line["mean"] == pytest.approx(np.mean(means)) and (line["n"], line["elements"]) == (2, elements)
    assert line["low"] <= line["mean"] <= line["high"]
    ordered = found[found.projection == "v_proj"]["mean"].to_numpy()
    assert (np.diff(ordered) <= 0).all()


def test_groups_that_there_are_not_are_refused() -> None:
    rows = table()
    with pytest.raises(ValueError, match="by must be one of entity, type, relation, not 'tool'"):
        by_group(rows, CASES, "tool", rng=np.random.default_rng(0))
    with pytest.raises(ValueError, match="has no facts"):
        by_group(rows[rows.kind == "node"], CASES, "relation", rng=np.random.default_rng(0))


def test_one_case_layer_by_layer() -> None:
    rows = table()
    found = element_layers(rows, CASES[1], "v_proj")
    assert list(found.columns) == ["emb.", 0, 1] and list(found.index) == list(range(len(CASES[1].elements)))
    mine = rows[(rows.case == "other") & (rows.element == 4) & (rows.projection == "v_proj")].sort_values("layer")
    np.testing.assert_allclose(found.loc[4], [mine.embedding_relative.mean(), *mine.context_relative])
    with pytest.raises(ValueError, match="no 'k_proj' of case 'other'"):
        element_layers(rows, CASES[1], "k_proj")
