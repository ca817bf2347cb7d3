"""What a file that is not read as an image is, by its first bytes: the words a person is told."""

from __future__ import annotations

import re
import struct

from PIL import Image

from lookalike.storage.strays import pointer

SIGNATURE_BYTES = 1024
"""How many of a file's first bytes are looked at."""
N_END_BYTES = 26
"""How many of its last bytes are."""

_NOT_READ = "is not read here; convert it to PNG or JPEG"
_DEVELOP = "a camera's raw file ({}) is not read here; develop it to PNG or JPEG"

# First bytes of formats that people do have among their images and that are not read here: where
# they stand, what they are, the format's name.
_OTHER_FORMATS = (
    (0, b"\xff\x0a", "JPEG XL"),
    (4, b"JXL \r\n\x87\n", "JPEG XL"),
    (4, b"jP  \r\n\x87\n", "JPEG 2000"),
    (0, b"\xff\x4f\xff\x51", "JPEG 2000"),
    (0, b"II\xbc\x01", "JPEG XR"),
    (0, b"8BPS", "Photoshop"),
    (0, b"gimp xcf", "GIMP's XCF"),
    (0, b"%PDF", "PDF"),
    (0, b"%!PS", "PostScript"),
    (0, b"\xc5\xd0\xd3\xc6", "PostScript"),
    (0, b"icns", "ICNS"),
    (0, b"P7\n", "PAM"),
    (0, b"PF\n", "PFM of colours"),
    (0, b"PF ", "PFM of colours"),
    (0, b"\x8aMNG\r\n", "MNG"),
    (0, b"\x8bJNG\r\n", "JNG"),
    (0, b"qoif", "QOI"),
    (0, b"DDS ", "DDS"),
    (0, b"\x76\x2f\x31\x01", "OpenEXR"),
    (0, b"#?RADIANCE", "Radiance HDR"),
    (0, b"#?RGBE", "Radiance HDR"),
    (0, b"SIMPLE  =", "FITS"),
    (128, b"DICM", "DICOM"),
    (0, b"AT&TFORM", "DjVu"),
    (0, b"BPG\xfb", "BPG"),
    (0, b"FLIF", "FLIF"),
    (0, b"\xd7\xcd\xc6\x9a", "WMF"),
    (40, b" EMF", "EMF"),
    (0, b"/* XPM */", "XPM"),
    (0, b"\x01\xda", "SGI"),
    (0, b"\x59\xa6\x6a\x95", "Sun raster"),
    (0, b"\x0a\x05\x01\x08", "PCX"),
)
_RAW_FORMATS = (
    (0, b"IIRO", "ORF"),
    (0, b"IIRS", "ORF"),
    (0, b"MMOR", "ORF"),
    (0, b"IIU\0", "RW2"),
    (0, b"FUJIFILMCCD-RAW", "RAF"),
    (0, b"FOVb", "X3F"),
    (0, b"\0MRM", "MRW"),
    (6, b"HEAPCCDR", "CRW"),
)
# Files that hold no image themselves, and what to do: a clause after "it is".
_STANDING_IN = (
    (0, b"\0\x05\x16\x07", "macOS's side file (AppleDouble) of an image, not the image"),
    (0, b"L\0\0\0\x01\x14\x02\0", "a Windows shortcut, not the image"),
    (0, b"[InternetShortcut]", "a link to a web page, not the image"),
    (0, b"PK\x03\x04", "a ZIP archive; unpack it"),
    (0, b"\x1f\x8b", "compressed by gzip; unpack it"),
    (0, b"BZh", "compressed by bzip2; unpack it"),
    (0, b"\xfd7zXZ\0", "compressed by xz; unpack it"),
    (0, b"\x28\xb5\x2f\xfd", "compressed by zstd; unpack it"),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7z archive; unpack it"),
    (0, b"Rar!\x1a\x07", "a RAR archive; unpack it"),
    (257, b"ustar", "a tar archive; unpack it"),
    (0, b"\x93NUMPY", "an array of NumPy; save it as PNG"),
    (0, b"\x89HDF\r\n", "an HDF5 file; save its images as PNG"),
    (0, b"\x1aE\xdf\xa3", "a video (Matroska or WebM)"),
    (8, b"AVI ", "a video (AVI)"),
    *((4, box, "a video (QuickTime)") for box in (b"moov", b"mdat", b"wide", b"pnot", b"skip")),
    (0, b"iVBORw0KGgo", "an image written as base64 text; decode it"),
    (0, b"/9j/", "an image written as base64 text; decode it"),
    (0, b"data:image/", "an image written as base64 text; decode it"),
)
_MARKUP = re.compile(rb"<(svg|html|head|body|!doctype html)\b", re.IGNORECASE)
_XML_ERROR = re.compile(rb"<Code>(\w{1,60})</Code>")

# The brands of a file of boxes, the major one and those that it says it is compatible with.
_AVIF = {b"avif", b"avis"}
_HEIC = {b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"hevm", b"hevs"}
_HEIF = {b"mif1", b"mif2", b"msf1", b"miaf", b"avci", b"avcs", b"vvic", b"jpeg", b"jpgs", b"j2ki"}
_OTHER_BRANDS = {b"jxl ": "JPEG XL", b"jp2 ": "JPEG 2000", b"jpx ": "JPEG 2000"}
_RAW_BRAND = b"crx "

_ICONS = {b"\0\0\1\0": "ICO", b"\0\0\2\0": "CUR"}
_MOST_ICONS = 256  # in one file
_TARGA_END = b"TRUEVISION-XFILE.\0"
_TARGA_BITS = {
    1: {8, 15, 16},
    2: {15, 16, 24, 32},
    3: {8, 16},
}
"""Bits of a pixel, by what its pixels are (palette, RGB, grey)."""

# A BMP is known by two letters alone, a PPM by a letter and a digit: much text begins so.
_BMP_HEADERS = {12, 16, 40, 52, 56, 64, 108, 124}
_PPM = re.compile(rb"P([1-6fy]|0CMYK|yP|yRGBA|yCMYK)(#|\s+[#\d])")

_JPEG_FRAMES = {
    0xC3: "lossless",
    0xC5: "hierarchical",
    0xC6: "hierarchical",
    0xC7: "hierarchical",
    0xC9: "arithmetic-coded",
    0xCA: "arithmetic-coded",
    0xCB: "lossless, arithmetic-coded",
    0xCD: "hierarchical",
    0xCE: "hierarchical",
    0xCF: "hierarchical",
    0xDE: "hierarchical",
    0xF7: "JPEG-LS",
}
_PLAIN_FRAMES = {0xC0, 0xC1, 0xC2}


def what_it_is(start: bytes, formats: tuple[str, ...], end: bytes = b"") -> tuple[str, str]:
    """Status and detail of a file that none of `formats` could open.

    Args:
        start: its first SIGNATURE_BYTES.
        formats: Pillow's names of those that are read.
        end: its last N_END_BYTES.
    """
    if not start:
        return "empty_file", "the file has no bytes"
    if start[4:8] == b"ftyp":
        return _of_boxes(start)
    for file_format in formats:
        if _begins_like(start, file_format):
            return (
                "damaged",
                f"begins like {file_format} but cannot be decoded: damaged or cut short",
            )
    for offset, signature, kind in _OTHER_FORMATS:
        if start.startswith(signature, offset):
            return "unsupported_format", f"{kind} {_NOT_READ}"
    for offset, signature, kind in _RAW_FORMATS:
        if start.startswith(signature, offset):
            return "unsupported_format", _DEVELOP.format(kind)
    if stands_in := pointer(start, "the image"):
        return "not_an_image", f"it is {stands_in}"
    for offset, signature, kind in _STANDING_IN:
        if start.startswith(signature, offset):
            return "not_an_image", f"it is {kind}"
    if _is_icon(start):
        return "unsupported_format", f"{_ICONS[start[:4]]} {_NOT_READ}"
    if end.endswith(_TARGA_END) or _is_targa(start):
        return "unsupported_format", f"TGA {_NOT_READ}"
    return _text(start) or (
        "not_an_image",
        f"its first bytes are of none of {', '.join(formats)}",
    )


def _begins_like(start: bytes, file_format: str) -> bool:
    accept = Image.OPEN[file_format][1]
    if accept is None or accept(start) is not True:
        return False
    if file_format == "BMP":
        return len(start) < 18 or struct.unpack_from("<I", start, 14)[0] in _BMP_HEADERS
    return file_format != "PPM" or _PPM.match(start) is not None


def _is_icon(start: bytes) -> bool:
    """Whether a file begins as an icon or a cursor does, and first names an image within it."""
    if start[:4] not in _ICONS or len(start) < 22:
        return False
    (count,) = struct.unpack_from("<H", start, 4)
    reserved, length, place = struct.unpack_from("<3xB4xII", start, 6)
    return (
        0 < count <= _MOST_ICONS and reserved in (0, 255) and length > 0 and place >= 6 + 16 * count
    )


def _is_targa(start: bytes) -> bool:
    """Whether a file's first bytes are a header of TGA, which has no signature."""
    if len(start) < 18:
        return False
    palette, kind, first, n_colours, width_of_colour, wide, high, bits, flags = struct.unpack_from(
        "<xBBHHB4xHHBB", start
    )
    packed = kind & 8
    if bits not in _TARGA_BITS.get(kind - packed, ()) or not wide or not high:
        return False
    if palette:
        has_palette = palette == 1 and n_colours > 0 and width_of_colour in (15, 16, 24, 32)
    else:
        has_palette = kind - packed != 1 and first == n_colours == width_of_colour == 0
    return has_palette and flags & 0xC0 == 0


def _text(start: bytes) -> tuple[str, str] | None:
    """Of text: a drawing, a web page, an error message; None of anything else."""
    if not start.strip(b"\0"):
        return "not_an_image", "it begins with nothing but zeros: a copy that never ended"
    markup = _MARKUP.search(start)
    if markup and markup[1].lower() == b"svg":
        return "unsupported_format", f"SVG {_NOT_READ}"
    if markup:
        return "not_an_image", "it is a web page, likely an error message saved under this name"
    bare = start.removeprefix(b"\xef\xbb\xbf").lstrip()
    if bare.startswith(b"<"):
        code = _XML_ERROR.search(start)
        said = f" ({code[1].decode()})" if code else ""
        return "not_an_image", f"it is XML, likely an error message saved under this name{said}"
    if re.match(rb'\{\s*("|\})|\[\s*[\[{"\]]', bare):
        return "not_an_image", "it is JSON, likely an error message saved under this name"
    return None


def brands_of(start: bytes) -> tuple[bytes, set[bytes]]:
    """The major brand in the `ftyp` box with which a file begins, and all of its brands."""
    length, body = int.from_bytes(start[:4], "big"), 8
    if length == 1:  # the length follows, in 64 bits
        length, body = int.from_bytes(start[8:16], "big"), 16
    elif length == 0:  # to the end of the file
        length = len(start)
    major, compatible = start[body : body + 4], start[body + 8 : length]
    return major, {major, *(compatible[at : at + 4] for at in range(0, len(compatible) - 3, 4))}


def _of_boxes(start: bytes) -> tuple[str, str]:
    """Of a file of boxes (HEIF, AVIF, raw files, videos)."""
    accepted = Image.OPEN.get("AVIF") and Image.OPEN["AVIF"][1](start) is True  # type: ignore[misc]
    major, brands = brands_of(start)
    if _RAW_BRAND in brands:
        return "unsupported_format", _DEVELOP.format("CR3")
    if major in _AVIF or (brands & _AVIF and not brands & _HEIC):
        if accepted:
            return "damaged", "begins like AVIF but cannot be decoded: damaged or cut short"
        return "unsupported_format", f"this kind of AVIF {_NOT_READ}"
    if brands & (_HEIC | _HEIF):
        kind = "HEIC/HEIF" if brands & _HEIC else "HEIF"
        return "unsupported_format", f"{kind} {_NOT_READ}"
    for brand, kind in _OTHER_BRANDS.items():
        if brand in brands:
            return "unsupported_format", f"{kind} {_NOT_READ}"
    return "not_an_image", "it is a video (MP4, QuickTime or a kin of them)"


def jpeg_kind(content: bytes) -> str | None:
    """Why a JPEG of a valid kind is not read, in words; None of the ordinary kinds.

    Args:
        content: the file from its start, at least as far as its frame header.
    """
    at = 2
    while at + 4 <= len(content):
        if content[at] != 0xFF:
            at += 1
            continue
        marker = content[at + 1]
        if marker in (0xFF, 0x00, 0x01) or 0xD0 <= marker <= 0xD8:
            at += 1 if marker == 0xFF else 2
            continue
        (length,) = struct.unpack_from(">H", content, at + 2)
        if marker in _PLAIN_FRAMES or marker in _JPEG_FRAMES:
            if at + 10 > len(content):
                return None
            bits, components = content[at + 4], content[at + 9]
            words = [_JPEG_FRAMES[marker]] if marker in _JPEG_FRAMES else []
            words += [f"of {bits} bits"] if bits != 8 else []
            words += [f"of {components} channels"] if components not in (1, 3, 4) else []
            return f"a JPEG ({', '.join(words)}) {_NOT_READ}" if words else None
        if marker == 0xDA:
            return None
        at += 2 + length
    return None
