"""k-reciprocal re-ranking, against the authors' way of writing it and a whole ranking by hand."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from lookalike.retrieval import neighbours, ranking
from lookalike.retrieval.evaluation import evaluate_items
from lookalike.retrieval.ranking import rank
from lookalike.retrieval.reranking import (
    RERANKED_SCORE,
    Reranking,
    final_distances,
    pairwise_squared,
    reranked,
)
from lookalike.retrieval.scores import prepared, score_matrix
from lookalike.retrieval.settings import MetricsSettings
from lookalike.retrieval.streams import Items
from support import brute_force
from support.k_reciprocal import final_distances_densely
from support.ranked import normal

FEW = Reranking(first=12, k1=5, k2=3, weight=0.3)


def clustered(n: int, seed: int, d: int = 6) -> NDArray[np.float32]:
    centres = normal(7, d, seed=42)
    of_each = np.random.default_rng(seed).integers(0, 7, n)
    return (centres[of_each] + 0.6 * normal(n, d, seed=seed)).astype(np.float32)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(2, 60),
    st.integers(1, 25),
    st.integers(1, 12),
    st.sampled_from([0.0, 0.3, 1.0]),
    st.integers(0, 10**6),
    st.booleans(),
)
def test_distances_are_the_authors(
    n: int, k1: int, k2: int, weight: float, seed: int, ties: bool
) -> None:
    rows = clustered(n, seed)
    squared = pairwise_squared(np.round(rows) if ties else rows, n)
    if not squared[0].any() or not squared.any(axis=1).all():
        return  # the authors divide by 0
    theirs = final_distances_densely(squared.astype(np.float64), k1, k2, weight)
    np.testing.assert_allclose(final_distances(squared, k1, k2, weight), theirs, atol=1e-6)


def test_pairwise_squared_are_those_of_each_pair_whatever_the_room() -> None:
    rows = clustered(50, 1)
    rows[10:20] = rows[:10]
    found = pairwise_squared(rows, 50)
    expected = ((rows[:, None].astype(np.float64) - rows) ** 2).sum(axis=2)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-9)
    assert (found[expected == 0] == 0).all()
    assert pairwise_squared(rows[:20], 50).tobytes() == found[:20, :20].tobytes()


def test_images_that_are_all_alike_have_distances_all_the_same() -> None:
    found = final_distances(np.zeros((5, 5), np.float32), 3, 2, 0.3)
    assert ((found >= 0) & (found <= 0.7)).all()


@dataclass(frozen=True)
class Expected:
    """A query's re-ranked gallery by hand."""

    order: list[int]
    scores: list[float]
    hits: list[bool]
    optimistic: list[int]
    pessimistic: list[int]


def by_hand(queries: Items, gallery: Items, score: str, how: Reranking) -> list[Expected]:
    q, g = (np.concatenate(list(side.vectors())) for side in (queries, gallery))
    scores, found = score_matrix(q, g, score), []
    names = [str(name) for name in gallery.ids]
    for row in range(len(q)):
        keys = (gallery.keys, queries.keys)
        allowed = [
            at
            for at in range(len(g))
            if keys[0] is None or keys[1] is None or str(keys[0][at]) != str(keys[1][row])
        ]
        order = brute_force.ordered(scores[row, allowed].tolist(), [names[at] for at in allowed])
        parents = [allowed[at] for at in order]
        first, rest = parents[: how.first], parents[how.first :]
        rows = prepared(np.concatenate([q[row : row + 1], g[first]]), score).astype(np.float64)
        squared = ((rows[:, None] - rows) ** 2).sum(axis=2).astype(np.float32).astype(np.float64)
        new = final_distances_densely(squared, how.k1, how.k2, how.weight).astype(np.float32)
        inside = brute_force.ordered((-new).tolist(), [names[at] for at in first])
        old = scores[row, rest].astype(np.float64)
        far = (2 - 2 * old if score == "cosine" else old**2) / squared[0].max()
        outside = -((1 - how.weight) + how.weight * np.maximum(far, 1))
        final = [first[at] for at in inside] + rest
        hits = [str(gallery.labels[at]) == str(queries.labels[row]) for at in final]
        # Equal are those of equal score on either side of the N-th place.
        level = [-float(new[at]) for at in inside] + [score - 1e3 for score in old.tolist()]
        best, worst = brute_force.bounds(level, hits)
        values = [-float(new[at]) for at in inside] + outside.tolist()
        found.append(Expected(final, values, hits, best, worst))
    return found


def sides(seed: int, keyed: bool, tied: bool) -> tuple[Items, Items]:
    made = []
    for name, n in (("q", 30), ("g", 61)):
        rows = clustered(n, seed + n)
        if tied:
            rows = (np.round(2 * rows) / 2).astype(np.float32)
            rows = rows[np.arange(n) % 13]  # equal ones of several classes
        labels = [f"c{at % 5}" for at in range(n)]
        keys = [f"{at % 25}" for at in range(n)] if keyed else None
        made.append(Items.of([f"{name}{at}" for at in range(n)], labels, rows, keys))
    return made[0], made[1]


@pytest.mark.parametrize("score", ["cosine", "euclidean"])
@pytest.mark.parametrize(("keyed", "tied"), [(False, False), (True, False), (True, True)])
@pytest.mark.parametrize("first", [5, 12, 61, 500])
def test_rankings_are_those_by_hand(score: str, keyed: bool, tied: bool, first: int) -> None:
    queries, gallery = sides(3, keyed, tied)
    how = Reranking(first, 5, 3, 0.3)
    expected = by_hand(queries, gallery, score, how)
    seen = 0
    rankings = rank(queries, gallery, score=score, depth=max(20, first))
    for some in reranked(rankings, queries, gallery, score, how):
        for row, query in enumerate(some.queries.tolist()):
            seen += 1
            right = expected[query]
            there = some.places[row] >= 0
            places, scores = some.places[row][there], some.scores[row][there]
            n = len(places)
            np.testing.assert_allclose(scores, right.scores[:n], atol=2e-5)
            assert (np.diff(scores) <= 0).all()
            if not tied:  # distances that are equal for the one may differ by 1e-7 for the other
                assert places.tolist() == right.order[:n]
                own = slice(*some.ranks.starts[row : row + 2])
                assert some.ranks.values[own].tolist() == brute_force.relevant_ranks(right.hits)
                assert some.optimistic.values[own].tolist() == right.optimistic
                assert some.pessimistic.values[own].tolist() == right.pessimistic
            for best, kind in ((some.best_relevant[row], True), (some.best_other[row], False)):
                of_kind = [
                    s for s, hit in zip(right.scores, right.hits, strict=True) if hit is kind
                ]
                np.testing.assert_allclose(best, max(of_kind), atol=2e-5)
    assert seen == 30


def test_where_neighbourhoods_say_nothing_ties_are_ordered_as_everywhere() -> None:
    queries, gallery = sides(3, keyed=True, tied=False)
    how = Reranking(40, 3, 1, 0.0)
    expected, ties = by_hand(queries, gallery, "cosine", how), 0
    rankings = rank(queries, gallery, score="cosine", depth=40)
    for some in reranked(rankings, queries, gallery, "cosine", how):
        for row, query in enumerate(some.queries.tolist()):
            assert some.places[row].tolist() == expected[query].order[:40]
            ties += int((some.scores[row] == -1).sum())
    assert ties > 30


@pytest.mark.parametrize("first", [5, 12, 61])
def test_ranks_agree_with_places_and_bounds_hold_them_where_there_are_ties(first: int) -> None:
    queries, gallery = sides(5, keyed=True, tied=True)
    how = Reranking(first, 5, 3, 0.3)
    before = list(rank(queries, gallery, score="cosine", depth=61))
    ties = 0
    for old, new in zip(before, reranked(before, queries, gallery, "cosine", how), strict=True):
        for row in range(len(new.queries)):
            own = slice(*new.ranks.starts[row : row + 2])
            hits = new.relevant[row][new.places[row] >= 0].tolist()
            ranks = new.ranks.values[own].tolist()
            assert ranks == brute_force.relevant_ranks(hits)
            kept = new.scores[row, :first].tolist()
            level = [*kept, *(old.scores[row, first:].astype(float) - 1e3).tolist()][: len(hits)]
            best, worst = brute_force.bounds(level, hits)
            assert new.optimistic.values[own].tolist() == best
            assert new.pessimistic.values[own].tolist() == worst
            ties += best != worst
    assert ties


def test_the_order_and_the_cut_of_the_gallery_change_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    queries, gallery = sides(3, keyed=True, tied=True)

    def evaluated(items: Items) -> list[object]:
        found = evaluate_items(
            queries, items, score="cosine", settings=MetricsSettings([1, 10]), reranking=FEW
        )
        return [found.summary, found.rankings.to_pylist(), found.per_query.to_pylist()]

    whole = evaluated(gallery)
    order = np.random.default_rng(0).permutation(61)
    rows = np.concatenate(list(gallery.vectors()))[order]
    assert gallery.keys is not None
    names = [
        [str(names[at]) for at in order] for names in (gallery.ids, gallery.labels, gallery.keys)
    ]
    shuffled = Items(
        names[0], names[1], names[2], lambda: (rows[at : at + 9] for at in range(0, 61, 9))
    )
    monkeypatch.setattr(ranking, "_LOW_TILE", 4)
    monkeypatch.setattr(neighbours, "_BYTES", 600)  # a few rows are gathered at a time
    assert evaluated(shuffled) == whole


def test_metrics_are_those_of_the_new_order_and_pairs_keep_their_scores() -> None:
    queries, gallery = sides(9, keyed=False, tied=False)
    before, after = (
        evaluate_items(
            queries, gallery, score="cosine", settings=MetricsSettings([1, 10]), reranking=how
        ).summary
        for how in (None, FEW)
    )
    rankings = [one.hits for one in by_hand(queries, gallery, "cosine", FEW)]
    for key in ("mAP@1", "mAP@10", "mAP", "mean_rank", "MRR"):
        each = [brute_force.metrics(hits, [1, 10])[key] for hits in rankings]
        assert after["metrics"][key] == pytest.approx(np.mean(each))
    assert before.keys() == after.keys()
    assert (before["score"], after["score"]) == ("cosine", RERANKED_SCORE)
    assert before["verification"] == after["verification"]
    assert before["metrics"]["mAP"] != after["metrics"]["mAP"]
    assert before["chance"] == after["chance"]
