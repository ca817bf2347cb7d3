"""TIFFs of every layout, sample type, byte order, compression and kind of colour, by tifffile.

`picture` is what an independent reader makes of a TIFF: values by tifffile (with imagecodecs), from
values to colours by what the TIFF 6.0 specification says of the tags.
"""

from __future__ import annotations

import io
import itertools
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import tifffile

Pixels = npt.NDArray[Any]

WIDTH, HEIGHT = 43, 29
_Y, _X = np.mgrid[0:HEIGHT, 0:WIDTH]
GREY = (_X * 5 + _Y).astype(np.uint8)
RGB = np.dstack([_X * 5 + 5, _Y * 7 + 9, 255 - _X * 4 - _Y]).astype(np.uint8)
ALPHA = (255 - (_X * 3 + _Y * 2)).astype(np.uint8)

# Each kind of colour: its channels as 8 bits, and what tifffile is told.
_ZERO = np.zeros_like(GREY)
_UNASSOCIATED, _ASSOCIATED, _UNSPECIFIED = "unassalpha", "assocalpha", "unspecified"
_FADED = (RGB * (ALPHA[..., None] / 255)).astype(np.uint8)
_FADED_GREY = (GREY * (ALPHA / 255)).astype(np.uint8)
COLOURS: dict[str, tuple[Pixels, dict[str, Any]]] = {
    "grey": (GREY, {"photometric": "minisblack"}),
    "white": (GREY, {"photometric": "miniswhite"}),
    "grey_alpha": (
        np.dstack([GREY, ALPHA]),
        {"photometric": "minisblack", "extrasamples": [_UNASSOCIATED]},
    ),
    "grey_associated": (
        np.dstack([_FADED_GREY, ALPHA]),
        {"photometric": "minisblack", "extrasamples": [_ASSOCIATED]},
    ),
    "grey_extra": (
        np.dstack([GREY, ALPHA]),
        {"photometric": "minisblack", "extrasamples": [_UNSPECIFIED]},
    ),
    "grey_extras": (
        np.dstack([GREY, ALPHA, _ZERO]),
        {"photometric": "minisblack", "extrasamples": [_UNSPECIFIED] * 2},
    ),
    "white_alpha": (
        np.dstack([GREY, ALPHA]),
        {"photometric": "miniswhite", "extrasamples": [_UNASSOCIATED]},
    ),
    "rgb": (RGB, {"photometric": "rgb"}),
    "rgb_alpha": (
        np.dstack([RGB, ALPHA]),
        {"photometric": "rgb", "extrasamples": [_UNASSOCIATED]},
    ),
    "rgb_associated": (
        np.dstack([_FADED, ALPHA]),
        {"photometric": "rgb", "extrasamples": [_ASSOCIATED]},
    ),
    "rgb_extra": (
        np.dstack([RGB, ALPHA]),
        {"photometric": "rgb", "extrasamples": [_UNSPECIFIED]},
    ),
    "rgb_extras": (
        np.dstack([RGB, ALPHA, _ZERO]),
        {"photometric": "rgb", "extrasamples": [_UNSPECIFIED] * 2},
    ),
    "rgb_alpha_extra": (
        np.dstack([RGB, ALPHA, _ZERO]),
        {"photometric": "rgb", "extrasamples": [_UNASSOCIATED, _UNSPECIFIED]},
    ),
    "rgb_extra_alpha": (
        np.dstack([RGB, _ZERO, ALPHA]),
        {"photometric": "rgb", "extrasamples": [_UNSPECIFIED, _UNASSOCIATED]},
    ),
    "cmyk": (np.dstack([255 - RGB, _X]).astype(np.uint8), {"photometric": "separated"}),
    "cmyk_extra": (
        np.dstack([255 - RGB, _X, ALPHA]).astype(np.uint8),
        {"photometric": "separated", "extrasamples": [_UNSPECIFIED]},
    ),
    "cmyk_alpha": (
        np.dstack([255 - RGB, _X, ALPHA]).astype(np.uint8),
        {"photometric": "separated", "extrasamples": [_UNASSOCIATED]},
    ),
    "palette": (
        GREY,
        {
            "photometric": "palette",
            "colormap": np.stack(
                [np.arange(256)[::-1], np.arange(256), np.arange(256) // 2]
            ).astype(np.uint16)
            * 257,
        },
    ),
    "ycbcr": (RGB, {"photometric": "ycbcr", "subsampling": (1, 1)}),
    "lab": (RGB, {"photometric": "cielab"}),
}
SAMPLES: dict[str, tuple[Any, float, float]] = {
    # Type, and what the 8-bit values are multiplied by and raised by.
    "u8": (np.uint8, 1, 0),
    "i8": (np.int8, 1, -128),
    "u16": (np.uint16, 257, 0),
    "i16": (np.int16, 100, -9000),
    "u32": (np.uint32, 2**24, 77),
    "i32": (np.int32, 2**23, -(2**30)),
    "f16": (np.float16, 1 / 255, 0),
    "f32": (np.float32, 1 / 255, 0),
    "f64": (np.float64, 1 / 255, 0),
    "wide_f32": (np.float32, 10.5, -700),
    "bool": (np.bool_, 0, 0),
}


@dataclass(frozen=True)
class Tiff:
    """One file of the matrix: its kind of colour and samples, its layout, and how it is stored."""

    colour: str
    sample: str
    layout: str
    order: Literal["<", ">"]
    big: bool
    tile: tuple[int, int] | None
    rows: int | None
    compression: str | None
    predictor: bool

    @property
    def name(self) -> str:
        """The file's kind in a word."""
        stored = f"tile{self.tile[0]}" if self.tile else f"rows{self.rows or 'all'}"
        return (
            f"{self.colour}-{self.sample}-{self.layout}-{'le' if self.order == '<' else 'be'}"
            f"{'-big' if self.big else ''}-{stored}-{self.compression}"
            f"{'-predicted' if self.predictor else ''}"
        )

    def content(self) -> bytes | None:
        """The file's bytes; None where tifffile does not write such a file."""
        values, said = COLOURS[self.colour]
        kind, times, plus = SAMPLES[self.sample]
        if self.sample == "bool":
            values = values > 100
        elif self.sample != "u8":
            values = (values * np.float64(times) + plus).astype(kind)
        if self.layout == "separate":
            values = np.ascontiguousarray(np.moveaxis(values, -1, 0))
        options = dict(said)
        if values.ndim == 3:
            options["planarconfig"] = self.layout
        stream = io.BytesIO()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                tifffile.imwrite(
                    stream,
                    values,
                    byteorder=self.order,
                    bigtiff=self.big,
                    tile=self.tile,
                    rowsperstrip=self.rows,
                    compression=self.compression,
                    predictor=self.predictor or None,
                    metadata=None,
                    **options,
                )
        except Exception:  # of the many combinations, not all exist
            return None
        return stream.getvalue()


def matrix() -> Iterator[Tiff]:
    """Every file of the matrix, those that cannot be written too."""
    stores: list[tuple[tuple[int, int] | None, int | None]] = [
        (None, None),
        (None, 7),
        ((16, 16), None),
        ((32, 48), None),
    ]
    packings: list[tuple[str | None, bool]] = [
        (None, False),
        ("packbits", False),
        *itertools.product(("zlib", "lzw", "zstd"), (False, True)),
        ("lzma", False),
        ("jpeg", False),
        ("webp", False),
        ("jpeg2000", False),
    ]
    orders: tuple[Literal["<", ">"], ...] = ("<", ">")
    for colour, sample, order, big in itertools.product(COLOURS, SAMPLES, orders, (False, True)):
        layouts = ("contig", "separate") if COLOURS[colour][0].ndim == 3 else ("contig",)
        for layout, (tile, rows), (packing, predictor) in itertools.product(
            layouts, stores, packings
        ):
            if big and (tile or rows or packing not in (None, "zlib")):
                continue  # the offsets are wider, nothing else
            yield Tiff(colour, sample, layout, order, big, tile, rows, packing, predictor)


def picture(content: bytes) -> Pixels | None:
    """The picture in a TIFF's first page, over white; None where it is not known what it shows.

    Returns:
        uint8 [height, width, 3].
    """
    with tifffile.TiffFile(io.BytesIO(content)) as file:
        page: Any = file.pages[0]
        values = page.asarray()
        name = page.photometric.name
        extras = [extra.name for extra in page.extrasamples]
        if page.planarconfig == 2 and page.samplesperpixel > 1:
            values = np.moveaxis(values, 0, -1)
        if page.samplesperpixel == 1:
            values = values.reshape(*values.shape[:2], 1)
        if name == "YCBCR" and page.compression.name == "JPEG":
            name = "RGB"  # tifffile has the decoder convert
        colormap, bits = page.colormap, page.bitspersample
    n_colours = values.shape[-1] - len(extras)
    alpha: Pixels | float = 1.0
    units = _units(values, bits, n_colours)
    for place, extra in enumerate(extras):
        if extra in ("UNASSALPHA", "ASSOCALPHA"):
            alpha = units[..., n_colours + place, None]
            break
    associated = "ASSOCALPHA" in extras
    colours = units[..., :n_colours]
    if name == "PALETTE":
        assert colormap is not None
        colours = np.moveaxis(colormap, 0, -1)[values[..., 0]] / 65535
    elif name == "MINISWHITE":
        colours = 1 - colours
    elif name == "SEPARATED":
        colours = (1 - colours[..., :3]) * (1 - colours[..., 3:4])
    elif name == "YCBCR":
        colours = _from_ycbcr(colours)
    elif name == "CIELAB":
        colours = _from_lab(values[..., :3])
    elif name not in ("RGB", "MINISBLACK"):
        return None
    shown = (colours if associated else colours * alpha) + (1 - alpha)
    return np.broadcast_to((shown.clip(0, 1) * 255 + 0.5).astype(np.uint8), (*values.shape[:2], 3))


def _units(values: Pixels, bits: int, n_colours: int) -> Pixels:
    """Values from 0 to 1: unsigned ones of up to 16 bits by their span, others as data.md says."""
    if values.dtype == bool or (values.dtype.kind == "u" and values.dtype.itemsize <= 2):
        return np.asarray(values / (2.0**bits - 1))
    wide = values.astype(np.float64)
    low, high = wide[..., :n_colours].min(), wide[..., :n_colours].max()
    if values.dtype.kind == "f" and low >= 0 and high <= 1:
        return wide
    return np.asarray((wide - low) / max(high - low, 1e-300))


def _from_ycbcr(units: Pixels) -> Pixels:
    """ITU-R BT.601, full range."""
    y, cb, cr = np.moveaxis(units * 255, -1, 0)
    cb, cr = cb - 128, cr - 128
    rgb = [y + 1.402 * cr, y - 0.344136 * cb - 0.714136 * cr, y + 1.772 * cb]
    return np.stack(rgb, -1) / 255


def _from_lab(values: Pixels) -> Pixels:
    """CIE L*a*b* of D50 (8 bits, a* and b* signed) to sRGB, adapted by Bradford's matrix."""
    lightness = values[..., 0] / 255 * 100
    a, b = (values[..., at].astype(np.int8).astype(float) for at in (1, 2))
    fy = (lightness + 16) / 116
    f = np.stack([fy + a / 500, fy, fy - b / 200], -1)
    xyz = np.where(f > 6 / 29, f**3, 3 * (6 / 29) ** 2 * (f - 4 / 29)) * [0.9642, 1, 0.8249]
    to_rgb = np.array(
        [
            [3.1338561, -1.6168667, -0.4906146],
            [-0.9787684, 1.9161415, 0.0334540],
            [0.0719453, -0.2289914, 1.4052427],
        ]
    )
    linear = (xyz @ to_rgb.T).clip(0, 1)
    curved = 1.055 * linear ** (1 / 2.4) - 0.055
    return np.asarray(np.where(linear <= 0.0031308, 12.92 * linear, curved))
