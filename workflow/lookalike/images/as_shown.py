"""An image that Pillow opened, as the RGB pixels that a viewer shows.

Pillow leaves to its callers what transparency shows and which way is up, and of some files it shows
something else than they are: that is put right here, before the pixels are unpacked or after.
"""

from __future__ import annotations

import struct
from typing import IO, Any, cast

import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image, ImageCms, ImageFile, ImagePalette
from PIL.TiffImagePlugin import TiffImageFile

from lookalike.errors import BadImageError
from lookalike.images import limits, tiff
from lookalike.images.wide_greys import to_8_bit

# What a PNG's pixels are made to hold before they are read, in two ways: it tells which were not.
_UNREAD: dict[str, tuple[int | tuple[int, ...], int | tuple[int, ...]]] = {
    "1": (0, 255),
    "I": (43690, 21845),
    "I;16": (43690, 21845),
    "L": (113, 142),
    "P": (113, 142),
    "LA": ((113, 7), (142, 248)),
    "RGB": ((113, 7, 201), (142, 248, 54)),
    "RGBA": ((113, 7, 201, 90), (142, 248, 54, 165)),
}

Colour = tuple[int, int, int]
"""Red, green and blue, 0 to 255."""

CUT_SHORT = "the file ends before the image does"

_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def load(
    image: ImageFile.ImageFile, stream: IO[bytes], background: Colour
) -> tuple[Image.Image, int]:
    """The pixels of an opened image as RGB, upright, and the orientation that it had.

    Args:
        image: as opened, of `stream`.
        stream: the file.
        background: what transparency shows.

    Raises:
        BadImageError: the file is of a kind that Pillow shows otherwise than it is, or ends before
            the image does. Whatever the decoders raise passes through.
    """
    frame, key = _frame(image), None
    if isinstance(image, TiffImageFile):
        tiff.put_right(image)
    elif image.format == "BMP":
        _put_bmp_right(image, stream)
    elif image.format == "GIF" and image.mode == "L":
        image.palette = None  # a frame of greys is not coloured by the palette of all frames
    elif image.format == "WEBP" and _is_animated_webp(stream):
        # Only so the decoder says what the first frame leaves uncovered.
        image._mode = image.rawmode = "RGBA"  # type: ignore[attr-defined]
    elif image.format == "PNG" and "transparency" in image.info:
        key = _transparent_colour(image)
    if isinstance(image, TiffImageFile) and tiff.has_cut_jpegs(image, stream):
        raise BadImageError("truncated", CUT_SHORT)
    try:
        if image.format == "PNG":
            _load_png(image, stream)
        else:
            image.load()
    except OSError:
        if isinstance(image, TiffImageFile) and tiff.is_cut_short(image, stream):
            raise BadImageError("truncated", CUT_SHORT) from None
        raise
    orientation = orientation_of(image)
    method = _UPRIGHT.get(orientation)
    seen: Image.Image = image
    if key is not None:
        seen = _with_transparent_colour(image, stream, key)
    elif image.format == "BMP" and image.mode == "RGBA" and not image.getchannel("A").getbbox():
        seen = image.convert("RGB")  # a program that knew no alpha left its bytes at 0
    if method is not None:
        seen = seen.transpose(method)
    rgb = _to_rgb(to_8_bit(seen, image), background)
    if frame is not None and not image.has_transparency_data:
        canvas = Image.new("RGB", rgb.size, background)
        canvas.paste(rgb.crop(frame), frame[:2])
        rgb = canvas
    return rgb, orientation


def _load_png(image: ImageFile.ImageFile, stream: IO[bytes]) -> None:
    """Load a PNG, and refuse one whose compressed data ends in order but before the last pixel.

    Pillow says nothing of such data. Few files hold by chance what marks the last pixel as not
    read: only those are read once more, marked in another way.
    """
    if _has_last_pixel(image, 0):
        return
    with Image.open(stream, formats=("PNG",)) as again:
        if not _has_last_pixel(again, 1):
            raise BadImageError("truncated", CUT_SHORT)


def _has_last_pixel(image: ImageFile.ImageFile, which: int) -> bool:
    """Load a PNG over pixels that hold a mark: whether the last to be read no longer does."""
    if not image.tile or image.mode not in _UNREAD:
        image.load()
        return True
    mark = _UNREAD[image.mode][which]
    column, row = image.width - 1, image.height - 1
    if image.info.get("interlace"):  # the last pass has the odd rows, the one before odd columns
        if row:
            row -= 1 - row % 2
        elif column:
            column -= 1 - column % 2
    image.im = Image.new(image.mode, image.size, mark).im
    image.load()
    return image.getpixel((column, row)) != mark


def orientation_of(image: Image.Image) -> int:
    """How the EXIF block says the image is to be turned and mirrored: 1 to 8, 1 as stored."""
    limits.require_little_exif(image)
    try:
        value = image.getexif().get(ExifTags.Base.Orientation, 1)
        return int(value) if value in _UPRIGHT else 1
    except Exception:  # whatever is wrong with the EXIF block, a viewer shows the image as stored
        return 1


def _frame(image: ImageFile.ImageFile) -> tuple[int, int, int, int] | None:
    """Where in a GIF its first frame lies, if it leaves some of the picture uncovered."""
    if image.format != "GIF" or not image.tile:
        return None
    frame = image.tile[0].extents
    return None if frame == (0, 0, *image.size) else frame


def _is_animated_webp(stream: IO[bytes]) -> bool:
    stream.seek(12)
    kind, flags = stream.read(4), stream.read(5)[4:]
    return kind == b"VP8X" and bool(flags) and bool(flags[0] & 2)


def _put_bmp_right(image: ImageFile.ImageFile, stream: IO[bytes]) -> None:
    """Have the BMPs shown as they are that Pillow opens and would show otherwise."""
    stream.seek(14)
    header = stream.read(124)
    (size,) = struct.unpack_from("<I", header)
    old = size == 12
    bits, packing = (
        (*struct.unpack_from("<H", header, 10), 0) if old else struct.unpack_from("<HI", header, 14)
    )
    if size >= 56 and bits == 16 and packing == 3 and any(header[52:56]):
        raise BadImageError(
            "unsupported_format",
            "a BMP of 16 bits with alpha is not read here; convert it to PNG or JPEG",
        )
    if image.mode in ("1", "L") and bits != {"1": 1, "L": 8}[image.mode]:
        # A palette of greys is taken for no palette, and its narrow values for wide ones.
        n_colours = 2 if image.mode == "1" else 1 << bits
        stream.seek(14 + size)
        palette = stream.read(n_colours * (3 if old else 4))
        image._mode, image.palette = "P", ImagePalette.raw("BGR" if old else "BGRX", palette)
        image.tile = [
            tile._replace(args=("P;4" if bits == 4 else "P", *cast(Any, tile.args)[1:]))
            for tile in image.tile
        ]


def _transparent_colour(image: ImageFile.ImageFile) -> tuple[int, ...] | None:
    """Bring PNG's transparent colour from the file's bit depth to that of Pillow's pixels.

    Of 16-bit colours Pillow keeps the upper 8 bits, which do not tell: the colour is returned.
    """
    raw_mode = image.tile[0].args if image.tile else None
    if raw_mode == "L;2":
        image.info["transparency"] *= 85
    elif raw_mode == "L;4":
        image.info["transparency"] *= 17
    elif raw_mode == "RGB;16B":
        return cast(tuple[int, ...], image.info.pop("transparency"))
    return None


def _with_transparent_colour(
    image: Image.Image, stream: IO[bytes], key: tuple[int, ...]
) -> Image.Image:
    """A PNG of 16-bit colours with alpha 0 where a pixel is `key` in all of its bits."""
    with Image.open(stream, formats=("PNG",)) as again:
        again.tile = [tile._replace(args="RGB;16L") for tile in again.tile]  # the lower 8 bits
        again.load()
        low: npt.NDArray[np.uint8] = np.asarray(again)
    high = np.asarray(image)
    same = [
        (high[..., at] == value >> 8) & (low[..., at] == value & 255)
        for at, value in enumerate(key)
    ]
    seen = image.convert("RGB")
    seen.putalpha(Image.fromarray(np.where(np.logical_and.reduce(same), 0, 255).astype(np.uint8)))
    return seen


def _to_rgb(image: Image.Image, background: Colour) -> Image.Image:
    if image.mode == "RGB" and "transparency" not in image.info:
        return image  # Pillow's convert would copy it
    if image.mode == "La":
        image = image.convert("LA")
    if image.has_transparency_data:
        seen = image.convert("RGBA")
        canvas = Image.new("RGB", image.size, background)
        canvas.paste(seen, mask=seen.getchannel("A"))
        return canvas
    if image.mode == "LAB":
        to_srgb = ImageCms.buildTransform(
            ImageCms.createProfile("LAB"),
            ImageCms.createProfile("sRGB"),
            "LAB",
            "RGB",
            flags=ImageCms.Flags.NOOPTIMIZE,  # its table of 33 steps is up to 41 levels off
        )
        return ImageCms.applyTransform(image, to_srgb) or image
    return image.convert("RGB")
