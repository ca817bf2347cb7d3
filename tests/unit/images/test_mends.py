"""Files that viewers show whole although something beside their pixels is wrong."""

from __future__ import annotations

import io
import itertools
import math
import struct
import zlib
from typing import Any

import cv2
import imagecodecs
import numpy as np
import pytest
from PIL import Image
from PIL.TiffImagePlugin import TiffImageFile

from lookalike.errors import BadImageError
from lookalike.images.decoding import open_rgb
from lookalike.images.resizing import ImageSettings, load_pixels
from support.image_matrix import RGB, Pixels, chunk

_Y, _X = np.mgrid[0:61, 0:83]
PICTURES: dict[str, Pixels] = {
    "smooth": np.dstack([_X * 3, _Y * 4, 255 - _X * 2 - _Y]).astype(np.uint8),
    "noise": np.random.default_rng(0).integers(0, 256, (61, 83, 3)).astype(np.uint8),
    "flat but the end": np.where(_Y[..., None] < 56, 40, 200).astype(np.uint8).repeat(3, 2),
    "black": np.zeros((61, 83, 3), np.uint8),
}


def read(content: bytes) -> Pixels:
    return np.asarray(open_rgb(content, "white"))


def status_of(content: bytes) -> str:
    with pytest.raises(BadImageError) as caught:
        open_rgb(content, "white")
    return caught.value.status


def png(*before: bytes, after: tuple[bytes, ...] = (), rgb: Pixels = RGB) -> bytes:
    """An RGB PNG with whole chunks before and after its pixels."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", *rgb.shape[1::-1], 8, 2, 0, 0, 0))
    data = chunk(b"IDAT", zlib.compress(b"".join(b"\0" + row.tobytes() for row in rgb)))
    parts = (header, *before, data, *after, chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def opencv(content: bytes) -> Pixels | None:
    """What libpng makes of it."""
    cv2.utils.logging.setLogLevel(0)
    return cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR_RGB)


ANCILLARY = {
    b"pHYs": struct.pack(">IIB", 2835, 2835, 1),
    b"gAMA": struct.pack(">I", 45455),
    b"tEXt": b"comment\0by hand",
    b"tIME": b"\x07\xe8\1\1\1\1\1",
    b"prVt": b"anything",
    b"tRNS": struct.pack(">HHH", *RGB[3, 4].tolist()),
    b"eXIf": b"II*\0\x08\0\0\0\1\0\x12\1\3\0\1\0\0\0\6\0\0\0",
}


class TestPng:
    @pytest.mark.parametrize("kind", ANCILLARY)
    @pytest.mark.parametrize("place", ["before", "after"])
    def test_a_wrong_checksum_beside_the_pixels_is_passed_over(
        self, kind: bytes, place: str
    ) -> None:
        wrong = chunk(kind, ANCILLARY[kind], wrong=1)
        content = png(wrong) if place == "before" else png(after=(wrong,))
        assert np.array_equal(read(content), RGB)
        theirs = opencv(content)
        assert theirs is None or np.array_equal(theirs, RGB)

    def test_what_it_says_is_not_used(self) -> None:
        right = png(chunk(b"tRNS", ANCILLARY[b"tRNS"]))
        assert (read(right)[3, 4] == 255).all()
        turned = png(chunk(b"eXIf", ANCILLARY[b"eXIf"]))
        assert read(turned).shape == (*RGB.shape[1::-1], 3)

    @pytest.mark.parametrize(
        "body", [b"pHYs\1", b"sRGB", b"iCCPx\0\7junk", b"zTXtx\0\7junk", b"gAMA\1", b"tRNS\0\0\0"]
    )
    def test_a_content_that_is_wrong_is_passed_over(self, body: bytes) -> None:
        assert np.array_equal(read(png(chunk(body[:4], body[4:]))), RGB)

    def test_a_wrong_checksum_of_the_pixels_is_damage(self) -> None:
        content = bytearray(png())
        for kind in (b"IHDR", b"IDAT"):
            at = content.index(kind)
            end = at + 4 + struct.unpack_from(">I", content, at - 4)[0]
            broken = bytearray(content)
            broken[end] ^= 1
            assert status_of(bytes(broken)) == "damaged"

    def test_a_wrong_checksum_of_the_palette_is_damage(self) -> None:
        stream = io.BytesIO()
        Image.fromarray(RGB).quantize(8).save(stream, "PNG")
        content = bytearray(stream.getvalue())
        content[content.index(b"PLTE") + 5] ^= 1
        assert status_of(bytes(content)) == "damaged"

    def test_the_end_mark_is_not_needed(self) -> None:
        content = png()
        for length in (len(content) - 12, len(content) - 1):
            assert np.array_equal(read(content[:length]), RGB)

    def test_the_pixels_are(self) -> None:
        noise = np.random.default_rng(0).integers(0, 256, (30, 40, 3)).astype(np.uint8)
        content = png(chunk(b"pHYs", ANCILLARY[b"pHYs"], wrong=1), rgb=noise)
        for cut in (40, 400, 1000):
            assert status_of(content[:-cut]) in ("truncated", "damaged")

    @pytest.mark.parametrize("interlaced", [False, True])
    @pytest.mark.parametrize("kind", ["1", "L", "I;16", "P", "LA", "RGB", "RGBA"])
    @pytest.mark.parametrize("size", [(1, 1), (2, 1), (5, 1), (1, 2), (3, 3), (9, 7), (8, 8)])
    def test_data_that_end_in_order_before_the_pixels_do(
        self, kind: str, size: tuple[int, int], interlaced: bool
    ) -> None:
        colours, bits, n_bytes = {
            "1": (0, 1, 1 / 8),
            "L": (0, 8, 1),
            "I;16": (0, 16, 2),
            "P": (3, 8, 1),
            "LA": (4, 8, 2),
            "RGB": (2, 8, 3),
            "RGBA": (6, 8, 4),
        }[kind]
        width, height = size
        header = struct.pack(">IIBBBBB", width, height, bits, colours, 0, 0, interlaced)
        palette = chunk(b"PLTE", bytes(range(256)) * 3) if kind == "P" else b""
        steps = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4)]
        steps += [(0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
        rows = []
        for x, y, across, down in steps if interlaced else [(0, 0, 1, 1)]:
            n_columns = len(range(x, width, across))
            rows += (
                [1 + math.ceil(n_columns * n_bytes)] * len(range(y, height, down)) * (n_columns > 0)
            )
        # Marks of the decoder's own are among the values that pixels have.
        for value in (0, 255, 113, 142, 0x55, 0xAA):
            for n_rows in {0, 1, len(rows) // 2, len(rows) - 1, len(rows)}:
                data = b"".join(b"\0" + bytes([value]) * (row - 1) for row in rows[:n_rows])
                content = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + palette
                content += chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")
                if n_rows == len(rows):
                    assert read(content).shape == (height, width, 3)
                else:
                    assert status_of(content) == "truncated"

    def test_another_kind_of_png_is_named(self) -> None:
        content = png()
        with pytest.raises(BadImageError, match="CgBI") as caught:
            open_rgb(content[:8] + chunk(b"CgBI", b"\x50\0\x20\2") + content[8:], "white")
        assert caught.value.status == "unsupported_format"


def jpeg(name: str, mode: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(PICTURES[name]).convert(mode).save(stream, "JPEG", **options)
    return stream.getvalue()


def jpegs(whole: bool) -> list[tuple[str, bytes]]:
    """JPEGs of several pictures, modes and ways of coding; of few ways, or of all."""
    found = []
    for name, mode, progressive, restarts in itertools.product(
        PICTURES, ("RGB", "L", "CMYK"), (False, True), (0, 4)
    ):
        for quality, optimize in (
            itertools.product((30, 90), (False, True)) if whole else [(75, True)]
        ):
            options = {"restart_marker_blocks": restarts} if restarts else {}
            content = jpeg(
                name, mode, progressive=progressive, quality=quality, optimize=optimize, **options
            )
            kind = f"{name} {mode} {quality} progressive {progressive} restarts {restarts}"
            found.append((f"{kind} optimize {optimize}", content))
    return found


def check_jpegs(whole: bool) -> None:
    for name, content in jpegs(whole):
        expected = read(content)
        for lacking in (1, 2):
            assert np.array_equal(read(content[:-lacking]), expected), name
        after_header = len(content) - content.index(b"\xff\xda")
        cuts = {
            *range(3, 12, 1 if whole else 3),
            *np.linspace(12, after_header - 4, 20 if whole else 5).astype(int).tolist(),
        }
        for cut in cuts:
            try:
                shown = read(content[:-cut])
            except BadImageError as error:
                assert error.status == "truncated", (name, cut)
            else:  # nothing that was lost shows
                assert np.abs(shown.astype(int) - expected).max() <= 2, (name, cut)


class TestJpeg:
    def test_the_end_mark_is_not_needed_and_the_pixels_are(self) -> None:
        check_jpegs(whole=False)

    @pytest.mark.long
    def test_of_every_coding(self) -> None:
        check_jpegs(whole=True)

    def test_libjpeg_turbo_agrees(self) -> None:
        content = jpeg("smooth", "RGB", quality=95, subsampling=0)
        theirs = imagecodecs.jpeg8_decode(content[:-2])
        assert np.abs(read(content[:-2]).astype(int) - theirs).max() <= 2

    @pytest.mark.parametrize("cut", [100, 400, 1500])
    def test_of_noise_every_cut_is_found(self, cut: int) -> None:
        for progressive in (False, True):
            content = jpeg("noise", "RGB", quality=75, progressive=progressive)
            assert status_of(content[:-cut]) == "truncated"

    def test_a_progressive_one_without_its_last_scans_is_cut_short(self) -> None:
        content = jpeg("smooth", "RGB", quality=75, progressive=True)
        for _ in range(3):
            content = content[: content.rindex(b"\xff\xda")]
            assert status_of(content) == "truncated"

    @pytest.mark.parametrize(
        "segment",
        [
            b"\xff\xee\0\x08Adobe\0",
            b"\xff\xe0\0\x06JFIF",
            b"\xff\xe2\0\x0eICC_PROFILE\0",
            b"\xff\xfe\0\0",
            b"\xff\xe1\0\x08Exif\0\0",
            b"\xff\xee\0\x08Adobe\0junk",
        ],
    )
    @pytest.mark.parametrize("instead", [False, True])
    @pytest.mark.parametrize("mode", ["RGB", "L"])
    def test_a_segment_that_is_wrong_is_passed_over(
        self, segment: bytes, instead: bool, mode: str
    ) -> None:
        content = jpeg("smooth", mode)
        after = content[content.index(b"\xff\xdb") if instead else 2 :]
        broken = content[:2] + segment + after
        theirs = opencv(broken)
        assert theirs is not None
        assert np.abs(read(broken).astype(int) - theirs).max() <= 2
        assert np.array_equal(read(broken[:-2]), read(broken))

    def test_a_segment_that_is_right_is_kept_beside_one_that_is_wrong(self) -> None:
        turned = Image.Exif()
        turned[0x112] = 6
        content = jpeg("smooth", "CMYK", exif=turned)  # of Adobe: inverted
        wrong = b"\xff\xe2\0\x0eICC_PROFILE\0"
        assert read(content).shape == (83, 61, 3)
        assert np.array_equal(read(content[:2] + wrong + content[2:]), read(content))

    @pytest.mark.parametrize("progressive", [False, True])
    def test_another_one_in_place_of_the_end_mark(self, progressive: bool) -> None:
        content = jpeg("smooth", "RGB", progressive=progressive)
        other = jpeg("noise", "RGB")
        assert np.array_equal(read(content[:-2] + other), read(content))
        assert status_of(content[:-200] + other) in ("truncated", "damaged")

    def test_reduced_as_the_whole_file_is(self) -> None:
        picture = Image.fromarray(PICTURES["smooth"]).resize((830, 610))
        stream = io.BytesIO()
        picture.save(stream, "JPEG", quality=90)
        settings = ImageSettings(24, "squash", "white", (0, 0, 0), (1, 1, 1), "fast")
        whole = load_pixels(stream.getvalue(), settings)
        assert np.array_equal(load_pixels(stream.getvalue()[:-2], settings), whole)


class TestTiff:
    @pytest.mark.parametrize("filled_up", [b"", b"\0", b"\0" * 9])
    def test_a_strip_of_jpeg_that_ends_before_its_end_mark(self, filled_up: bytes) -> None:
        stream = io.BytesIO()
        Image.fromarray(PICTURES["noise"]).save(stream, "TIFF", compression="jpeg", quality=90)
        with Image.open(stream) as image:
            assert isinstance(image, TiffImageFile)
            (place,), (length,) = image.tag_v2[273], image.tag_v2[279]
        whole = stream.getvalue()
        expected = read(whole)
        content = bytearray(whole)
        entry = content.index(struct.pack("<HHI", 279, 4, 1))
        moved = content.index(struct.pack("<HHI", 273, 4, 1))

        def with_strip(strip: bytes) -> bytes:
            struct.pack_into("<I", content, entry + 8, len(strip))
            struct.pack_into("<I", content, moved + 8, len(whole))
            return bytes(content) + strip

        strip = whole[place : place + length]
        assert np.array_equal(read(with_strip(strip + filled_up)), expected)
        for kept in (length // 3, length - 30, length - 2):
            assert status_of(with_strip(strip[:kept])) == "truncated"
            assert status_of(with_strip(strip[:kept] + filled_up)) == "truncated"
