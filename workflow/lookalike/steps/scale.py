"""Write embeddings whose distances are scaled by those to each image's neighbours."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from lookalike.embedding.transformed import write_transformed
from lookalike.jobs.progress import Progress
from lookalike.retrieval.arrays import Float32s, Values
from lookalike.retrieval.candidates import Candidates
from lookalike.retrieval.local_scaling import bound_of, mean_squared_distances, scaled
from lookalike.retrieval.neighbours import nearest
from lookalike.retrieval.score_choice import choose_score
from lookalike.steps.quantize import width_of
from lookalike.storage.digests import digest_of_file
from lookalike.storage.files import write_json

log = logging.getLogger(__name__)


def scale_distances(
    query: Path,
    gallery: Path,
    outputs: tuple[Path, Path],
    summary: Path,
    settings: Mapping[str, Any],
    candidates: Candidates,
) -> None:
    """Write both tables after local scaling, see `lookalike.retrieval.local_scaling`.

    Args:
        query: embeddings of the queries.
        gallery: embeddings of the gallery.
        outputs: the tables to write, of the queries and of the gallery.
        summary: search.json: `dim` and `bytes_per_image`.
        settings: `k`.
        candidates: which of the gallery may be a neighbour, as in the metrics.

    Raises:
        LookalikeError: the gallery has one image alone.

    """
    asked, searched = candidates.tables(query, gallery)
    score = choose_score(asked, searched, None)
    items = candidates.gallery_in_itself(gallery)
    n_scores = (len(asked.ids) + len(items.ids)) * len(items.ids)
    with Progress("neighbours", n_scores, "scores") as progress:
        of_queries, of_gallery = (
            mean_squared_distances(
                nearest(side, of_side, settings["k"], score, progress.update), score
            )
            for side, of_side in ((asked, searched), (items, items))
        )
    bound = bound_of(of_queries, of_gallery, score)
    width = width_of(gallery) + 2
    # The gallery's distances are part of every score: with another gallery it is another space.
    made_by = ["scaled", settings["k"], digest_of_file(gallery)]
    for source, output, side, of_side in zip(
        (query, gallery), outputs, (asked, searched), (of_queries, of_gallery), strict=True
    ):
        blocks = _scaled(side.vectors(), of_side, bound, score, of_gallery=source is gallery)
        write_transformed(source, output, blocks, width, score="euclidean", made_by=made_by)
    write_json(summary, {"dim": width, "bytes_per_image": 4 * width})


def _scaled(
    vectors: Iterable[Float32s], means: Values, bound: float, score: str, *, of_gallery: bool
) -> Iterator[Float32s]:
    start = 0
    for block in vectors:
        of_block = means[start : start + len(block)]
        yield scaled(block, of_block, bound, score, of_gallery=of_gallery)
        start += len(block)
