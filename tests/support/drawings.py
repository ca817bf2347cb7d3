"""Images to test and measure on: seeded drawings of shapes, colours and textures.

A class is a shape in a colour over a texture; its images differ in place, size, angle and noise.
There is no end of classes: shape, colour and texture follow from the class's number.
"""

from __future__ import annotations

import colorsys
import json
import math
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

SHAPES = (3, 4, 5, 6, 40)  # corners; the last one is as good as a disc


def draw(label: int, number: int, size: int = 40) -> Image.Image:
    """Draw image `number` of class `label`: RGB, `size` pixels on each side."""
    of_class = np.random.default_rng((1, label))
    rng = np.random.default_rng((2, label, number))
    hue, corners = of_class.random(), SHAPES[int(of_class.integers(len(SHAPES)))]
    stripes, slant = of_class.uniform(3, 12), of_class.uniform(0, math.pi)

    y, x = np.mgrid[0:size, 0:size] / size
    wave = np.sin(2 * math.pi * stripes * (x * math.cos(slant) + y * math.sin(slant)))
    ground = 200 + 25 * wave + rng.normal(0, 8, (size, size))
    image = Image.fromarray(ground.clip(0, 255).astype(np.uint8)).convert("RGB")

    centre = size * rng.uniform(0.4, 0.6, 2)
    radius, turn = size * rng.uniform(0.25, 0.38), rng.uniform(0, 2 * math.pi)
    angles = turn + np.arange(corners) * 2 * math.pi / corners
    points = [(centre[0] + radius * math.cos(a), centre[1] + radius * math.sin(a)) for a in angles]
    red, green, blue = (round(255 * part) for part in colorsys.hsv_to_rgb(hue, 0.9, 0.8))
    ImageDraw.Draw(image).polygon(points, fill=(red, green, blue), outline="black")
    return image


def write_images(
    folder: Path, labels: list[int], images: list[int], size: int = 40
) -> dict[str, int]:
    """Draw each of `images` for each of `labels` into `folder`; returns {file name: label}."""
    folder.mkdir(parents=True, exist_ok=True)
    names = {}
    for label in labels:
        for number in images:
            name = f"{label:04d}_{number:03d}.png"
            draw(label, number, size).save(folder / name)
            names[name] = label
    return names


def write_data(root: Path, *, train_classes: int = 10, test_classes: int = 6) -> Path:
    """Write a small data set in the default layout: classes of train and test are disjoint.

    4 training images a class, 1 query and 3 gallery images, and two more classes in the gallery.
    """
    train = write_images(root / "train", list(range(train_classes)), [0, 1, 2, 3])
    tested = list(range(train_classes, train_classes + test_classes))
    distractors = list(range(train_classes + test_classes, train_classes + test_classes + 2))
    test = write_images(root / "query_images", tested, [0])
    test |= write_images(root / "gallery", tested + distractors, [1, 2, 3])
    (root / "train_image_info.json").write_text(json.dumps(train))
    (root / "test_image_info.json").write_text(json.dumps(test))
    return root
