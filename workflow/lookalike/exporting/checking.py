"""Whether exported models embed as the workflow does."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lookalike.embedding.tables import read_vectors
from lookalike.errors import BadImageError, LookalikeError
from lookalike.images.decoding import open_rgb
from lookalike.images.resizing import ImageSettings, load_pixels
from lookalike.jobs.progress import Progress
from lookalike.searching.chosen_run import SearchedRun, read_gallery_names
from lookalike.searching.image_files import ImageFile, content_to_decode
from lookalike.text import shown, shown_path

log = logging.getLogger(__name__)

MOST_DIFFERENT = 1e-4
"""By how much of its length a number of an embedding may differ, from the same pixels."""

LEAST_COSINE = 0.999
"""How near embeddings must be where the model resizes."""

N_CHECKED = 200
"""Gallery images that are looked at, evenly spread over the gallery."""

Embed = Callable[[NDArray[np.uint8]], NDArray[np.float32]]
"""From uint8 [n, height, width, 3] to float32 [n, d]."""


@dataclass(frozen=True)
class Agreement:
    """How well two models agreed with the workflow.

    Attributes:
        n_images: how many images they were given.
        difference: the largest difference of a number, by `difference_of`, from resized pixels.
        differing: the image that it was found with.
        cosine: the smallest cosine, by `cosine_of`, from whole images.
        turned: the image that it was found with.
    """

    n_images: int
    difference: float
    differing: str
    cosine: float
    turned: str

    def require_within(self) -> None:
        """Raise LookalikeError where they differ by more than rounding explains."""
        # Written so that what is not a number is refused.
        if not self.difference <= MOST_DIFFERENT:
            raise LookalikeError(
                f"from resized pixels, embeddings differ by {self.difference:.1e}, above "
                f"{MOST_DIFFERENT:g} (worst: {shown(self.differing)}). Nothing was written; "
                "without --check the models are written all the same"
            )
        if not self.cosine >= LEAST_COSINE:
            raise LookalikeError(
                f"from whole images, the cosine of embeddings is {self.cosine:.6f}, below "
                f"{LEAST_COSINE:g} (worst: {shown(self.turned)}). Nothing was written; without "
                "--check the models are written all the same, of which the one that takes resized "
                "pixels is exact"
            )


def difference_of(found: NDArray[np.float32], expected: NDArray[np.float32]) -> float:
    """The largest difference between two vectors' numbers, as a share of the second's length."""
    length = float(np.linalg.norm(expected.astype(np.float64))) or 1.0
    return float(np.abs(found.astype(np.float64) - expected).max()) / length


def cosine_of(found: NDArray[np.float32], expected: NDArray[np.float32]) -> float:
    """The cosine between two vectors; 1 where both are zero, 0 where one is."""
    first, second = found.astype(np.float64), expected.astype(np.float64)
    lengths = float(np.linalg.norm(first) * np.linalg.norm(second))
    if lengths == 0:
        return float(not first.any() and not second.any())
    return float(first @ second) / lengths


def check_on_gallery(
    run: SearchedRun, results: Path, of_pixels: Embed, of_images: Embed, at_most: int = N_CHECKED
) -> Agreement:
    """Embed gallery images of a run, and compare with its table of embeddings.

    Images whose file is gone, or another one by now, are left out and counted.

    Args:
        run: whose gallery it is; it says where its images lie.
        results: the results folder.
        of_pixels: the model that takes images as the workflow resizes them.
        of_images: the model that takes images decoded whole.
        at_most: how many images, evenly spread over the gallery.

    Raises:
        LookalikeError: there is no image to check with, or a file is damaged.
    """
    names = read_gallery_names(run, results)
    folder = run.places.get("gallery")
    if folder is None:
        raise LookalikeError(
            f"{shown_path(results)}: it is not noted where the gallery's images lie; name their "
            "folder by --gallery-folder"
        )
    n_gallery = len(names["image_id"])
    rows = np.unique(np.linspace(0, n_gallery - 1, min(at_most, n_gallery)).astype(np.int64))
    image = ImageSettings.from_dict(run.model["image"])
    differences: list[tuple[float, str]] = []
    cosines: list[tuple[float, str]] = []
    with Progress("checking", len(rows)) as progress:
        for row, expected in zip(rows.tolist(), _vectors_at(run.gallery, rows), strict=True):
            progress.update(1)
            name = str(names["image_id"][row])
            content = _content_if_same(folder / name, name, str(names["sha256"][row]))
            if content is None:
                continue
            pixels = load_pixels(content, image)
            whole = np.array(open_rgb(content, image.background))
            differences.append((difference_of(of_pixels(pixels[None])[0], expected), name))
            cosines.append((cosine_of(of_images(whole[None])[0], expected), name))
    if not differences:
        raise LookalikeError(
            f"{shown_path(folder)}: none of {len(rows)} gallery images is there as it was "
            "embedded, so nothing can be checked; name their folder by --gallery-folder"
        )
    if len(differences) < len(rows):
        log.warning(
            "%d of %d gallery images are not there as they were embedded, and were not checked",
            len(rows) - len(differences),
            len(rows),
        )
    return Agreement(
        len(differences),
        # What is not a number is worse than any.
        *max(differences, key=lambda found: np.nan_to_num(found[0], nan=np.inf)),
        *min(cosines, key=lambda found: np.nan_to_num(found[0], nan=-np.inf)),
    )


def _vectors_at(table: Path, rows: NDArray[np.int64]) -> Iterator[NDArray[np.float32]]:
    """The embeddings in some rows of a table, in ascending order."""
    start = 0
    for part in read_vectors(table):
        here = rows[(rows >= start) & (rows < start + len(part))]
        yield from part[here - start]
        start += len(part)


def _content_if_same(path: Path, name: str, sha256: str) -> bytes | None:
    try:
        content = content_to_decode(ImageFile(name, path, found=False))
    except BadImageError:
        return None
    return content if hashlib.sha256(content).hexdigest() == sha256 else None
