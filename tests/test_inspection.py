"""Which classes and queries a report shows, and what it says of differences between runs."""

from __future__ import annotations

import hashlib

import numpy as np
import pandas as pd
import pytest

from lookalike.inspection import class_scores, hardest, sample
from lookalike.results import Results, Scores
from lookalike.standings import best_run, differences, judge, seed_spreads


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
    worst, best = class_scores(per_query, before, rankings, labels, "mAP@10", 10)
    assert (worst.label, worst.queries, worst.wrong) == ("a", 2, 2)
    assert (worst.value, worst.untrained) == pytest.approx((0.3, 0.1))
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
    rows = class_scores(per_query, per_query, rankings, {"x": "d"}, "mAP@10", 10)
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


def test_a_verdict_follows_the_direction_of_the_metric() -> None:
    def scores(shift: float) -> Scores:
        ids = [f"q{number:03}" for number in range(100)]
        values = np.linspace(0, 0.5, 100)
        frame = pd.DataFrame({"query_id": ids, "label": "a", "scored": True})
        return Scores(
            {"settings": {"bootstrap_unit": "query"}},
            frame.assign(**{"mAP@10": values + shift, "mean_rank": 9 - values - shift}).sample(
                frac=1, random_state=int(100 * shift)
            ),
        )

    better = judge(scores(0.1), scores(0.0), ["mAP@10"])["mAP@10"]
    assert better.verdict == "better"
    # Every query gains the same, whatever the order of the rows: so does every resample.
    difference = better.difference
    assert (difference.value, difference.low, difference.high) == pytest.approx((0.1, 0.1, 0.1))
    assert judge(scores(0.0), scores(0.1), ["mAP@10"])["mAP@10"].verdict == "worse"
    assert judge(scores(0.1), scores(0.0), ["mean_rank"])["mean_rank"].verdict == "better"
    assert judge(scores(0.0), scores(0.1), ["mean_rank"])["mean_rank"].verdict == "worse"
    assert judge(scores(0.0), scores(0.0), ["mAP@10"])["mAP@10"].verdict == "no difference shown"


def test_a_difference_does_not_depend_on_the_order_of_the_rows() -> None:
    values = np.random.default_rng(1).random((2, 50))
    ids = [f"q{number:02}" for number in range(50)]

    def scores(row: int, order: int) -> Scores:
        frame = pd.DataFrame({"query_id": ids, "label": "a", "scored": True, "mAP": values[row]})
        shuffled = frame.sample(frac=1, random_state=order)
        return Scores({"settings": {"bootstrap_unit": "query"}}, shuffled)

    one = judge(scores(0, 1), scores(1, 2), ["mAP"])["mAP"]
    assert judge(scores(0, 3), scores(1, 4), ["mAP"])["mAP"] == one
    assert one.difference.value == pytest.approx(values[0].mean() - values[1].mean())


def test_drawing_classes_widens_the_interval_where_a_class_is_all_alike() -> None:
    labels = np.repeat(list("abcde"), 40)
    frame = pd.DataFrame({"query_id": [f"q{i:03}" for i in range(200)], "label": labels})
    frame = frame.assign(scored=True, mAP=np.repeat([0.1, 0.3, 0.5, 0.7, 0.9], 40))
    zero = frame.assign(mAP=0.0)

    def width(unit: str) -> float:
        summary = {"settings": {"bootstrap_unit": unit}}
        found = judge(Scores(summary, frame), Scores(summary, zero), ["mAP"])["mAP"].difference
        return found.high - found.low

    assert width("class") > 3 * width("query")


def test_runs_are_ranked_by_what_they_are_after_training() -> None:
    per_query = pd.DataFrame({"query_id": ["q"], "label": ["a"], "scored": [True], "mAP@10": [1.0]})
    scores = Scores({"settings": {"bootstrap_unit": "query"}}, per_query)
    after = {"a.0": 0.2, "a.1": 0.6, "b.0": 0.9, "c.0": 0.1}
    rows = {(name, "trained"): {"mAP@10": value} for name, value in after.items()}
    rows |= {(name, "untrained"): {"mAP@10": 1 - value} for name, value in after.items()}
    runs = [
        Results(name[0], int(name[2]), place, scores, scores, {}, pd.DataFrame())
        for place, name in enumerate(after)
    ]
    assert best_run(runs, rows, "mAP@10").name == "b.0"
    assert list(differences(runs, rows, "mAP@10", ["mAP@10"]))[-1] == "b.0 − a.1"
    spreads = seed_spreads(runs, rows, ["mAP@10"])
    assert list(spreads) == ["a"]
    spread = spreads["a"]["mAP@10"]
    assert (spread.mean, spread.low, spread.high) == pytest.approx((0.4, 0.2, 0.6))
