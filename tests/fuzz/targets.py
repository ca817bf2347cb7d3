"""What the fuzz targets share: starting libFuzzer, a folder in memory, the corpus to begin with.

Imports nothing of lookalike, which each target imports itself so that it is instrumented.
"""

from __future__ import annotations

import importlib
import io
import logging
import os
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from PIL import Image

# Bindings to libFuzzer, which come without types.
atheris: Any = importlib.import_module("atheris")

FOLDER_VARIABLE = "LOOKALIKE_FUZZ_FOLDER"

LABEL_FILES = (
    b'{"a.png": 1, "sub/b.png": "cat"}',
    b'\xef\xbb\xbf{"a.png": "s\xc3\xbc\xc3\x9f", "b.png": "\\ud83d\\ude00"}',
    b'{"a": 7, "a": "7", "b": 1, "b": 2, "c": null, "c": 1.5}',
    b'{"../a": 1, "/etc/x": 2, "x/../y": 3, "..\\\\a": 4, "C:\\\\a": 5, "a\\u0000b": 6, "": 7}',
    b'{"./a.png": 1, "sub//b.png": 2, "sub/": 3, ".": 4, "a.png/": 5}',
    b'{"half \\ud800": "whole", "whole": "half \\udfff"}',
    b'{"a": [1, [2]], "b": {"c": {}}, "d": true, "e": NaN, "f": -Infinity, "g": 1e999, "h": -0}',
    b'{"a": 123456789012345678901234567890, "b": " ", "c": ""}',
    '{"a": 1}'.encode("utf-16"),
    b'{"a": 1,}',
    b'{"a": "\xff"}',
    b'[{"a": 1}]',
    b"[" * 3000,
    b"{}",
    b"null",
    b"",
)

# Pieces that a mutation at random seldom hits on, in libFuzzer's spelling.
LABEL_TOKENS = r"""
"{\""
"\": \""
"\": 1, \""
"\", \""
"\": {\""
"\": [1]"
"null"
"NaN"
"\\ud800"
"\\udfff"
"\\u0000"
"../"
"\\\\"
"C:/"
"\xef\xbb\xbf"
"""


def memory_folder() -> Path:
    """A new empty folder, in memory where that can be, for the files of one target.

    libFuzzer ends the process without cleaning up, so what starts a target says where it belongs.
    """
    given = os.environ.get(FOLDER_VARIABLE)
    if given is None:
        memory = Path("/dev/shm")
        given = str(memory) if os.access(memory, os.W_OK) else tempfile.gettempdir()
    return Path(tempfile.mkdtemp(prefix="lookalike-fuzz-", dir=given))


def images() -> list[bytes]:
    """A small file of each format that is read, some turned or transparent, some broken."""
    colours = Image.new("RGB", (24, 16))
    colours.putdata([(x * 10 % 256, x * 3 % 256, x % 256) for x in range(24 * 16)])
    palette = colours.quantize(8)
    turned = Image.Exif()
    turned[0x0112] = 6  # orientation: turn right
    grey16 = Image.new("I;16", (5, 4), 40_000)
    whole = [
        _saved(colours, "JPEG", exif=turned),
        _saved(colours.convert("CMYK"), "JPEG"),
        _saved(colours.convert("L"), "JPEG", progressive=True),
        _saved(colours, "PNG"),
        _saved(colours.convert("RGBA"), "PNG"),
        _saved(palette, "PNG", transparency=3),
        _saved(colours.convert("1"), "PNG", transparency=0),
        _saved(grey16, "PNG"),
        _saved(palette, "GIF", save_all=True, append_images=[palette.rotate(90)]),
        _saved(colours, "WEBP", lossless=True),
        _saved(colours, "WEBP", quality=30),
        _saved(colours, "BMP"),
        _saved(palette, "BMP"),
        _saved(colours, "TIFF", compression="tiff_lzw"),
        _saved(colours.convert("LAB"), "TIFF"),
        _saved(Image.new("F", (5, 4), 0.5), "TIFF"),
        _saved(grey16, "TIFF"),
        _saved(colours, "PPM"),
        b"P3 2 1 255 1 2 3 4 5 6",
        b"P2 2 1 65535 1 60000",
        b"P1 2 2 0 1 1 0",
        *([_saved(colours, "AVIF")] if "AVIF" in Image.SAVE else []),
    ]
    broken = [data[: len(data) * 2 // 3] for data in whole]
    others = [b"", b"P", b"<svg/>", b"%PDF-1.7", b"\0\0\0\x18ftypheic", b"<html></html>", b"BM"]
    return [*whole, *broken, *others]


def _saved(image: Image.Image, image_format: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, image_format, **options)
    return stream.getvalue()


def fuzz(one_input: Callable[[bytes], None], seeds: Iterable[bytes], tokens: str = "") -> None:
    """Run `one_input` under libFuzzer, with the options of the command line; does not return.

    Starts from `seeds` unless the command line names a corpus or an input to try again. `tokens`
    are put into inputs.
    """
    warnings.simplefilter("ignore")  # Pillow's, of every other damaged file
    logging.disable()
    arguments = list(sys.argv)
    if all(argument.startswith("-") for argument in arguments[1:]):
        corpus = memory_folder()
        for number, seed in enumerate(seeds):
            (corpus / f"{number:03d}").write_bytes(seed)
        arguments.append(str(corpus))
        if tokens:
            dictionary = memory_folder() / "tokens"
            dictionary.write_text(tokens)
            arguments.append(f"-dict={dictionary}")
    atheris.Setup(arguments, one_input)
    atheris.Fuzz()
