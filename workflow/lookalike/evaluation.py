"""Evaluate embeddings tables: read, check, score, and write the numbers."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lookalike.errors import LookalikeError
from lookalike.files import write_json, write_parquet
from lookalike.links import resolved_files
from lookalike.ranking import Block, norms, require_finite
from lookalike.retrieval import Protocol, evaluate, table_of
from lookalike.tables import Rows, read_blocks, read_metadata

log = logging.getLogger(__name__)

# Queries ranked at once: their scores against the whole gallery are in memory together.
_QUERY_ROWS = 256
_GALLERY_ROWS = 8192
_NORM_TOLERANCE = 1e-3


def evaluate_files(
    query: Path,
    gallery: Path,
    out: Path,
    *,
    k: Sequence[int],
    no_relevant: str,
    exclude: str,
    bootstrap: int,
    bootstrap_unit: str,
    seed: int = 0,
    score: str | None = None,
    query_folder: Path | None = None,
    gallery_folder: Path | None = None,
) -> dict[str, Any]:
    """Evaluate two embeddings tables; write metrics.json, per_query.parquet, rankings.parquet.

    Args:
        query: embeddings table of the queries (see `lookalike.tables`).
        gallery: embeddings table of what is searched.
        out: folder to write to.
        k: as the other settings, see `Protocol`.
        no_relevant: see `Protocol`.
        exclude: see `Protocol`; `same_content` needs a `sha256` column in both tables.
        bootstrap: see `Protocol`.
        bootstrap_unit: see `Protocol`.
        seed: see `Protocol`.
        score: "cosine" or "euclidean"; None takes what both tables state in their metadata, else
            cosine where all embeddings have length 1.
        query_folder: where the query images lie, for `exclude="same_file"`.
        gallery_folder: where the gallery images lie, for `exclude="same_file"`.

    Returns:
        The content of metrics.json.

    Raises:
        LookalikeError: a table or setting cannot be used; the message says which and why.

    """
    protocol = Protocol(
        k=k,
        no_relevant=no_relevant,
        exclude=exclude,
        bootstrap=bootstrap,
        bootstrap_unit=bootstrap_unit,
        seed=seed,
    )
    if out.exists() and not out.is_dir():
        raise LookalikeError(f"{out}: is a file; --out takes a folder, which is made if need be")
    queries = _load(query, exclude, query_folder, _QUERY_ROWS)
    items = _load(gallery, exclude, gallery_folder, _GALLERY_ROWS)
    widths = [blocks[0].vectors.shape[1] for blocks in (queries, items)]
    if widths[0] != widths[1]:
        raise LookalikeError(
            f"{query} holds embeddings of {widths[0]} values, {gallery} of {widths[1]}; both must "
            "come from one model"
        )
    stated = _stated_score(query, gallery)
    score = score or stated or _score_of_unit_norms(query, gallery, queries + items)
    result = evaluate(queries, lambda: items, score=score, protocol=protocol)
    write_json(out / "metrics.json", result.summary)
    write_parquet(out / "per_query.parquet", result.per_query)
    write_parquet(out / "rankings.parquet", result.rankings)
    log.info("%s", table_of(result.summary))
    return result.summary


def _load(path: Path, exclude: str, folder: Path | None, rows: int) -> list[Block]:
    """Read a table as blocks, checked: some rows, every id once, every value finite."""
    blocks = [
        Block(part.image_ids, part.labels, part.vectors, _exclusion_keys(part, exclude, folder))
        for part in read_blocks(path, rows=rows, sha256=exclude == "same_content")
    ]
    if not blocks:
        raise LookalikeError(f"{path}: the table has no rows; there is nothing to evaluate")
    seen: set[str] = set()
    for name in (name for block in blocks for name in block.ids):
        if name in seen:
            raise LookalikeError(f"{path}: image_id '{name}' is there twice; each id names one row")
        seen.add(name)
    require_finite(blocks, str(path))
    return blocks


def _exclusion_keys(rows: Rows, exclude: str, folder: Path | None) -> list[str] | None:
    """Return what a query and the gallery items it leaves out have in common."""
    if exclude == "none":
        return None
    if exclude == "same_id":
        return rows.image_ids
    if exclude == "same_content":
        return rows.sha256s
    if folder is None:
        raise LookalikeError(
            "exclude: same_file compares image files, so it needs the folders of the query and "
            "gallery images; tables alone can use same_id or same_content"
        )
    return resolved_files(folder, rows.image_ids)


def _stated_score(query: Path, gallery: Path) -> str | None:
    """The score that both tables state, None where one does not; refuse tables of two models."""
    stated = [read_metadata(path) for path in (query, gallery)]
    for key, meaning in (("model_digest", "model"), ("score", "score")):
        first, second = (metadata.get(key) for metadata in stated)
        if first and second and first != second:
            raise LookalikeError(
                f"{query} and {gallery} were not made for one another: the {meaning} is {first} "
                f"in one and {second} in the other. Embed both with one model"
            )
    return stated[0].get("score") if stated[1].get("score") else None


def _score_of_unit_norms(query: Path, gallery: Path, blocks: list[Block]) -> str:
    """Cosine where every embedding has length 1."""
    if all(np.abs(norms(block.vectors) - 1).max() <= _NORM_TOLERANCE for block in blocks):
        return "cosine"
    raise LookalikeError(
        f"{query} and {gallery} do not both state their score, and their embeddings are not of "
        "length 1, so it cannot be told what orders the gallery. Say --score cosine (direction "
        "only) or --score euclidean (distance)"
    )
