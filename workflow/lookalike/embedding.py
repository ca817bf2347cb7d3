"""Sending images through a network so that an embedding does not depend on its batch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from lookalike.errors import LookalikeError
from lookalike.images import ImageSettings
from lookalike.normalisation import normalise

# A batch is padded to a multiple of this: the kernels chosen for such batches give an image the
# same bytes in every position and company; those for a batch of 1 or 5 differ by 1e-7.
PAD_TO = 32


def embed_pixels(
    model: nn.Module, pixels: NDArray[np.uint8], image: ImageSettings, batch_size: int = 128
) -> NDArray[np.float32]:
    """Embed decoded images, each independent of its place and company.

    Args:
        model: the network, on its device; it is in evaluation mode meanwhile.
        pixels: uint8 [n, size, size, 3], n at least 1.
        image: how pixels become the network's input.
        batch_size: images in one forward pass; rounded up to a multiple of 32.

    Returns:
        float32 [n, d].
    """
    size = -(-batch_size // PAD_TO) * PAD_TO
    device = next(model.parameters()).device
    was_training = model.training
    model.eval()
    parts = []
    with torch.inference_mode():
        for start in range(0, len(pixels), size):
            batch = torch.from_numpy(np.ascontiguousarray(pixels[start : start + size]))
            filler = -len(batch) % PAD_TO
            padded = torch.cat([batch, batch[:1].expand(filler, -1, -1, -1)])
            inputs = normalise(padded.to(device), image)
            parts.append(model(inputs)[: len(batch)].float().cpu().numpy())
    model.train(was_training)
    return np.concatenate(parts)


def require_finite(vectors: NDArray[np.float32], files: Sequence[Path]) -> None:
    """Raise LookalikeError naming the files whose embedding is not finite."""
    bad = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
    if len(bad):
        names = ", ".join(str(files[row]) for row in bad[:5])
        raise LookalikeError(
            f"{len(bad)} embeddings are not finite (the first: {names}); the model is unusable: "
            "train it again with a lower optimizer.lr"
        )
