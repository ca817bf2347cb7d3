"""Decoding images once: network-sized pixels, kept by content."""

from __future__ import annotations

import hashlib
import logging
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import PIL
import pyarrow as pa
from numpy.typing import NDArray

from lookalike.code import modules_digest
from lookalike.digests import digest_of
from lookalike.errors import LookalikeError
from lookalike.files import write_parquet
from lookalike.images import ImageSettings, load_pixels
from lookalike.manifest_table import read_manifest, usable
from lookalike.progress import Progress
from lookalike.store import Store

log = logging.getLogger(__name__)

# A kill loses at most one chunk's work; a chunk of 224-pixel images is 77 MB.
CHUNK_IMAGES = 512


def decoded(
    paths: Sequence[tuple[str, Path]], settings: ImageSettings, threads: int
) -> Iterator[tuple[str, NDArray[np.uint8]]]:
    """Decode images in order, a little ahead of the reader.

    Args:
        paths: (SHA-256 by the manifest, file) of each image.
        settings: how an image becomes pixels.
        threads: images decoded side by side; Pillow releases the interpreter's lock.

    Yields:
        (SHA-256, uint8 [size, size, 3]).

    Raises:
        LookalikeError: a file is not the one that the manifest saw.
    """

    def decode(entry: tuple[str, Path]) -> tuple[str, NDArray[np.uint8]]:
        sha256, path = entry
        try:
            content = path.read_bytes()
        except OSError as error:
            raise LookalikeError(f"{path}: cannot be read: {error.strerror}") from error
        if hashlib.sha256(content).hexdigest() != sha256:
            raise LookalikeError(
                f"{path}: changed since the manifest was made; run again"
                " (with --forcerun manifest where data.watch_images is false)"
            )
        return sha256, load_pixels(content, settings)

    entries = iter(paths)
    with ThreadPoolExecutor(threads) as pool:
        ahead = deque(pool.submit(decode, entry) for entry in islice(entries, 4 * threads))
        try:
            while ahead:
                result = ahead.popleft().result()
                ahead.extend(pool.submit(decode, entry) for entry in islice(entries, 1))
                yield result
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def pixel_store(cache: Path, settings: ImageSettings) -> Store:
    """The store of images decoded by these settings and this code: uint8 [size, size, 3]."""
    shape = (settings.size, settings.size, 3)
    reader = [modules_digest("decoding", "images"), PIL.__version__]
    folder = cache / "pixels" / digest_of([settings.pixel_digest, *reader])
    return Store(folder, shape, np.dtype(np.uint8))


def names_by_content(table: pa.Table) -> dict[str, str]:
    """The name of one file for each distinct content of a manifest's usable rows."""
    return dict(zip(table["sha256"].to_pylist(), table["image_id"].to_pylist(), strict=True))


def filled_pixel_store(
    manifest: pa.Table, folder: Path, settings: ImageSettings, cache: Path, threads: int
) -> Store:
    """The store of decoded images, after decoding what it lacks of a manifest's images.

    Args:
        manifest: the usable rows of a split's manifest.
        folder: of the split's images.
        settings: how an image becomes pixels.
        cache: the cache folder.
        threads: images decoded side by side.
    """
    store = pixel_store(cache, settings)
    names = names_by_content(manifest)
    missing = store.missing(names)
    todo = decoded([(key, folder / names[key]) for key in missing], settings, threads)
    with Progress("decoding", len(missing)) as progress:
        while chunk := list(islice(todo, CHUNK_IMAGES)):
            keys, rows = zip(*chunk, strict=True)
            store.add(keys, np.stack(rows))
            progress.update(len(chunk))
    log.info(
        "pixels: %d images, %d from the cache, %d decoded",
        len(names),
        len(names) - len(missing),
        len(missing),
    )
    return store


def write_pixels(
    manifest: Path,
    folder: Path,
    output: Path,
    *,
    image: dict[str, Any],
    cache: Path,
    threads: int,
) -> None:
    """The pixels step: decode what the cache lacks, and write which images it holds.

    Args:
        manifest: manifest/{split}.parquet.
        folder: of the split's images.
        output: the index: the SHA-256 of each distinct content that the cache now holds.
        image: image settings.
        cache: the cache folder.
        threads: images decoded side by side.
    """
    table = usable(read_manifest(manifest))
    filled_pixel_store(table, folder, ImageSettings.from_dict(image), cache, threads)
    hashes = sorted(set(table["sha256"].to_pylist()))
    write_parquet(output, pa.table({"sha256": pa.array(hashes, pa.string())}))
