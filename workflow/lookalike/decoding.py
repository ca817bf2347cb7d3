"""Image files decoded to what a viewer shows, or the reason why not."""

from __future__ import annotations

import io
import math
import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image, ImageCms, ImageColor, ImageFile, UnidentifiedImageError
from PIL.JpegImagePlugin import JpegImageFile
from PIL.TiffImagePlugin import TiffImageFile

from lookalike import image_limits as limits
from lookalike.errors import BadImageError, LookalikeError

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

# First bytes of formats that people do have among their images and that are not read here.
_OTHER_FORMATS = (
    (4, b"ftypheic", "HEIC"),
    (4, b"ftypheix", "HEIC"),
    (4, b"ftypmif1", "HEIF"),
    (4, b"ftypmsf1", "HEIF"),
    (0, b"\xff\x0a", "JPEG XL"),
    (4, b"JXL \r\n\x87\n", "JPEG XL"),
    (4, b"jP  \r\n\x87\n", "JPEG 2000"),
    (0, b"8BPS", "Photoshop"),
    (0, b"%PDF", "PDF"),
    (0, b"%!PS", "PostScript"),
    (0, b"\x00\x00\x01\x00", "ICO"),
)
_SNIFFED = 1024
_MARKUP = re.compile(rb"<(svg|html|!doctype html)\b", re.IGNORECASE)

# What Pillow says of PNG chunks beside the pixels that inflate beyond its limits.
_PILLOW_INFLATED = ("Decompressed data too large", "Too much memory used in text chunks")

_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# The orientations that swap the sides, and those that bring what was stored last to the left or to
# the top.
_SWAPPING, _FROM_THE_LEFT, _FROM_THE_TOP = {5, 6, 7, 8}, {2, 3, 6, 7}, {3, 4, 7, 8}

_TIFF_BITS_PER_SAMPLE, _TIFF_PHOTOMETRIC, _WHITE_IS_ZERO = 258, 262, 0

_BAND = 2**20  # values of an image that are computed at a time: what is computed of them is wider


@dataclass(frozen=True)
class Decoded:
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


def open_rgb(source: str | Path | bytes | IO[bytes], background: str) -> Image.Image:
    """Decode a file to the RGB image that a viewer shows; its `format` names the file's format.

    EXIF orientation is applied, transparency shows `background`, 16-bit grey is scaled to 8 bits,
    of an animation or a multi-page file comes the first frame. Colour profiles are not applied.
    Raises BadImageError (a LookalikeError) for whatever cannot be decoded whole.
    """
    return open_reduced(source, background, at_least=None).image


def open_reduced(
    source: str | Path | bytes | IO[bytes],
    background: str,
    at_least: Callable[[Size], Size] | None,
) -> Decoded:
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
    stream = io.BytesIO(source) if isinstance(source, bytes) else source
    try:
        return _reduced_or_whole(stream, background, at_least)
    except BadImageError as error:
        raise BadImageError(error.status, error.detail, name) from None
    except UnidentifiedImageError:
        raise BadImageError(*_what_it_is(source), name) from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):  # its limit is ours
        raise BadImageError("too_large", limits.TOO_MANY, name) from None
    except MemoryError as error:
        raise BadImageError(
            "unreadable", "there is not enough memory to decode it", name
        ) from error
    except OSError as error:
        if error.errno is not None:  # the file could not be read; the decoders' errors have none
            status = "missing_file" if isinstance(error, FileNotFoundError) else "unreadable"
            raise BadImageError(status, f"cannot be read: {error.strerror}", name) from error
        raise _damaged(error, name) from error
    except Exception as error:  # the decoders raise nearly every type on damaged files
        raise _damaged(error, name) from error


def _reduced_or_whole(
    source: str | Path | IO[bytes], background: str, at_least: Callable[[Size], Size] | None
) -> Decoded:
    if isinstance(source, str | Path):
        with Path(source).open("rb") as stream:
            return _reduced_or_whole(stream, background, at_least)
    if at_least is not None:
        try:
            return _decode(source, background, at_least)
        except Exception:  # a lossless JPEG has no detail to leave out; what is damaged fails again
            pass
    return _decode(source, background, None)


def _decode(source: IO[bytes], background: str, at_least: Callable[[Size], Size] | None) -> Decoded:
    counted = limits.CountedStream(source)
    stream = cast(IO[bytes], counted)
    limits.require_few_tag_numbers(stream)
    with Image.open(stream, formats=FORMATS) as image:
        counted.count_no_more()
        file_format = image.format
        width, height = image.size
        limits.require_few_pixels(width, height)
        if isinstance(image, TiffImageFile):
            limits.require_small_tiles(image)
            limits.forget_inner_tags(image)
        if "transparency" in image.info:
            _scale_transparent_colour(image)
        # MPO is a JPEG too. No other format has a decoder that can leave out detail.
        within = None
        if isinstance(image, JpegImageFile):
            limits.require_few_scans(image)
            if at_least is not None:
                within = _reduce(image, at_least)
        image.load()
        orientation = _orientation(image)
        method = _UPRIGHT.get(orientation)
        upright = image if method is None else image.transpose(method)
        rgb = _to_rgb(_to_8_bit(upright, image), background)
    rgb.format = file_format
    if within is None:
        return Decoded(rgb, rgb.size, (0, 0, rgb.width, rgb.height))
    whole = (height, width) if orientation in _SWAPPING else (width, height)
    return Decoded(rgb, whole, _upright_box(rgb.size, within, orientation))


def _reduce(image: JpegImageFile, at_least: Callable[[Size], Size]) -> tuple[float, float] | None:
    """Have an opened JPEG decoded at the smallest scale with both sides `at_least` as large.

    Returns the width and height, in decoded pixels, of the whole image as stored; None where it is
    decoded whole.
    """
    swapped = _orientation(image) in _SWAPPING
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


def _orientation(image: Image.Image) -> int:
    """How the EXIF block says the image is to be turned and mirrored: 1 to 8, 1 as stored."""
    limits.require_little_exif(image)
    try:
        value = image.getexif().get(ExifTags.Base.Orientation, 1)
        return int(value) if value in _UPRIGHT else 1
    except Exception:  # whatever is wrong with the EXIF block, a viewer shows the image as stored
        return 1


def _scale_transparent_colour(image: ImageFile.ImageFile) -> None:
    """Bring PNG's transparent colour from the file's bit depth to that of Pillow's pixels."""
    raw_mode = image.tile[0].args if image.tile else None
    if raw_mode == "L;2":
        image.info["transparency"] *= 85
    elif raw_mode == "L;4":
        image.info["transparency"] *= 17
    elif raw_mode == "RGB;16B":
        image.info["transparency"] = tuple(value >> 8 for value in image.info["transparency"])


def _to_8_bit(image: Image.Image, opened: Image.Image) -> Image.Image:
    """Turn grey of 16 or 32 bits or of floats into 8 bits; leave other modes alone.

    `opened` is the image as opened, with the file's own tags.
    """
    if not (image.mode == "F" or image.mode.startswith("I")):
        return image
    tags: Mapping[int, Any] = getattr(opened, "tag_v2", {})
    values = np.asarray(image)
    # PPM says its span as PNG does, but Pillow hands its values over as 32-bit integers.
    if image.mode.startswith("I;16") or (image.mode == "I" and opened.format in {"PPM", "PNG"}):
        pixels = _scaled(values, white=4095 if tags.get(_TIFF_BITS_PER_SAMPLE) == (12,) else 65535)
    else:
        pixels = _stretched(values)
    if tags.get(_TIFF_PHOTOMETRIC) == _WHITE_IS_ZERO:
        pixels = 255 - pixels
    grey = Image.fromarray(pixels)
    transparent = opened.info.get("transparency")
    if isinstance(transparent, int):
        alpha = np.where(values == transparent, np.uint8(0), np.uint8(255))
        grey.putalpha(Image.fromarray(alpha))
    return grey


def _scaled(values: npt.NDArray[Any], white: int) -> npt.NDArray[np.uint8]:
    """Grey of 0 to `white` (65535 at most) as 0 to 255, rounded to the nearest."""
    steps = np.arange(white + 1, dtype=np.int64)
    table = ((steps * 255 + white // 2) // white).astype(np.uint8)
    scaled = np.empty(values.shape, np.uint8)
    for band, out in _bands(values, scaled):
        out[:] = np.take(table, band, mode="clip")
    return scaled


def _stretched(values: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """Grey that says nothing of its span, from its least value (0) to its greatest (255).

    Floats within 0 to 1 are taken to mean just that. NaN is black.
    """
    low, high = math.inf, -math.inf
    stretched = np.empty(values.shape, np.uint8)
    for band, _ in _bands(values, stretched):
        finite = band[np.isfinite(band)]
        if finite.size:
            low, high = min(low, float(finite.min())), max(high, float(finite.max()))
    if low > high or (values.dtype.kind == "f" and low >= 0 and high <= 1):
        low, high = 0.0, 1.0
    for band, out in _bands(values, stretched):
        unit = (band.astype(np.float64) - low) / max(high - low, 1e-300)
        unit = np.nan_to_num(unit, nan=0, posinf=1, neginf=0)
        out[:] = np.floor(unit * 255 + 0.5)
    return stretched


def _bands(
    values: npt.NDArray[Any], out: npt.NDArray[np.uint8]
) -> Iterator[tuple[npt.NDArray[Any], npt.NDArray[np.uint8]]]:
    """Both arrays side by side, `_BAND` values at a time: a row may be as long as an image."""
    flat, flat_out = values.reshape(-1), out.reshape(-1)
    for start in range(0, flat.size, _BAND):
        yield flat[start : start + _BAND], flat_out[start : start + _BAND]


def _to_rgb(image: Image.Image, background: str) -> Image.Image:
    if image.mode == "RGB" and "transparency" not in image.info:
        return image  # Pillow's convert would copy it
    if image.has_transparency_data:
        seen = image.convert("RGBA")
        canvas = Image.new("RGB", image.size, rgb_of(background))
        canvas.paste(seen, mask=seen.getchannel("A"))
        return canvas
    if image.mode == "LAB":
        to_srgb = ImageCms.buildTransform(
            ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB"), "LAB", "RGB"
        )
        return ImageCms.applyTransform(image, to_srgb) or image
    return image.convert("RGB")


def _damaged(error: Exception, name: str) -> BadImageError:
    if "truncated" in str(error).lower():
        return BadImageError("truncated", "the file ends before the image does", name)
    if str(error).startswith(_PILLOW_INFLATED):
        return BadImageError("too_large", "a text or a profile in it inflates to too much", name)
    reason = str(error) or type(error).__name__
    return BadImageError("damaged", f"cannot be decoded: {reason}", name)


def _what_it_is(source: str | Path | bytes | IO[bytes]) -> tuple[str, str]:
    """Status and detail of a file that Pillow could not identify, by its first bytes."""
    if isinstance(source, bytes):
        start = source[:_SNIFFED]
    elif isinstance(source, str | Path):
        with Path(source).open("rb") as stream:
            start = stream.read(_SNIFFED)
    else:
        source.seek(0)
        start = source.read(_SNIFFED)
    if not start:
        return "empty_file", "the file has no bytes"
    for file_format in FORMATS:
        accept = Image.OPEN[file_format][1]
        if accept is not None and accept(start) is True:
            return (
                "damaged",
                f"begins like {file_format} but cannot be decoded: damaged or cut short",
            )
    for offset, signature, kind in _OTHER_FORMATS:
        if start.startswith(signature, offset):
            return "unsupported_format", f"{kind} is not read here; convert it to PNG or JPEG"
    markup = _MARKUP.search(start)
    if markup and markup[1].lower() == b"svg":
        return "unsupported_format", "SVG is not read here; convert it to PNG or JPEG"
    if markup:
        return "not_an_image", "it is a web page, likely an error message saved under this name"
    return "not_an_image", f"its first bytes are of none of {', '.join(FORMATS)}"
