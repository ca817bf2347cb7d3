"""Which score orders the gallery, and whether the embeddings are fit for it."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import LookalikeError
from lookalike.retrieval.counting import lengths
from lookalike.retrieval.rounding import REMEDY, lost_in_float32, sampled
from lookalike.retrieval.scores import SCORES
from lookalike.retrieval.streams import Items, require_finite_lengths
from lookalike.retrieval.tables import EmbeddingTable
from lookalike.text import quoted, shown_path

log = logging.getLogger(__name__)

_NORM_TOLERANCE = 1e-3
# Share of neighbours in the order that rounding to float32 may make equal, or turn round, untold.
_LOST = 0.01


def choose_score(queries: EmbeddingTable, gallery: EmbeddingTable, score: str | None) -> str:
    """The score that orders the gallery; says so where embeddings are not fit for it.

    Args:
        queries: the queries.
        gallery: what is searched.
        score: the score that was asked for; None takes what both tables state in their metadata,
            else cosine where all embeddings have length 1.

    Raises:
        LookalikeError: the tables were made by two models, or it cannot be told which score.

    """
    stated = _stated_score(queries, gallery)
    exact = queries.is_exact() and gallery.is_exact()
    if not (stated and exact):
        score = _score_by_lengths(queries, gallery, score or stated)
    score = score or stated or "cosine"
    if not exact:
        _warn_of_rounding(queries, gallery, score)
    return score


def _stated_score(queries: EmbeddingTable, gallery: EmbeddingTable) -> str | None:
    """The score that both tables state, None where one does not; refuse tables of two models."""
    stated = [table.metadata() for table in (queries, gallery)]
    for key, meaning in (("model_digest", "model"), ("score", "score")):
        first, second = (metadata.get(key) for metadata in stated)
        if first and second and first != second:
            raise LookalikeError(
                f"{queries.name} and {gallery.name} were not made for one another: the {meaning} "
                f"is {first} in one and {second} in the other. Embed both with one model"
            )
    score = stated[0].get("score") if stated[1].get("score") else None
    if score is not None and score not in SCORES:
        raise LookalikeError(
            f"{shown_path(queries.name)}: its metadata says that the score is "
            f"{quoted(str(score))}, which is not one of {', '.join(SCORES)}; it is damaged, or of "
            "another version"
        )
    return score


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
        require_finite_lengths(found, items)
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


def _warn_of_rounding(queries: EmbeddingTable, gallery: EmbeddingTable, score: str) -> None:
    """Say so where what tells embeddings apart is lost when they are taken as float32."""
    some_queries, some_items = (
        sampled(table.numbers(), len(table.ids), at_most)
        for table, at_most in ((queries, 64), (gallery, 2048))
    )
    lost = lost_in_float32(some_queries, some_items, score)
    if lost.tied + lost.swapped < _LOST:
        return
    log.warning(
        "warning: %s and %s are taken as float32, which is too coarse for them: of gallery items "
        "next to one another by their own numbers, %.0f%% become ties and %.0f%% change places. %s",
        shown_path(queries.name),
        shown_path(gallery.name),
        100 * lost.tied,
        100 * lost.swapped,
        REMEDY[score],
    )
