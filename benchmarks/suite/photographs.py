"""Windows of real photographs, each seen again and again: what copies of a picture look like.

A class is a window of 256 x 256 pixels; no two share a pixel. A view is a window under another
perspective, cropped, turned, in another light, blurred, partly covered and compressed as JPEG.
Training, choosing and scoring have different photographs. Windows of one photograph are alike in
light, colour and what they show, so they are not independent: an interval over classes that takes
them so is too narrow for photographs that nobody has seen.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter

from lookalike.steps.demo import LabelledImage
from lookalike.storage.digests import digest_of
from suite.debian import package_root, package_version
from suite.layouts import Layout, Made

PLASMA, LOMIRI = "plasma-workspace-wallpapers", "lomiri-wallpapers-20.04"
PLASMA_FILE = "usr/share/wallpapers/{}/contents/images/2560x1600.jpg"
LOMIRI_FILE = "usr/share/backgrounds/{}.jpg"

WIDTH = 2560
"""Pixels that a photograph is wide: a larger one is made as small."""
WINDOW = 256
VIEW = 96
"""Pixels to a side of a window and of a view."""
VIEWS = 12
MOST_VIEWS, FEWEST_VIEWS = 60, 4
MOST_WINDOWS = 36
"""Windows of one photograph at most, so that none rules the data set."""
FLATTEST = 3.0
"""Windows whose `structure` is less are left out: sky and water, which nothing tells apart."""


@dataclass(frozen=True)
class Photograph:
    """One of the packages' photographs, and what its images are for."""

    package: str
    name: str
    photographer: str
    licence: str
    use: str  # train | development | final

    def path(self, root: Path) -> Path:
        """Where it is, in the folder that the package was unpacked to."""
        pattern = PLASMA_FILE if self.package == PLASMA else LOMIRI_FILE
        return root / pattern.format(self.name)


def _plasma(name: str, photographer: str, use: str) -> Photograph:
    return Photograph(PLASMA, name, photographer, "LGPL 3", use)


# `train` is trained on in both splits; `development` is searched to choose, and trained on in the
# end; `final` is searched in the end. Each has colourful and grey ones, near and far ones.
PHOTOGRAPHS = (
    _plasma("BytheWater", "Maciej Wiklo", "train"),
    _plasma("Grey", "Sigi Sagi", "train"),
    _plasma("OneStandsOut", "Risto Saukonpää", "train"),
    _plasma("Path", "Risto Saukonpää", "train"),
    _plasma("ColorfulCups", "Dmitri Popov", "development"),
    _plasma("Kite", "Risto Saukonpää", "development"),
    Photograph(LOMIRI, "Kleiber_by_Lukas_Baubkus", "Lukas Baubkus", "CC BY-SA 3.0", "development"),
    _plasma("ColdRipple", "Risto Saukonpää", "final"),
    _plasma("EveningGlow", "Ian Hex", "final"),
    _plasma("FallenLeaf", "Martin Klapetek", "final"),
    _plasma("summer_1am", "Risto Saukonpää", "final"),
)

LEFT_OUT = {
    "drawn or rendered": (
        "Altai, Autumn, Canopee, Cascade, Cluster, Elarun, Flow, FlyingKonqui, Honeywave, IceCold, "
        "Kay, Kokkini, MilkyWay, Opal, PastelHills, Patak, SafeLanding, Shell, Volna, "
        "Fossa_by_Jasper_Roks, Painting-Colors_by__herobrine7gamer"
    ),
    "a photograph of stars on a drawn sea": "Infinite-Sea_by_Aury88",
    "mist: every window of it is flat": "DarkestHour",
}
"""The packages' other pictures, by the reason."""


def photo_copies(work: Path) -> Made:
    """VIEWS views of each window: two of a searched one are queries, the others the gallery."""
    return _made(work, lambda rank: VIEWS, seed=0)


def long_tail(work: Path) -> Made:
    """The windows in other views, of some windows many and of most few (Zipf's law).

    In each photograph the window of rank r has MOST_VIEWS/r views, FEWEST_VIEWS at least: two of a
    searched one are queries, the others the gallery.
    """
    return _made(work, lambda rank: max(FEWEST_VIEWS, MOST_VIEWS // rank), seed=1)


def _made(work: Path, views: Callable[[int], int], seed: int) -> Made:
    """`views` maps the rank of a window in its photograph, from 1, to its number of views."""
    roots = {name: package_root(name, work) for name in (PLASMA, LOMIRI)}
    development, final = Layout(), Layout()
    for number, photograph in enumerate(PHOTOGRAPHS):
        chosen = windows(read_photograph(photograph.path(roots[photograph.package])), seed)
        for rank, window in enumerate(chosen, start=1):
            label = f"{photograph.name}-{window.x}-{window.y}"
            images = [
                LabelledImage(f"{label}.{count:02d}.jpg", label, view(window.pixels, rng))
                for count in range(views(rank))
                for rng in [np.random.default_rng([seed, number, window.x, window.y, count])]
            ]
            everything, searched = (len(images), 0, 0), (0, 2, len(images) - 2)
            if photograph.use != "final":
                is_trained = photograph.use == "train"
                development.deal(images, *(everything if is_trained else searched))
            final.deal(images, *(searched if photograph.use == "final" else everything))
    return Made(development, final, licence(roots))


@dataclass(frozen=True)
class Window:
    """A part of a photograph, with its left and upper edge."""

    x: int
    y: int
    pixels: Image.Image


def read_photograph(path: Path) -> Image.Image:
    """A photograph in RGB, WIDTH pixels wide."""
    with Image.open(path) as file:
        image = file.convert("RGB")
    if image.width == WIDTH:
        return image
    height = round(image.height * WIDTH / image.width)
    return image.resize((WIDTH, height), Image.Resampling.LANCZOS)


def windows(photograph: Image.Image, seed: int) -> list[Window]:
    """At most MOST_WINDOWS windows that are not flat, side by side, in a seeded order."""
    found = [
        Window(x, y, photograph.crop((x, y, x + WINDOW, y + WINDOW)))
        for y in range(0, photograph.height - WINDOW + 1, WINDOW)
        for x in range(0, photograph.width - WINDOW + 1, WINDOW)
    ]
    kept = [window for window in found if structure(window.pixels) >= FLATTEST]
    return sorted(kept, key=lambda window: digest_of([seed, window.x, window.y]))[:MOST_WINDOWS]


def structure(window: Image.Image) -> float:
    """How much there is to see: the mean step between neighbouring pixels, in grey levels (0-255).

    Of the window in grey, shrunk to 32 x 32 pixels by means over 8 x 8, so that grain is no
    structure; the mean of the steps to the right and of those downwards.
    """
    size = (32, 32)
    grey = np.asarray(window.convert("L").resize(size, Image.Resampling.BOX), dtype=np.float64)
    steps = (np.abs(np.diff(grey, axis=axis)).mean() for axis in (0, 1))
    return float(sum(steps)) / 2


def view(window: Image.Image, rng: np.random.Generator) -> bytes:
    """The window as somebody else's copy may show it: a JPEG file of VIEW x VIEW pixels.

    Equal windows and states of `rng` give equal bytes.
    """
    image = seen_from_elsewhere(window, rng)
    image = in_another_light(image, rng)
    if rng.random() < 0.5:
        image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0.3, 1.5)))
    if rng.random() < 0.5:
        cover_a_part(image, rng)
    file = io.BytesIO()
    image.save(file, "JPEG", quality=int(rng.integers(30, 91)))
    return file.getvalue()


def seen_from_elsewhere(window: Image.Image, rng: np.random.Generator) -> Image.Image:
    """A crop of 60 to 100 % of each side, turned by up to 15 degrees, its corners moved.

    Corners stay within the window: a view shows nothing of the windows around.
    """
    scale, angle = rng.uniform(0.6, 1.0), np.deg2rad(rng.uniform(-15, 15))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    unit = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]], dtype=np.float64)
    corners = unit @ turn.T + rng.uniform(-0.15, 0.15, (4, 2))
    corners *= scale / max(1.0, float(np.abs(corners).max()) * scale)
    room = np.maximum(0, 1 - np.abs(corners).max(axis=0))
    corners += rng.uniform(-room, room)
    source = (corners + 1) / 2 * window.width
    # Twice as large and then shrunk: the perspective alone would skip pixels.
    large = 2 * VIEW
    target = (unit + 1) / 2 * large
    moved = window.transform(
        (large, large),
        Image.Transform.PERSPECTIVE,
        perspective(target, source),
        Image.Resampling.BICUBIC,
    )
    return moved.resize((VIEW, VIEW), Image.Resampling.BOX)


def perspective(
    target: NDArray[np.float64], source: NDArray[np.float64]
) -> tuple[float, float, float, float, float, float, float, float]:
    """Pillow's eight numbers for the perspective that takes four target points to source points.

    x' = (ax + by + c) / (gx + hy + 1), y' = (dx + ey + f) / (gx + hy + 1); both are float64 [4, 2].
    """
    rows: list[list[float]] = []
    for (x, y), (u, v) in zip(target, source, strict=True):
        rows.append([x, y, 1, 0, 0, 0, -u * x, -u * y])
        rows.append([0, 0, 0, x, y, 1, -v * x, -v * y])
    a, b, c, d, e, f, g, h = np.linalg.solve(np.array(rows), source.ravel()).tolist()
    return a, b, c, d, e, f, g, h


def in_another_light(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Brightness, contrast and colourfulness changed by up to 40 %, each channel by up to 15 %."""
    for enhancer in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
        image = enhancer(image).enhance(float(rng.uniform(0.6, 1.4)))
    pixels = np.asarray(image, dtype=np.float64) * rng.uniform(0.85, 1.15, 3)
    return Image.fromarray(np.rint(np.clip(pixels, 0, 255)).astype(np.uint8))


def cover_a_part(image: Image.Image, rng: np.random.Generator) -> None:
    """Lay a plain rectangle over 20 to 45 % of each side, anywhere."""
    width, height = (int(rng.uniform(0.2, 0.45) * VIEW) for _ in range(2))
    left, top = int(rng.integers(0, VIEW - width)), int(rng.integers(0, VIEW - height))
    red, green, blue = (int(rng.integers(0, 256)) for _ in range(3))
    box = (left, top, left + width, top + height)
    ImageDraw.Draw(image).rectangle(box, fill=(red, green, blue))


def licence(roots: dict[str, Path]) -> str:
    """Who took the photographs, and what was done to them."""
    packages = [f"    {name} {package_version(name, root)}" for name, root in roots.items()]
    return "\n".join(
        [
            "Views of windows of photographs from the Debian packages",
            *packages,
            "",
            *_credits(PHOTOGRAPHS),
            "",
            "The package plasma-workspace-wallpapers as a whole is under the GPL 2 or later.",
            "Changed: cut into windows; those seen under another perspective, in another light,",
            "blurred, partly covered and compressed. These images are under the licence of the",
            "photograph that their name begins with.",
            "",
        ]
    )


def _credits(photographs: Sequence[Photograph]) -> list[str]:
    return [
        f"{photograph.name}: {photograph.photographer}, {photograph.licence}"
        for photograph in photographs
    ]
