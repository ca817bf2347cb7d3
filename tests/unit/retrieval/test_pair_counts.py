"""Counts of pairs: exact at the lowest score of every cell, whoever counted them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from lookalike.retrieval.counting_gpu import OnDevice
from lookalike.retrieval.pair_counts import RESOLUTION, PairCounts
from lookalike.retrieval.ranking import Accelerator, rank
from lookalike.retrieval.scores import SCORES
from lookalike.retrieval.streams import Items
from support.devices import DEVICES
from support.ranked import normal

# A cosine may surpass 1 by a rounding.
COSINES = st.floats(-1 - 2**-20, 1 + 2**-20, width=32) | st.builds(
    lambda step, near: near + step * 2.0**-24,
    st.integers(-40, 40),
    st.sampled_from([-1.0, -0.5, 0.0, 0.5, 1.0]),
)
DISTANCES = st.floats(0, float(np.finfo(np.float32).max), width=32) | st.sampled_from([0.0, 1e-40])


@pytest.fixture(autouse=True)
def same_threads_after() -> Iterator[None]:
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def cells_of(score: str, values: NDArray[np.float32]) -> NDArray[np.float64]:
    """The lowest scores of the cells that some scores fall into."""
    pairs = PairCounts(score)
    pairs.add_relevant(values)
    return pairs.in_cells()[0]


def scores_of(score: str, drawn: list[float]) -> NDArray[np.float32]:
    values = np.array(drawn, np.float32)
    return values if score == "cosine" else np.float32(0) - values


@pytest.mark.parametrize("score", SCORES)
@settings(derandomize=True, deadline=None, max_examples=60)
@given(data=st.data())
def test_counts_are_exact_at_the_lowest_score_of_a_cell(score: str, data: st.DataObject) -> None:
    drawn = st.lists(COSINES if score == "cosine" else DISTANCES, min_size=1, max_size=30)
    relevant, others = (scores_of(score, data.draw(drawn)) for _ in range(2))
    pairs = PairCounts(score)
    pairs.add_relevant(relevant)
    pairs.add_others(np.append(others, np.float32(-np.inf))[None], 1, len(others) + 1)
    lowest, *counts = pairs.in_cells()
    assert (np.diff(lowest) > 0).all()
    np.testing.assert_array_equal(lowest, lowest.astype(np.float32))
    for counted, values in zip(counts, (relevant, others), strict=True):
        at_or_above = [(values >= threshold).sum() for threshold in lowest]
        assert np.cumsum(counted[::-1])[::-1].tolist() == at_or_above
    # It is in the cell, and the score before it is not.
    of_float32 = lowest.astype(np.float32)
    np.testing.assert_array_equal(cells_of(score, of_float32), lowest)
    place = data.draw(st.integers(0, len(lowest) - 1))
    if of_float32[place] > np.finfo(np.float32).min:
        before = np.nextafter(of_float32[place : place + 1], np.float32(-np.inf))
        assert cells_of(score, before) < lowest[place]


@pytest.mark.parametrize("score", SCORES)
@settings(derandomize=True, deadline=None, max_examples=60)
@given(data=st.data())
def test_a_cell_is_as_wide_as_stated(score: str, data: st.DataObject) -> None:
    value = scores_of(score, [data.draw(COSINES if score == "cosine" else DISTANCES)])
    (lowest,) = cells_of(score, value)
    distance = max(0.0, float(score == "cosine") - float(value[0]))
    width = float(value[0]) - lowest
    # Below the normal numbers of float32, and by its rounding near 1, no share can be kept.
    slack = 2.0**-24 if score == "cosine" else 2.0**-137
    if distance > 0:
        assert 0 <= width <= RESOLUTION * distance + slack


def items(name: str, n: int, width: int, seed: int) -> Items:
    """Items whose scores are exact, few of them different; some are relevant, some left out."""
    generator = np.random.default_rng(seed)
    vectors = generator.integers(-3, 4, size=(n, width)).astype(np.float32)
    labels, keys = (generator.integers(most, size=n) for most in (5, 200))
    ids, classes = [f"{name}{i}" for i in range(n)], [f"c{label}" for label in labels]
    return Items.of(ids, classes, vectors, [str(key) for key in keys])


def counted(score: str, accelerator: Accelerator | None = None) -> list[list[float]]:
    queries, gallery = items("q", 40, 2, seed=1), items("g", 4500, 2, seed=2)
    if score == "cosine":
        axes = np.array([[3, 0], [-2, 0], [0, 5], [0, 0]], np.float32)
        queries, gallery = (
            Items.of(side.ids, side.labels, axes[(np.arange(len(side.ids)) // 3) % 4], side.keys)
            for side in (queries, gallery)
        )
    pairs = PairCounts(score)
    for _ in rank(queries, gallery, score=score, depth=3, accelerator=accelerator, pairs=pairs):
        pass
    return [column.tolist() for column in pairs.in_cells()]


@pytest.mark.parametrize("score", SCORES)
def test_no_count_depends_on_the_threads(score: str) -> None:
    found = []
    for threads in (1, 2, 5):
        torch.set_num_threads(threads)
        found.append(counted(score))
    assert found[1:] == [found[0]] * 2
    assert sum(found[0][1]) > 0


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("score", SCORES)
def test_a_gpu_counts_the_same(device: str, score: str) -> None:
    torch.set_num_threads(1)
    assert counted(score, OnDevice(torch.device(device))) == counted(score)


@pytest.mark.parametrize("score", SCORES)
def test_all_is_counted_of_wide_and_odd_tiles(score: str) -> None:
    scores = np.tanh(normal(5, 1023)) - (score == "euclidean")
    for width in (1, 2, 1022, 1023):
        pairs, there = PairCounts(score), PairCounts(score)
        pairs.add_others(scores, 4, width)
        there.add_others(torch.from_numpy(scores), 4, width)
        lowest, _, counts = pairs.in_cells()
        assert counts.sum() == 4 * width
        at_or_above = [(scores[:4, :width] >= threshold).sum() for threshold in lowest]
        assert np.cumsum(counts[::-1])[::-1].tolist() == at_or_above
        for found, expected in zip(there.in_cells(), (lowest, 0 * counts, counts), strict=True):
            np.testing.assert_array_equal(found, expected)
