"""Pixels to the network's input."""

from __future__ import annotations

import torch

from lookalike.images.resizing import ImageSettings


def normalise(batch: torch.Tensor, settings: ImageSettings) -> torch.Tensor:
    """Turn uint8 [n, height, width, 3] into float32 [n, 3, height, width], on the batch's device.

    (pixel / 255 - mean) / std, operation for operation torchvision's ToTensor and Normalize. The
    result is laid out channels last, which convolutions on a CPU take fastest.
    """
    return standardise(scale(batch), settings)


def scale(batch: torch.Tensor) -> torch.Tensor:
    """Turn uint8 [n, height, width, 3] into float32 [n, 3, height, width] in 0..1."""
    channels_first = batch.permute(0, 3, 1, 2)
    return channels_first.to(torch.float32, memory_format=torch.channels_last).div_(255)


def standardise(images: torch.Tensor, settings: ImageSettings) -> torch.Tensor:
    """Subtract the mean of each channel and divide by its standard deviation.

    Args:
        images: float32 [n, 3, height, width] in 0..1.
        settings: which mean and deviation.
    """
    mean = torch.tensor(settings.mean, dtype=torch.float32, device=images.device)
    std = torch.tensor(settings.std, dtype=torch.float32, device=images.device)
    standard = images.sub(mean[:, None, None]).div_(std[:, None, None])
    return standard.contiguous(memory_format=torch.channels_last)
