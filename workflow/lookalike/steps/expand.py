"""Join each query by the gallery images that it finds first."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lookalike.embedding.transformed import write_transformed
from lookalike.jobs.progress import Progress
from lookalike.retrieval.candidates import Candidates
from lookalike.retrieval.expansion import expanded
from lookalike.retrieval.neighbours import EmbeddingRows, nearest
from lookalike.retrieval.score_choice import choose_score
from lookalike.retrieval.streams import Items
from lookalike.steps.quantize import width_of
from lookalike.storage.files import write_json

log = logging.getLogger(__name__)


def expand_queries(
    query: Path,
    gallery: Path,
    output: Path,
    summary: Path,
    settings: Mapping[str, Any],
    candidates: Candidates,
) -> None:
    """Write the queries' embeddings after query expansion, see `lookalike.retrieval.expansion`.

    Args:
        query: embeddings of the queries.
        gallery: embeddings of the gallery.
        output: the table to write.
        summary: search.json: `dim`, `bytes_per_image` and how many neighbours were `joined` to a
            query, in the mean.
        settings: `k` and `alpha`.
        candidates: which of the gallery may be a neighbour, as in the metrics.

    """
    asked, searched = candidates.tables(query, gallery)
    score = choose_score(asked, searched, None)
    facts = join_nearest(query, output, asked, searched, settings, score)
    write_json(summary, facts)
    log.info("%d queries, each joined by %.1f gallery images", len(asked.ids), facts["joined"])


def join_nearest(
    table: Path,
    output: Path,
    asked: Items,
    source: Items,
    settings: Mapping[str, Any],
    score: str,
) -> dict[str, Any]:
    """Write a table's embeddings, each joined by the nearest of others.

    Args:
        table: whose embeddings they are.
        output: the table to write.
        asked: the same as items.
        source: what is joined to them, but for what each leaves out.
        settings: `k` and `alpha`.
        score: "cosine" or "euclidean".

    Returns:
        What search.json says of it: `dim`, `bytes_per_image`, and in the mean `joined`.
    """
    with Progress("neighbours", len(asked.ids) * len(source.ids), "scores") as progress:
        found = nearest(asked, source, settings["k"], score, progress.update)
    vectors = expanded(asked, EmbeddingRows(source), found, alpha=settings["alpha"], score=score)
    width = width_of(table)
    write_transformed(table, output, vectors, width)
    joined = float((found.places >= 0).sum(axis=1).mean())
    return {"dim": width, "bytes_per_image": 4 * width, "joined": joined}
