"""What a person is told of a file that is not read: what it is, and what to do."""

from __future__ import annotations

import gzip
import io
import struct
from typing import Any

import imagecodecs
import numpy as np
import pytest
from PIL import Image

from lookalike.errors import BadImageError
from lookalike.images.decoding import open_rgb
from support.image_matrix import RGB


def refusal(content: bytes | bytearray) -> tuple[str, str]:
    with pytest.raises(BadImageError) as caught:
        open_rgb(bytes(content), "white")
    return caught.value.status, caught.value.detail


def saved(mode: str, file_format: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(RGB).convert(mode).save(stream, file_format, **options)
    return stream.getvalue()


def long_boxes(major: bytes, *compatible: bytes) -> bytes:
    """The same with the length of the first box in 64 bits."""
    body = major + bytes(4) + b"".join(compatible)
    return b"\0\0\0\1ftyp" + struct.pack(">Q", 16 + len(body)) + body + bytes(64)


def boxes(major: bytes, *compatible: bytes) -> bytes:
    """The beginning of a file of boxes."""
    body = b"ftyp" + major + bytes(4) + b"".join(compatible)
    return struct.pack(">I", 4 + len(body)) + body + b"\0\0\0\x20meta" + bytes(64)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (boxes(b"heic", b"mif1", b"heic"), "HEIC"),
        (boxes(b"mif1", b"mif1", b"heic", b"miaf"), "HEIC"),
        (boxes(b"msf1", b"hevc"), "HEIC"),
        *((boxes(brand, b"mif1"), "HEIC") for brand in (b"heix", b"heim", b"heis", b"hevc")),
        *((boxes(brand, b"mif1"), "HEIC") for brand in (b"hevx", b"hevm", b"hevs")),
        (boxes(b"mif1", b"mif1", b"miaf"), "HEIF"),
        (boxes(b"avci", b"mif1"), "HEIF"),
        (boxes(b"MA1B", b"mif1", b"avif"), "AVIF"),
        (boxes(b"crx ", b"crx ", b"isom"), "CR3"),
        (boxes(b"jxl ", b"jxl "), "JPEG XL"),
        (b"\0\0\0\x0cJXL \r\n\x87\n" + boxes(b"jxl "), "JPEG XL"),
        (b"\xff\x0a" + bytes(40), "JPEG XL"),
        (b"\0\0\0\x0cjP  \r\n\x87\n" + boxes(b"jp2 "), "JPEG 2000"),
        (imagecodecs.jpeg2k_encode(RGB, codecformat="j2k"), "JPEG 2000"),
        (imagecodecs.jpegxr_encode(RGB), "JPEG XR"),
        (imagecodecs.qoi_encode(RGB), "QOI"),
        (b"P7\nWIDTH 1\nHEIGHT 1\nDEPTH 3\nMAXVAL 255\nENDHDR\nabc", "PAM"),
        (b"PF\n1 1\n-1.0\n" + bytes(12), "PFM"),
        (b"IIRO\x08\0\0\0" + bytes(64), "ORF"),
        (b"IIU\0\x18\0\0\0" + bytes(64), "RW2"),
        (b"FUJIFILMCCD-RAW 0201" + bytes(64), "RAF"),
        (b"II*\0\x10\0\0\0CR\2\0" + bytes(4) + b"\0\0" + bytes(64), "CR2"),
        (long_boxes(b"heic", b"mif1"), "HEIC"),
        (long_boxes(b"mif1", b"mif1", b"heic"), "HEIC"),
        (long_boxes(b"crx ", b"isom"), "CR3"),
        (boxes(b"mif1", b"heic", b"avif"), "HEIC"),
        *((saved(mode, "TGA"), "TGA") for mode in ("1", "L", "P", "LA", "RGB", "RGBA")),
        *((saved(mode, "TGA", compression="tga_rle"), "TGA") for mode in ("L", "P", "RGB", "RGBA")),
        (saved("RGB", "TGA")[:-26], "TGA"),
        (saved("P", "TGA")[:-26], "TGA"),
        (saved("RGBA", "ICO"), "ICO"),
        (b"\0\0\2\0" + saved("RGBA", "ICO")[4:], "CUR"),
        (bytes(128) + b"DICM" + bytes(64), "DICOM"),
    ],
)
def test_other_formats_are_named(content: bytes, says: str) -> None:
    status, detail = refusal(content)
    assert status == "unsupported_format"
    assert says in detail
    assert "to PNG or JPEG" in detail


def test_a_broken_avif_is_damaged() -> None:
    stream = io.BytesIO()
    Image.fromarray(RGB).save(stream, "AVIF")
    assert refusal(stream.getvalue()[:60]) == (
        "damaged",
        "begins like AVIF but cannot be decoded: damaged or cut short",
    )


_POINTER = (
    b"version https://git-lfs.github.com/spec/v1\noid sha256:"
    + b"4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345\n"
)
_S3 = (
    b'<?xml version="1.0" encoding="UTF-8"?>\n'
    b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"
)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (_POINTER, "git lfs pull"),
        (b"/annex/objects/SHA256E-s9--ab.jpg\n", "git annex get"),
        (b"<!DOCTYPE html><html><body>404</body></html>", "web page"),
        (_S3, "XML, likely an error message saved under this name (AccessDenied)"),
        (b'{"message": "Not Found"}', "JSON"),
        (b"PK\x03\x04" + bytes(40), "ZIP"),
        (gzip.compress(b"anything"), "gzip"),
        (boxes(b"isom", b"iso2", b"avc1", b"mp41"), "video"),
        (boxes(b"qt  ", b"qt  "), "video"),
        (b"\0\0\1\0moov" + bytes(64), "QuickTime"),
        (b"\0\0\2\0moov" + bytes(range(64)), "QuickTime"),
        (b"\0\0\0\x08wide\0\1\0\0mdat" + bytes(64), "QuickTime"),
        (b"\0\0\1\0" + bytes(64), "its first bytes"),
        (b"\0\0\2\0" + bytes(64), "its first bytes"),
        (b"\0\0\2\0" + b"any words at all, or some numbers", "its first bytes"),
        (b"P6 is how one kind of file begins", "its first bytes"),
        (long_boxes(b"isom", b"mp41"), "video"),
        (bytes(4096), "zeros"),
        (b"\0\5\x16\7\0\2\0\0Mac OS X" + bytes(64), "AppleDouble"),
        (b"iVBORw0KGgoAAAANSUhEUgAA", "base64"),
        (b"BM stands for many things, a bitmap among them", "its first bytes"),
        (b"P3a pen and a pencil, two of each", "its first bytes"),
    ],
)
def test_what_is_no_image_is_named(content: bytes, says: str) -> None:
    status, detail = refusal(content)
    assert status == "not_an_image"
    assert says in detail


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (imagecodecs.jpeg8_encode(RGB[..., 0].astype(np.uint16) * 16, bitspersample=12), "12 bits"),
        (imagecodecs.ljpeg_encode(RGB[..., 0].astype(np.uint16) * 257), "lossless, of 16 bits"),
        (imagecodecs.jpegls_encode(RGB[..., 0]), "JPEG-LS"),
    ],
)
def test_kinds_of_jpeg_are_named(content: bytes, says: str) -> None:
    status, detail = refusal(content)
    assert status == "unsupported_format"
    assert says in detail and "convert it to PNG or JPEG" in detail


@pytest.mark.parametrize(
    ("at", "value", "says"), [(1, 0xC5, "hierarchical"), (9, 2, "2 channels"), (4, 12, "12 bits")]
)
def test_a_frame_header_tells_the_kind(at: int, value: int, says: str) -> None:
    stream = io.BytesIO()
    Image.fromarray(RGB).save(stream, "JPEG", comment=b"x" * 3000)
    content = bytearray(stream.getvalue())
    content[content.index(b"\xff\xc0") + at] = value
    status, detail = refusal(bytes(content))
    assert status == "unsupported_format" and says in detail


def test_a_lossless_jpeg_of_8_bits_is_read() -> None:
    content = imagecodecs.jpeg8_encode(RGB, lossless=True)
    assert np.array_equal(np.asarray(open_rgb(bytes(content), "white")), RGB)


def test_a_damaged_ordinary_jpeg_is_damaged() -> None:
    stream = io.BytesIO()
    Image.fromarray(RGB).save(stream, "JPEG")
    content = bytearray(stream.getvalue())
    at = content.index(b"\xff\xc4")
    content[at + 5 : at + 21] = b"\xff" * 16  # the code lengths of a Huffman table
    assert refusal(bytes(content))[0] == "damaged"


@pytest.mark.parametrize("lossless", [False, True])
@pytest.mark.parametrize("kept", [30, 60, 0.5, 0.95])
def test_a_webp_cut_short(lossless: bool, kept: float) -> None:
    content = saved("RGB", "WEBP", lossless=lossless)
    length = int(kept * len(content)) if kept < 1 else int(kept)
    assert refusal(content[:length]) == ("truncated", "the file ends before the image does")


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate", "packbits", "group4"])
def test_damage_is_told_in_words(compression: str) -> None:
    content = bytearray(
        saved("1" if compression == "group4" else "RGB", "TIFF", compression=compression)
    )
    with Image.open(io.BytesIO(content)) as image:
        (place,), (length,) = image.tag_v2[273], image.tag_v2[279]  # type: ignore[attr-defined]
    content[place : place + length] = b"\x7f\xa5" * (length // 2) + b"\x7f" * (length % 2)
    try:
        open_rgb(bytes(content), "white")
    except BadImageError as error:
        assert error.status in ("damaged", "truncated")
        assert "error" not in error.detail and "-2" not in error.detail
    else:
        assert compression in ("packbits", "group4")  # any bytes mean something


def test_a_number_that_is_none_is_told_in_words() -> None:
    assert refusal(b"P6 3 two 255\n" + bytes(18)) == (
        "damaged",
        "cannot be decoded: it is damaged",
    )
