"""The way of a GPU, on every device there is: a CPU's torch takes it too where it is told to."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from lookalike.errors import LookalikeError
from lookalike.retrieval.counting_gpu import DeviceScorer, OnDevice
from lookalike.retrieval.evaluation import evaluate_items
from lookalike.retrieval.relevance import Texts, tie_order
from lookalike.retrieval.scores import prepared, rising
from lookalike.retrieval.settings import MetricsSettings
from lookalike.retrieval.streams import Items
from support import brute_force
from support.devices import DEVICES
from support.ranked import as_lists, normal, ranked_queries

SCORES = ["cosine", "euclidean"]
# Unit vectors and zero: every cosine is exactly -1, 0 or 1.
AXES = np.array([[3, 0], [1, 0], [-2, 0], [0, 5], [0, -1], [0, 0]], np.float32)


@pytest.fixture(params=DEVICES)
def device(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> torch.device:
    """The device that ranks, in small tiles."""
    chosen = torch.device(request.param)
    tiles_of(monkeypatch, 32, 128)
    return chosen


def tiles_of(monkeypatch: pytest.MonkeyPatch, height: int, width: int) -> None:
    monkeypatch.setattr("lookalike.retrieval.counting_gpu.HEIGHT", height)
    monkeypatch.setattr("lookalike.retrieval.counting_gpu.WIDTH", width)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """On several threads a CPU's product may add up in another order."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def named(
    name: str, vectors: NDArray[np.float32], classes: int, keys: int | None, seed: int
) -> Items:
    generator = np.random.default_rng(seed)
    n = len(vectors)
    return Items(
        [f"{name}{i}.png" for i in range(n)],
        [f"class {label}" for label in generator.integers(classes, size=n)],
        None if keys is None else [str(key) for key in generator.integers(keys, size=n)],
        # Pieces that are neither whole tiles nor whole blocks.
        lambda: iter(np.split(vectors, range(300, n, 300))),
    )


def texts(values: Texts | None) -> list[str]:
    return [str(value) for value in ([] if values is None else values)]


def exact(n: int, score: str, spread: int, seed: int) -> NDArray[np.float32]:
    """Vectors whose scores are exact, few of them different."""
    generator = np.random.default_rng(seed)
    if score == "cosine":
        return AXES[generator.integers(len(AXES), size=n)]
    return generator.integers(-spread, spread + 1, size=(n, 2)).astype(np.float32)


def exact_scores(
    query: NDArray[np.float32], gallery: NDArray[np.float32], score: str
) -> list[float]:
    if score == "cosine":
        return [float(np.sign(item @ query)) for item in gallery]
    return [-math.sqrt(float(((item - query) ** 2).sum())) for item in gallery]


@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize(
    ("n_queries", "n_gallery", "classes", "keys", "spread", "depth"),
    [
        (1, 1, 1, None, 1, 3),
        (40, 5, 3, 4, 1, 0),
        (40, 5, 3, 1, 1, 9),  # everything is left out
        (35, 450, 2, None, 1, 10),
        (35, 450, 20, 9, 3, 50),
        (35, 300, 200, None, 40, 7),  # queries without a relevant item
        (3, 450, 1, 2, 0, 200),  # one vector
    ],
)
def test_ranks_equal_a_loop_over_the_sorted_gallery(
    device: torch.device,
    score: str,
    n_queries: int,
    n_gallery: int,
    classes: int,
    keys: int | None,
    spread: int,
    depth: int,
) -> None:
    rows, columns = exact(n_queries, score, spread, 1), exact(n_gallery, score, spread, 2)
    queries = named("q", rows, classes, keys, 3)
    gallery = named("g", columns, classes, keys, 4)
    ids, labels, wanted = texts(gallery.ids), texts(gallery.labels), texts(queries.labels)
    own, theirs = texts(queries.keys) or ["q"] * n_queries, texts(gallery.keys) or ["g"] * n_gallery
    for row, found in enumerate(ranked_queries(queries, gallery, score, depth, OnDevice(device))):
        left = [item for item in range(n_gallery) if theirs[item] != own[row]]
        scores = exact_scores(rows[row], columns[left], score)
        order = brute_force.ordered(scores, [ids[item] for item in left])
        relevant = [labels[item] == wanted[row] for item in left]
        hits = [relevant[item] for item in order]
        best, worst = brute_force.bounds(scores, relevant)
        assert found.n_gallery == len(left)
        assert found.ranks.tolist() == brute_force.relevant_ranks(hits)
        assert found.optimistic.tolist() == best
        assert found.pessimistic.tolist() == worst
        assert found.places.tolist() == [left[item] for item in order[:depth]]
        expected = np.array([scores[item] for item in order[:depth]], np.float32)
        assert found.scores.tobytes() == (expected + 0).tobytes()
        assert found.relevant.tolist() == hits[:depth]
        highest = brute_force.best_scores(scores, relevant)
        np.testing.assert_array_equal((found.best_relevant, found.best_other), highest)


def own_scores(
    device: torch.device, queries: NDArray[np.float32], gallery: NDArray[np.float32], score: str
) -> NDArray[np.float32]:
    """The device's scores of all pairs, float32 [n, m]."""
    scorer = DeviceScorer.of(prepared(queries, score), len(queries), score, device)
    items = torch.from_numpy(prepared(gallery, score)).to(device)
    parts = [scores.cpu().numpy().copy() for _, scores in scorer.tiles(items, len(items))]
    return np.concatenate(parts, axis=1)


@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize("classes", [2, 60])
def test_ranks_are_those_of_the_devices_own_scores(
    device: torch.device, score: str, classes: int
) -> None:
    rows, columns = normal(32, 19, seed=1), normal(1300, 19, seed=2)
    columns[700:] = columns[:600]  # equal vectors score equally, wherever they stand
    queries, gallery = named("q", rows, classes, None, 3), named("g", columns, classes, None, 4)
    scores = own_scores(device, rows, columns, score)
    ties = tie_order(gallery.ids)
    labels, wanted = np.array(texts(gallery.labels)), texts(queries.labels)
    for row, found in enumerate(ranked_queries(queries, gallery, score, 30, OnDevice(device))):
        hits = labels == wanted[row]
        order = np.lexsort((ties, -scores[row]))
        best, worst = np.lexsort((~hits, -scores[row])), np.lexsort((hits, -scores[row]))
        for ranks, some in (
            (found.ranks, order),
            (found.optimistic, best),
            (found.pessimistic, worst),
        ):
            np.testing.assert_array_equal(ranks, np.flatnonzero(hits[some]) + 1)
        np.testing.assert_array_equal(found.places, order[:30])
        np.testing.assert_array_equal(found.scores, scores[row][order[:30]])


@pytest.mark.parametrize("score", SCORES)
def test_no_result_depends_on_tiles_blocks_or_memory(
    device: torch.device, score: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    queries = named("q", exact(150, score, 4, 1), 30, 90, 3)
    gallery = named("g", exact(2500, score, 4, 2), 30, 90, 4)
    whole = as_lists(ranked_queries(queries, gallery, score, 20, OnDevice(device)))
    monkeypatch.setattr("lookalike.retrieval.streams._BLOCK_ROWS", 1024)
    monkeypatch.setattr("lookalike.retrieval.streams._GROUP_BYTES", 2**18)
    monkeypatch.setattr("lookalike.retrieval.streams._KEPT_BYTES", 0)
    for height, width in ((1, 2048), (500, 1), (64, 700)):
        n = 150 if width > 1 else 3
        some = Items.of(
            queries.ids[:n],
            queries.labels[:n],
            np.concatenate(list(queries.vectors()))[:n],
            texts(queries.keys)[:n],
        )
        tiles_of(monkeypatch, height, width)
        assert as_lists(ranked_queries(some, gallery, score, 20, OnDevice(device))) == whole[:n]


def test_the_evaluation_is_that_of_the_cpu(
    device: torch.device, monkeypatch: pytest.MonkeyPatch
) -> None:
    queries = named("q", exact(40, "euclidean", 6, 1), 5, None, 3)
    gallery = named("g", exact(400, "euclidean", 6, 2), 5, None, 4)
    asked: list[torch.device] = []

    def accelerator(wanted: torch.device) -> OnDevice | None:
        asked.append(wanted)
        return OnDevice(device) if wanted.type == "cuda" else None

    monkeypatch.setattr("lookalike.retrieval.evaluation.accelerator_of", accelerator)
    settings = MetricsSettings(k=[1, 10], bootstrap=0)
    there, here = (
        evaluate_items(queries, gallery, score="euclidean", settings=settings, device=name)
        for name in ("cuda", "cpu")
    )
    assert asked == [torch.device("cuda"), torch.device("cpu")]
    assert there.summary == here.summary
    assert there.per_query.equals(here.per_query)
    assert there.rankings.equals(here.rankings)


@pytest.mark.parametrize("dimension", [2, 128, 2048])
def test_scores_are_as_exact_as_a_cpus(device: torch.device, dimension: int) -> None:
    queries, gallery = normal(20, dimension, seed=1), normal(150, dimension, seed=2)
    rows, columns = queries.astype(np.float64), gallery.astype(np.float64)
    cosines = own_scores(device, queries, gallery, "cosine")
    assert np.abs(cosines - (1 - cdist(rows, columns, "cosine"))).max() < 1e-6
    distances = own_scores(device, queries, gallery, "euclidean")
    np.testing.assert_allclose(distances, -cdist(rows, columns), rtol=2**-24)


def test_distances_of_near_and_of_huge_vectors(
    device: torch.device, monkeypatch: pytest.MonkeyPatch
) -> None:
    gallery = np.float32(1e6) + normal(150, 40, seed=1).round(1)
    expected = -cdist(gallery[:20].astype(float), gallery.astype(float))
    for at_a_time in (1, 7 * 40, 2**21):
        monkeypatch.setattr("lookalike.retrieval.counting_gpu._DIFFERENCES", at_a_time)
        scores = own_scores(device, gallery[:20], gallery, "euclidean")
        np.testing.assert_allclose(scores, expected, rtol=1e-7)
        assert not np.any(np.diagonal(scores))
    huge = np.array([[3e38], [-3e38]], np.float32)
    assert own_scores(device, huge, huge, "euclidean")[0].tolist() == [0, -np.finfo("f4").max]


def test_distances_without_float64_are_refused() -> None:
    with pytest.raises(LookalikeError, match="float64, which mps"):
        DeviceScorer.of(np.ones((1, 2), np.float32), 1, "euclidean", torch.device("mps"))


def test_rising_has_the_order_of_the_floats() -> None:
    values = normal(1000, seed=1) * np.float32(10) ** np.arange(-45, 35).repeat(13)[:1000]
    values = np.sort(np.concatenate([values.astype(np.float32), [0, np.inf, -np.inf]]))
    values = np.unique(values.astype(np.float32) + np.float32(0))
    order = rising(values.view(np.int32))
    assert np.all(np.diff(order.astype(np.int64)) > 0)
    assert rising(order).tobytes() == values.tobytes()
    assert rising(torch.from_numpy(values).view(torch.int32)).tolist() == order.tolist()
