"""What an image file may ask for: small ones can claim hours of work and all the memory there is.

Each limit is checked before Pillow unpacks what it is about.
"""

from __future__ import annotations

import io
import math
from typing import IO, Any

from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile
from PIL.TiffImagePlugin import TiffImageFile

from lookalike.errors import BadImageError
from lookalike.images.tiff import first_directory

# The most that is read: 256 MiB as RGB. A small file can claim far more than that.
MAX_PIXELS = 89_478_485
# Some decoders hold the whole file in memory, and a file may be long and nearly all holes.
MAX_BYTES = 2**29
TOO_MANY = f"more than the {MAX_PIXELS:,} pixels that are read"

# Each scan of a progressive JPEG goes over the whole image: of many, a small file takes hours.
MAX_SCANS = 200

# The most that is read before the pixels: Pillow reads it in Python, piece by piece, and keeps it.
# In a TIFF or a PNG an editor's layers may lie there. The pieces of a JPEG's EXIF block are joined
# one by one, in time that grows with the square of their number.
MAX_PIECES, MAX_BEFORE_PIXELS, MAX_BEFORE_JPEG_PIXELS = 2**18, 2**28, 2**24
# Each number in a TIFF's tags, or in an EXIF block (a TIFF too), becomes an object: 30 times its
# own size, or more.
MAX_TAG_NUMBERS, MAX_EXIF_BYTES = 2**20, 2**22
_TIFF_NUMBERS = {3, 4, 5, 6, 8, 9, 10, 11, 12, 13, 16}  # all types but bytes and text

_TIFF_TILE_SIDES = (322, 323)
_TIFF_DIRECTORIES = {34665, 34853, 40965}  # EXIF, GPS, interoperability


def require_few_pixels(width: int, height: int) -> None:
    """Refuse an image of more pixels than are read, by its header."""
    if width * height > MAX_PIXELS:
        raise BadImageError("too_large", f"{width} x {height}: {TOO_MANY}")


class CountedStream:
    """A file whose reads are counted until its pixels are found: see MAX_PIECES."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self.seek, self.tell = stream.seek, stream.tell  # found sooner than by __getattr__
        stream.seek(0)
        jpeg = stream.read(2) == b"\xff\xd8"
        self._most = MAX_BEFORE_JPEG_PIXELS if jpeg else MAX_BEFORE_PIXELS
        self._pieces_left: float = MAX_PIECES
        self._bytes_left: float = self._most

    def read(self, n_bytes: int = -1) -> bytes:
        """As a file's; BadImageError where it is too much."""
        content = self._stream.read(n_bytes)
        self._pieces_left -= 1
        if n_bytes >= 0:  # WebP and AVIF take the whole file at once, the pixels with it
            self._bytes_left -= len(content)
        if self._pieces_left < 0 or self._bytes_left < 0:
            most = f"{self._most // 2**20} MB or {MAX_PIECES:,} pieces"
            raise BadImageError(
                "too_large", f"more before its pixels than the {most} that are read"
            )
        return content

    def count_no_more(self) -> None:
        """The pixels are found."""
        self._pieces_left = self._bytes_left = math.inf

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def require_few_tag_numbers(stream: IO[bytes]) -> None:
    """Refuse a TIFF, by its first directory, whose tags hold more numbers than are read."""
    page = first_directory(stream)
    if page is None:
        return  # cut short or damaged: Pillow says in what way
    n_bytes = stream.seek(0, io.SEEK_END)
    numbers = sum(
        count
        for kind, count, _ in page.entries.values()
        if kind in _TIFF_NUMBERS and count <= n_bytes  # Pillow passes over what cannot be
    )
    if numbers > MAX_TAG_NUMBERS:
        raise BadImageError(
            "too_large", f"{numbers:,} numbers in its tags, more than the {MAX_TAG_NUMBERS:,} read"
        )


def require_small_tiles(image: TiffImageFile) -> None:
    """Refuse a TIFF of large tiles: each is unpacked whole, however small the image."""
    sides = [image.tag_v2.get(tag, 0) for tag in _TIFF_TILE_SIDES]
    if all(isinstance(side, int) for side in sides) and math.prod(sides) > MAX_PIXELS:
        raise BadImageError("too_large", f"tiles of {sides[0]} x {sides[1]}: {TOO_MANY}")


def forget_inner_tags(image: TiffImageFile) -> None:
    """Let a TIFF be loaded without unpacking what its inner directories hold; none is needed."""
    exif = image.getexif()
    for tag in _TIFF_DIRECTORIES & exif.keys():
        del exif[tag]


def require_few_scans(image: JpegImageFile) -> None:
    """Refuse a progressive JPEG of many scans."""
    if not image.info.get("progressive"):
        return
    stream = image.fp
    assert stream is not None
    place = stream.tell()
    stream.seek(0)
    scans = stream.read().count(b"\xff\xda")  # within a scan, 0 follows each 255
    stream.seek(place)
    if scans > MAX_SCANS:
        raise BadImageError(
            "too_large", f"{scans:,} scans, more than the {MAX_SCANS} that are read"
        )


def require_little_exif(image: Image.Image) -> None:
    """Refuse an image with a large EXIF block, before it is unpacked for its orientation."""
    # Some PNGs have it as text, in hexadecimal digits.
    blocks = image.info.get("exif", b""), image.info.get("Raw profile type exif", "")
    if len(blocks[0]) > MAX_EXIF_BYTES or len(blocks[1]) // 2 > MAX_EXIF_BYTES:
        raise BadImageError(
            "too_large", f"more EXIF than the {MAX_EXIF_BYTES // 2**20} MB that are read"
        )
