"""Every metric against the library known for it, on random and on adversarial galleries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from lookalike.retrieval.evaluation import evaluate_items
from lookalike.retrieval.metrics import METRICS
from lookalike.retrieval.settings import MetricsSettings
from lookalike.retrieval.streams import Items
from support import brute_force
from support.ranked import RankedQuery, ranked_queries

KS = [1, 10, 50]
SETTINGS = MetricsSettings(k=KS, bootstrap=0)


@dataclass(frozen=True)
class Case:
    """A retrieval, its metrics, and the same ranking in the forms that peers read."""

    metrics: dict[str, float]
    query_labels: list[str]
    gallery_labels: list[str]
    ranked: list[RankedQuery]

    @property
    def hits(self) -> NDArray[np.bool_]:
        """[Q, G]: whether each place holds a relevant item."""
        labels = np.array(self.gallery_labels)
        rows = [labels[result.places] == result.label for result in self.ranked]
        return np.array(rows)

    @property
    def scored(self) -> NDArray[np.bool_]:
        """[Q]: peers without a rule for queries that have no relevant item get the others."""
        return np.array([len(result.ranks) > 0 for result in self.ranked])


def make_case(
    queries: NDArray[Any], gallery: NDArray[Any], query_labels: list[str], labels: list[str]
) -> Case:
    ids = [f"q{i}" for i in range(len(queries))]
    query = Items.of(ids, query_labels, queries.astype(np.float32))
    ids = [f"g{i}" for i in range(len(gallery))]
    item = Items.of(ids, labels, gallery.astype(np.float32))
    found = evaluate_items(query, item, score="euclidean", settings=SETTINGS)
    ranked = ranked_queries(query, item, "euclidean", len(gallery))
    return Case(found.summary["metrics"], query_labels, labels, ranked)


def random_case() -> Case:
    generator = np.random.default_rng(0)
    query_labels = [str(label) for label in generator.integers(8, size=30)]
    labels = [str(label) for label in generator.integers(8, size=150)]
    return make_case(
        generator.normal(size=(30, 6)), generator.normal(size=(150, 6)), query_labels, labels
    )


def duplicates_case() -> Case:
    generator = np.random.default_rng(1)
    gallery = generator.normal(size=(25, 2)).round()
    labels = [str(label) for label in generator.integers(4, size=75)]
    return make_case(
        generator.normal(size=(20, 2)).round(), np.tile(gallery, (3, 1)), list("0123" * 5), labels
    )


CASES = {
    "random": random_case,
    "all tied": lambda: make_case(
        np.ones((6, 3)), np.ones((90, 3)), list("abcabc"), list("abbccc" * 15)
    ),
    "no relevant": lambda: make_case(
        np.arange(6)[:, None], np.arange(40)[:, None] * 0.7, list("axbyaz"), list("ab" * 20)
    ),
    "one gallery item": lambda: make_case(np.zeros((3, 2)), np.ones((1, 2)), list("aab"), ["a"]),
    "R > k": lambda: make_case(
        np.arange(4)[:, None] * 30.1,
        np.arange(130)[:, None],
        list("abab"),
        [*("aab" * 43), "b"],
    ),
    "duplicates": duplicates_case,
}


@pytest.fixture(scope="module", params=CASES)
def case(request: pytest.FixtureRequest) -> Case:
    return CASES[request.param]()


def strictly_falling(n: int) -> list[float]:
    """Positive scores without ties that give peers the ranking under test."""
    return [(n - place) / n for place in range(n)]


def agree(case: Case, expected: dict[str, float]) -> None:
    found = {key: case.metrics[key] for key in expected}
    assert found == pytest.approx(expected, rel=1e-6), found


def test_sentence_transformers(case: Case) -> None:
    from sentence_transformers.sentence_transformer.evaluation import InformationRetrievalEvaluator

    corpus: dict[str, Any] = {f"g{i}": "" for i in range(len(case.gallery_labels))}
    scored = [query for query in case.ranked if len(query.ranks)]
    peer = InformationRetrievalEvaluator(
        queries={query.id: "" for query in scored},
        corpus=corpus,
        relevant_docs={
            query.id: {f"g{i}" for i, name in enumerate(case.gallery_labels) if name == query.label}
            for query in scored
        },
        map_at_k=KS,
        accuracy_at_k=KS,
        precision_recall_at_k=KS,
        mrr_at_k=[len(corpus)],
    )
    results: list[object] = [
        [
            {"corpus_id": f"g{place}", "score": score}
            for place, score in zip(query.places, strictly_falling(len(corpus)), strict=True)
        ]
        for query in scored
    ]
    found = peer.compute_metrics(results)
    expected = {"MRR": found["mrr@k"][len(corpus)]}
    for k in KS:
        expected |= {
            f"mAP@{k}": found["map@k"][k],
            f"precision@{k}": found["precision@k"][k],
            f"recall@{k}": found["recall@k"][k],
            f"CMC@{k}": found["accuracy@k"][k],
        }
    agree(case, expected)


@pytest.fixture(scope="session")
def ranx() -> Any:
    # Compiling ranx takes a minute and more; its plain Python gives the same numbers at once.
    numba.config.DISABLE_JIT = True  # type: ignore[attr-defined]
    try:
        import ranx
    finally:
        numba.config.DISABLE_JIT = False  # type: ignore[attr-defined]
    return ranx


def test_ranx(case: Case, ranx: Any) -> None:
    scored = [query for query in case.ranked if len(query.ranks)]
    names = [f"g{i}" for i in range(len(case.gallery_labels))]
    relevant = {
        query.id: {
            name: 1
            for name, label in zip(names, case.gallery_labels, strict=True)
            if label == query.label
        }
        for query in scored
    }
    run = {
        query.id: dict(
            zip((names[i] for i in query.places), strictly_falling(len(names)), strict=True)
        )
        for query in scored
    }
    keys = {"mAP": "map", "MRR": "mrr", "R-precision": "r-precision"}
    for k in KS:
        keys |= {
            f"mAP@{k}/R": f"map@{k}",
            f"precision@{k}": f"precision@{k}",
            f"recall@{k}": f"recall@{k}",
            f"CMC@{k}": f"hit_rate@{k}",
        }
    peer = ranx.evaluate(ranx.Qrels(relevant), ranx.Run(run), list(keys.values()))
    agree(case, {key: peer[name] for key, name in keys.items()})


def pytorch_metric_learning(case: Case, k: int | None, include: list[str]) -> dict[str, float]:
    """The peer's metrics of the ranking under test, given to it as its nearest-neighbour search."""
    from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator

    order = torch.from_numpy(np.stack([query.places for query in case.ranked]))

    def neighbours(_: Any, count: int, *__: Any) -> tuple[torch.Tensor, torch.Tensor]:
        return order[:, :count].double(), order[:, :count]

    codes = {label: i for i, label in enumerate({*case.query_labels, *case.gallery_labels})}
    calculator = AccuracyCalculator(
        include=include, k=k, knn_func=neighbours, kmeans_func=len, device=torch.device("cpu")
    )
    found: dict[str, float] = calculator.get_accuracy(
        torch.zeros(len(case.query_labels), 1),
        torch.tensor([codes[label] for label in case.query_labels]),
        torch.zeros(len(case.gallery_labels), 1),
        torch.tensor([codes[label] for label in case.gallery_labels]),
    )
    return found


def test_pytorch_metric_learning(case: Case) -> None:
    at_r = pytorch_metric_learning(case, None, ["mean_average_precision_at_r", "r_precision"])
    agree(case, {"mAP@R": at_r["mean_average_precision_at_r"], "R-precision": at_r["r_precision"]})
    everything = len(case.gallery_labels)
    whole = pytorch_metric_learning(
        case, everything, ["mean_average_precision", "mean_reciprocal_rank", "precision_at_1"]
    )
    agree(
        case,
        {
            "mAP": whole["mean_average_precision"],
            "MRR": whole["mean_reciprocal_rank"],
            "precision@1": whole["precision_at_1"],
        },
    )
    for k in KS:
        found = pytorch_metric_learning(case, min(k, everything), ["mean_average_precision"])
        agree(case, {f"mAP@{k}/R": found["mean_average_precision"]})


def test_torchmetrics(case: Case) -> None:
    from torchmetrics.retrieval import RetrievalMAP

    n_queries, n_gallery = case.hits.shape
    scores = torch.tensor(strictly_falling(n_gallery)).repeat(n_queries)
    target = torch.from_numpy(case.hits.ravel())
    indexes = torch.arange(n_queries).repeat_interleave(n_gallery)
    expected = {}
    for key, k in {"mAP": None, **{f"mAP@{k}/hits": k for k in KS}}.items():
        peer = RetrievalMAP(empty_target_action="skip", top_k=k)
        expected[key] = float(peer(scores, target, indexes=indexes))
    agree(case, expected)


def test_scikit_learn(case: Case) -> None:
    from sklearn.metrics import average_precision_score

    scores = strictly_falling(len(case.gallery_labels))
    values = [average_precision_score(hits, scores) for hits in case.hits[case.scored]]
    agree(case, {"mAP": float(np.mean(values))})


def test_open_metric_learning(case: Case) -> None:
    # Its formulas, written out: the package itself is not needed for ten lines.
    rows = [row.tolist() for row in case.hits[case.scored]]
    expected = {}
    for k in KS:
        values = [brute_force.oml_average_precision(row, k) for row in rows]
        expected[f"mAP@{k}/hits"] = float(np.mean(values))
        expected[f"CMC@{k}"] = float(np.mean([any(row[:k]) for row in rows]))
    agree(case, expected)


def test_every_other_metric_by_a_loop(case: Case) -> None:
    rows = [brute_force.metrics(row.tolist(), KS) for row in case.hits[case.scored]]
    expected = {}
    for metric in METRICS:
        for key in metric.at(KS):
            values = [row[key] for row in rows]
            middle = np.median(values) if metric.over_queries == "median" else np.mean(values)
            expected[key] = float(middle)
    assert set(expected) == set(case.metrics)
    agree(case, expected)


def test_every_metric_has_its_loop() -> None:
    assert set(brute_force.METRICS) == {metric.key for metric in METRICS}


def test_raw_scores_without_ties_need_no_help() -> None:
    """Embeddings in, numbers out, with a peer's own search and sort."""
    from pytorch_metric_learning.distances import CosineSimilarity
    from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator
    from pytorch_metric_learning.utils.inference import CustomKNN

    generator = np.random.default_rng(5)
    queries, gallery = (generator.normal(size=(n, 16)).astype(np.float32) for n in (40, 300))
    query_labels, labels = generator.integers(5, size=40), generator.integers(5, size=300)
    sides = [
        Items.of([str(i) for i in range(len(names))], [str(name) for name in names], vectors)
        for names, vectors in ((query_labels, queries), (labels, gallery))
    ]
    found = evaluate_items(*sides, score="cosine", settings=SETTINGS).summary
    assert found["ties"]["share"] == 0
    peer = AccuracyCalculator(
        include=["mean_average_precision_at_r", "r_precision", "precision_at_1"],
        k=None,
        knn_func=CustomKNN(CosineSimilarity()),
        kmeans_func=len,
        device=torch.device("cpu"),
    ).get_accuracy(*(torch.from_numpy(array) for array in (queries, query_labels, gallery, labels)))
    metrics = found["metrics"]
    assert metrics["mAP@R"] == pytest.approx(peer["mean_average_precision_at_r"])
    assert metrics["R-precision"] == pytest.approx(peer["r_precision"])
    assert metrics["precision@1"] == pytest.approx(peer["precision_at_1"])
