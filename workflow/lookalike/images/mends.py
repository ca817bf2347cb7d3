"""Files that every viewer shows whole although something beside their pixels is wrong.

As libpng does, a PNG's chunk that is not needed for its pixels is passed over where its checksum or
its content is wrong. As libjpeg-turbo does, a JPEG's segment that is not needed for its pixels is
passed over where it is wrong, and a JPEG that ends without its end mark is read; but not one that
ends before its pixels do, of which libjpeg-turbo makes up the rest. Where such a JPEG has an end
mark all the same, nothing tells it from a picture whose end is flat: it is read as viewers show it.
"""

from __future__ import annotations

import io
import re
import struct
import zlib
from collections.abc import Callable, Iterator
from typing import IO

import numpy as np
from PIL import Image

from lookalike.errors import BadImageError

_PNG = b"\x89PNG\r\n\x1a\n"
_NEEDED, _USED = {b"IHDR", b"PLTE", b"IDAT", b"IEND"}, {b"tRNS", b"eXIf"}
_NAME = re.compile(rb"[A-Za-z]{4}")
_MOST_CHUNKS, _STEP = 2**18, 2**20

_TRANSPARENT_BYTES = {0: (2,), 2: (6,), 3: range(1, 257)}  # of tRNS, by the kind of colours

_EXIF = (b"Exif\0\0II*\0", b"Exif\0\0MM\0*")
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_PROGRESSIVE = {0xC2, 0xCA}
_MARKER = re.compile(rb"\xff+[\x01-\xcf\xd8-\xfe]")
_END_MARK = b"\xff\xd9"
_RESTART = re.compile(rb"\xff[\xd0-\xd7]")
# Bytes that a decoder takes for those that it still needs: if none of so many changes anything,
# none was needed.
_MADE_UP = np.random.default_rng(0).integers(1, 255, (7, 16, 64), dtype=np.uint8)


def sound_png(stream: IO[bytes], only_used: bool = False) -> IO[bytes]:
    """The stream, or a copy without the chunks that a viewer passes over; anything but PNG as is.

    Args:
        stream: the file.
        only_used: leave out every chunk that does not decide the pixels.

    Raises:
        BadImageError: a checksum of a chunk that is needed is wrong, or one is of another kind of
            PNG.
    """
    stream.seek(0)
    if stream.read(8) != _PNG:
        return stream
    kept, done, passed_over, colours = [(0, 8)], 8, False, -1
    for _ in range(_MOST_CHUNKS):
        head = stream.read(8)
        if len(head) < 8 or not _NAME.fullmatch(head, 4):
            break  # cut short or damaged: Pillow says in what way
        length, name = struct.unpack(">I4s", head)
        body = stream.read(min(length, _STEP))
        checksum, left = zlib.crc32(body, zlib.crc32(name)), length - len(body)
        while left and (piece := stream.read(min(left, _STEP))):
            checksum, left = zlib.crc32(piece, checksum), left - len(piece)
        end = stream.read(4)
        if left or len(end) < 4:
            break
        if name == b"IHDR" and length == 13:
            colours = body[9]
        right = struct.unpack(">I", end)[0] == checksum
        if name == b"IEND":
            break  # that the pixels are whole is known without it
        if name in _NEEDED and not right:
            raise BadImageError(
                "damaged", f"the checksum of its {name.decode()} chunk is wrong: copy it again"
            )
        if name not in _NEEDED and not name[0] & 32:
            raise BadImageError(
                "unsupported_format",
                f"a PNG of another kind (with {name.decode()} chunks) is not read here; convert it "
                "to plain PNG or JPEG",
            )
        used = name in _USED and (name != b"tRNS" or length in _TRANSPARENT_BYTES.get(colours, ()))
        start, done = done, stream.tell()
        if name in _NEEDED or (right and (used or not only_used)):
            kept.append((start, done - start))
        else:
            passed_over = True
    if not passed_over:
        return stream
    content = io.BytesIO()
    for start, length in [*kept, (done, -1)]:
        stream.seek(start)
        content.write(stream.read(length))
    return content


def with_end_mark(
    stream: IO[bytes], decode: Callable[[IO[bytes]], Image.Image]
) -> IO[bytes] | None:
    """A JPEG that lacks only its end mark, with it; None of anything else.

    Args:
        stream: the file, which was found to be cut short.
        decode: decodes a stream whole, or raises any exception.
    """
    stream.seek(0)
    if stream.read(2) != b"\xff\xd8":
        return None
    stream.seek(0)
    content = _before_another(stream.read()).rstrip(b"\xff")
    if not _has_all_scans(content):
        return None
    shown: Image.Image | None = None
    for more in (b"", *_made_up(content)):
        try:
            image = decode(io.BytesIO(content + more + _END_MARK))
        except Exception:  # the decoders raise nearly every type on damaged files
            return None
        if shown is not None and not np.array_equal(np.asarray(image), np.asarray(shown)):
            return None
        shown = image
    return io.BytesIO(content + _END_MARK)


def plain_jpeg(stream: IO[bytes]) -> IO[bytes]:
    """A copy of a JPEG without the segments that a viewer passes over, and without what lies
    between segments; the stream itself of anything else.

    Kept of those that do not hold pixels or tables are JFIF and Adobe, which tell the colours, and
    Exif, which tells which way is up, each where it is well-formed.
    """
    stream.seek(0)
    if stream.read(2) != b"\xff\xd8":
        return stream
    content = b"\xff\xd8" + stream.read()
    kept, at = [content[:2]], 2
    while found := _MARKER.search(content, at):
        marker, start = found.group()[-1:], found.end()
        if marker == b"\xda":
            kept.append(b"\xff" + content[start - 1 :])
            plain = b"".join(kept)
            return stream if plain == content else io.BytesIO(plain)
        if marker in b"\x01\xd8":
            at = start
            continue
        at = start + max(int.from_bytes(content[start : start + 2], "big"), 2)
        if _is_used(marker[0], content[start + 2 : at]):
            kept.append(b"\xff" + content[start - 1 : at])
    return stream


def _is_used(marker: int, body: bytes) -> bool:
    """Whether a JPEG's segment decides what a viewer shows."""
    if marker == 0xE0:
        return len(body) >= 14 and body.startswith(b"JFIF\0")
    if marker == 0xE1:
        return body.startswith(_EXIF)
    if marker == 0xEE:
        return len(body) >= 12 and body.startswith(b"Adobe")
    return not (0xE0 <= marker <= 0xEF or marker == 0xFE)


def _before_another(jpegs: bytes) -> bytes:
    """Of JPEGs one after another, the first, if it has no end mark."""
    at, scans = 2, 0
    while found := _MARKER.search(jpegs, at):
        at, marker = found.end(), found.group()[-1]
        if marker == 0xD8 and scans:
            return jpegs[: found.start()]
        if marker == _END_MARK[-1]:
            break
        if marker not in (0x01, 0xD8):
            scans += marker == 0xDA
            at += int.from_bytes(jpegs[at : at + 2], "big")
    return jpegs


def _made_up(jpeg: bytes) -> Iterator[bytes]:
    """Ways in which a JPEG's last scan might go on, were it not at its end."""
    restarts = _RESTART.findall(jpeg, jpeg.rindex(b"\xff\xda"))
    at = restarts[-1][1] + 1 if restarts else 0
    for parts in _MADE_UP:
        yield b"".join(
            part.tobytes() + bytes((0xFF, 0xD0 + (at + place) % 8))
            for place, part in enumerate(parts)
        )


def _has_all_scans(jpeg: bytes) -> bool:
    """Whether the scans that begin in a JPEG bring every bit of every coefficient."""
    progressive = False
    lacking: dict[int, list[int]] = {}  # by component: the bits that each coefficient lacks
    at = 2
    try:
        while found := _MARKER.search(jpeg, at):
            at, marker = found.end(), found.group()[-1]
            if marker in (0x01, 0xD8):
                continue
            if marker == _END_MARK[-1]:
                break
            (length,) = struct.unpack_from(">H", jpeg, at)
            body = jpeg[at + 2 : at + length]
            if marker in _FRAMES:
                progressive = marker in _PROGRESSIVE
                lacking = {body[6 + 3 * place]: [99] * 64 for place in range(body[5])}
            elif marker == 0xDA:
                n_components = body[0]
                first, last, bits = body[1 + 2 * n_components : 4 + 2 * n_components]
                if not progressive:
                    first, last, bits = 0, 63, 0
                for place in range(n_components):
                    left = lacking[body[1 + 2 * place]]
                    left[first : last + 1] = [bits & 15] * (last + 1 - first)
            at += length
    except (struct.error, IndexError, KeyError, ValueError):
        return False
    return bool(lacking) and not any(any(left) for left in lacking.values())
