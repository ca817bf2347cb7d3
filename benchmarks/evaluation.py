"""Evaluation against the bare product of the same blocks, and against other libraries."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from lookalike.retrieval.evaluation import evaluate_items
from lookalike.retrieval.settings import MetricsSettings
from lookalike.retrieval.statistics import bootstrap_intervals, paired_differences
from lookalike.retrieval.streams import Items
from timing import Result, alternately, once, seconds

KS = (1, 10, 50)
SETTINGS = MetricsSettings(k=KS, bootstrap=0)
TILE = (256, 1024)  # of the product in lookalike.retrieval.scores


@dataclass(frozen=True)
class Retrieval:
    """Embeddings of length 1 around one centre a class; `noise` is their distance from it."""

    queries: NDArray[np.float32]
    gallery: NDArray[np.float32]
    query_labels: NDArray[np.int64]
    gallery_labels: NDArray[np.int64]

    @classmethod
    def draw(cls, queries: int, gallery: int, classes: int, noise: float) -> Retrieval:
        """Draw 128-dimensional embeddings, the same for equal arguments."""
        generator = np.random.default_rng(0)
        centres = generator.normal(size=(classes, 128)).astype(np.float32)
        sides = []
        for n in (queries, gallery):
            labels = generator.integers(classes, size=n)
            around = generator.normal(size=(n, 128)).astype(np.float32)
            vectors = centres[labels] + np.float32(noise) * around
            sides.append((vectors / np.linalg.norm(vectors, axis=1, keepdims=True), labels))
        (query, query_labels), (item, labels) = sides
        return cls(query, item, query_labels, labels)

    @property
    def items(self) -> tuple[Items, Items]:
        """Queries and gallery as the package takes them."""
        query, item = (
            Items.of([f"{name}{i}" for i in range(len(labels))], list(map(str, labels)), vectors)
            for name, labels, vectors in (
                ("q", self.query_labels, self.queries),
                ("g", self.gallery_labels, self.gallery),
            )
        )
        return query, item


def full_suite() -> list[Result]:
    """All metrics, rankings to place 50, ties and the per-query table, against the product."""
    return [
        against_product("200 relevant, mAP@10 {:.2f}", 1000, 1.5),
        against_product("200 relevant, mAP@10 {:.2f}", 1000, 2.5),
        against_product("200 relevant, mAP@10 {:.2f} (untrained)", 1000, 8.0),
        against_product("10 relevant, mAP@10 {:.2f}", 20_000, 1.5),
        against_product("2,000 relevant, mAP@10 {:.2f}", 100, 2.5),
    ]


def against_product(what: str, classes: int, noise: float) -> Result:
    """One evaluation; `what` takes its mAP@10."""
    data = Retrieval.draw(2000, 200_000, classes, noise)
    queries, gallery = data.items
    found: dict[str, float] = {}
    took = alternately(
        {"ours": lambda: found.update(measured(queries, gallery)), "bare": lambda: product(data)}
    )
    name = f"2,000 x 200,000: {what.format(found['mAP@10'])}"
    baseline = "bare float32 product of the same blocks"
    return Result(name, took["ours"], baseline, took["bare"])


def measured(queries: Items, gallery: Items) -> dict[str, float]:
    """Every metric."""
    result = evaluate_items(queries, gallery, score="cosine", settings=SETTINGS)
    metrics: dict[str, float] = result.summary["metrics"]
    return metrics


def product(data: Retrieval) -> None:
    """The inner products of all queries with the gallery, tile by tile, and nothing else."""
    rows, columns = torch.from_numpy(data.queries), torch.from_numpy(data.gallery)
    for row in torch.split(rows, TILE[0]):
        for block in torch.split(columns, 16 * TILE[1]):
            torch.mm(row, block.T)


def peers() -> list[Result]:
    """The same retrieval by other libraries; each must find the same."""
    data = Retrieval.draw(1000, 50_000, 500, 2.0)
    queries, gallery = data.items
    found: dict[str, float] = {}
    mine = seconds(lambda: found.update(measured(queries, gallery)), 3)
    results = []
    for name, peer in PEERS.items():
        took, values = once(partial(peer, data))
        for key, value in values.items():
            if not np.isclose(value, found[key], rtol=1e-5):
                raise SystemExit(f"{name} finds {key} = {value}, Lookalike {found[key]}")
        agreed = ", ".join(values)
        results.append(Result("1,000 x 50,000: every metric", mine, f"{name}: {agreed}", took))
    return results


def naive(data: Retrieval) -> dict[str, float]:
    """The whole matrix, a full argsort, and a loop over queries."""
    order = np.argsort(-(data.queries @ data.gallery.T), axis=1)
    values = []
    for row, label in zip(order, data.query_labels, strict=True):
        hits = data.gallery_labels[row] == label
        precision = np.cumsum(hits) / np.arange(1, len(row) + 1)
        values.append((precision * hits).sum() / hits.sum())
    return {"mAP": float(np.mean(values))}


def metric_learning(k: int | None) -> Callable[[Retrieval], dict[str, float]]:
    """pytorch-metric-learning's AccuracyCalculator with its own search."""

    def peer(data: Retrieval) -> dict[str, float]:
        from pytorch_metric_learning.distances import CosineSimilarity
        from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator
        from pytorch_metric_learning.utils.inference import CustomKNN

        calculator = AccuracyCalculator(
            include=("mean_average_precision",),
            k=k or len(data.gallery),
            knn_func=CustomKNN(CosineSimilarity(), batch_size=256),
            device=torch.device("cpu"),
        )
        found = calculator.get_accuracy(
            torch.from_numpy(data.queries),
            torch.from_numpy(data.query_labels),
            torch.from_numpy(data.gallery),
            torch.from_numpy(data.gallery_labels),
        )
        return {f"mAP@{k}/R" if k else "mAP": found["mean_average_precision"]}

    return peer


def torchmetrics(data: Retrieval) -> dict[str, float]:
    """Torchmetrics' RetrievalMAP over all pairs."""
    from torchmetrics.retrieval import RetrievalMAP

    # It takes scores of 0 and less for "not retrieved".
    scores = torch.from_numpy(data.queries @ data.gallery.T + 2)
    target = torch.from_numpy(data.query_labels[:, None] == data.gallery_labels)
    number = torch.arange(len(scores))[:, None].expand(scores.shape)
    peer = RetrievalMAP(empty_target_action="skip")
    return {"mAP": float(peer(scores.flatten(), target.flatten(), indexes=number.flatten()))}


def sentence_transformers(data: Retrieval) -> dict[str, float]:
    """The evaluator of sentence-transformers, given the embeddings in place of a model."""
    from sentence_transformers.sentence_transformer.evaluation import InformationRetrievalEvaluator
    from sentence_transformers.util import dot_score

    queries: dict[str, Any] = {f"q{i}": f"q{i}" for i in range(len(data.queries))}
    corpus: dict[str, Any] = {f"g{i}": f"g{i}" for i in range(len(data.gallery))}
    members: dict[int, set[str]] = {}
    for i, label in enumerate(data.gallery_labels.tolist()):
        members.setdefault(label, set()).add(f"g{i}")
    peer = InformationRetrievalEvaluator(
        queries,
        corpus,
        {f"q{i}": members[label] for i, label in enumerate(data.query_labels.tolist())},
        map_at_k=[10, 50],
        mrr_at_k=[10],
        ndcg_at_k=[10],
        accuracy_at_k=[1],
        precision_recall_at_k=[10],
        score_functions={"dot": dot_score},
    )

    class Embedded:
        """Has the embeddings already."""

        similarity_fn_name = "dot"

        def encode(self, texts: list[str], **_: Any) -> torch.Tensor:
            side = data.queries if texts[0].startswith("q") else data.gallery
            return torch.from_numpy(side[[int(text[1:]) for text in texts]])

        encode_query = encode_document = encode

    found: dict[str, Any] = peer.compute_metrices(Embedded())["dot"]  # type: ignore[arg-type,assignment]
    return {
        **{f"mAP@{k}": found["map@k"][k] for k in (10, 50)},
        "CMC@1": found["accuracy@k"][1],
        "recall@10": found["recall@k"][10],
    }


PEERS: dict[str, Callable[[Retrieval], dict[str, float]]] = {
    "whole matrix, argsort, loop": naive,
    "pytorch-metric-learning, k = 50": metric_learning(50),
    "pytorch-metric-learning, k = all": metric_learning(None),
    "torchmetrics": torchmetrics,
    "sentence-transformers": sentence_transformers,
}


def resampling() -> list[Result]:
    """Bootstrap of the four headline metrics, 10,000 queries x 1,000 resamples, against a loop."""
    generator = np.random.default_rng(0)
    keys = [*(f"mAP@{k}" for k in KS), "mean_rank"]
    one, other = ({key: generator.random(10_000) for key in keys} for _ in range(2))

    def loop() -> None:
        for _ in range(1000):
            drawn = generator.integers(10_000, size=10_000)
            for column in one.values():
                column[drawn].mean()

    took = alternately(
        {
            "intervals": lambda: bootstrap_intervals(one, resamples=1000, seed=0),
            "paired": lambda: paired_differences(one, other, resamples=1000, seed=0),
            "loop": loop,
        },
        3,
    )
    what, name = "10,000 queries x 1,000 resamples x 4 metrics", "a loop over resamples, unpaired"
    return [
        Result(f"{what}, {form}", took[form], name, took["loop"])
        for form in ("intervals", "paired")
    ]
