"""Embeddings of images that no manifest names, of the same bytes as the workflow's own."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from lookalike.embedding.allocation import keep_freed_memory
from lookalike.embedding.filling import parts_of_model
from lookalike.embedding.forward import (
    embed_batches,
    for_device,
    in_full_passes,
    require_finite_embeddings,
)
from lookalike.embedding.heads import apply_head
from lookalike.errors import BadImageError, LookalikeError
from lookalike.images.resizing import load_pixels
from lookalike.jobs.lookahead import map_ahead
from lookalike.jobs.progress import Progress
from lookalike.jobs.torch_devices import choose_device
from lookalike.models.files import load_model
from lookalike.searching.image_files import ImageFile, content_to_decode
from lookalike.searching.starting import uncollected
from lookalike.text import shown_path

log = logging.getLogger(__name__)

BATCH = 128
"""Images that go through the network at a time; no embedding depends on it."""


@dataclass(frozen=True)
class NewImages:
    """Some images, embedded.

    Attributes:
        files: n files.
        sha256s: of their bytes, hexadecimal.
        vectors: float32 [n, d].
    """

    files: Sequence[ImageFile]
    sha256s: Sequence[str]
    vectors: NDArray[np.float32]


@dataclass
class LeftOut:
    """What could not be embedded.

    Attributes:
        on_bad: `skip` names a bad image and goes on, `fail` stops at the first.
        bad: how many images cannot be used.
        beside: how many files beside images were none.
    """

    on_bad: str
    bad: int = 0
    beside: int = 0
    _endings: set[str] = field(default_factory=set)

    def note(self, file: ImageFile, error: BadImageError) -> None:
        """Name a file that cannot be used; raises LookalikeError where that ends the work."""
        if file.is_no_image(error):
            self.beside += 1
            self._endings.add(file.path.suffix or "none")
            return
        if self.on_bad == "fail":
            raise LookalikeError(f"{shown_path(file.path)}: {error.detail}") from error
        self.bad += 1
        log.warning("left out: %s: %s", shown_path(file.path), error.detail)

    def tell(self) -> None:
        """Say how many files were passed over, if any."""
        if self.beside:
            log.info(
                "%d file(s) beside the images are none (endings: %s)",
                self.beside,
                ", ".join(sorted(self._endings)[:8]),
            )

    def require_none(self, n_images: int) -> None:
        """Raise LookalikeError where images were left out, once all else is done."""
        if self.bad:
            raise LookalikeError(
                f"{self.bad} of {n_images + self.bad} images could not be used, see above; "
                + ("all others are answered" if n_images else "there is no other")
            )


class ImageEmbedder:
    """A model that embeds image files as `lookalike.steps.embed` does."""

    def __init__(self, weights: Path, device: str) -> None:
        """Load a network.

        Args:
            weights: model.safetensors, with model.json beside it.
            device: as in the settings.

        Raises:
            LookalikeError: the files do not belong together, or the device is not there.
        """
        keep_freed_memory()
        self._device = choose_device(device)
        with uncollected():
            try:
                model, self.description = load_model(weights)
            except OSError as error:
                raise LookalikeError(
                    f"{shown_path(weights)}: cannot be read: {error.strerror}"
                ) from error
            embedder, self._head = parts_of_model(model, self.description)
            self._image = embedder.image
            self._network = embedder.ready(self._device)

    def embed(self, files: Sequence[ImageFile], left_out: LeftOut) -> Iterator[NewImages]:
        """Embed files batch by batch, decoding ahead of the network.

        Args:
            files: in the order in which they come.
            left_out: is told of those that cannot be used.

        Raises:
            LookalikeError: an embedding is not finite, or a bad image ends the work.
        """
        with (
            Progress("embedding", len(files)) as progress,
            closing(self._batches(files, left_out, progress)) as batches,
        ):
            for some, sha256s, pixels in batches:
                batch = for_device(in_full_passes(pixels), self._device)
                (vectors,) = embed_batches(self._network, [batch], self._image)
                vectors = vectors[: len(some)]
                require_finite_embeddings(vectors, [file.path for file in some])
                if self._head is not None:
                    vectors = apply_head(self._head, vectors)
                yield NewImages(some, sha256s, vectors)

    def _batches(
        self, files: Sequence[ImageFile], left_out: LeftOut, progress: Progress
    ) -> Generator[tuple[list[ImageFile], list[str], NDArray[np.uint8]], None, None]:
        """Files that can be used, their hashes and their pixels uint8 [n, size, size, 3]."""

        def decode(file: ImageFile) -> tuple[str, NDArray[np.uint8]] | BadImageError:
            try:
                content = content_to_decode(file)
                return hashlib.sha256(content).hexdigest(), load_pixels(content, self._image)
            except BadImageError as error:
                return error

        threads = torch.get_num_threads()
        some: list[ImageFile] = []
        sha256s: list[str] = []
        pixels: list[NDArray[np.uint8]] = []
        with closing(map_ahead(decode, files, threads=threads, ahead=4 * threads)) as decoded:
            for file, result in zip(files, decoded, strict=True):
                progress.update(1)
                if isinstance(result, BadImageError):
                    left_out.note(file, result)
                    continue
                some.append(file)
                sha256s.append(result[0])
                pixels.append(result[1])
                if len(some) == BATCH:
                    yield some, sha256s, np.stack(pixels)
                    some, sha256s, pixels = [], [], []
        if some:
            yield some, sha256s, np.stack(pixels)
        left_out.tell()
