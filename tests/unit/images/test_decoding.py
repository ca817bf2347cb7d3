"""Image reading against torchvision and against pixels worked out by hand."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, TiffImagePlugin

import lookalike
from lookalike.errors import BadImageError, LookalikeError
from lookalike.images import decoding, wide_greys
from lookalike.images.decoding import open_rgb
from lookalike.images.limits import MAX_PIXELS
from lookalike.images.resizing import load_pixels
from support import hostile_images
from support.pictures import SETTINGS, Pixels, encoded, noise


def read(content: bytes, background: str = "white") -> Pixels:
    return np.asarray(open_rgb(content, background))


def grey(values: Pixels) -> Pixels:
    return np.repeat(np.asarray(values)[..., None], 3, axis=2)


def over(rgb: Pixels, alpha: Pixels, background: tuple[int, int, int]) -> Pixels:
    """The textbook blend, rounded to the nearest."""
    a = np.asarray(alpha, dtype=np.float64)[..., None] / 255
    return np.floor(rgb * a + np.array(background) * (1 - a) + 0.5).astype(np.uint8)


def png(width: int, height: int, depth: int, colour: int, rows: bytes, **chunks: bytes) -> bytes:
    """A PNG written chunk by chunk, for what Pillow reads and does not write."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    step = len(rows) // height
    lines = b"".join(b"\0" + rows[at : at + step] for at in range(0, len(rows), step))
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    extra = b"".join(chunk(kind.encode(), body) for kind, body in chunks.items())
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + extra
        + chunk(b"IDAT", zlib.compress(lines))
        + chunk(b"IEND", b"")
    )


def tiff(width: int, height: int, bits: int, photometric: int, body: bytes) -> bytes:
    """A one-strip uncompressed grey TIFF."""
    sides = [(256, 4, 1, width), (257, 4, 1, height), (278, 4, 1, height)]
    kind = [(258, 3, 1, bits), (262, 3, 1, photometric), (279, 4, 1, len(body))]
    return hostile_images.tiff(1, *sides, *kind, data=body)


L = noise(5, 4, channels=1)
RGB = noise(5, 4)
ALPHA = noise(5, 4, channels=1, seed=9)
WIDE = np.random.default_rng(3).integers(0, 65536, (4, 5)).astype(np.uint16)
WIDE[0, :2] = 0, 65535
TEAL = "#0a6440"
TEAL_RGB = (10, 100, 64)


def palette_image(transparency: int | bytes | None = None) -> tuple[bytes, Pixels, Pixels]:
    """A palette PNG, its colours, and its alpha."""
    colours = noise(16, 1, seed=5)[0]
    index = np.random.default_rng(6).integers(0, 16, (4, 5)).astype(np.uint8)
    image = Image.fromarray(index, "P")
    image.putpalette(colours.tobytes())
    alpha = np.full(256, 255, dtype=np.uint8)
    if isinstance(transparency, int):
        alpha[transparency] = 0
    elif transparency is not None:
        alpha[: len(transparency)] = list(transparency)
    options = {} if transparency is None else {"transparency": transparency}
    return encoded(image, "PNG", **options), colours[index], alpha[index]


def packed(values: Pixels, bits: int) -> bytes:
    """Rows of `bits`-wide values, most significant first, each row filled up to whole bytes."""
    rows = []
    for row in values:
        text = "".join(f"{value:0{bits}b}" for value in row)
        text += "0" * (-len(text) % 8)
        rows.append(bytes(int(text[at : at + 8], 2) for at in range(0, len(text), 8)))
    return b"".join(rows)


class TestModes:
    """Each kind of file against the RGB worked out without Pillow's conversions."""

    @pytest.mark.parametrize("file_format", ["PNG", "BMP", "TIFF", "PPM"])
    def test_rgb(self, file_format: str) -> None:
        assert np.array_equal(read(encoded(Image.fromarray(RGB), file_format)), RGB)

    @pytest.mark.parametrize("file_format", ["PNG", "BMP", "TIFF", "PPM", "GIF"])
    def test_grey(self, file_format: str) -> None:
        assert np.array_equal(read(encoded(Image.fromarray(L), file_format)), grey(L))

    @pytest.mark.parametrize("file_format", ["PNG", "BMP", "TIFF", "PPM"])
    def test_one_bit(self, file_format: str) -> None:
        bits = L > 127
        content = encoded(Image.fromarray(bits), file_format)
        assert np.array_equal(read(content), grey(bits * np.uint8(255)))

    def test_rgba_over_the_background(self) -> None:
        content = encoded(Image.fromarray(np.dstack([RGB, ALPHA])), "PNG")
        assert np.array_equal(read(content, TEAL), over(RGB, ALPHA, TEAL_RGB))

    def test_lossless_webp_with_alpha(self) -> None:
        image = Image.fromarray(np.dstack([RGB, ALPHA]))
        content = encoded(image, "WEBP", lossless=True, exact=True)
        assert np.array_equal(read(content, TEAL), over(RGB, ALPHA, TEAL_RGB))

    def test_grey_with_alpha(self) -> None:
        content = encoded(Image.fromarray(np.dstack([L, ALPHA]), "LA"), "PNG")
        assert np.array_equal(read(content, TEAL), over(grey(L), ALPHA, TEAL_RGB))

    @pytest.mark.parametrize("transparency", [None, 3, bytes(range(0, 240, 20))])
    def test_palette(self, transparency: int | bytes | None) -> None:
        content, colours, alpha = palette_image(transparency)
        assert np.array_equal(read(content, TEAL), over(colours, alpha, TEAL_RGB))

    def test_transparent_gif(self) -> None:
        index = np.array([[0, 1], [1, 2]], dtype=np.uint8)
        image = Image.fromarray(index, "P")
        image.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])
        pixels = read(encoded(image, "GIF", transparency=1), TEAL)
        assert pixels.tolist() == [[[255, 0, 0], [*TEAL_RGB]], [[*TEAL_RGB], [0, 0, 255]]]

    @pytest.mark.parametrize("bits", [1, 2, 4, 8])
    def test_narrow_grey_with_a_transparent_value(self, bits: int) -> None:
        values = np.random.default_rng(bits).integers(0, 2**bits, (4, 5))
        key = int(values[1, 2])
        content = png(5, 4, bits, 0, packed(values, bits), tRNS=struct.pack(">H", key))
        shown = grey((values * (255 // (2**bits - 1))).astype(np.uint8))
        alpha = np.where(values == key, 0, 255)
        assert np.array_equal(read(content, TEAL), over(shown, alpha, TEAL_RGB))

    def test_rgb_with_a_transparent_colour(self) -> None:
        content = png(5, 4, 8, 2, RGB.tobytes(), tRNS=struct.pack(">HHH", *RGB[2, 3].tolist()))
        alpha = np.where((RGB[2, 3] == RGB).all(axis=2), 0, 255)
        assert np.array_equal(read(content, TEAL), over(RGB, alpha, TEAL_RGB))

    def test_16_bit_grey_is_scaled(self) -> None:
        expected = np.floor(WIDE / 65535 * 255 + 0.5).astype(np.uint8)
        body = WIDE.astype(">u2").tobytes()
        assert np.array_equal(read(png(5, 4, 16, 0, body)), grey(expected))
        assert np.array_equal(read(encoded(Image.fromarray(WIDE), "TIFF")), grey(expected))
        assert np.array_equal(read(b"P5 5 4 65535\n" + body), grey(expected))

    def test_16_bit_grey_with_a_transparent_value(self) -> None:
        expected = np.floor(WIDE / 65535 * 255 + 0.5).astype(np.uint8)
        key = int(WIDE[1, 1])
        content = png(5, 4, 16, 0, WIDE.astype(">u2").tobytes(), tRNS=struct.pack(">H", key))
        alpha = np.where(key == WIDE, 0, 255)
        assert np.array_equal(read(content, TEAL), over(grey(expected), alpha, TEAL_RGB))

    def test_16_bit_grey_with_alpha(self) -> None:
        body = np.dstack([L.astype(">u2") * 257, ALPHA.astype(">u2") * 257]).astype(">u2").tobytes()
        assert np.array_equal(read(png(5, 4, 16, 4, body), TEAL), over(grey(L), ALPHA, TEAL_RGB))

    def test_16_bit_colour_with_a_transparent_colour(self) -> None:
        wide = RGB.astype(">u2") * 257
        key = struct.pack(">HHH", *wide[2, 3].tolist())
        alpha = np.where((RGB[2, 3] == RGB).all(axis=2), 0, 255)
        content = png(5, 4, 16, 2, wide.astype(">u2").tobytes(), tRNS=key)
        assert np.array_equal(read(content, TEAL), over(RGB, alpha, TEAL_RGB))

    def test_12_bit_grey_tiff_spans_4095(self) -> None:
        values = np.array([[0, 4095, 2048, 16]])
        expected = np.floor(values / 4095 * 255 + 0.5).astype(np.uint8)
        assert np.array_equal(read(tiff(4, 1, 12, 1, packed(values, 12))), grey(expected))

    def test_white_is_zero_16_bit_tiff(self) -> None:
        expected = 255 - np.floor(WIDE / 65535 * 255 + 0.5).astype(np.uint8)
        assert np.array_equal(read(tiff(5, 4, 16, 0, WIDE.astype("<u2").tobytes())), grey(expected))

    def test_white_is_zero_8_bit_tiff(self) -> None:
        assert np.array_equal(read(tiff(5, 4, 8, 0, L.tobytes())), grey(255 - L))

    def test_32_bit_grey_is_stretched(self) -> None:
        values = np.array([[-1000, 0, 1000], [500, 250, 999]], dtype=np.int32)
        expected = np.floor((values + 1000) / 2000 * 255 + 0.5).astype(np.uint8)
        assert np.array_equal(read(encoded(Image.fromarray(values), "TIFF")), grey(expected))

    def test_floats_from_0_to_1(self) -> None:
        values = np.array([[0.25, 0.5, 0.75]], dtype=np.float32)
        expected = np.floor(values * 255 + 0.5).astype(np.uint8)
        assert np.array_equal(read(encoded(Image.fromarray(values), "TIFF")), grey(expected))

    def test_floats_beyond_1_are_stretched(self) -> None:
        values = np.array([[-5.0, 0.0, 5.0, np.nan, np.inf, -np.inf]], dtype=np.float32)
        expected = np.array([[0, 128, 255, 0, 255, 0]], dtype=np.uint8)
        assert np.array_equal(read(encoded(Image.fromarray(values), "TIFF")), grey(expected))

    @pytest.mark.parametrize("kind", [np.uint16, np.int32, np.float32])
    def test_bands_do_not_show(
        self, kind: type[np.generic], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        values = np.random.default_rng(0).integers(0, 2**16, (9, 7)).astype(kind)
        if kind is np.float32:
            values[3, :4] = [np.nan, np.inf, -np.inf, -7.5]
        content = encoded(Image.fromarray(values), "TIFF")
        whole = read(content)
        monkeypatch.setattr(wide_greys, "_BAND", 5)
        assert np.array_equal(read(content), whole)

    @pytest.mark.parametrize("kind", [np.int32, np.float32])
    def test_flat_wide_grey(self, kind: type) -> None:
        flat: Pixels = np.full((2, 2), 70000, dtype=kind)
        assert read(encoded(Image.fromarray(flat), "TIFF")).max() == 0

    def test_cmyk(self) -> None:
        inks = noise(5, 4, channels=4)
        light = 1 - inks / 255.0
        expected = light[..., :3] * light[..., 3:] * 255
        content = encoded(Image.fromarray(inks, "CMYK"), "TIFF")
        assert np.abs(read(content) - expected).max() <= 1

    def test_cmyk_jpeg(self) -> None:
        image = Image.new("CMYK", (16, 16), (200, 30, 60, 40))
        expected = [(255 - ink) * (255 - 40) / 255 for ink in (200, 30, 60)]
        content = encoded(image, "JPEG", quality=95)
        assert np.abs(read(content) - np.array(expected)).max() <= 4

    def test_ycbcr(self) -> None:
        y, cb, cr = 120, 90, 160
        expected = [
            y + 1.402 * (cr - 128),
            y - 0.344136 * (cb - 128) - 0.714136 * (cr - 128),
            y + 1.772 * (cb - 128),
        ]
        content = encoded(Image.new("YCbCr", (4, 4), (y, cb, cr)), "TIFF")
        assert np.abs(read(content) - np.array(expected)).max() <= 1

    def test_lab(self) -> None:
        content = encoded(Image.new("LAB", (4, 4), (128, 128, 128)), "TIFF")
        # L* = 128 / 255 * 100: CIE luminance, then the sRGB curve.
        luminance = ((128 / 255 * 100 + 16) / 116) ** 3
        assert np.abs(read(content) - (1.055 * luminance ** (1 / 2.4) - 0.055) * 255).max() <= 1

    def test_avif(self) -> None:
        image = Image.new("RGB", (16, 16), (200, 40, 90))
        assert np.abs(read(encoded(image, "AVIF", quality=95)) - np.array([200, 40, 90])).max() <= 4


UPRIGHT: dict[int, Callable[[Pixels], Pixels]] = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a.transpose(1, 0, 2)[::-1, ::-1],
    8: lambda a: np.rot90(a, 1),
}


class TestOrientation:
    @pytest.mark.parametrize("orientation", range(1, 9))
    @pytest.mark.parametrize("file_format", ["PNG", "TIFF", "TIFF lzw", "WEBP", "JPEG", "AVIF"])
    def test_is_applied_once(self, file_format: str, orientation: int) -> None:
        exif = Image.Exif()
        exif[0x0112] = orientation
        blocks = np.kron(RGB // 2 + 60, np.ones((16, 16, 1), dtype=np.uint8))
        name, _, compression = file_format.partition(" ")
        options: dict[str, Any] = {"compression": "tiff_lzw"} if compression else {}
        if name in ("JPEG", "AVIF", "WEBP"):
            options = (
                {"lossless": True} if name == "WEBP" else {"quality": 98, "subsampling": "4:4:4"}
            )
        content = encoded(Image.fromarray(blocks), name, exif=exif, **options)
        shown = read(content).astype(int)
        expected = UPRIGHT[orientation](blocks).astype(int)
        assert shown.shape == expected.shape
        # The middles of the blocks: lossy formats ring at the edges.
        difference = np.abs(shown - expected)[8::16, 8::16]
        assert difference.max() <= (0 if name in ("PNG", "TIFF", "WEBP") else 8)

    @pytest.mark.parametrize("block", [b"", b"Exif\0\0", b"Exif\0\0II*\0\xff\xff\xff\xff", b"junk"])
    def test_damaged_exif_leaves_the_image_as_stored(self, block: bytes) -> None:
        assert np.array_equal(read(encoded(Image.fromarray(RGB), "PNG", exif=block)), RGB)

    def test_of_a_file_as_of_its_bytes(self, tmp_path: Path) -> None:
        # Pillow maps a file of plain rows that it opens itself, and then does not turn it.
        exif = Image.Exif()
        exif[0x0112] = 6
        content = encoded(Image.fromarray(RGB[..., 0]), "TIFF", exif=exif)
        (tmp_path / "a.tif").write_bytes(content)
        expected = grey(np.rot90(RGB[..., 0], -1))
        for source in (content, tmp_path / "a.tif"):
            assert np.array_equal(np.asarray(open_rgb(source, "white")), expected)

    def test_of_a_palette_image_with_alpha(self) -> None:
        content, colours, alpha = palette_image(3)
        exif = Image.Exif()
        exif[0x0112] = 6
        turned = encoded(Image.open(io.BytesIO(content)), "PNG", exif=exif)
        expected = np.rot90(over(colours, alpha, TEAL_RGB), -1)
        assert np.array_equal(read(turned, TEAL), expected)


class TestFirstFrame:
    @pytest.mark.parametrize("file_format", ["GIF", "PNG", "WEBP", "TIFF", "MPO"])
    def test_is_what_is_read(self, file_format: str) -> None:
        frames = [Image.new("RGB", (16, 16), colour) for colour in ("red", "lime", "blue")]
        content = encoded(frames[0], file_format, save_all=True, append_images=frames[1:])
        image = open_rgb(content, "white")
        assert image.format == file_format
        assert np.abs(np.asarray(image).astype(int) - np.array([255, 0, 0])).max() <= 2


def status_of(content: bytes) -> str:
    with pytest.raises(BadImageError) as caught:
        open_rgb(content, "white")
    assert caught.value.detail
    assert "0x" not in caught.value.detail  # an address would differ from run to run
    return caught.value.status


def png_header_only(width: int, height: int) -> bytes:
    body = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = b"IDAT" + zlib.compress(b"\0" * 100)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(part) - 4) + part + struct.pack(">I", zlib.crc32(part))
        for part in (body, data, b"IEND")
    )


class TestReadImage:
    def test_is_what_the_pipeline_sees(self, tmp_path: Path) -> None:
        (tmp_path / "a.png").write_bytes(encoded(Image.fromarray(np.dstack([RGB, ALPHA])), "PNG"))
        shown = lookalike.read_image(tmp_path / "a.png", background=TEAL)
        assert shown.dtype == np.uint8 and shown.flags.writeable
        assert np.array_equal(shown, over(RGB, ALPHA, TEAL_RGB))
        assert np.array_equal(
            lookalike.read_image(str(tmp_path / "a.png")), over(RGB, ALPHA, (255, 255, 255))
        )

    def test_what_cannot_be_read_has_its_status(self, tmp_path: Path) -> None:
        (tmp_path / "a.png").write_bytes(b"hello")
        for name, status in (("a.png", "not_an_image"), ("b.png", "missing_file")):
            with pytest.raises(BadImageError, match=name) as caught:
                lookalike.read_image(tmp_path / name)
            assert caught.value.status == status

    def test_the_package_itself_imports_nothing_heavy(self) -> None:
        program = (
            "import sys, lookalike\n"
            "print(*sys.modules.keys() & {'numpy', 'PIL', 'torch', 'pyarrow'})\n"
            "from lookalike import read_image\n"
            "print(read_image.__module__)"
        )
        done = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=True
        )
        assert done.stdout.split("\n")[:2] == ["", "lookalike.images.decoding"]

    def test_there_is_nothing_else(self) -> None:
        with pytest.raises(AttributeError, match="no attribute 'read_picture'"):
            lookalike.read_picture  # noqa: B018


class TestRefusals:
    @pytest.mark.parametrize(
        ("file_format", "options"),
        [
            ("JPEG", {}),
            ("PNG", {}),
            ("GIF", {}),
            ("WEBP", {}),
            ("BMP", {}),
            ("TIFF", {}),
            ("TIFF", {"compression": "tiff_lzw"}),
            ("PPM", {}),
            ("AVIF", {}),
        ],
    )
    def test_a_file_cut_short_is_never_read(
        self, file_format: str, options: dict[str, Any]
    ) -> None:
        content = encoded(Image.fromarray(noise(60, 50)), file_format, **options)
        statuses = {status_of(content[: len(content) * part // 20]) for part in range(2, 19)}
        assert statuses <= {"truncated", "damaged"}
        if file_format in ("JPEG", "PNG", "BMP", "PPM"):
            assert statuses == {"truncated"}

    def test_empty(self) -> None:
        assert status_of(b"") == "empty_file"

    @pytest.mark.parametrize("content", [b"hello", b"\0" * 500, b"PK\x03\x04" * 9, b"{}", b"P"])
    def test_not_an_image(self, content: bytes) -> None:
        assert status_of(content) == "not_an_image"

    @pytest.mark.parametrize(
        "content",
        [
            b"\0\0\0\x18ftypheic\0\0\0\0mif1heic",
            b"%PDF-1.7\n",
            b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
            b"<svg xmlns='http://www.w3.org/2000/svg'/>",
            b"8BPS\0\1",
        ],
    )
    def test_other_formats_are_named(self, content: bytes) -> None:
        assert status_of(content) == "unsupported_format"

    def test_no_other_decoder_of_pillows_is_used(self) -> None:
        for file_format in ("ICO", "TGA", "PCX", "SGI", "JPEG2000", "ICNS", "PDF", "EPS"):
            content = encoded(Image.new("RGB", (16, 16)), file_format)
            assert status_of(content) in ("unsupported_format", "not_an_image")

    @pytest.mark.parametrize("side", [9_500, 40_000])
    def test_too_large_is_refused_on_the_header(
        self, side: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def decoded(*_: object) -> None:
            raise AssertionError("decoded")

        monkeypatch.setattr("PIL.ImageFile.ImageFile.load", decoded)
        with pytest.warns(Image.DecompressionBombWarning) if side < 10_000 else nullcontext():
            assert status_of(png_header_only(side, side)) == "too_large"

    def test_the_limit_is_pillows_warning(self) -> None:
        # Below our limit Pillow must have nothing to say.
        assert MAX_PIXELS == Image.MAX_IMAGE_PIXELS

    def test_layers_and_profiles_before_the_pixels_are_no_reason(self) -> None:
        whole = np.arange(16, dtype=np.uint8).reshape(4, 4)
        layers = TiffImagePlugin.ImageFileDirectory_v2()
        layers[37724], layers.tagtype[37724] = bytes(20 * 2**20), 7
        assert (read(encoded(Image.fromarray(whole), "TIFF", tiffinfo=layers)) == grey(whole)).all()
        profile = {"icc_profile": bytes(3 * 2**20)}
        content = encoded(Image.fromarray(whole), "JPEG", quality=95, **profile)
        assert open_rgb(content, "white").size == (4, 4)

    def test_a_damaged_stream(self) -> None:
        content = png(5, 4, 8, 2, RGB.tobytes())
        at = content.index(b"IDAT") + 4
        assert status_of(content[:at] + b"\xff" * 20 + content[at + 20 :]) == "damaged"

    def test_a_missing_file_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(LookalikeError, match=r"gone\.png: cannot be read: No such file"):
            load_pixels(tmp_path / "gone.png", SETTINGS)

    def test_a_bad_file_is_named(self, tmp_path: Path) -> None:
        (tmp_path / "a.png").write_bytes(b"hello")
        with pytest.raises(BadImageError, match=r"a\.png: its first bytes") as caught:
            load_pixels(tmp_path / "a.png", SETTINGS)
        assert caught.value.status == "not_an_image"
        assert "a.png" not in caught.value.detail

    @settings(derandomize=True, deadline=None, max_examples=150)
    @given(st.data())
    def test_no_bytes_raise_anything_else(self, data: st.DataObject) -> None:
        file_format = data.draw(st.sampled_from(decoding.FORMATS))
        content = bytearray(encoded(Image.fromarray(noise(20, 15)), file_format))
        for _ in range(data.draw(st.integers(1, 12))):
            at = data.draw(st.integers(0, min(len(content) - 1, 200)))
            content[at] = data.draw(st.integers(0, 255))
        try:
            image = open_rgb(bytes(content), "white")
        except BadImageError:
            return
        assert image.mode == "RGB"
