"""Write how often each gallery image is found."""

from __future__ import annotations

import logging
from pathlib import Path

from lookalike.retrieval.hubness import hubness
from lookalike.storage.files import read_json, write_json
from lookalike.storage.parquet import read_table

log = logging.getLogger(__name__)


def write_hubness(rankings: Path, metrics: Path, output: Path, k: int) -> None:
    """Write hubness.json, see `lookalike.retrieval.hubness.hubness`.

    Args:
        rankings: rankings.parquet.
        metrics: metrics.json beside it.
        output: the file to write.
        k: first places that count; rankings.parquet has as many.

    """
    table = read_table(rankings, ["query_id", "rank", "gallery_id"])
    scored = read_json(metrics, {"n_gallery": int, "settings": dict})
    found = hubness(table, scored["n_gallery"], k)
    if scored["settings"].get("within"):
        # Not every query can find every image: chance is another one for each part of the gallery.
        found |= {"skew_by_chance": None, "never_found_by_chance": None}
    write_json(output, found)
    log.info("skew of N_%d: %s (by chance %s)", k, found["skew"], found["skew_by_chance"])
