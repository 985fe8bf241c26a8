"""Tables of elements and measures, and the agreement of one kind by one statistic, for the tests of the shift room."""

import numpy as np
import pandas as pd

from workbench.shift import agreement_tests, by_element, element_rows, with_measures


def side_by_side(cases, *, masks, attention, shift, value="context_relative") -> pd.DataFrame:
    """A row an element, a column for each mask, the attention and each projection's shift."""
    table = with_measures(element_rows(cases), cases, {**masks, "attention": attention})
    return table.join(by_element(shift, value=value), on=["case", "element"])


def rank_agreement(table: pd.DataFrame, *, kind: str, rng: np.random.Generator, statistic="spearman", draws=999, **how):
    """The rows of `agreement_tests` for one kind and statistic, unadjusted."""
    found = agreement_tests(table, kinds=[kind], statistics=[statistic], rng=rng, draws=draws, **how)
    return found.drop(columns=["statistic", "kind", "holm", "bh"])
