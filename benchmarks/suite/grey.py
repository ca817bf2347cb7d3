"""Small grey images of ten classes: Fashion-MNIST as Debian has it, and scikit-learn's digits."""

from __future__ import annotations

import gzip
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from digits import SOURCE as DIGITS_SOURCE
from digits import digit_images
from lookalike.steps.demo import LabelledImage
from suite.debian import package_root, package_version
from suite.layouts import Layout, Made

PACKAGE = "dataset-fashion-mnist"
KINDS = (
    "t-shirt",
    "trouser",
    "pullover",
    "dress",
    "coat",
    "sandal",
    "shirt",
    "sneaker",
    "bag",
    "ankle-boot",
)
# Of the open sets: three classes to train on and three to choose by; the six of them to train on
# and four to score. Tops, shoes and others are in each.
TRAINED = ("trouser", "pullover", "sneaker")
CHOSEN_BY = ("t-shirt", "dress", "bag")
SCORED = ("coat", "sandal", "shirt", "ankle-boot")

Idx = NDArray[np.uint8]


def read_idx(path: Path) -> Idx:
    """A gzipped file of the IDX format (unsigned bytes), as an array of its own shape.

    Raises ValueError where the file is of another kind, or has not the length that it says.
    """
    data = gzip.decompress(path.read_bytes())
    if data[:3] != b"\0\0\x08":
        raise ValueError(f"{path} is no IDX file of unsigned bytes")
    n_axes = data[3]
    shape = np.frombuffer(data, ">u4", n_axes, offset=4)
    return np.frombuffer(data, np.uint8, offset=4 + 4 * n_axes).reshape(shape)


def fashion_images(root: Path, part: str) -> dict[str, list[LabelledImage]]:
    """The images of each kind in one part (`train` | `t10k`) of the package, in its own order."""
    folder = root / "usr/share/datasets/fashion-mnist"
    images = read_idx(folder / f"{part}-images-idx3-ubyte.gz")
    labels = read_idx(folder / f"{part}-labels-idx1-ubyte.gz")
    return {
        kind: [
            LabelledImage(f"{part}-{index:05d}.png", kind, png(images[index]))
            # Enough for every split, and no more is compressed than is needed.
            for index in np.flatnonzero(labels == number)[:300]
        ]
        for number, kind in enumerate(KINDS)
    }


def png(grey: Idx) -> bytes:
    """An image as a PNG file; grey is uint8 [height, width]."""
    file = io.BytesIO()
    Image.fromarray(grey).save(file, "PNG")
    return file.getvalue()


def fashion_closed(work: Path) -> Made:
    """Ten classes, 300 images of each to train on; query and gallery from the package's test part.

    To choose by: 200 of the 300 are trained on, 30 are queries and 70 the gallery.
    """
    root = package_root(PACKAGE, work)
    train, test = (fashion_images(root, part) for part in ("train", "t10k"))
    development, final = Layout(), Layout()
    for kind in KINDS:
        development.deal(train[kind], 200, 30, 70)
        final.deal(train[kind], 300, 0, 0)
        final.deal(test[kind], 0, 30, 100)
    return Made(development, final, fashion_licence(root))


def fashion_open(work: Path) -> Made:
    """Six classes to train on, four others to score; of each 50 queries in a gallery of 150.

    To choose by: three of the six are trained on, and the other three are searched.
    """
    root = package_root(PACKAGE, work)
    train, test = (fashion_images(root, part) for part in ("train", "t10k"))

    def split(trained: Sequence[str], searched: dict[str, list[LabelledImage]]) -> Layout:
        layout = Layout()
        for kind in trained:
            layout.deal(train[kind], 300, 0, 0)
        for images in searched.values():
            layout.deal(images, 0, 50, 150)
        return layout

    return Made(
        split(TRAINED, {kind: train[kind] for kind in CHOSEN_BY}),
        split((*TRAINED, *CHOSEN_BY), {kind: test[kind] for kind in SCORED}),
        fashion_licence(root),
    )


def digits(work: Path) -> Made:
    """scikit-learn's digits, the same ten to train on and to score, half of the images for each.

    To choose by: of the half that is trained on, 30 images a digit are trained on, 10 are queries
    and 40 the gallery.
    """
    development, final = Layout(), Layout()
    for images in digit_images(0).values():
        half = len(images) // 2
        queries = (len(images) - half) // 5
        development.deal(images[:half], 30, 10, 40)
        final.deal(images, half, queries, len(images) - half - queries)
    return Made(development, final, DIGITS_SOURCE)


def fashion_licence(root: Path) -> str:
    """Whose images Fashion-MNIST's are."""
    return f"""\
Images of Fashion-MNIST, https://github.com/zalandoresearch/fashion-mnist
Copyright 2017 Zalando SE, https://tech.zalando.com
Licence: MIT (Expat)
Changed: a part of them, stored as PNG files.
Taken from the Debian package {PACKAGE} {package_version(PACKAGE, root)}.
"""
