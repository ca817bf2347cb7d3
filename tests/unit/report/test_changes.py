"""Which queries changed most, against loops and fractions."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import given, settings
from hypothesis import strategies as st

from lookalike.report.changes import most_changed
from lookalike.report.results import StateResults

KEY = "mAP@10"


def table(rows: list[dict[str, Any]]) -> pd.DataFrame:
    columns = ["query_id", "label", "scored", "n_relevant", "first_rank", KEY]
    return pd.DataFrame(rows, columns=columns)


def query(name: str, value: float, rank: int = 1, label: str = "", **other: Any) -> dict[str, Any]:
    known = {"query_id": name, "label": label or name, "scored": True, "n_relevant": 2}
    return {**known, "first_rank": rank, KEY: value, **other}


def test_gains_and_losses_by_hand() -> None:
    before = [
        query("a", 0.0, 90, "x"),
        query("b", 0.0, 20, "x"),
        query("c", 0.5, 2, "y"),
        query("d", 1.0, 1, "y"),
        query("e", 0.9, 1, "z"),
        query("same", 0.3),
        query("alone", 0.0),
        query("void", 0.0, n_relevant=0),
        query("unscored", 0.0, scored=False),
    ]
    after = [
        query("void", 1.0, n_relevant=0),
        query("unscored", 1.0, scored=False),
        query("new", 1.0),
        query("same", 0.3, 9),
        query("e", 0.8, 1, "z"),
        query("d", 0.5, 2, "y"),
        query("c", 0.6, 1, "y"),
        query("b", 0.7, 2, "x"),
        query("a", 0.7, 1, "x"),
    ]
    found = most_changed(table(before), table(after), KEY, 9)
    # a's first right image came from further away; then a class of its own before b.
    assert found.gained == ["a", "c", "b"]
    assert found.lost == ["d", "e"]
    assert (found.n_gained, found.n_lost, found.n_equal) == (3, 2, 1)
    assert most_changed(table(before), table(after), KEY, 1).gained == ["a"]
    back = most_changed(table(after), table(before), KEY, 9)
    assert (back.gained, back.lost) == (["d", "e"], ["a", "c", "b"])


def test_where_nothing_is_in_common_nothing_changed() -> None:
    found = most_changed(table([query("a", 0.1)]), table([query("b", 0.9)]), KEY, 5)
    assert (found.gained, found.lost) == ([], [])
    assert (found.n_gained, found.n_lost, found.n_equal) == (0, 0, 0)


def test_sums_in_another_order_are_no_change() -> None:
    one, other = sum([0.1] * 3), 0.3
    assert one != other
    found = most_changed(table([query("a", one)]), table([query("a", other)]), KEY, 5)
    assert (found.gained, found.lost, found.n_equal) == ([], [], 1)


SIXTHS = st.integers(0, 6)
QUERIES = st.lists(
    st.tuples(SIXTHS, SIXTHS, st.integers(1, 4), st.integers(1, 4), st.sampled_from("xyz")),
    max_size=14,
)


def by_loops(queries: list[tuple[int, int, int, int, str]], count: int, sign: int) -> list[str]:
    """The next one is always the best of those left, of a class that is not there yet if any is."""
    left = {
        f"q{place:02d}": (sign * Fraction(after - before, 6), sign * (rank - rank_after), label)
        for place, (before, after, rank, rank_after, label) in enumerate(queries)
        if sign * (after - before) > 0
    }
    chosen: list[str] = []
    classes: set[str] = set()
    while left and len(chosen) < count:
        fresh = [name for name in left if left[name][2] not in classes]
        best = None
        for name in sorted(fresh or left):
            if best is None or left[name][:2] > left[best][:2]:
                best = name
        assert best is not None
        classes.add(left.pop(best)[2])
        chosen.append(best)
    return chosen


@settings(max_examples=200, deadline=None)
@given(QUERIES, st.integers(0, 8), st.randoms())
def test_the_choice_is_that_of_a_loop(
    queries: list[tuple[int, int, int, int, str]], count: int, random: Any
) -> None:
    # The values as sums of shares, as a metric's are.
    before = [
        query(f"q{place:02d}", sum([1 / 6] * value), rank, label)
        for place, (value, _, rank, _, label) in enumerate(queries)
    ]
    after = [
        query(f"q{place:02d}", value / 6, rank, label)
        for place, (_, value, _, rank, label) in enumerate(queries)
    ]
    random.shuffle(before)
    random.shuffle(after)
    found = most_changed(table(before), table(after), KEY, count)
    assert found.gained == by_loops(queries, count, 1)
    assert found.lost == by_loops(queries, count, -1)
    changes = [after - before for before, after, *_ in queries]
    assert found.n_gained == sum(change > 0 for change in changes)
    assert found.n_lost == sum(change < 0 for change in changes)
    assert found.n_gained + found.n_lost + found.n_equal == len(queries)


def test_rankings_of_some_queries_are_those_of_all_without_the_others(tmp_path: Path) -> None:
    rows = [
        {"query_id": f"q{number}", "rank": rank, "gallery_id": f"g{rank}"}
        for number in range(50)
        for rank in range(1, 6)
    ]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "rankings.parquet", row_group_size=37)
    state = StateResults({}, tmp_path)
    whole, names = state.rankings(3), ["q7", "q31"]
    some = state.rankings(3, names)
    assert len(whole) == 150
    expected = whole[whole["query_id"].isin(names)].reset_index(drop=True)
    pd.testing.assert_frame_equal(some, expected)
    assert state.rankings(3, []).empty
