"""Score a run after re-ranking each query's first gallery images."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lookalike.retrieval.reranking import Reranking
from lookalike.retrieval.settings import MetricsSettings
from lookalike.retrieval.tables import AttributeFiles, Folders
from lookalike.steps.metrics import evaluate_files


def rerank(
    query: Path,
    gallery: Path,
    out: Path,
    metrics: Mapping[str, Any],
    settings: Mapping[str, Any],
    folders: Folders,
    *,
    of_training_classes: bool | None = None,
    attributes: AttributeFiles | None = None,
    name: str | None = None,
) -> None:
    """Write metrics.json, per_query.parquet and rankings.parquet of the re-ranked gallery.

    Args:
        query: embeddings of the queries.
        gallery: embeddings of the gallery.
        out: folder to write to.
        metrics: the settings of that name.
        settings: `first`, `k1`, `k2` and `lambda`, see `lookalike.retrieval.reranking`.
        folders: of the query and gallery images.
        of_training_classes: see `evaluate_files`, and what follows likewise.
        attributes: of the queries and of the gallery.
        name: what the log calls it.

    """
    evaluate_files(
        query,
        gallery,
        out,
        MetricsSettings.of_config(metrics),
        of_training_classes=of_training_classes,
        query_folder=folders[0],
        gallery_folder=folders[1],
        attributes=attributes,
        name=name,
        reranking=Reranking(
            settings["first"], settings["k1"], settings["k2"], float(settings["lambda"])
        ),
    )
