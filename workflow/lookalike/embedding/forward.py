"""Sending images through a network so that an embedding does not depend on its batch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from lookalike.errors import LookalikeError
from lookalike.images.normalisation import normalise
from lookalike.images.resizing import ImageSettings
from lookalike.jobs.lookahead import map_ahead
from lookalike.storage.rows import RowSource
from lookalike.text import shown_path

# Images in one forward pass, on every device: the kernels chosen for passes of one shape give an
# image the same bytes in every position and company; on a CPU those for 1 or 5 images differ by
# 1e-7. More are no faster there, and at 224 pixels the first layer alone takes 6 MB an image.
PASS = 32


def embed_pixels(
    model: nn.Module, pixels: RowSource, image: ImageSettings, batch_size: int = 128
) -> NDArray[np.float32]:
    """Embed decoded images, each independent of its place and company.

    Args:
        model: the network, on its device; it is in evaluation mode meanwhile.
        pixels: uint8 [n, size, size, 3], n at least 1; read a batch at a time, one ahead.
        image: how pixels become the network's input.
        batch_size: images read at a time; rounded up to a multiple of 32.

    Returns:
        float32 [n, d].
    """
    size = -(-batch_size // PASS) * PASS
    device = next(model.parameters()).device
    starts = range(0, len(pixels), size)

    def load(start: int) -> Tensor:
        return for_device(in_full_passes(pixels[start : start + size]), device)

    with closing(map_ahead(load, starts, threads=1, ahead=1)) as batches:
        parts = list(embed_batches(model, batches, image))
    return np.concatenate(parts)[: len(pixels)]


def embed_batches(
    model: nn.Module, batches: Iterable[Tensor], image: ImageSettings
) -> Iterator[NDArray[np.float32]]:
    """Embed batches as they come.

    Args:
        model: the network, on its device; it is in evaluation mode while one is embedded.
        batches: uint8 [n, size, size, 3], n a multiple of 32 (see `in_full_passes`), on the CPU.
        image: how pixels become the network's input.

    Yields:
        float32 [n, d] for each batch.
    """
    device = next(model.parameters()).device
    for batch in batches:
        was_training = model.training
        model.eval()
        with torch.inference_mode():
            there = batch.to(device, non_blocking=batch.is_pinned())
            vectors = torch.cat(
                [model(normalise(images, image)) for images in torch.split(there, PASS)]
            )
        model.train(was_training)
        yield vectors.float().cpu().numpy()


def in_full_passes(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Repeat the first of n images until their number is a multiple of 32."""
    filler = -len(pixels) % PASS
    return np.concatenate([pixels, np.repeat(pixels[:1], filler, axis=0)]) if filler else pixels


def for_device(pixels: NDArray[np.uint8], device: torch.device) -> Tensor:
    """The same numbers as a tensor on the CPU from which a copy to the device is fastest.

    A GPU copies from page-locked memory while it works.
    """
    tensor = torch.from_numpy(np.ascontiguousarray(pixels))
    return tensor.pin_memory() if device.type == "cuda" else tensor


def require_finite_embeddings(vectors: NDArray[np.float32], files: Sequence[Path]) -> None:
    """Raise LookalikeError naming the files whose embedding is not finite."""
    bad = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
    if len(bad):
        names = ", ".join(shown_path(files[row]) for row in bad[:5])
        raise LookalikeError(
            f"{len(bad)} embeddings are not finite (the first: {names}); the model is unusable: "
            "train it again with a lower optimizer.lr"
        )
