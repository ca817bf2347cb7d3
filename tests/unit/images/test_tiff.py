"""Every TIFF that is read is the picture that an independent reader finds in it."""

from __future__ import annotations

import io
import logging
import random
from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from lookalike.errors import BadImageError
from lookalike.images.decoding import open_rgb
from support import tiff_matrix
from support.tiff_matrix import GREY, HEIGHT, RGB, WIDTH, Pixels, Tiff

TIFFS = list(tiff_matrix.matrix())
# Kinds that people have, of which no file may be refused.
READ = {
    ("grey", "u8"),
    ("grey", "u16"),
    ("grey", "i8"),
    ("grey", "i16"),
    ("grey", "i32"),
    ("grey", "f32"),
    ("grey", "bool"),
    ("white", "u8"),
    ("palette", "u8"),
    ("rgb", "u8"),
    ("rgb", "u16"),
    ("rgb_alpha", "u8"),
    ("rgb_alpha", "u16"),
    ("rgb_associated", "u8"),
    ("rgb_extra", "u8"),
    ("cmyk", "u8"),
    ("cmyk", "u16"),
}
SIMPLY_PACKED = {None, "packbits", "zlib", "lzw", "zstd"}


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL, logger="tifffile")


def check(tiffs: Iterable[Tiff]) -> tuple[int, int]:
    """How many were read, rightly, and how many refused; fails on any that is neither."""
    n_read = n_refused = 0
    for tiff in tiffs:
        content = tiff.content()
        if content is None:
            continue
        try:
            shown = np.asarray(open_rgb(content, "white"))
        except BadImageError as error:
            assert error.status == "unsupported_format", (tiff.name, str(error))
            assert error.detail.startswith("a TIFF "), (tiff.name, str(error))
            ordinary = (tiff.colour, tiff.sample) in READ and tiff.compression in SIMPLY_PACKED
            assert not ordinary or (tiff.big and tiff.order == ">"), (tiff.name, str(error))
            n_refused += 1
            continue
        expected = tiff_matrix.picture(content)
        assert expected is not None and shown.shape == expected.shape, tiff.name
        difference = np.abs(shown.astype(int) - expected).max()
        assert difference <= 2, (tiff.name, difference)
        n_read += 1
    return n_read, n_refused


def test_some_of_the_matrix() -> None:
    # One file of each kind of colour, samples, layout and order, stored in some way; the same ones
    # each time.
    some: dict[tuple[str, ...], list[Tiff]] = {}
    for tiff in TIFFS:
        packed = str(tiff.compression not in (None, "jpeg", "webp", "jpeg2000"))
        kind = (tiff.colour, tiff.sample, tiff.layout, tiff.order, str(tiff.big), packed)
        some.setdefault(kind, []).append(tiff)
    chosen = random.Random(0)
    n_read, n_refused = check(chosen.choice(alike) for alike in some.values())
    assert n_read > 150 and n_refused > 500


@pytest.mark.long
def test_the_whole_matrix() -> None:
    n_read, n_refused = check(TIFFS)
    assert n_read > 4000 and n_refused > 20_000


def difference(content: bytes, expected: Pixels) -> int:
    shown = np.asarray(open_rgb(content, "white"))
    assert shown.shape == expected.shape
    return int(np.abs(shown.astype(int) - expected).max())


def refusal(content: bytes) -> str:
    with pytest.raises(BadImageError) as caught:
        open_rgb(content, "white")
    assert caught.value.status == "unsupported_format"
    return caught.value.detail


def written(values: Pixels, **options: Any) -> bytes:
    stream = io.BytesIO()
    tifffile.imwrite(stream, values, **options)
    return stream.getvalue()


def pillow(image: Image.Image, compression: str | None) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "TIFF", compression=compression, **({"quality": 95} if compression else {}))
    return stream.getvalue()


@pytest.mark.parametrize("compression", ["group3", "group4", "tiff_ccitt", "packbits"])
def test_two_colours(compression: str) -> None:
    bits = np.random.default_rng(0).integers(0, 2, (HEIGHT, WIDTH)).astype(bool)
    stream = io.BytesIO()
    Image.fromarray(bits).save(stream, "TIFF", compression=compression)
    assert difference(stream.getvalue(), np.repeat(bits[..., None] * np.uint8(255), 3, 2)) == 0


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK", "YCbCr"])
def test_jpeg_within(mode: str) -> None:
    content = pillow(Image.fromarray(RGB).convert(mode), "jpeg")
    expected = tiff_matrix.picture(content)
    assert expected is not None and difference(content, expected) <= 2


@pytest.mark.parametrize("order", "<>")
def test_palettes_of_8_bits_in_16(order: str) -> None:
    colours = np.random.default_rng(0).integers(0, 256, (3, 256)).astype(np.uint16)
    expected = np.moveaxis(colours, 0, -1)[GREY].astype(np.uint8)
    for times in (1, 257):
        content = written(
            GREY, photometric="palette", colormap=colours * np.uint16(times), byteorder=order
        )
        assert difference(content, expected) == 0


def test_lab_is_lab() -> None:
    # Within sRGB's bounds and beyond, against the formulas.
    steps = np.arange(-120, 121, 20).astype(np.int8).view(np.uint8)
    lightness, a, b = np.meshgrid(np.arange(0, 256, 15), steps, steps, indexing="ij")
    values = np.stack([lightness, a, b], -1).astype(np.uint8).reshape(18, -1, 3)
    content = written(values, photometric="cielab")
    expected = tiff_matrix.picture(content)
    assert expected is not None and difference(content, expected) <= 2


class TestPages:
    """The first page is the picture, unless it says that it is only a part of it."""

    SMALL = RGB[::4, ::4]

    def test_of_equal_rank(self) -> None:
        stream = io.BytesIO()
        with tifffile.TiffWriter(stream) as file:
            file.write(self.SMALL, photometric="rgb")
            file.write(RGB, photometric="rgb")
        assert difference(stream.getvalue(), self.SMALL) == 0

    def test_a_pyramid_that_begins_with_the_whole(self) -> None:
        stream = io.BytesIO()
        with tifffile.TiffWriter(stream) as file:
            file.write(RGB, photometric="rgb", subifds=1)
            file.write(self.SMALL, photometric="rgb", subfiletype=1)
        assert difference(stream.getvalue(), RGB) == 0

    def test_a_lone_page_is_all_there_is(self) -> None:
        assert difference(written(RGB, photometric="rgb", subfiletype=1), RGB) == 0

    @pytest.mark.parametrize("kind", [0, 1])
    def test_a_preview_before_the_whole_is_refused(self, kind: int) -> None:
        stream = io.BytesIO()
        with tifffile.TiffWriter(stream) as file:
            file.write(self.SMALL, photometric="rgb", subfiletype=kind, subifds=1)
            file.write(RGB, photometric="rgb")
        assert "reduced image" in refusal(stream.getvalue())

    def test_a_preview_as_the_first_of_two_pages_is_refused(self) -> None:
        stream = io.BytesIO()
        with tifffile.TiffWriter(stream) as file:
            file.write(self.SMALL, photometric="rgb", subfiletype=1)
            file.write(RGB, photometric="rgb")
        assert "reduced image" in refusal(stream.getvalue())

    def test_a_mask_is_refused(self) -> None:
        assert "mask" in refusal(written(GREY > 100, photometric="mask", subfiletype=4))

    @pytest.mark.parametrize(("colours", "raw"), [("cfa", GREY[::2, ::2]), (34892, RGB[::2, ::2])])
    def test_camera_raw_is_named(self, colours: Any, raw: Pixels) -> None:
        stream = io.BytesIO()
        with tifffile.TiffWriter(stream) as file:
            file.write(RGB, photometric="rgb", subifds=1)
            file.write(raw, photometric=colours)
        assert "camera" in refusal(stream.getvalue())

    def test_dng_is_named(self) -> None:
        dng = [(50706, 1, 4, bytes((1, 4, 0, 0)), True)]
        assert "camera" in refusal(written(RGB, photometric="rgb", extratags=dng))


@pytest.mark.parametrize(
    ("values", "options", "says"),
    [
        (RGB.astype(np.float32), {"photometric": "rgb"}, "3 x 32-bit floating-point RGB"),
        (GREY.astype(np.float64), {"photometric": "minisblack"}, "64-bit floating-point grey"),
        (RGB, {"photometric": "rgb", "compression": "jpeg2000"}, "JPEG 2000"),
        (np.stack([GREY] * 8), {"photometric": "minisblack", "volumetric": True}, "dimensions"),
    ],
)
def test_refusals_say_what_it_is(values: Pixels, options: dict[str, Any], says: str) -> None:
    detail = refusal(written(values, **options))
    assert says in detail and "convert it to PNG or JPEG" in detail


@pytest.mark.parametrize("compression", [None, "lzw"])
@pytest.mark.parametrize("rows", [7, HEIGHT])
def test_a_tiff_without_its_last_rows_is_cut_short(compression: str | None, rows: int) -> None:
    noise = np.random.default_rng(0).integers(0, 256, RGB.shape).astype(np.uint8)
    content = written(noise, photometric="rgb", compression=compression, rowsperstrip=rows)
    for length in (len(content) - 1, len(content) * 3 // 4):
        with pytest.raises(BadImageError) as caught:
            open_rgb(content[:length], "white")
        assert caught.value.status == "truncated"
