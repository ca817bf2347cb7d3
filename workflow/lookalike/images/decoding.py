"""Image files decoded to what a viewer shows, or the reason why not."""

from __future__ import annotations

import io
import re
import struct
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, cast

import numpy as np
import numpy.typing as npt
from PIL import (
    Image,
    ImageColor,
    UnidentifiedImageError,
)
from PIL.JpegImagePlugin import JpegImageFile
from PIL.TiffImagePlugin import TiffImageFile

from lookalike.errors import BadImageError, LookalikeError
from lookalike.images import as_shown, limits, tiff
from lookalike.images.file_kinds import N_END_BYTES, SIGNATURE_BYTES, jpeg_kind, what_it_is
from lookalike.images.mends import plain_jpeg, sound_png, with_end_mark

# Pillow warns of files that it reads all the same, and cannot name them: a block of EXIF that is
# damaged, say. What cannot be read is refused here, by name.
warnings.filterwarnings("ignore", module=r"PIL\.")

Size = tuple[int, int]
"""Width and height in pixels."""
Box = tuple[float, float, float, float]
"""Left, upper, right and lower edge in pixels; the edges may lie within pixels."""

# Ordinary raster formats only: none runs a program or reads another file. MPO comes with JPEG.
Image.init()
FORMATS = tuple(
    name
    for name in ("JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "PPM", "AVIF")
    if name in Image.OPEN
)

# What Pillow says where it fails in a way of which it knows nothing more.
_NO_WORDS = re.compile(r"decoder error|invalid literal|could not create decoder|$")
# What Pillow says of kinds of BMP that it does not know.
_PILLOW_UNSUPPORTED, _PILLOW_SHORT = "Unsupported BMP", "not enough image data"
# What Pillow says of PNG chunks beside the pixels that inflate beyond its limits.
_PILLOW_INFLATED = ("Decompressed data too large", "Too much memory used in text chunks")

# The orientations that swap the sides, and those that bring what was stored last to the left or to
# the top.
_SWAPPING, _FROM_THE_LEFT, _FROM_THE_TOP = {5, 6, 7, 8}, {2, 3, 6, 7}, {3, 4, 7, 8}


@dataclass(frozen=True)
class DecodedImage:
    """An RGB image as a viewer shows it, decoded whole or at a reduced scale.

    image: the decoded pixels; size: of the whole image, upright; box: where in `image` the whole
    image lies. A reduced side is rounded up, so the outermost pixels may lie partly beyond it.
    """

    image: Image.Image
    size: Size
    box: Box


def rgb_of(background: str) -> tuple[int, int, int]:
    """Red, green, blue (0 to 255) of a colour name or `#rrggbb`; LookalikeError if it is none."""
    try:
        colour = ImageColor.getrgb(background)
    except ValueError:
        colour = None
    if colour is None or len(colour) != 3:
        raise LookalikeError(
            f"image.background is {background!r}; use a colour name such as white, or #rrggbb."
        )
    return colour


def read_image(path: str | Path, background: str = "white") -> npt.NDArray[np.uint8]:
    """Read an image file as the pipeline sees it before it resizes: as a viewer shows it.

    Args:
        path: the file.
        background: what transparency shows: a colour name or `#rrggbb`.

    Returns:
        RGB, uint8 [height, width, 3], upright.

    Raises:
        BadImageError: the file cannot be used; its `status` and `detail` are the manifest's.
    """
    return np.array(open_rgb(path, background))


def open_rgb(source: str | Path | bytes | IO[bytes], background: str) -> Image.Image:
    """Decode a file to the RGB image that a viewer shows; its `format` names the file's format.

    EXIF orientation is applied, transparency shows `background`, 16-bit grey is scaled to 8 bits,
    of an animation or a multi-page file comes the first frame, even if a later one is larger.
    Colour profiles are not applied.
    Raises BadImageError (a LookalikeError) for whatever cannot be decoded whole.
    """
    return open_reduced(source, background, at_least=None).image


def open_reduced(
    source: str | Path | bytes | IO[bytes],
    background: str,
    at_least: Callable[[Size], Size] | None,
) -> DecodedImage:
    """Decode as `open_rgb` does, a JPEG at the smallest scale that is large enough.

    A JPEG decoder can leave out the finest detail for much less work: at 1/2, 1/4 and 1/8 of the
    size. Other formats are decoded whole.

    Args:
        source: a file, its bytes, or a stream of them.
        background: what transparency shows.
        at_least: from the whole image's size, upright, to the least width and height to decode;
            None decodes whole.

    Raises:
        BadImageError: the file cannot be decoded.
    """
    name = str(source) if isinstance(source, str | Path) else ""
    try:
        if isinstance(source, str | Path):
            with Path(source).open("rb") as file:
                return _decode_stream(file, background, at_least)
        stream = io.BytesIO(source) if isinstance(source, bytes) else source
        return _decode_stream(stream, background, at_least)
    except BadImageError as error:
        raise BadImageError(error.status, error.detail, name) from None
    except MemoryError as error:
        raise BadImageError(
            "unreadable", "there is not enough memory to decode it", name
        ) from error
    except OSError as error:
        status = "missing_file" if isinstance(error, FileNotFoundError) else "unreadable"
        raise BadImageError(status, f"cannot be read: {error.strerror}", name) from error


def _decode_stream(
    stream: IO[bytes], background: str, at_least: Callable[[Size], Size] | None
) -> DecodedImage:
    """Decode, and where a decoder fails say why; MemoryError and errors of reading pass through."""
    decode = partial(_reduced_or_whole, background=background, at_least=at_least)
    try:
        return decode(sound_png(stream))
    except (BadImageError, MemoryError):
        raise
    except Exception as error:  # the decoders raise nearly every type on damaged files
        if isinstance(error, OSError) and error.errno is not None:
            raise  # the file could not be read; the decoders' errors have no number
        reason = _reason(error, stream)
        if reason.status not in ("truncated", "damaged"):
            raise reason from error
    for mended in _mended(stream, background):
        try:
            return decode(mended)
        except Exception:  # as above
            continue
    raise reason


def _mended(stream: IO[bytes], background: str) -> Iterator[IO[bytes]]:
    """Copies of a file that fails, without what a viewer passes over."""
    png = sound_png(stream, only_used=True)
    if png is not stream:
        yield png
    jpeg = plain_jpeg(stream)
    if jpeg is not stream:
        yield jpeg
    ended = with_end_mark(jpeg, lambda made_up: _decode(made_up, background, None).image)
    if ended is not None:
        yield ended


def _reduced_or_whole(
    stream: IO[bytes], background: str, at_least: Callable[[Size], Size] | None
) -> DecodedImage:
    if at_least is not None:
        try:
            return _decode(stream, background, at_least)
        except Exception:  # a lossless JPEG has no detail to leave out; what is damaged fails again
            pass
    return _decode(stream, background, None)


def _decode(
    source: IO[bytes], background: str, at_least: Callable[[Size], Size] | None
) -> DecodedImage:
    counted = limits.CountedStream(source)
    stream = cast(IO[bytes], counted)
    limits.require_few_tag_numbers(stream)
    tiff.require_readable(stream)
    with Image.open(stream, formats=FORMATS) as image:
        counted.count_no_more()
        file_format = image.format
        width, height = image.size
        limits.require_few_pixels(width, height)
        if isinstance(image, TiffImageFile):
            limits.require_small_tiles(image)
            limits.forget_inner_tags(image)
        # MPO is a JPEG too. No other format has a decoder that can leave out detail.
        within = None
        if isinstance(image, JpegImageFile):
            limits.require_few_scans(image)
            if at_least is not None:
                within = _reduce(image, at_least)
        rgb, orientation = as_shown.load(image, source, rgb_of(background))
    rgb.format = file_format
    if within is None:
        return DecodedImage(rgb, rgb.size, (0, 0, rgb.width, rgb.height))
    whole = (height, width) if orientation in _SWAPPING else (width, height)
    return DecodedImage(rgb, whole, _upright_box(rgb.size, within, orientation))


def _reduce(image: JpegImageFile, at_least: Callable[[Size], Size]) -> tuple[float, float] | None:
    """Have an opened JPEG decoded at the smallest scale with both sides `at_least` as large.

    Returns the width and height, in decoded pixels, of the whole image as stored; None where it is
    decoded whole.
    """
    swapped = as_shown.orientation_of(image) in _SWAPPING
    size = image.size
    width, height = at_least(size[::-1] if swapped else size)
    least = (height, width) if swapped else (width, height)
    if min(size[0] // least[0], size[1] // least[1]) < 2:
        return None
    done = image.draft(None, least)  # no mode: the colours keep their meaning
    return None if done is None else done[1][2:]


def _upright_box(size: Size, within: tuple[float, float], orientation: int) -> Box:
    """Where the whole image lies in the upright one of `size`, if it filled `within` as stored."""
    width, height = within[::-1] if orientation in _SWAPPING else within
    left = size[0] - width if orientation in _FROM_THE_LEFT else 0
    top = size[1] - height if orientation in _FROM_THE_TOP else 0
    return left, top, left + width, top + height


def _reason(error: Exception, stream: IO[bytes]) -> BadImageError:
    """What a decoder's error means for the person whose file it is."""
    if isinstance(error, Image.DecompressionBombError | Image.DecompressionBombWarning):
        return BadImageError("too_large", limits.TOO_MANY)  # its limit is ours
    said = str(error)
    stream.seek(0)
    start = stream.read(SIGNATURE_BYTES)
    if start.startswith(b"\xff\xd8") and "truncated" not in said.lower():
        kind = jpeg_kind(start + stream.read(limits.MAX_BEFORE_JPEG_PIXELS))
        if kind is not None:
            return BadImageError("unsupported_format", kind)
    n_bytes = stream.seek(0, io.SEEK_END)
    stream.seek(max(0, n_bytes - N_END_BYTES))
    status, detail = what_it_is(start, FORMATS, stream.read())
    if status == "damaged" and start.startswith(b"RIFF"):
        (length,) = struct.unpack("<I", start[4:8].ljust(4, b"\0"))
        if n_bytes < 8 + length:
            return BadImageError("truncated", as_shown.CUT_SHORT)
    if isinstance(error, UnidentifiedImageError) or status != "damaged":
        return BadImageError(status, detail)
    if "truncated" in said.lower():
        return BadImageError("truncated", as_shown.CUT_SHORT)
    if said.startswith(_PILLOW_INFLATED):
        return BadImageError("too_large", "a text or a profile in it inflates to too much")
    if said.startswith(_PILLOW_SHORT) and start.startswith(b"BM"):
        stream.seek(-2, io.SEEK_END)
        if stream.read() == b"\0\1":  # the mark at the end of a run-length-coded BMP
            kind = "a BMP that leaves out pixels is not read here; convert it to PNG or JPEG"
            return BadImageError("unsupported_format", kind)
        return BadImageError("truncated", as_shown.CUT_SHORT)
    if said.startswith(_PILLOW_UNSUPPORTED):
        kind = f"{said[0].lower()}{said[1:]}"
        return BadImageError("unsupported_format", f"{kind}: convert it to PNG or JPEG")
    worded = isinstance(error, OSError | SyntaxError | ValueError) and not _NO_WORDS.match(said)
    return BadImageError("damaged", f"cannot be decoded: {said if worded else 'it is damaged'}")
