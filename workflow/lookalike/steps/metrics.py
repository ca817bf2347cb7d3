"""Evaluate embeddings tables, and write the numbers."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from lookalike.embedding.columns import NamedColumns
from lookalike.jobs.preflight import require_room
from lookalike.jobs.progress import Progress
from lookalike.retrieval.evaluation import evaluate_items, summary_text
from lookalike.retrieval.output_place import OUTPUTS, require_outputs
from lookalike.retrieval.reranking import Reranking
from lookalike.retrieval.score_choice import choose_score
from lookalike.retrieval.scored_tables import scored_tables
from lookalike.retrieval.settings import MetricsSettings
from lookalike.retrieval.tables import AttributeFiles, two_tables
from lookalike.storage.files import all_whole, json_text, save_parquet, save_text

log = logging.getLogger(__name__)

_PLACE_BYTES = 8  # of a ranked place in rankings.parquet, at the least


def evaluate_files(
    query: Path | NamedColumns,
    gallery: Path | NamedColumns,
    out: Path,
    settings: MetricsSettings,
    *,
    of_training_classes: bool | None = None,
    score: str | None = None,
    query_folder: Path | None = None,
    gallery_folder: Path | None = None,
    device: torch.device | str = "cpu",
    name: str | None = None,
    attributes: AttributeFiles | None = None,
    reranking: Reranking | None = None,
) -> dict[str, Any]:
    """Evaluate two embeddings tables; write metrics.json, per_query.parquet, rankings.parquet.

    All three are written or none is: whatever goes wrong, what was there before stays.

    Args:
        query: embeddings table of the queries (see `lookalike.embedding.tables`), or what
            `lookalike.embedding.array_files` read in place of one.
        gallery: embeddings table of what is searched.
        out: folder to write to.
        settings: how rankings are turned into numbers; `exclude="same_content"` needs a `sha256`
            column in both tables.
        of_training_classes: whether any query is of a class that is trained on; None where that
            is not known.
        score: "cosine" or "euclidean"; None takes what both tables state in their metadata, else
            cosine where all embeddings have length 1.
        query_folder: where the query images lie, for `exclude="same_file"`.
        gallery_folder: where the gallery images lie, for `exclude="same_file"`.
        device: where scores are made and counted, see `lookalike.retrieval.ranking.rank`.
        name: what the log calls what is evaluated.
        attributes: tables of the queries and of the gallery with what `settings.same` and
            `settings.within` name; None where these are columns of the embeddings tables.
        reranking: how to re-rank each query's first items; None leaves them.

    Returns:
        The content of metrics.json.

    Raises:
        LookalikeError: a table cannot be used; the message says which and why.

    """
    require_outputs(out, [*_files_of(query), *_files_of(gallery)])
    folders = (query_folder, gallery_folder)
    queries, items = two_tables(
        query,
        gallery,
        settings.exclude,
        folders,
        same=settings.same,
        within=settings.within,
        attributes=attributes,
    )
    score = choose_score(queries, items, score)
    places = len(queries.ids) * min(max(settings.k), len(items.ids))
    require_room(out, _PLACE_BYTES * places, "the tables of scores", None)
    with Progress("ranking", len(queries.ids) * len(items.ids), "scores") as progress:
        result = evaluate_items(
            queries,
            items,
            score=score,
            settings=settings,
            of_training_classes=of_training_classes,
            on_progress=progress.update,
            device=device,
            reranking=reranking,
        )
    summary = result.summary | scored_tables(queries, items)
    with all_whole([out / name for name in OUTPUTS]) as (per_query, rankings, metrics):
        save_parquet(per_query, result.per_query)
        save_parquet(rankings, result.rankings)
        save_text(metrics, json_text(summary))
    log.info("%s%s", "" if name is None else f"{name}: ", summary_text(summary))
    return summary


def _files_of(source: Path | NamedColumns) -> Sequence[Path]:
    return source.files if isinstance(source, NamedColumns) else [source]
