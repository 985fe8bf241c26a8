"""The meter: rows are counted, known masks are free, the budget is never exceeded."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from table_games import additive, refused

from workbench.stats.meter import BudgetSpent, Ledger, Meter

masks = st.lists(st.tuples(*[st.booleans()] * 3), max_size=6)


@given(st.lists(masks, max_size=5), st.integers(0, 12), st.booleans())
def test_counts_rows_and_never_exceeds_the_budget(asks: list, budget: int, cache: bool) -> None:
    game, known = additive(np.ones(3)), set[tuple]()
    meter = Meter(game, 3, budget=budget, cache=cache)
    for ask in asks:
        keep, before = np.array(ask, bool).reshape(-1, 3), meter.calls
        cost = len({*ask} - known) if cache else len(ask)
        try:
            np.testing.assert_array_equal(meter(keep), keep.sum(1))
            assert meter.calls == before + cost
            known |= {*ask}
        except BudgetSpent:
            assert before + cost > budget and meter.calls == before
        assert meter.calls == game.rows <= budget
        assert meter.left == budget - meter.calls
    assert Meter(game, 3).left is None


def test_float_masks_are_told_from_bool_ones() -> None:
    meter = Meter(lambda keep: keep.sum(1) * (2 if keep.dtype == float else 1), 2)
    assert meter(np.array([[True, True]])).tolist() == [2]
    assert meter(np.array([[1.0, 1.0]])).tolist() == [4]
    assert meter(np.array([[0.5, 0.0]])).tolist() == [1]
    assert meter.calls == 3


def test_without_a_cache_noise_is_drawn_anew() -> None:
    rng = np.random.default_rng(0)
    meter = Meter(lambda keep: rng.normal(size=len(keep)), 2, cache=False)
    same = np.ones((3, 2), bool)
    assert len(set(meter(same)) | set(meter(same))) == 6 == meter.calls


def test_progress_hears_the_rows_so_far() -> None:
    heard: list[int] = []
    meter = Meter(additive(np.ones(2)), 2, progress=heard.append)
    meter(np.array([[True, False], [True, True]]))
    meter(np.array([[True, False]]))
    meter(np.array([[False, False]]))
    assert heard == [2, 3]


def test_wrong_shapes_and_nan_are_refused() -> None:
    refused(r"shape \(m, 3\), not \(3,\)", Meter(additive(np.ones(3)), 3), np.ones(3, bool))
    refused(r"one value a mask, \(2,\), not \(2, 1\)", Meter(lambda keep: keep[:, :1], 3, cache=False), np.ones((2, 3)))
    refused("mask 1 is nan", Meter(lambda keep: np.array([0.0, np.nan]), 3, cache=False), np.ones((2, 3)))
    refused("budget must be 0 or more, not -1", Meter, additive(np.ones(3)), 3, budget=-1)


def test_the_ledger_is_the_game_s_own_where_it_keeps_one() -> None:
    class Booked:
        ledger = Ledger(rows=7)

        def __call__(self, keep: np.ndarray) -> np.ndarray:
            self.ledger = self.ledger + Ledger(calls=1, rows=1, tokens=30, seconds=2.0)  # the masks are one prompt
            return np.ones(len(keep))

    game = Booked()
    meter = Meter(game, 3)
    meter(np.eye(3, dtype=bool))
    before = meter.ledger
    meter(np.ones((1, 3), bool))
    assert meter.ledger == Ledger(calls=2, rows=2, tokens=60, seconds=4.0)
    assert meter.ledger - before == Ledger(calls=1, rows=1, tokens=30, seconds=2.0)
    outer = Meter(Meter(game, 3), 3)
    outer(np.ones((1, 3), bool))
    assert outer.ledger == Ledger(calls=1, rows=1, tokens=30, seconds=2.0)


def test_of_a_bare_game_calls_rows_and_seconds_are_booked() -> None:
    meter = Meter(lambda keep: keep.sum(axis=1), 3)
    meter(np.eye(3, dtype=bool))
    meter(np.eye(3, dtype=bool))  # known: costs nothing
    assert (meter.ledger.calls, meter.ledger.rows, meter.ledger.tokens) == (1, 3, 0)
    assert meter.ledger.seconds > 0
