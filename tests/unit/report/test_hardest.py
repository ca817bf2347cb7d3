"""Which queries a report shows."""

from __future__ import annotations

import hashlib

import pandas as pd
import pytest

from lookalike.report.hardest import hardest, one_a_class, sample


def test_void_queries_are_not_among_the_hardest_nor_sampled() -> None:
    per_query = pd.DataFrame(
        {
            "query_id": ["easy", "void", "hard", "harder", "skipped"],
            "n_relevant": [1, 0, 1, 1, 0],
            "scored": [True, True, True, True, False],
            "first_rank": [1, None, 5, 9, None],
            "mAP@10": [1.0, 0.0, 0.0, 0.0, None],
        }
    )
    assert hardest(per_query, "mAP@10", 9) == ["harder", "hard", "easy"]
    assert set(sample(per_query, 9, without=["easy"])) == {"hard", "harder"}


def test_the_sample_is_little_changed_by_new_queries() -> None:
    def table(count: int) -> pd.DataFrame:
        ids = [f"q{number}" for number in range(count)]
        return pd.DataFrame({"query_id": ids, "n_relevant": 1, "scored": True})

    drawn = sample(table(1000), 20)
    # The definition, and in it no place for the order of the rows.
    by_hash = sorted(table(1000)["query_id"], key=lambda i: hashlib.sha256(i.encode()).hexdigest())
    assert drawn == by_hash[:20]
    assert sample(table(1000)[::-1], 20) == drawn
    assert len(set(drawn) & set(sample(table(1050), 20))) >= 16


@pytest.mark.parametrize(("count", "expected"), [(8, ["q1", "q3", "q5"]), (2, ["q1", "q3"])])
def test_of_each_class_the_first_query_is_taken(count: int, expected: list[str]) -> None:
    per_query = pd.DataFrame(
        {"query_id": ["q5", "q4", "q3", "q2", "q1", "q0"], "label": ["c", "a", "b", "a", "a", "d"]}
    )
    queries = ["q1", "q2", "q3", "q4", "q5"]
    assert one_a_class(queries, per_query, count) == expected
    assert one_a_class([], per_query, count) == []
