"""Join each gallery image by those that are nearest to it."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lookalike.retrieval.candidates import Candidates
from lookalike.retrieval.neighbours import lenders, part_of
from lookalike.retrieval.score_choice import choose_score
from lookalike.steps.expand import join_nearest
from lookalike.storage.files import write_json

log = logging.getLogger(__name__)


def augment_gallery(
    query: Path,
    gallery: Path,
    output: Path,
    summary: Path,
    settings: Mapping[str, Any],
    candidates: Candidates,
) -> None:
    """Write the gallery's embeddings after augmentation, see `lookalike.retrieval.expansion`.

    An image that some query leaves out as being itself joins no other.

    Args:
        query: embeddings of the queries.
        gallery: embeddings of the gallery.
        output: the table to write.
        summary: search.json: `dim`, `bytes_per_image`, how many neighbours were `joined` to an
            image, in the mean, and from how many images these were taken (`lenders`).
        settings: `k` and `alpha`.
        candidates: which of the gallery may be a neighbour, as in the metrics.

    """
    asked, searched = candidates.tables(query, gallery)
    score = choose_score(asked, searched, None)
    free = lenders(asked, searched)
    if not free.any():
        log.warning(
            "warning: every gallery image is a query, too: none may join another, so augmentation "
            "changes nothing"
        )
    items = candidates.gallery_in_itself(gallery)
    source = part_of(items, free)
    facts = join_nearest(gallery, output, items, source, settings, score)
    write_json(summary, facts | {"lenders": int(free.sum())})
    log.info(
        "%d gallery images, each joined by %.1f of %d", len(items.ids), facts["joined"], free.sum()
    )
