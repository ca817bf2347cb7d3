"""Bad and odd image files and what happens to each; see hostile_data.py for all other inputs.

Outcomes: USE, the image is used and looks as a viewer shows it; SKIP, its entry is left out,
counted and named with a reason; REFUSE, the run stops before any training with one message; NOTE,
it is used or left alone, and the data report says so.
"""

from __future__ import annotations

import gzip
import io
import struct
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, PngImagePlugin

USE, SKIP, REFUSE, NOTE = "USE", "SKIP", "REFUSE", "NOTE"

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 128, 0), (0, 0, 255), (255, 255, 255)
FOUR = (RED, GREEN, BLUE, WHITE)
"""Colours of a picture's quarters: upper left and right, lower left and right."""
BLACK, GREYS = (0, 0, 0), tuple((grey,) * 3 for grey in (76, 75, 29, 255))
"""GREYS: the luminance of FOUR by ITU-R BT.601, as Pillow's mode L has it."""

Quarters = tuple[tuple[int, ...], ...]


def quarters(side: int = 32, colours: Quarters = FOUR) -> Image.Image:
    """A picture of four flat quarters, RGB or, where a colour has four values, RGBA."""
    values = np.array(colours, np.uint8).reshape(2, 2, -1)
    half = side // 2
    return Image.fromarray(values.repeat(half, axis=0).repeat(half, axis=1))


def saved(image: Image.Image, file_format: str, **options: Any) -> bytes:
    """The bytes of a file of `image`."""
    stream = io.BytesIO()
    image.save(stream, file_format, **options)
    return stream.getvalue()


def png(width: int, height: int, data: bytes, *chunks: tuple[bytes, bytes], mode: int = 2) -> bytes:
    """A PNG of these compressed rows; mode: 0 is grey, 2 RGB; `chunks` come before the rows."""
    header = struct.pack(">IIBBBBB", width, height, 8, mode, 0, 0, 0)
    parts = [(b"IHDR", header), *chunks, (b"IDAT", data), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in parts
    )


def zeros(n_bytes: int) -> bytes:
    """`n_bytes` zeros, compressed, made without ever holding them."""
    packer, step = zlib.compressobj(9), 1 << 24
    parts = [packer.compress(bytes(min(step, n_bytes - at))) for at in range(0, n_bytes, step)]
    return b"".join(parts) + packer.flush()


def bomb(side: int) -> bytes:
    """A whole, valid PNG of `side` x `side` black pixels, one bit each in effect."""
    return png(side, side, zeros(side * (side + 1)), mode=0)


def flipped(chunk: bytes, offset: int) -> bytes:
    """A PNG with one bit changed, so many bytes after the name of a chunk."""
    content = bytearray(saved(quarters(), "PNG"))
    content[content.index(chunk) + len(chunk) + offset] ^= 0x04
    return bytes(content)


def oriented(value: int) -> bytes:
    """A JPEG that its EXIF block turns to look like `quarters`, stored otherwise."""
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    exif = Image.Exif()
    exif[0x0112] = value
    stored = quarters(64).transpose(undo[value])
    return saved(stored, "JPEG", quality=95, subsampling=0, exif=exif)


def grey_16_bit() -> bytes:
    """Grey of 16 bits: a quarter each of 0, 1/3, 2/3 and all of the span."""
    values = np.array([[0, 21845], [43690, 65535]], np.uint16).repeat(16, 0).repeat(16, 1)
    return saved(Image.fromarray(values), "PNG")


def palette_with_transparency() -> bytes:
    """A palette picture whose upper left quarter is transparent."""
    image = quarters().quantize(4)
    return saved(image, "PNG", transparency=image.getpixel((0, 0)))


def animated(file_format: str) -> bytes:
    """Two frames, `quarters` first."""
    frames = [quarters(), Image.new("RGB", (32, 32), "black")]
    options: dict[str, Any] = {"lossless": True} if file_format == "WEBP" else {}
    return saved(frames[0], file_format, save_all=True, append_images=frames[1:], **options)


def text_bomb() -> bytes:
    """A PNG of `quarters` whose text chunk inflates to 70 MB."""
    rows = np.asarray(quarters()).reshape(32, -1)
    data = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))
    return png(32, 32, data, (b"zTXt", b"comment\0\0" + zeros(70_000_000)))


def with_text() -> bytes:
    """A PNG with an ordinary comment."""
    text = PngImagePlugin.PngInfo()
    text.add_text("comment", "taken on a phone", zip=True)
    return saved(quarters(), "PNG", pnginfo=text)


def many_scans() -> bytes:
    """A progressive JPEG whose last scan is repeated: each goes over the whole picture again."""
    content = saved(quarters(), "JPEG", progressive=True)
    scan = content[content.rindex(b"\xff\xda") : -2]
    return content[:-2] + 5000 * scan + content[-2:]


def tiff(side: int, *tags: tuple[int, int, int, int], data: bytes = b"") -> bytes:
    """A grey TIFF of `side` x `side`: after the first directory, at byte 256, lies `data`.

    tags: number, type, count and value or place, beside or in place of those of one black strip.
    """
    own = {256: (4, 1, side), 257: (4, 1, side), 258: (3, 1, 8), 259: (3, 1, 1), 262: (3, 1, 1)}
    own |= {273: (4, 1, 256), 278: (4, 1, side), 279: (4, 1, side * side)}
    own |= {tag: (kind, count, value) for tag, kind, count, value in tags}
    entries = b"".join(struct.pack("<HHII", tag, *own[tag]) for tag in sorted(own))
    head = b"II*\0\x08\0\0\0" + struct.pack("<H", len(own)) + entries
    return head.ljust(256, b"\0") + data


def giant_tile() -> bytes:
    """A TIFF of 32 x 32 pixels within a compressed tile of 9,600 x 9,600."""
    data = zeros(9_600 * 9_600)
    tile = [(322, 4, 1, 9_600), (323, 4, 1, 9_600), (324, 4, 1, 256), (325, 4, 1, len(data))]
    return tiff(32, (259, 3, 1, 8), *tile, data=data)


def exif_of(n_numbers: int) -> bytes:
    """An EXIF block, or a TIFF's inner directory at byte 256, of one entry of so many numbers."""
    entry = struct.pack("<HHHIIxxxx", 1, 0x0112, 3, n_numbers, 256)
    return (b"II*\0\x08\0\0\0" + entry).ljust(256, b"\0") + bytes(2 * n_numbers)


def inner_numbers() -> bytes:
    """A black TIFF that leads to a directory of EXIF with 4,000,000 numbers."""
    directory = struct.pack("<HHHIIxxxx", 1, 0x9000, 3, 4_000_000, 256)
    return tiff(32, (34665, 4, 1, 256 + 1024), data=bytes(1024) + directory + bytes(8_000_000))


def long_jpeg(piece: bytes, times: int) -> bytes:
    """A JPEG with `piece` so often before its first segment."""
    content = saved(quarters(), "JPEG", quality=95, subsampling=0)
    return content[:2] + piece * times + content[2:]


def segment(marker: int, body: bytes) -> bytes:
    """A segment of a JPEG."""
    return struct.pack(">BBH", 255, marker, 2 + len(body)) + body


def commented_gif(n_comments: int) -> bytes:
    """A GIF of `quarters` with so many comments of a letter."""
    content = saved(quarters().quantize(4), "GIF")
    at = 13 + (3 << (content[10] & 7) + 1)  # behind the palette
    return content[:at] + b"!\xfe\x01a\0" * n_comments + content[at:]


def png_with_wrong_physical_size() -> bytes:
    """A PNG of `quarters` with one bit changed in its pHYs chunk."""
    content = bytearray(saved(quarters(), "PNG", dpi=(72, 72)))
    content[content.index(b"pHYs") + 5] ^= 0x04
    return bytes(content)


def small_frame() -> bytes:
    """A GIF whose red frame covers the lower right quarter of a screen that it calls green."""
    content = bytearray(saved(Image.new("P", (16, 16), 1), "GIF", optimize=False))
    palette = bytes((0, 128, 0, 255, 0, 0)) + bytes(762)
    at = content.index(b",")
    frame = bytearray(content[at:])
    frame[1:5] = struct.pack("<HH", 16, 16)
    n_own = 3 << (frame[9] & 7) + 1 if frame[9] & 0x80 else 0
    frame[9] &= 0x7F
    del frame[10 : 10 + n_own]
    return b"GIF89a" + struct.pack("<HHBBB", 32, 32, 0xF7, 0, 0) + palette + bytes(frame)


def unused_alpha() -> bytes:
    """A BMP of `quarters` with an alpha channel that is 0 everywhere."""
    rows = np.asarray(quarters())[::-1, :, ::-1]
    data = np.dstack([rows, np.zeros((32, 32), np.uint8)]).tobytes()
    header = struct.pack("<IiiHHIIiiII", 108, 32, 32, 1, 32, 3, len(data), 0, 0, 0, 0)
    header += struct.pack("<IIII", 0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    return (
        b"BM" + struct.pack("<IHHI", 122 + len(data), 0, 0, 122) + header.ljust(108, b"\0") + data
    )


def planes() -> bytes:
    """A big-endian TIFF of `quarters`: 16 bits a value, the three colours one after another."""
    data = np.moveaxis(np.asarray(quarters()).astype(">u2") * 257, -1, 0).astype(">u2").tobytes()
    plane = len(data) // 3
    tags = [(256, 4, 32), (257, 4, 32), (259, 3, 1), (262, 3, 2), (277, 3, 3), (278, 4, 32)]
    entries = {
        tag: struct.pack(">HHI", tag, kind, 1)
        + (struct.pack(">HH", value, 0) if kind == 3 else struct.pack(">I", value))
        for tag, kind, value in [*tags, (284, 3, 2)]
    }
    after = 10 + 12 * (len(entries) + 3) + 4
    for tag, kind, place in ((258, 3, after), (273, 4, after + 8), (279, 4, after + 20)):
        entries[tag] = struct.pack(">HHII", tag, kind, 3, place)
    start = after + 32
    values = struct.pack(">HHHxx", 16, 16, 16)
    values += struct.pack(">6I", *(start + plane * place for place in range(3)), *[plane] * 3)
    head = b"MM\0*\0\0\0\x08" + struct.pack(">H", len(entries))
    return head + b"".join(entries[tag] for tag in sorted(entries)) + bytes(4) + values + data


def preview() -> bytes:
    """A TIFF whose first page is a reduced image, and leads to a larger one."""
    larger = tiff(64, (254, 4, 1, 0))[8:256]
    tags = [(254, 4, 1, 1), (330, 4, 1, 256 + 1024), (273, 4, 1, 256), (279, 4, 1, 1024)]
    return tiff(32, *tags, data=bytes(1024) + larger)


@dataclass(frozen=True)
class Picture:
    """One image file.

    name: of the file, its ending included; what: in words; content: makes its bytes; outcome: USE
    or SKIP; reason: the status where it is skipped; shows: the colours of its quarters where it is
    used; costly: it would take much memory or time.
    """

    name: str
    what: str
    content: Callable[[], bytes]
    outcome: str = USE
    reason: str = ""
    shows: Quarters = FOUR
    costly: bool = False


def _whole(file_format: str, **options: Any) -> Callable[[], bytes]:
    return lambda: saved(quarters(), file_format, **options)


def _cut(file_format: str) -> Callable[[], bytes]:
    content = saved(Image.effect_noise((64, 64), 90).convert("RGB"), file_format)
    return lambda: content[: len(content) * 2 // 3]


def _as(mode: str, file_format: str, **options: Any) -> Callable[[], bytes]:
    return lambda: saved(quarters().convert(mode), file_format, **options)


_SEEN_THROUGH = ((255, 0, 0, 255), (0, 128, 0, 0), (0, 0, 255, 0), (255, 255, 255, 255))
_PAGE = b"<!DOCTYPE html>\n<html><body><h1>404 Not Found</h1></body></html>\n"
_SVG = b"<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'><rect/></svg>"
_XML = b"<?xml version='1.0' encoding='UTF-8'?>\n<!-- drawn by hand -->\n"

PICTURES = (
    Picture("jpeg.jpg", "JPEG", _whole("JPEG", quality=95, subsampling=0)),
    Picture(
        "progressive.jpg",
        "progressive JPEG",
        _whole("JPEG", quality=95, subsampling=0, progressive=True),
    ),
    Picture("cmyk.jpg", "CMYK JPEG", _as("CMYK", "JPEG", quality=95)),
    Picture("grey.jpg", "grey JPEG", _as("L", "JPEG", quality=95), shows=GREYS),
    *(
        Picture(
            f"turned{value}.jpg",
            f"JPEG with EXIF orientation {value}",
            partial(oriented, value),
        )
        for value in range(2, 9)
    ),
    Picture(
        "rubbish_after.jpg",
        "JPEG followed by other bytes",
        lambda: _whole("JPEG", quality=95)() + b"\xff\xd8junk" * 99,
    ),
    Picture(
        "16_bit.png",
        "16-bit grey PNG (scaled, not clipped)",
        grey_16_bit,
        shows=tuple((grey,) * 3 for grey in (0, 85, 170, 255)),
    ),
    Picture("palette.png", "palette PNG", lambda: saved(quarters().quantize(4), "PNG")),
    Picture(
        "palette_transparent.png",
        "palette PNG with a transparent colour",
        palette_with_transparency,
        shows=(WHITE, GREEN, BLUE, WHITE),
    ),
    Picture(
        "grey_alpha.png",
        "grey PNG with alpha",
        lambda: saved(quarters(colours=_SEEN_THROUGH).convert("LA"), "PNG"),
        shows=(GREYS[0], WHITE, WHITE, WHITE),
    ),
    Picture(
        "rgba.png",
        "RGBA PNG whose transparent pixels have colours",
        lambda: saved(quarters(colours=_SEEN_THROUGH), "PNG"),
        shows=(RED, WHITE, WHITE, WHITE),
    ),
    Picture(
        "1_bit.png",
        "1-bit PNG",
        lambda: saved(quarters(colours=(BLACK, WHITE, WHITE, BLACK)).convert("1"), "PNG"),
        shows=(BLACK, WHITE, WHITE, BLACK),
    ),
    Picture("commented.png", "PNG with a comment", with_text),
    Picture("animated.gif", "animated GIF (its first frame)", lambda: animated("GIF")),
    Picture("animated.webp", "animated WebP (its first frame)", lambda: animated("WEBP")),
    Picture("tiff.tif", "TIFF", _whole("TIFF")),
    Picture("lzw.tiff", "TIFF, LZW-compressed", _whole("TIFF", compression="tiff_lzw")),
    Picture("really_a_png.jpg", "PNG named .jpg", _whole("PNG")),
    Picture("UPPER.JPG", "upper-case ending", _whole("JPEG", quality=95, subsampling=0)),
    Picture("no_ending", "no ending", _whole("PNG")),
    Picture(
        "long_strip.png",
        "20,000 x 1 pixels",
        lambda: saved(Image.new("RGB", (20_000, 1), RED), "PNG"),
        shows=(RED,) * 4,
    ),
    Picture(
        "dot.png",
        "1 x 1 pixel",
        lambda: saved(Image.new("RGB", (1, 1), BLUE), "PNG"),
        shows=(BLUE,) * 4,
    ),
    Picture(
        "no_end.jpg",
        "JPEG that lacks only its end mark",
        lambda: _whole("JPEG", quality=95, subsampling=0)()[:-2],
    ),
    Picture(
        "segment.jpg",
        "JPEG with a damaged segment beside its pixels",
        lambda: long_jpeg(segment(0xEE, b"Adobe\0"), 1),
    ),
    Picture(
        "chunk.png",
        "PNG with a wrong checksum of a chunk beside its pixels",
        png_with_wrong_physical_size,
    ),
    Picture(
        "frame.gif",
        "GIF whose first frame is smaller than its screen",
        small_frame,
        shows=(WHITE, WHITE, WHITE, RED),
    ),
    Picture("alpha.bmp", "32-bit BMP whose alpha is 0 everywhere", unused_alpha),
    Picture(
        "planes.tif",
        "16-bit RGB TIFF in planes, big-endian",
        planes,
    ),
    Picture(
        "floats.tif",
        "TIFF of a kind that is not read (RGB of floats)",
        lambda: tiff(32, (258, 3, 1, 32), (262, 3, 1, 2), (277, 3, 1, 3), (339, 3, 1, 3)),
        SKIP,
        "unsupported_format",
    ),
    Picture(
        "preview.nef",
        "camera raw file whose first page is a preview",
        preview,
        SKIP,
        "unsupported_format",
    ),
    Picture(
        "hierarchical.jpg",
        "JPEG of a kind that is not read",
        lambda: _whole("JPEG")().replace(b"\xff\xc0", b"\xff\xc5", 1),
        SKIP,
        "unsupported_format",
    ),
    Picture(
        "pointer.jpg",
        "Git LFS pointer in place of the image",
        lambda: b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n",
        SKIP,
        "not_an_image",
    ),
    Picture("cut.jpg", "truncated JPEG", _cut("JPEG"), SKIP, "truncated"),
    Picture("cut.png", "truncated PNG", _cut("PNG"), SKIP, "truncated"),
    Picture(
        "rows.png",
        "PNG whose data end in order after half of its rows",
        lambda: png(32, 32, zlib.compress((b"\0" + b"\x50" * 96) * 16)),
        SKIP,
        "truncated",
    ),
    Picture("cut.gif", "truncated GIF", _cut("GIF"), SKIP, "truncated"),
    Picture("cut.webp", "truncated WebP", _cut("WEBP"), SKIP, "truncated"),
    Picture("empty.jpg", "file of zero bytes", lambda: b"", SKIP, "empty_file"),
    Picture("text.jpg", "text named .jpg", lambda: b"see attached\n" * 50, SKIP, "not_an_image"),
    Picture("page.jpg", "web page named .jpg", lambda: _PAGE, SKIP, "not_an_image"),
    Picture(
        "packed.png",
        "compressed file named .png",
        lambda: gzip.compress(_PAGE),
        SKIP,
        "not_an_image",
    ),
    Picture(
        "header_crc.png",
        "PNG with a wrong checksum of its header",
        partial(flipped, b"IHDR", 13),
        SKIP,
        "damaged",
    ),
    Picture(
        "bit.png",
        "PNG with one wrong bit in its pixels",
        partial(flipped, b"IDAT", 8),
        SKIP,
        "damaged",
    ),
    Picture("drawing.svg", "SVG", lambda: _SVG, SKIP, "unsupported_format"),
    Picture(
        "drawing.png",
        "SVG with an XML head, named .png",
        lambda: _XML + _SVG,
        SKIP,
        "unsupported_format",
    ),
    Picture(
        "phone.heic",
        "HEIC",
        lambda: b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" * 3,
        SKIP,
        "unsupported_format",
    ),
    Picture(
        "other_brand.heic",
        "HEIC of the major brand mif1",
        lambda: b"\0\0\0\x1cftypmif1\0\0\0\0mif1heicmiaf" * 3,
        SKIP,
        "unsupported_format",
    ),
    Picture(
        "bomb_30000.png",
        "PNG of 110 KB that claims 30,000 x 30,000 pixels",
        lambda: png(30_000, 30_000, zeros(110_000_000)),
        SKIP,
        "too_large",
        costly=True,
    ),
    Picture(
        "bomb_13000.png",
        "valid PNG of 13,000 x 13,000 pixels",
        lambda: bomb(13_000),
        SKIP,
        "too_large",
        costly=True,
    ),
    Picture(
        "bomb.gif",
        "GIF of 65,535 x 65,535 pixels",
        lambda: (
            b"GIF89a"
            + struct.pack("<HHBBB", 65535, 65535, 0, 0, 0)
            + b","
            + struct.pack("<HHHHB", 0, 0, 65535, 65535, 0)
            + b"\x02\x01\x00\x00;"
        ),
        SKIP,
        "too_large",
        costly=True,
    ),
    Picture(
        "bomb.webp",
        "WebP of 16,383 x 16,383 pixels",
        lambda: _claiming(saved(quarters(), "WEBP", lossless=True)),
        SKIP,
        "too_large",
        costly=True,
    ),
    Picture(
        "bomb.bmp",
        "BMP of 40,000 x 40,000 pixels",
        lambda: (
            b"BM"
            + struct.pack(
                "<IHHIIIIHHIIIIII", 54, 0, 0, 54, 40, 40_000, 40_000, 1, 24, 0, 0, 0, 0, 0, 0
            )
        ),
        SKIP,
        "too_large",
        costly=True,
    ),
    Picture(
        "text_bomb.png",
        "PNG with a text that inflates to 70 MB",
        text_bomb,
        SKIP,
        "too_large",
        costly=True,
    ),
    Picture(
        "scans.jpg",
        "progressive JPEG of 60 KB with 5,000 scans",
        many_scans,
        SKIP,
        "too_large",
        costly=True,
    ),
    Picture(
        "segments.jpg",
        "JPEG with 200,000 empty comments",
        lambda: long_jpeg(segment(0xFE, b""), 200_000),
        SKIP,
        "too_large",
        costly=True,
    ),
    Picture(
        "fill.jpg",
        "JPEG with 300,000 fill bytes",
        lambda: long_jpeg(b"\xff", 300_000),
        SKIP,
        "too_large",
        costly=True,
    ),
    Picture(
        "comment.ppm",
        "PPM with a comment of 300,000 bytes",
        lambda: b"P6 #" + bytes(300_000) + b"\n1 1 255 rgb",
        SKIP,
        "too_large",
        costly=True,
    ),
    Picture(
        "comments.gif",
        "GIF with 200,000 comments",
        lambda: commented_gif(200_000),
        SKIP,
        "too_large",
        costly=True,
    ),
    Picture(
        "exif.png",
        "PNG with 5 MB of EXIF",
        _whole("PNG", exif=exif_of(2_600_000)),
        SKIP,
        "too_large",
        costly=True,
    ),
    Picture(
        "exif.webp",
        "WebP with 5 MB of EXIF",
        _whole("WEBP", exif=exif_of(2_600_000)),
        SKIP,
        "too_large",
        costly=True,
    ),
    Picture(
        "numbers.tif",
        "TIFF that lists 2,000,000 strips",
        lambda: tiff(32, (273, 3, 2_000_000, 256), data=bytes(4_000_000)),
        SKIP,
        "too_large",
        costly=True,
    ),
    Picture(
        "inner_numbers.tif",
        "TIFF with 4,000,000 numbers in its EXIF (not read)",
        inner_numbers,
        shows=(BLACK,) * 4,
        costly=True,
    ),
    Picture(
        "tile.tif",
        "TIFF of 32 x 32 pixels in a tile of 9,600 x 9,600",
        giant_tile,
        SKIP,
        "too_large",
        costly=True,
    ),
    Picture(
        "exif.jpg",
        "JPEG with 17 MB of EXIF in 260 segments",
        lambda: long_jpeg(segment(0xE1, b"Exif\0\0".ljust(65_533, b"\0")), 260),
        SKIP,
        "too_large",
        costly=True,
    ),
)


def _claiming(webp: bytes) -> bytes:
    """A lossless WebP with 16,383 for both sides in its header."""
    at = webp.index(b"VP8L") + 9
    bits = int.from_bytes(webp[at : at + 4], "little")
    bits = (bits >> 28 << 28) | 16382 << 14 | 16382
    return webp[:at] + bits.to_bytes(4, "little") + webp[at + 4 :]


def fill(folder: Path, pictures: Iterable[Picture] = PICTURES) -> None:
    """Write the picture files into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    for picture in pictures:
        (folder / picture.name).write_bytes(picture.content())
