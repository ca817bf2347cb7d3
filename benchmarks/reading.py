"""How fast one core reads JPEG files as network input: ours and what else there is."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torchvision import transforms

from lookalike.images.normalisation import normalise
from lookalike.images.resizing import ImageSettings, load_pixels
from timing import Result, alternately

FAST = ImageSettings(224, "squash", "white", (0.485, 0.456, 0.406), (0.229, 0.224, 0.225), "fast")
EXACT = replace(FAST, decode="exact")
# Width, height and number of the files.
FILES = ((640, 480, 24), (1920, 1280, 6))
REPEATS = 10

Reader = Callable[[list[Path]], object]
"""Reads files to what the network takes: float32, 3 x 224 x 224 each, normalised."""


def photograph(seed: int, width: int, height: int) -> Image.Image:
    """Detail at every scale, as photographs have it, and a little grain."""
    rng = np.random.default_rng(seed)
    total = rng.normal(scale=4, size=(height, width, 3))
    for cell in (4, 8, 16, 32, 64, 128, 256):
        coarse = rng.integers(0, 256, (height // cell + 2, width // cell + 2, 3), dtype=np.uint8)
        layer = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
        total += (np.asarray(layer) - 127.5) * 0.05 * cell**0.6
    return Image.fromarray((total + 127.5).clip(0, 255).astype(np.uint8))


def network_input(pixels: NDArray[np.uint8]) -> torch.Tensor:
    """uint8 [224, 224, 3] as float32 [1, 3, 224, 224], normalised."""
    return normalise(torch.from_numpy(pixels)[None], FAST)


def ours(settings: ImageSettings) -> Reader:
    """The package's loader."""

    return lambda paths: torch.cat([network_input(load_pixels(path, settings)) for path in paths])


def usual_chain() -> Reader:
    """What most projects write."""
    chain = transforms.Compose(
        [
            transforms.Resize((FAST.size, FAST.size)),
            transforms.ToTensor(),
            transforms.Normalize(FAST.mean, FAST.std),
        ]
    )

    def read(paths: list[Path]) -> object:
        return torch.stack([chain(Image.open(path).convert("RGB")) for path in paths])

    return read


def torchvision_io() -> Reader:
    """torchvision's own JPEG decoder, and torch's resizing of bytes."""
    from torchvision.io import ImageReadMode, decode_jpeg, read_file
    from torchvision.transforms.v2 import functional

    def one(path: Path) -> torch.Tensor:
        whole = decode_jpeg(read_file(str(path)), mode=ImageReadMode.RGB)
        small = functional.resize(whole, [FAST.size, FAST.size], antialias=True)
        scaled = functional.to_dtype(small, torch.float32, scale=True)
        tensor: torch.Tensor = functional.normalize(scaled, list(FAST.mean), list(FAST.std))
        return tensor

    return lambda paths: torch.stack([one(path) for path in paths])


def simplejpeg() -> Reader:
    """The package simplejpeg, which reduces by eighths, by the same rule; Pillow's resizing."""
    decode: Callable[..., Any] = import_module("simplejpeg").decode_jpeg
    least = 2 * FAST.size

    def one(path: Path) -> torch.Tensor:
        pixels = decode(path.read_bytes(), "RGB", min_height=least, min_width=least, min_factor=1)
        size = (FAST.size, FAST.size)
        return network_input(
            np.array(Image.fromarray(pixels).resize(size, Image.Resampling.BILINEAR))
        )

    return lambda paths: torch.cat([one(path) for path in paths])


BASELINES: dict[str, Callable[[], Reader]] = {
    "torchvision's usual chain": usual_chain,
    "torchvision.io and torch's resizing": torchvision_io,
    "simplejpeg": simplejpeg,
}


def baselines(sample: Path) -> dict[str, Reader]:
    """The baselines that work here; a note for each that does not."""
    readers = {}
    for name, build in BASELINES.items():
        try:
            reader = build()
            reader([sample])
        except (ImportError, RuntimeError) as error:
            print(f"left out: {name}: {error}", file=sys.stderr)
        else:
            readers[name] = reader
    return readers


def measure(folder: Path) -> list[Result]:
    """Read generated JPEG files in `folder` on one core, both ways, against each baseline."""
    folder.mkdir(parents=True, exist_ok=True)
    sample = folder / "sample.jpg"
    photograph(0, 64, 48).save(sample)
    others = baselines(sample)
    rows: list[Result] = []
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        for width, height, number in FILES:
            paths = [folder / f"{width}-{at}.jpg" for at in range(number)]
            for at, path in enumerate(paths):
                photograph(at, width, height).save(path, quality=90)
            readers = {"fast": ours(FAST), "exact": ours(EXACT), **others}
            works = {name: partial(reader, paths) for name, reader in readers.items()}
            taken = alternately(works, REPEATS)
            what = f"read {number} JPEGs of {width} x {height}"
            rows += [
                Result(f"{what}, {way}", taken[way], name, taken[name])
                for way in ("fast", "exact")
                for name in others
            ]
    finally:
        torch.set_num_threads(threads)
    return rows
