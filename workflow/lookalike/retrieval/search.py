"""The nearest gallery items of each query, by their embeddings alone: no labels, no metrics."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray

from lookalike.errors import LookalikeError
from lookalike.jobs.torch_devices import choose_device
from lookalike.retrieval.counting_gpu import accelerator_of
from lookalike.retrieval.ranking import rank
from lookalike.retrieval.rankings_table import rankings_table
from lookalike.retrieval.score_choice import choose_score
from lookalike.retrieval.scores import SCORES
from lookalike.retrieval.tables import (
    EmbeddingTable,
    TableSource,
    open_table,
    require_one_width,
    require_rows,
)


@dataclass(frozen=True)
class Neighbours:
    """The nearest gallery items of n queries, the nearest first.

    Attributes:
        indices: int64 [n, depth], their positions in the gallery, from 0.
        scores: float32 [n, depth], falling along each row.
        query_ids: n names, by default the positions as text.
        gallery_ids: the names of the whole gallery, likewise.

    """

    indices: NDArray[np.int64]
    scores: NDArray[np.float32]
    query_ids: pa.Array
    gallery_ids: pa.Array

    def table(self) -> pa.Table:
        """A row a neighbour, as in rankings.parquet: query_id, rank (from 1), gallery_id, score."""
        return rankings_table(self.query_ids, self.gallery_ids, self.indices, self.scores)


def search(
    queries: TableSource,
    gallery: TableSource,
    depth: int,
    *,
    score: str | None = None,
    device: torch.device | str = "cpu",
) -> Neighbours:
    """Find the `depth` nearest gallery items of each query, exactly.

    Scores and order are those of the rankings of an evaluation that leaves nothing out: every pair
    is scored, and of equal scores the item comes first whose id has the lower hash (see
    `relevance.tie_order`), so the order is the same however the gallery is sorted or cut. The
    gallery streams by once for each group of queries that fits in memory; as many threads work as
    torch is set to use.

    Args:
        queries: float32 [n, d] (other numbers are taken as float32), or a parquet table by its
            path, or columns `embedding` and, if there are names, `image_id`: see
            `tables.TableSource`.
        gallery: float32 [N, d], or a table, N >= 1. A file or a `numpy.memmap` may be larger than
            memory.
        depth: how many neighbours, from 1; where the gallery has fewer items, all of them.
        score: "cosine" or "euclidean" (the negative distance). None takes what the tables state in
            their metadata, as `evaluate` does; of two that are in memory it takes cosine.
        device: where scores are made and counted: "cpu", "cuda", "mps" or "auto". On a GPU, scores
            nearer than 1e-6 may come in another order.

    Raises:
        LookalikeError: the two have not the same d, an embedding holds NaN or infinity, the gallery
            is empty, an id is there twice, or a setting is not one of these.

    """
    if score is not None and score not in SCORES:
        raise LookalikeError(f"score: '{score}' is not one of {', '.join(SCORES)}")
    if isinstance(depth, bool) or not isinstance(depth, int | np.integer) or depth < 1:
        raise LookalikeError(f"depth: {depth} must be a whole number from 1")
    where = choose_device(device) if isinstance(device, str) else device
    asked, searched = (
        _without_labels(source, name)
        for source, name in ((queries, "the queries"), (gallery, "the gallery"))
    )
    require_rows(searched, "search")
    shape = len(asked.ids), min(int(depth), len(searched.ids))
    indices, scores = np.empty(shape, np.int64), np.empty(shape, np.float32)
    if shape[0]:
        require_one_width(asked, searched)
        if asked.is_file or searched.is_file:
            score = choose_score(asked, searched, score)
        for found in rank(
            asked,
            searched,
            score=score or "cosine",
            depth=shape[1],
            accelerator=accelerator_of(where),
        ):
            indices[found.queries], scores[found.queries] = found.places, found.scores
    return Neighbours(indices, scores, asked.ids, searched.ids)


def _without_labels(source: TableSource, name: str) -> EmbeddingTable:
    """A table in which nothing is relevant to anything: no label of one side is on the other."""
    table, _ = open_table(source, name, ())
    return replace(table, labels=pa.repeat(pa.scalar(name, pa.string()), len(table.ids)))
