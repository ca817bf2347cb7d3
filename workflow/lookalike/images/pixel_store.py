"""Decoding images once: network-sized pixels, kept by content."""

from __future__ import annotations

import logging
from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import PIL
import pyarrow as pa
from numpy.typing import NDArray

from lookalike.errors import LookalikeError
from lookalike.images.limits import MAX_BYTES
from lookalike.images.resizing import ImageSettings, load_pixels
from lookalike.jobs.lookahead import map_ahead
from lookalike.jobs.preflight import require_room
from lookalike.jobs.progress import Progress
from lookalike.provenance import module_digest
from lookalike.storage.digests import digest_of
from lookalike.storage.files import content_of
from lookalike.storage.row_store import Store
from lookalike.storage.rows import Rows, RowSource
from lookalike.text import shown_path

log = logging.getLogger(__name__)

PIXEL_READERS = ("images.resizing",)
"""The code that pixels come from, beside the file and the settings."""

# A kill loses at most one chunk's work.
CHUNK_IMAGES, CHUNK_BYTES = 512, 64 * 10**6


def decoded(
    paths: Iterable[tuple[str, Path]], settings: ImageSettings, threads: int
) -> Generator[tuple[str, NDArray[np.uint8]], None, None]:
    """Decode images in order, a little ahead of the reader.

    Args:
        paths: (SHA-256 by the manifest, file) of each image.
        settings: how an image becomes pixels.
        threads: images decoded side by side; Pillow releases the interpreter's lock.

    Returns:
        A generator of (SHA-256, uint8 [size, size, 3]). It raises LookalikeError where a file is
        not the one that the manifest saw.
    """

    def decode(entry: tuple[str, Path]) -> tuple[str, NDArray[np.uint8]]:
        sha256, path = entry
        try:
            # One that has grown beyond what is read is not the one that was scanned.
            content = content_of(path, sha256, MAX_BYTES)
        except OSError as error:
            raise LookalikeError(f"{shown_path(path)}: cannot be read: {error.strerror}") from error
        if content is None:
            raise LookalikeError(
                f"{shown_path(path)}: changed since the manifest was made; run again"
                " (with --forcerun manifest where data.watch_images is false). Should that say the "
                "same, the file kept its size and time: touch it first"
            )
        return sha256, load_pixels(content, settings)

    return map_ahead(decode, paths, threads=threads, ahead=4 * threads)


def pixel_store(cache: Path, settings: ImageSettings) -> Store:
    """The store of images decoded by these settings and this code: uint8 [size, size, 3]."""
    shape = (settings.size, settings.size, 3)
    reader = [module_digest(*PIXEL_READERS, step="pixels"), PIL.__version__]
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
    n_bytes = len(missing) * store.row_bytes
    require_room(
        cache,
        n_bytes,
        f"{len(missing):,} decoded images",
        "cache",
        f"set image.pixel_store_gb below {n_bytes / 1e9:.2g} to decode them in each epoch, ",
    )
    todo = decoded([(key, folder / names[key]) for key in missing], settings, threads)
    at_once = max(1, min(CHUNK_IMAGES, CHUNK_BYTES // (settings.size**2 * 3)))
    with Progress("decoding", len(missing)) as progress:
        while chunk := list(islice(todo, at_once)):
            keys, rows = zip(*chunk, strict=True)
            store.add(keys, np.stack(rows))
            progress.update(len(chunk))
    store.remember()
    log.info(
        "pixels: %d images, %d from the cache, %d decoded",
        len(names),
        len(names) - len(missing),
        len(missing),
    )
    return store


@dataclass(frozen=True)
class DecodedRows:
    """Images that are decoded anew whenever they are asked for; a RowSource.

    Attributes:
        files: (SHA-256 by the manifest, file) of each row.
        settings: how an image becomes pixels.
        threads: images decoded side by side.
    """

    files: Sequence[tuple[str, Path]]
    settings: ImageSettings
    threads: int

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of rows, then the shape of one: size, size, 3."""
        return len(self.files), self.settings.size, self.settings.size, 3

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, rows: Any, /) -> Rows:
        """Decode rows, each file once; LookalikeError where one is not what the manifest saw."""
        # Of a slice or a mask, the numbers of its rows.
        whole_numbers = isinstance(rows, np.ndarray) and rows.dtype != np.bool_
        wanted_rows = rows if whole_numbers else np.arange(len(self))[rows]
        numbers, inverse = np.unique(wanted_rows, return_inverse=True)
        out = np.empty((len(numbers), *self.shape[1:]), np.uint8)
        wanted = (self.files[number] for number in numbers)
        for place, (_, values) in enumerate(decoded(wanted, self.settings, self.threads)):
            out[place] = values
        return out[inverse]


def store_gb(manifest: pa.Table, settings: ImageSettings) -> float:
    """Size in GB of the decoded images of a manifest's usable rows, each content once."""
    return len(set(manifest["sha256"].to_pylist())) * settings.size**2 * 3 / 1e9


def training_pixels(
    manifest: pa.Table,
    folder: Path,
    settings: ImageSettings,
    cache: Path,
    threads: int,
    pixel_store_gb: float,
) -> RowSource:
    """The pixels of each row of a manifest: from the store, or decoded anew where it is too large.

    Args:
        manifest: the usable rows of a split's manifest.
        folder: of the split's images.
        settings: how an image becomes pixels.
        cache: the cache folder.
        threads: images decoded side by side.
        pixel_store_gb: the largest store that is made.

    Returns:
        uint8 rows [size, size, 3], the same either way; none of them is in memory.
    """
    hashes: list[str] = manifest["sha256"].to_pylist()
    if too_large(manifest, settings, cache, pixel_store_gb):
        names = manifest["image_id"].to_pylist()
        files = [(key, folder / name) for key, name in zip(hashes, names, strict=True)]
        return DecodedRows(files, settings, threads)
    return filled_pixel_store(manifest, folder, settings, cache, threads).rows(hashes)


def too_large(
    manifest: pa.Table, settings: ImageSettings, cache: Path, pixel_store_gb: float
) -> bool:
    """Whether a manifest's images are more than the store may hold, and not yet there; says so."""
    size = store_gb(manifest, settings)
    if size <= pixel_store_gb or not pixel_store(cache, settings).missing(
        manifest["sha256"].to_pylist()
    ):
        return False
    log.info(
        "the training images would take %.3g GB decoded, more than image.pixel_store_gb (%g), so "
        "training decodes the files again in each epoch; a larger image.pixel_store_gb avoids it",
        size,
        pixel_store_gb,
    )
    return True
