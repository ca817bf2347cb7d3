"""From a file to the tensor that a network sees, against torchvision to the bit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torchvision import transforms

from lookalike.images.normalisation import normalise
from lookalike.images.resizing import load_pixels
from support.pictures import SETTINGS, noise


def test_normalise_is_torchvision_to_the_bit() -> None:
    batch = np.stack([noise(9, 6, seed=seed) for seed in range(4)])
    theirs = transforms.Compose(
        [transforms.ToTensor(), transforms.Normalize(SETTINGS.mean, SETTINGS.std)]
    )
    expected = torch.stack([theirs(Image.fromarray(image)) for image in batch])
    ours = normalise(torch.from_numpy(batch), SETTINGS)
    assert ours.dtype == torch.float32
    assert ours.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(ours, expected)


def test_the_seeds_transform_from_file_to_tensor(tmp_path: Path) -> None:
    Image.fromarray(noise(300, 200)).save(tmp_path / "a.jpg")
    chosen = replace(SETTINGS, size=224)
    theirs = transforms.Compose(
        [
            transforms.Resize((224, 224)),
            transforms.ToTensor(),
            transforms.Normalize(mean=[0.485, 0.456, 0.406], std=[0.229, 0.224, 0.225]),
        ]
    )
    with Image.open(tmp_path / "a.jpg") as image:
        expected = theirs(image.convert("RGB"))
    batch = torch.from_numpy(load_pixels(tmp_path / "a.jpg", chosen))[None]
    assert torch.equal(normalise(batch, chosen)[0], expected)
