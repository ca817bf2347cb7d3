"""The pixels step: the training images are decoded once, into the cache."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa

from lookalike.data.manifest_table import read_manifest, usable
from lookalike.images.pixel_store import filled_pixel_store, too_large
from lookalike.images.resizing import ImageSettings
from lookalike.storage.files import write_parquet


def write_pixels(
    manifest: Path,
    folder: Path,
    output: Path,
    *,
    image: dict[str, Any],
    cache: Path,
    pixel_store_gb: float,
    threads: int,
) -> None:
    """Decode what the cache lacks, unless it would hold too much.

    The index is the same either way: it says which images training sees, not how it gets them.

    Args:
        manifest: manifest/{split}.parquet.
        folder: of the split's images.
        output: the index: the SHA-256 of each distinct content.
        image: image settings.
        cache: the cache folder.
        pixel_store_gb: the largest store that is made.
        threads: images decoded side by side.
    """
    table = usable(read_manifest(manifest))
    settings = ImageSettings.from_dict(image)
    if not too_large(table, settings, cache, pixel_store_gb):
        filled_pixel_store(table, folder, settings, cache, threads)
    hashes = sorted(set(table["sha256"].to_pylist()))
    write_parquet(output, pa.table({"sha256": pa.array(hashes, pa.string())}))
