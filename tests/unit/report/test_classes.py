"""What the report says of classes, against counts by hand and by loops."""

from __future__ import annotations

from collections import Counter
from itertools import product
from statistics import median

import numpy as np
import pandas as pd
import pytest

from lookalike.report.classes import (
    ClassScore,
    Confusion,
    class_scores,
    classes_in_words,
    pictures_of,
)

COLUMNS = ["query_id", "rank", "gallery_id", "relevant"]


def test_class_scores_against_a_count_by_hand() -> None:
    per_query = pd.DataFrame(
        {
            "query_id": ["q1", "q2", "q3", "q4", "q5"],
            "label": ["a", "a", "b", "c", "a"],
            "n_relevant": [2, 1, 1, 0, 1],
            "n_gallery": 5,
            "scored": [True, True, True, False, True],
            "mean_rank": [2.0, 2.0, 1.0, None, 2.0],
            "mAP@10": [0.5, 0.1, 1.0, None, 0.3],
        }
    )
    before = per_query.copy()
    before["mAP@10"] = [0.0, 0.2, 0.4, None, 0.1]
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
            ("q5", 1, "b2", False),
            ("q5", 11, "a1", True),
        ],
        columns=COLUMNS,
    )
    labels = {"a1": "a", "a2": "a", "b1": "b", "b2": "b", "c1": "c"}
    worst, best = class_scores(per_query, {"before": before}, rankings, labels, "mAP@10", 10)
    assert (worst.label, worst.queries, worst.wrong) == ("a", 3, 3)
    assert (worst.value, worst.elsewhere["before"]) == pytest.approx((0.3, 0.1))
    assert (worst.found, worst.findable) == (2, 4)
    assert worst.mistaken_for is None  # b and c, but neither in three queries
    assert (best.label, best.value, best.mistaken_for, best.wrong) == ("b", 1.0, None, 0)
    assert (best.found, best.findable) == (1, 1)


def wrong_places(others: list[str], n_others: dict[str, int], n_ranked: int = 0) -> ClassScore:
    """Class a of as many queries as there are `others`, one wrong place each; of a gallery.

    Each query ranks `n_ranked` of it, or all.
    """
    per_query = pd.DataFrame(
        {
            "query_id": [f"q{n}" for n in range(len(others))],
            "label": "a",
            "n_relevant": 1,
            "n_gallery": n_ranked or sum(n_others.values()),
            "scored": True,
            "mean_rank": 2.0,
            "mAP@10": 0.0,
        }
    )
    gallery = {f"{label}{n}": label for label, count in n_others.items() for n in range(count)}
    rows = [(f"q{n}", 1, f"{other}0", False) for n, other in enumerate(others)]
    rankings = pd.DataFrame(rows, columns=COLUMNS)
    (found,) = class_scores(per_query, {}, rankings, gallery, "mAP@10", 10)
    return found


def test_only_what_stands_out_is_a_confusion() -> None:
    # b has 3 of 5 wrong places and 20 of 100 images: three times its share.
    sizes = {"a": 1, "b": 20, "c": 1, "d": 78}
    assert wrong_places(["b", "b", "b", "c", "d"], sizes).mistaken_for == Confusion("b", 3, 3)
    # 30 of 100 are just twice: no more than that is asked.
    sizes = {"a": 1, "b": 30, "c": 1, "d": 68}
    assert wrong_places(["b", "b", "b", "c", "d"], sizes).mistaken_for is None
    assert wrong_places(["b", "b", "b", "b", "d"], sizes).mistaken_for == Confusion("b", 4, 4)
    # Where each query ranks the half of it alone, that is the share by which a class stands out.
    sizes = {"a": 1, "b": 20, "c": 1, "d": 78}
    assert wrong_places(["b", "b", "b", "c", "d"], sizes, 50).mistaken_for is None
    # Of two queries nothing is said.
    assert wrong_places(["c", "c"], sizes).mistaken_for is None
    # d has the most places, by its size; c is what stands out.
    found = wrong_places(["d"] * 7 + ["c"] * 3, sizes)
    assert found.mistaken_for == Confusion("c", 3, 3)
    assert found.wrong == 10


def test_class_scores_are_those_of_a_loop() -> None:
    rng = np.random.default_rng(0)
    seen = 0
    for _ in range(20):
        names = "abcde"
        gallery = {
            f"g{n}": str(rng.choice(list(names), p=[0.4, 0.3, 0.1, 0.1, 0.1])) for n in range(20)
        }
        of_class = Counter(gallery.values())
        rows, queries, places = [], [], int(rng.integers(1, 6))
        for n, label in product(range(int(rng.integers(1, 8))), names):
            name = f"{label}{n}"
            queries.append((name, label, of_class[label], rng.random() < 0.9, 1.0, rng.random()))
            for rank, image in enumerate(rng.permutation(list(gallery)), 1):
                rows.append((name, rank, image, gallery[image] == label))
        per_query = pd.DataFrame(
            queries, columns=["query_id", "label", "n_relevant", "scored", "mean_rank", "mAP@10"]
        ).assign(n_gallery=len(gallery))
        rankings = pd.DataFrame(rows, columns=COLUMNS).sample(frac=1, random_state=1)
        for found in class_scores(per_query, {}, rankings, gallery, "mAP@10", places):
            mine = [query for query in queries if query[1] == found.label and query[3]]
            possible = {name: min(n_relevant, places) for name, _, n_relevant, *_ in mine}
            right = [row for row in rows if row[0] in possible and row[1] <= places and row[3]]
            wrong = [row for row in rows if row[1] <= possible.get(row[0], 0) and not row[3]]
            assert found.queries == len(mine)
            assert found.value == pytest.approx(np.mean([query[5] for query in mine]))
            assert (found.found, found.findable) == (len(right), sum(possible.values()))
            assert found.wrong == len(wrong)
            best: tuple[int, str] | None = None
            for other in names:
                standing = [row for row in wrong if gallery[row[2]] == other]
                if len({row[0] for row in standing}) < 3:
                    continue
                if len(standing) / len(wrong) <= 2 * of_class[other] / len(gallery) + 1e-12:
                    continue
                if best is None or len(standing) > best[0]:
                    best = (len(standing), other)
            told = found.mistaken_for
            assert (told and (told.places, told.label)) == best
            seen += best is not None
    assert seen >= 5


def test_of_equally_good_classes_the_one_found_later_is_the_worse() -> None:
    per_query = pd.DataFrame(
        {
            "query_id": ["q1", "q2", "q3"],
            "label": ["a", "b", "c"],
            "n_relevant": 1,
            "n_gallery": 1,
            "scored": True,
            "mean_rank": [20.0, 90.0, 20.0],
            "mAP@10": 0.0,
        }
    )
    rankings = pd.DataFrame([("q1", 1, "x", False)], columns=COLUMNS)
    rows = class_scores(per_query, {}, rankings, {"x": "d"}, "mAP@10", 10)
    assert [row.label for row in rows] == ["b", "a", "c"]


def score(found: int, findable: int) -> ClassScore:
    return ClassScore("a", 3, 0.0, {}, found, findable, 0, None)


@pytest.mark.parametrize(
    ("counts", "said"),
    [
        (
            [(0, 4), (1, 4), (2, 4), (4, 4), (0, 2)],
            "2 of 5 classes find nothing in the first 10 places; the median class finds 25 of each "
            "100 right images that could stand there.",
        ),
        # Nothing to find is not nothing found.
        ([(0, 0), (1, 2), (0, 1)], "1 of 2 classes finds nothing in the first 10 places; the"),
        ([(1, 2), (2, 2)], "Each of the 2 classes finds something in the first 10 places; the"),
        ([(1, 2), (2, 2)], "the median class finds 75 of each 100 right images"),
        ([(0, 2), (0, 3)], "None of the 2 classes finds anything in the first 10 places."),
        ([(1, 3)], "In the first 10 places, the only class finds 33 of each 100 right images that"),
        ([(0, 0)], ""),
    ],
)
def test_classes_in_words(counts: list[tuple[int, int]], said: str) -> None:
    words = classes_in_words([score(*pair) for pair in counts], 10)
    assert said in words if said else words == ""


def test_the_numbers_in_words_are_those_of_a_count() -> None:
    rng = np.random.default_rng(1)
    counts = [(int(rng.integers(0, 3)), int(rng.integers(2, 9))) for _ in range(41)]
    words = classes_in_words([score(*pair) for pair in counts], 1)
    nothing = sum(found == 0 for found, _ in counts)
    assert words.startswith(f"{nothing} of 41 classes find nothing in the first place;")
    middle = sorted(found / findable for found, findable in counts)[20]
    assert middle == median(found / findable for found, findable in counts)
    assert f"finds {100 * middle:.0f} of each 100" in words


def test_the_first_picture_of_each_class_is_linked() -> None:
    shown = [("query7", "b"), ("query2", "a"), ("query3", "b")]
    assert pictures_of(shown) == {"b": "query7", "a": "query2"}
