"""Which classes and queries a report shows."""

from __future__ import annotations

import hashlib

import pandas as pd
import pytest

from lookalike.report.hardest import class_scores, hardest, one_a_class, sample


def test_class_scores_against_a_count_by_hand() -> None:
    per_query = pd.DataFrame(
        {
            "query_id": ["q1", "q2", "q3", "q4"],
            "label": ["a", "a", "b", "c"],
            "n_relevant": [2, 1, 1, 0],
            "scored": [True, True, True, False],
            "mean_rank": [2.0, 2.0, 1.0, None],
            "mAP@10": [0.5, 0.1, 1.0, None],
        }
    )
    before = per_query.copy()
    before["mAP@10"] = [0.0, 0.2, 0.4, None]
    rankings = pd.DataFrame(
        [
            ("q1", 1, "b1", False),  # wrong where a right one could be
            ("q1", 2, "a1", True),
            ("q1", 3, "c1", False),  # two right ones could fill places 1 and 2: not a mistake
            ("q2", 1, "c1", False),
            ("q2", 2, "a1", True),
            ("q3", 1, "b1", True),
            ("q3", 2, "a1", False),
            ("q4", 1, "a1", False),
        ],
        columns=["query_id", "rank", "gallery_id", "relevant"],
    )
    labels = {"a1": "a", "b1": "b", "c1": "c"}
    worst, best = class_scores(per_query, {"before": before}, rankings, labels, "mAP@10", 10)
    assert (worst.label, worst.queries, worst.wrong) == ("a", 2, 2)
    assert (worst.value, worst.elsewhere["before"]) == pytest.approx((0.3, 0.1))
    assert (worst.mistaken_for, worst.mistakes) == ("b", 1)  # b and c once each: the first by name
    assert (best.label, best.value, best.mistaken_for, best.wrong) == ("b", 1.0, None, 0)


def test_of_equally_good_classes_the_one_found_later_is_the_worse() -> None:
    per_query = pd.DataFrame(
        {
            "query_id": ["q1", "q2", "q3"],
            "label": ["a", "b", "c"],
            "n_relevant": 1,
            "scored": True,
            "mean_rank": [20.0, 90.0, 20.0],
            "mAP@10": 0.0,
        }
    )
    columns = ["query_id", "rank", "gallery_id", "relevant"]
    rankings = pd.DataFrame([("q1", 1, "x", False)], columns=columns)
    rows = class_scores(per_query, {}, rankings, {"x": "d"}, "mAP@10", 10)
    assert [row.label for row in rows] == ["b", "a", "c"]


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
