"""Which TIFFs are read, by the tags of the first page before Pillow opens the file.

A TIFF may hold values of any width, sign and order, in planes or not, packed in dozens of ways, and
a decoder that does not know one of them gives wrong colours without a word. So what is read is
listed here; each line of the list is held against another reader's picture by
tests/unit/images/test_tiff.py. All else is a valid file of a kind that is not read.
"""

from __future__ import annotations

import io
import math
import struct
from dataclasses import dataclass
from typing import IO

from PIL import ImagePalette, TiffImagePlugin, features
from PIL.TiffImagePlugin import TiffImageFile

from lookalike.errors import BadImageError

# Of Pillow's two readers, its own and libtiff, only libtiff knows planes of 16 bits and subsampled
# colours. Pillow takes its own for what is not compressed, unless told otherwise here.
if features.check("libtiff"):
    TiffImagePlugin.READ_LIBTIFF = True

_SUBFILE, _OLD_SUBFILE, _WIDTH, _HEIGHT, _BITS, _COMPRESSION = 254, 255, 256, 257, 258, 259
PHOTOMETRIC, _FILL_ORDER, _SAMPLES, _PLANAR, _PREDICTOR = 262, 266, 277, 284, 317
_COLOUR_MAP, _SUB_DIRECTORIES, _INK_SET, _EXTRA_SAMPLES, SAMPLE_FORMAT = 320, 330, 332, 338, 339
_SUBSAMPLING, _DEPTH, _TILE_DEPTH, _DNG_VERSION = 530, 32997, 32998, 50706
BITS_PER_SAMPLE = _BITS
_PLACES, _LENGTHS = (273, 324), (279, 325)  # of strips, of tiles
_TILE_SIDES = (322, 323)

_VERSIONS = (b"*\0", b"\0*", b"+\0", b"\0+")  # Pillow does not mind the order of the two bytes
_TYPES = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}  # of numbers from 0
_MANY = 64  # more values than any tag holds that decides here

_BOTH, _LITTLE = "<>", "<"
_NONE: list[tuple[int, ...]] = [()]
_OVER_RGB: list[tuple[int, ...]] = [(), (0,), (1,), (2,), (999,)]
_MORE: list[tuple[int, ...]] = [(first, *rest) for first in (0, 1, 2) for rest in ((0,), (0, 0))]
# Photometric interpretation, sample format, bits: the byte orders and the extra samples that are
# read. 0 is an extra sample of no meaning, 1 and 2 alpha (multiplied into the colours, or not), 999
# alpha by Corel Draw. Four samples of RGB without a word of the fourth count as alpha.
_READ: dict[tuple[int, int, int], tuple[str, list[tuple[int, ...]]]] = {
    **{(white, 1, bits): (_BOTH, _NONE) for white in (0, 1) for bits in (1, 2, 4)},
    (0, 1, 8): (_BOTH, _NONE),
    (0, 1, 16): (_LITTLE, _NONE),
    (0, 3, 32): (_BOTH, _NONE),
    (1, 1, 8): (_BOTH, [(), (0,), (1,), (2,)]),
    (1, 1, 12): (_LITTLE, _NONE),
    (1, 1, 16): (_BOTH, _NONE),
    (1, 1, 32): (_LITTLE, _NONE),
    (1, 2, 8): (_BOTH, _NONE),
    (1, 2, 16): (_BOTH, _NONE),
    (1, 2, 32): (_BOTH, _NONE),
    (1, 3, 32): (_BOTH, _NONE),
    (2, 1, 8): (_BOTH, [*_OVER_RGB, *_MORE]),
    (2, 1, 16): (_BOTH, [(), (0,), (1,), (2,)]),
    **{(3, 1, bits): (_BOTH, _NONE) for bits in (1, 2, 4)},
    (3, 1, 8): (_BOTH, [(), (0,), (2,)]),
    (5, 1, 8): (_BOTH, [(), (0,), (0, 0)]),
    (5, 1, 16): (_BOTH, _NONE),
    (6, 1, 8): (_BOTH, _NONE),
    (8, 1, 8): (_BOTH, _NONE),
}
_N_COLOURS = {0: 1, 1: 1, 2: 3, 3: 1, 5: 4, 6: 3, 8: 3}
_IN_PLANES = {0: 0, 1: 0, 2: 1, 3: 0, 5: 0}
"""Colours that are read from planes, and with how many extra samples that mean something."""

_PLAIN, _PACKED = {1, 32773}, {5, 8, 32946, 34925, 50000}  # LZW, deflate, LZMA, Zstandard
_FAX, _JPEG = {2, 3, 4}, 7
_AFTER_JPEG = 64  # bytes within which a strip's JPEG ends: some programs fill strips up

_COLOUR_NAMES = {
    0: "grey (white is 0)",
    1: "grey",
    2: "RGB",
    3: "palette",
    4: "mask",
    5: "CMYK",
    6: "YCbCr",
    8: "Lab",
    32803: "camera raw",
    34892: "camera raw",
}
_PACKING_NAMES = {
    1: "nothing",
    5: "LZW",
    6: "JPEG of the old kind",
    7: "JPEG",
    8: "deflate",
    32773: "PackBits",
    34712: "JPEG 2000",
    34887: "LERC",
    50001: "WebP",
    50002: "JPEG XL",
}
_RAW_COLOURS = {32803, 34892}
_FORMAT_NAMES = {1: "", 2: " signed", 3: " floating-point"}

# The values as this machine has them: so libtiff hands over those that Pillow expects as the file
# has them.
_NATIVE = {
    **dict.fromkeys(("I;16S", "I;16BS"), "I;16NS"),
    **dict.fromkeys(("I;32S", "I;32BS"), "I;32NS"),
    **dict.fromkeys(("F;32F", "F;32BF"), "F;32NF"),
}


@dataclass(frozen=True)
class Directory:
    """One page's tags.

    entries: type, count and the four or eight bytes of the value or its place, of each tag; after:
    where the next page's directory lies, 0 for none.
    """

    stream: IO[bytes]
    order: str
    big: bool
    entries: dict[int, tuple[int, int, bytes]]
    after: int

    def values(self, tag: int, missing: tuple[int, ...] = ()) -> tuple[int, ...]:
        """The whole numbers of a tag; `missing` where there is no such tag.

        Raises struct.error where the file ends before them.
        """
        if tag not in self.entries:
            return missing
        kind, count, field = self.entries[tag]
        code = _TYPES.get(kind)
        if code is None or count > _MANY:
            return ()
        form = f"{self.order}{count}{code}"
        if struct.calcsize(form) > len(field):
            self.stream.seek(struct.unpack(self.order + ("Q" if self.big else "I"), field)[0])
            field = self.stream.read(struct.calcsize(form))
        return struct.unpack_from(form, field)

    def value(self, tag: int, missing: int) -> int:
        """The first number of a tag."""
        return next(iter(self.values(tag)), missing)


def first_directory(stream: IO[bytes]) -> Directory | None:
    """The first page's tags; None of what is no TIFF, or is cut short before they end."""
    stream.seek(0)
    head = stream.read(16)
    order = {b"II": "<", b"MM": ">"}.get(head[:2])
    if order is None or head[2:4] not in _VERSIONS:
        return None
    big = b"+" in head[2:4]
    try:
        (place,) = struct.unpack_from(order + ("8xQ" if big else "4xI"), head)
    except struct.error:
        return None
    return _directory(stream, order, big, place)


def _directory(stream: IO[bytes], order: str, big: bool, place: int) -> Directory | None:
    length, entry, after = ("Q", "HHQ8s", "Q") if big else ("H", "HHI4s", "I")
    try:
        stream.seek(place)
        (n_entries,) = struct.unpack(order + length, stream.read(struct.calcsize(length)))
        one = struct.Struct(order + entry)
        entries: dict[int, tuple[int, int, bytes]] = {}
        for _ in range(n_entries):
            tag, kind, count, field = one.unpack(stream.read(one.size))
            entries.setdefault(tag, (kind, count, field))
        width = struct.calcsize(after)
        (next_place,) = struct.unpack(order + after, stream.read(width).ljust(width, b"\0"))
    except (struct.error, OverflowError, ValueError):
        return None
    return Directory(stream, order, big, entries, next_place)


def require_readable(stream: IO[bytes]) -> None:
    """Refuse a TIFF of a kind that is not listed here; leave alone what is no TIFF.

    Raises:
        BadImageError: `unsupported_format`, of a whole first directory only.
    """
    page = first_directory(stream)
    if page is None:
        return
    try:
        if _is_camera_raw(page):
            raise BadImageError(
                "unsupported_format",
                "a camera's raw file (DNG, NEF, CR2 or a kin of them) is not read here; develop it "
                "to PNG or JPEG",
            )
        what = _not_read(page)
    except struct.error:
        return  # cut short: Pillow says so
    if what is not None:
        raise BadImageError(
            "unsupported_format", f"a TIFF {what} is not read here; convert it to PNG or JPEG"
        )


def _is_camera_raw(page: Directory) -> bool:
    page.stream.seek(8)
    if page.stream.read(2) == b"CR" or _DNG_VERSION in page.entries:
        return True
    return any(
        other.value(PHOTOMETRIC, 0) in _RAW_COLOURS
        for other in (page, *_other_pages(page), *_pages_within(page))
    )


def _other_pages(page: Directory) -> list[Directory]:
    """The next pages, a few: raw files have two to four."""
    pages: list[Directory] = []
    after: Directory | None = page
    while after is not None and after.after and len(pages) < 4:
        after = _directory(page.stream, page.order, page.big, after.after)
        pages += [after] if after else []
    return pages


def _pages_within(page: Directory) -> list[Directory]:
    found = (
        _directory(page.stream, page.order, page.big, place)
        for place in page.values(_SUB_DIRECTORIES)
    )
    return [other for other in found if other]


def _not_read(page: Directory) -> str | None:
    """What a page has that is not read, in words that follow "a TIFF"; None if it is read."""
    if page.big and page.order == ">":
        return "of the big-endian kind of BigTIFF"
    smaller = _is_a_part(page)
    if smaller is not None:
        return smaller
    if page.value(_DEPTH, 1) > 1 or page.value(_TILE_DEPTH, 1) > 1:
        return "of more than two dimensions"
    colour = page.value(PHOTOMETRIC, -1)
    if colour < 0:
        return "that does not say what its values mean (PhotometricInterpretation)"
    n_samples = page.value(_SAMPLES, 1)
    formats, bits = set(page.values(SAMPLE_FORMAT, (1,))), page.values(_BITS, (1,))
    sample_format, width = formats.pop() if len(formats) == 1 else 0, bits[0] if bits else 0
    extras = page.values(_EXTRA_SAMPLES)
    planes = page.value(_PLANAR, 1) == 2 and n_samples > 1
    words = (
        f"of {'' if n_samples == 1 else f'{n_samples} x '}{width}-bit"
        f"{_FORMAT_NAMES.get(sample_format, '')} {_COLOUR_NAMES.get(colour, f'colours {colour}')}"
        f"{f' and extra samples {list(extras)}' if extras else ''}"
        f"{' in planes' if planes else ''}{', big-endian' if page.order == '>' else ''}"
    )
    n_extras = n_samples - _N_COLOURS.get(colour, 0)
    unspoken = colour == 2 and n_extras == 1 and not extras
    if planes and extras and not any(extras):
        extras, n_extras = (), n_extras - len(extras)  # their planes are left alone
    orders, known = _READ.get((colour, sample_format, width), ("", _NONE))
    if (
        page.order not in orders
        or extras not in known
        or len(set(bits)) != 1
        or len(bits) not in (1, n_samples)
        or (n_extras != len(extras) and not unspoken)
        or (planes and (width < 8 or len(extras) > _IN_PLANES.get(colour, -1)))
        or (colour == 5 and page.value(_INK_SET, 1) != 1)
    ):
        return words
    packed = _not_unpacked(page, colour, sample_format, width, bool(extras) or unspoken)
    return None if packed is None else f"{words}, {packed},"


def _not_unpacked(
    page: Directory, colour: int, sample_format: int, width: int, extras: bool
) -> str | None:
    """Of samples that are read: in what way they are packed that is not; None if they are read."""
    packing, predictor = page.value(_COMPRESSION, 1), page.value(_PREDICTOR, 1)
    packed = f"compressed by {_PACKING_NAMES.get(packing, f'method {packing}')}"
    if page.value(_FILL_ORDER, 1) != 1 and width > 1:
        return "with the bits of each byte reversed"
    if packing == _JPEG:
        read = width == 8 and sample_format == 1 and colour in (1, 2, 5, 6) and not extras
        return None if read else packed
    if colour == 6 and page.values(_SUBSAMPLING, (2, 2)) != (1, 1):
        return "subsampled"
    if packing in _FAX:
        return None if width == 1 and colour in (0, 1) else packed
    predictors: tuple[int, ...] = (1,)
    if packing in _PACKED:
        predictors = (1, 3) if sample_format == 3 else (1, 2) if width in (8, 16, 32) else (1,)
    elif packing not in _PLAIN:
        return packed
    return None if predictor in predictors else f"{packed} with predictor {predictor}"


def _is_a_part(page: Directory) -> str | None:
    """Whether the first page is but a part of the picture: a preview, or a mask."""
    kind = page.value(_SUBFILE, 0)
    if kind & 4:
        return "whose first page is a mask"
    size = math.prod(page.value(side, 0) for side in (_WIDTH, _HEIGHT))
    within = _pages_within(page)
    others = [*within, *_other_pages(page)]
    reduced = bool(kind & 1) or page.value(_OLD_SUBFILE, 1) == 2
    if (reduced and others) or any(
        math.prod(other.value(side, 0) for side in (_WIDTH, _HEIGHT)) > size for other in within
    ):
        return "whose first page is a reduced image of another, as in a camera's raw file,"
    return None


def put_right(image: TiffImageFile) -> None:
    """Have an opened TIFF's values and palette taken for what they are."""
    tile = image.tile[0]
    if tile.codec_name == "libtiff" and isinstance(tile.args, tuple) and tile.args[0] in _NATIVE:
        image.tile = [tile._replace(args=(_NATIVE[tile.args[0]], *tile.args[1:]))]
    if image.mode in ("P", "PA"):
        colours = image.tag_v2[_COLOUR_MAP]
        if max(colours) < 256:  # as some programs write it, in 8 bits of the 16
            image.palette = ImagePalette.raw("RGB;L", bytes(colours))


def has_cut_jpegs(image: TiffImageFile, stream: IO[bytes]) -> bool:
    """Whether a strip or tile of JPEG of an opened TIFF ends before its end mark does.

    The decoder shows grey for what lacks, without a word.
    """
    if image.tag_v2.get(_COMPRESSION) != _JPEG:
        return False
    for places, lengths in zip(_PLACES, _LENGTHS, strict=True):
        for place, length in zip(
            image.tag_v2.get(places, ()), image.tag_v2.get(lengths, ()), strict=False
        ):
            start = max(0, length - _AFTER_JPEG)
            stream.seek(place + start)
            if length and b"\xff\xd9" not in stream.read(length - start):
                return True
    return False


def is_cut_short(image: TiffImageFile, stream: IO[bytes]) -> bool:
    """Whether some of an opened TIFF's pixels lie beyond its end."""
    n_bytes = stream.seek(0, io.SEEK_END)
    for places, lengths in zip(_PLACES, _LENGTHS, strict=True):
        ends = zip(image.tag_v2.get(places, ()), image.tag_v2.get(lengths, ()), strict=False)
        if any(place + length > n_bytes for place, length in ends):
            return True
    return False
