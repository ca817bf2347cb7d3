"""Evaluate embeddings tables: read, check, score, and write the numbers."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch

from lookalike.counting import lengths
from lookalike.errors import LookalikeError
from lookalike.files import write_json, write_parquet
from lookalike.guard import require_room
from lookalike.links import resolved_files
from lookalike.progress import Progress
from lookalike.quoting import quoted
from lookalike.relevance import Texts, as_texts, repeated
from lookalike.retrieval import Protocol, evaluate, table_of
from lookalike.streams import Items, require_finite
from lookalike.tables import read_metadata, read_names, read_vectors

log = logging.getLogger(__name__)

_PLACE_BYTES = 8  # of a ranked place in rankings.parquet, at the least

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
    device: torch.device | str = "cpu",
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
        device: where scores are made and counted, see `lookalike.ranking.rank`.

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
    queries = _items(query, exclude, query_folder)
    items = _items(gallery, exclude, gallery_folder)
    widths = [next(iter(side.vectors())).shape[1] for side in (queries, items)]
    if widths[0] != widths[1]:
        raise LookalikeError(
            f"{query} holds embeddings of {widths[0]} values, {gallery} of {widths[1]}; both must "
            "come from one model"
        )
    if exclude == "none":
        _warn_of_itself(queries, items)
    stated = _stated_score(query, gallery)
    score = score or stated or _score_of_unit_norms(queries, items)
    places = len(queries.ids) * min(max(k), len(items.ids))
    require_room(out, _PLACE_BYTES * places, "the tables of scores", None)
    with Progress("ranking", len(queries.ids) * len(items.ids), "scores") as progress:
        result = evaluate(
            queries, items, score=score, protocol=protocol, seen=progress.update, device=device
        )
    write_parquet(out / "per_query.parquet", result.per_query)
    write_parquet(out / "rankings.parquet", result.rankings)
    # Last: where it is, all is.
    write_json(out / "metrics.json", result.summary)
    log.info("%s", table_of(result.summary))
    return result.summary


def _items(path: Path, exclude: str, folder: Path | None) -> Items:
    """A table's names, checked: some rows, every id once; its embeddings are read when needed."""
    digests = ["sha256"] if exclude == "same_content" else []
    names = read_names(path, ["image_id", "label", *digests])
    ids = names["image_id"]
    if len(ids) == 0:
        raise LookalikeError(f"{path}: the table has no rows; there is nothing to evaluate")
    if (twice := repeated(ids)) is not None:
        raise LookalikeError(
            f"{path}: image_id {quoted(twice)} is there twice; each id names one row"
        )
    return Items(
        ids=ids,
        labels=names["label"],
        keys=_exclusion_keys(names, exclude, folder),
        vectors=lambda: read_vectors(path),
        name=str(path),
    )


def _exclusion_keys(
    names: dict[str, pa.StringArray], exclude: str, folder: Path | None
) -> Texts | None:
    """Return what a query and the gallery items it leaves out have in common."""
    if exclude == "none":
        return None
    if exclude == "same_id":
        return names["image_id"]
    if exclude == "same_content":
        return names["sha256"]
    if folder is None:
        raise LookalikeError(
            "exclude: same_file compares image files, so it needs the folders of the query and "
            "gallery images; tables alone can use same_id or same_content"
        )
    return resolved_files(folder, names["image_id"].to_pylist())


def _warn_of_itself(queries: Items, gallery: Items) -> None:
    """Say so where queries may find themselves: one table searched in itself, say."""
    shared = pc.sum(pc.is_in(as_texts(queries.ids), as_texts(gallery.ids))).as_py()
    if shared:
        log.warning(
            "warning: %d of %d queries have the image_id of a gallery item. If that is the same "
            "image, each finds itself first: leave it out with --exclude same_id",
            shared,
            len(queries.ids),
        )


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


def _score_of_unit_norms(queries: Items, gallery: Items) -> str:
    """Cosine where every embedding has length 1."""
    if all([_all_of_unit_length(queries), _all_of_unit_length(gallery)]):  # both are looked at
        return "cosine"
    raise LookalikeError(
        f"{queries.name} and {gallery.name} do not both state their score, and their embeddings "
        "are not of length 1, so it cannot be told what orders the gallery. Say --score cosine "
        "(direction only) or --score euclidean (distance)"
    )


def _all_of_unit_length(items: Items) -> bool:
    unit = True
    for vectors in items.vectors():
        norms = lengths(vectors)
        require_finite(norms, items)
        unit &= bool(np.abs(norms - 1).max() <= _NORM_TOLERANCE)
    return unit
