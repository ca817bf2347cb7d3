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
    with Progress("neighbours", len(asked.ids) * len(searched.ids), "scores") as progress:
        found = nearest(asked, searched, settings["k"], score, progress.update)
    rows = EmbeddingRows(searched)
    vectors = expanded(asked, rows, found, alpha=settings["alpha"], score=score)
    write_transformed(query, output, vectors, rows.width)
    joined = float((found.places >= 0).sum(axis=1).mean())
    facts = {"dim": rows.width, "bytes_per_image": 4 * rows.width, "joined": joined}
    write_json(summary, facts)
    log.info("%d queries, each joined by %.1f gallery images", len(asked.ids), joined)
