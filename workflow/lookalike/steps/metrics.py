"""Evaluate embeddings tables: read, check, score, and write the numbers."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from numpy.typing import NDArray

from lookalike.data.links import resolved_files
from lookalike.embedding.tables import (
    is_exact_in_float32,
    read_metadata,
    read_names,
    read_numbers,
    read_vectors,
)
from lookalike.errors import LookalikeError
from lookalike.jobs.preflight import require_room
from lookalike.jobs.progress import Progress
from lookalike.retrieval.counting import lengths
from lookalike.retrieval.evaluation import Protocol, evaluate, table_of
from lookalike.retrieval.relevance import Texts, as_texts, repeated
from lookalike.retrieval.rounding import REMEDY, lost_in_float32, sampled
from lookalike.retrieval.scores import SCORES
from lookalike.retrieval.streams import Items, require_finite
from lookalike.storage.files import all_whole, json_text, save_parquet, save_text
from lookalike.text import quoted, shown_path, visible

log = logging.getLogger(__name__)

_PLACE_BYTES = 8  # of a ranked place in rankings.parquet, at the least

_NORM_TOLERANCE = 1e-3
# Share of neighbours in the order that rounding to float32 may make equal, or turn round, untold.
_LOST = 0.01

OUTPUTS = ("per_query.parquet", "rankings.parquet", "metrics.json")
"""What is written; metrics.json is the last, so where it is, all is."""


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

    All three are written or none is: whatever goes wrong, what was there before stays.

    Args:
        query: embeddings table of the queries (see `lookalike.embedding.tables`).
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
        device: where scores are made and counted, see `lookalike.retrieval.ranking.rank`.

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
    require_outputs(out, (query, gallery))
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
    if exclude in ("same_id", "same_content"):
        _tell_what_is_left_out(queries, items, exclude)
    stated = _stated_score(query, gallery)
    exact = is_exact_in_float32(query) and is_exact_in_float32(gallery)
    if not (stated and exact):
        score = _score_by_lengths(queries, items, score or stated)
    score = score or stated or "cosine"
    if not exact:
        _warn_of_rounding(query, gallery, score, (len(queries.ids), len(items.ids)))
    places = len(queries.ids) * min(max(k), len(items.ids))
    require_room(out, _PLACE_BYTES * places, "the tables of scores", None)
    with Progress("ranking", len(queries.ids) * len(items.ids), "scores") as progress:
        result = evaluate(
            queries, items, score=score, protocol=protocol, seen=progress.update, device=device
        )
    with all_whole([out / name for name in OUTPUTS]) as (per_query, rankings, metrics):
        save_parquet(per_query, result.per_query)
        save_parquet(rankings, result.rankings)
        save_text(metrics, json_text(result.summary))
    log.info("%s", table_of(result.summary))
    return result.summary


def _items(path: Path, exclude: str, folder: Path | None) -> Items:
    """A table's names, checked: some rows, every id once; its embeddings are read when needed."""
    digests = ["sha256"] if exclude == "same_content" else []
    names = read_names(path, ["image_id", "label", *digests])
    ids = names["image_id"]
    if len(ids) == 0:
        raise LookalikeError(
            f"{shown_path(path)}: the table has no rows; there is nothing to evaluate"
        )
    if (twice := repeated(ids)) is not None:
        raise LookalikeError(
            f"{shown_path(path)}: image_id {quoted(twice)} is there twice; each id names one row"
        )
    for column, values in names.items():
        _require_visible(path, column, values, ids)
    return Items(
        ids=ids,
        labels=names["label"],
        keys=_exclusion_keys(names, exclude, folder),
        vectors=lambda: read_vectors(path),
        name=str(path),
    )


def _require_visible(path: Path, column: str, values: pa.StringArray, ids: pa.StringArray) -> None:
    """Refuse texts of which nothing can be seen, as the workflow does; a name may be blanks."""
    blank = [
        text
        for text in values.unique().to_pylist()
        if not (text if column == "image_id" else visible(text).strip())
    ]
    if blank:
        rows = pc.is_in(values, value_set=pa.array(blank, pa.string()))
        first = str(ids[pc.index(rows, value=True).as_py()])
        raise LookalikeError(
            f"{shown_path(path)}: column '{column}' is empty or blank in {pc.sum(rows).as_py()} "
            f"row(s), the first is of image {quoted(first)}. Each row needs one; leave "
            "such rows out"
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
    score = stated[0].get("score") if stated[1].get("score") else None
    if score is not None and score not in SCORES:
        raise LookalikeError(
            f"{shown_path(query)}: its metadata says that the score is {quoted(str(score))}, which "
            f"is not one of {', '.join(SCORES)}; it is damaged, or of another version"
        )
    return score


def _tell_what_is_left_out(queries: Items, gallery: Items, exclude: str) -> None:
    """Say how many queries leave something out; warn where ids were to match and none does."""
    there = pc.sum(pc.is_in(as_texts(queries.keys or []), as_texts(gallery.keys or []))).as_py()
    if there or exclude != "same_id":
        log.info(
            "exclude: %s leaves something out for %d of %d queries",
            exclude,
            there or 0,
            len(queries.ids),
        )
        return
    log.warning(
        "warning: exclude: same_id leaves out nothing: no query has the image_id of a gallery "
        "item. The queries are called %s, the gallery's items %s. If they are the same images, "
        "write their ids alike (a reader of CSV takes 0001 for the number 1)",
        *(", ".join(quoted(str(name)) for name in side.ids[:3]) for side in (queries, gallery)),
    )


def _score_by_lengths(queries: Items, gallery: Items, score: str | None) -> str:
    """The score, cosine where none is said and every embedding has length 1."""
    sides = [(items, _lengths_of(items)) for items in (queries, gallery)]  # both are looked at
    if score is None and not all(found.are_one for _, found in sides):
        raise LookalikeError(
            f"{queries.name} and {gallery.name} do not both state their score, and their "
            "embeddings are not of length 1, so it cannot be told what orders the gallery. Say "
            "--score cosine (direction only) or --score euclidean (distance)"
            + "".join(_odd_ones(items, found) for items, found in sides)
        )
    for items, found in sides:
        if score == "cosine" and len(found.zero):
            log.warning(
                "warning: %s: the embeddings of %d image(s) are zero and have no direction; their "
                "cosine with everything is 0: %s",
                items.name,
                len(found.zero),
                _named(items, found.zero),
            )
    return score or "cosine"


@dataclass(frozen=True)
class _Lengths:
    """Which embeddings are not of length 1, and which are zero: int64 [n] each; and their number.

    The lengths are those of `other`.
    """

    other: NDArray[np.int64]
    lengths: NDArray[np.float64]
    zero: NDArray[np.int64]
    number: int

    @property
    def are_one(self) -> bool:
        return len(self.other) == 0


def _lengths_of(items: Items) -> _Lengths:
    norms = np.empty(len(items.ids))
    start = 0
    for vectors in items.vectors():
        found = lengths(vectors)
        require_finite(found, items)
        norms[start : start + len(found)] = found
        start += len(found)
    other = np.flatnonzero(np.abs(norms - 1) > _NORM_TOLERANCE)
    return _Lengths(other, norms[other], np.flatnonzero(norms == 0), len(norms))


def _odd_ones(items: Items, found: _Lengths) -> str:
    """Name the few embeddings that are not as the others."""
    if found.are_one or len(found.other) > max(1, found.number // 10):
        return ""
    return (
        f". In {items.name} all have length 1 but {len(found.other)} of {found.number}: "
        f"{_named(items, found.other)} (length {found.lengths[0]:.4g}"
        f"{', ...' if len(found.other) > 1 else ''})"
    )


def _named(items: Items, rows: NDArray[np.int64]) -> str:
    names = [quoted(str(items.ids[row])) for row in rows[:5].tolist()]
    return ", ".join(names) + (", ..." if len(rows) > 5 else "")


def _warn_of_rounding(query: Path, gallery: Path, score: str, sizes: tuple[int, int]) -> None:
    """Say so where what tells embeddings apart is lost when they are taken as float32."""
    some_queries, some_items = (
        sampled(read_numbers(path), n_rows, at_most)
        for path, n_rows, at_most in zip((query, gallery), sizes, (64, 2048), strict=True)
    )
    lost = lost_in_float32(some_queries, some_items, score)
    if lost.tied + lost.swapped < _LOST:
        return
    log.warning(
        "warning: %s and %s are taken as float32, which is too coarse for them: of gallery items "
        "next to one another by their own numbers, %.0f%% become ties and %.0f%% change places. %s",
        shown_path(query),
        shown_path(gallery),
        100 * lost.tied,
        100 * lost.swapped,
        REMEDY[score],
    )


def require_outputs(out: Path, inputs: Sequence[Path]) -> None:
    """See that the outputs can be made in `out`, before any work; nothing is made.

    Raises:
        LookalikeError: `out` is no folder or cannot be written, a folder has an output's name, or
            an output would take the place of an input.

    """
    sources = list(map(_real, inputs))
    try:
        if out.exists() and not out.is_dir():
            raise LookalikeError(
                f"{shown_path(out)}: is a file; --out takes a folder, which is made if need be"
            )
        place = out.absolute()
        while not os.path.lexists(place):
            place = place.parent
        if not place.is_dir():
            raise LookalikeError(
                f"{shown_path(out)}: cannot be made: {shown_path(place)} is not a folder"
            )
        if not os.access(place, os.W_OK | os.X_OK):
            raise LookalikeError(
                f"{shown_path(out)}: cannot be written: no permission in {shown_path(place)}"
            )
        for name in OUTPUTS:
            if (out / name).is_dir():
                raise LookalikeError(
                    f"{shown_path(out / name)}: is a folder where a file is to be written; move it "
                    "away, or name another --out"
                )
            for table, into in zip(inputs, sources, strict=True):
                if into in ((out / name).resolve(), *(out / name).resolve().parents):
                    raise LookalikeError(
                        f"{shown_path(table)}: would be overwritten, or written into, by the "
                        "results; name another --out"
                    )
    except (OSError, ValueError, RuntimeError) as error:  # too long a name, NUL, links in a circle
        why = getattr(error, "strerror", None) or str(error)
        raise LookalikeError(f"{shown_path(out)}: cannot be written: {why}") from error


def _real(table: Path) -> Path:
    """Where a table lies, links followed."""
    try:
        return table.resolve()
    except (OSError, ValueError, RuntimeError) as error:  # as in `require_outputs`
        why = getattr(error, "strerror", None) or str(error)
        raise LookalikeError(f"{shown_path(table)}: cannot be read: {why}") from error
