"""PNG, BMP, GIF and WebP files of every kind, written here byte by byte, and what they show."""

from __future__ import annotations

import io
import itertools
import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

Pixels = npt.NDArray[Any]

WIDTH, HEIGHT = 19, 13
_Y, _X = np.mgrid[0:HEIGHT, 0:WIDTH]
RGB = np.dstack([_X * 12 + 5, _Y * 17 + 9, 255 - _X * 10]).astype(np.uint8)


@dataclass(frozen=True)
class Case:
    """A file, and what it shows over white: uint8 [height, width, 3].

    may_be_refused: it is of a kind that few programs read.
    """

    name: str
    content: bytes
    shows: Pixels
    may_be_refused: bool = False


def over_white(unit: Pixels, alpha: Pixels | float = 1.0) -> Pixels:
    """Colours and alpha from 0 to 1, rounded to the nearest."""
    return np.asarray(np.floor((unit * alpha + (1 - alpha)) * 255 + 0.5), np.uint8)


def packed(row: Pixels, bits: int) -> bytes:
    """Values most significant first, filled up to whole bytes."""
    text = "".join(f"{int(value):0{bits}b}" for value in row)
    text += "0" * (-len(text) % 8)
    return bytes(int(text[at : at + 8], 2) for at in range(0, len(text), 8))


# PNG


def chunk(kind: bytes, body: bytes, wrong: int = 0) -> bytes:
    """A chunk of a PNG; its checksum is off by `wrong`."""
    checksum = zlib.crc32(kind + body) ^ wrong
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", checksum)


def png(
    values: Pixels, depth: int, colour: int, interlaced: bool, *chunks: tuple[bytes, bytes]
) -> bytes:
    """A PNG of these values; `chunks` come before them."""
    passes = [(0, 0, 1, 1)]
    if interlaced:
        passes = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4)]
        passes += [(2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]
    data = b""
    for top, left, down, across in passes:
        part = values[top::down, left::across]
        for row in part if part.size else ():
            data += b"\0" + (
                row.astype(">u2").tobytes() if depth == 16 else packed(row.reshape(-1), depth)
            )
    header = struct.pack(">IIBBBBB", *values.shape[1::-1], depth, colour, 0, 0, interlaced)
    parts = [(b"IHDR", header), *chunks, (b"IDAT", zlib.compress(data)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


def pngs() -> Iterator[Case]:
    """Every kind of colour, depth, palette and transparency, interlaced and not."""
    random = np.random.default_rng(0)
    for interlaced, depth in itertools.product((False, True), (1, 2, 4, 8, 16)):
        top, kind = 2**depth - 1, f"{depth} bits{', interlaced' if interlaced else ''}"
        grey = random.integers(0, top + 1, (HEIGHT, WIDTH)).astype(np.uint16)
        unit, key = np.repeat((grey / top)[..., None], 3, 2), int(grey[1, 2])
        yield Case(f"png grey {kind}", png(grey, depth, 0, interlaced), over_white(unit))
        yield Case(
            f"png grey with a transparent value {kind}",
            png(grey, depth, 0, interlaced, (b"tRNS", struct.pack(">H", key))),
            over_white(unit, (grey != key)[..., None] * 1.0),
        )
        if depth >= 8:
            rgb = random.integers(0, top + 1, (HEIGHT, WIDTH, 3)).astype(np.uint16)
            rgb[1, 3], rgb[1, 4] = rgb[1, 2], rgb[1, 2] ^ 1  # the key again, and all but the key
            alpha = random.integers(0, top + 1, (HEIGHT, WIDTH)).astype(np.uint16)
            seen, key_of_3 = alpha[..., None] / top, rgb[1, 2]
            yield Case(f"png rgb {kind}", png(rgb, depth, 2, interlaced), over_white(rgb / top))
            yield Case(
                f"png rgb with a transparent colour {kind}",
                png(
                    rgb,
                    depth,
                    2,
                    interlaced,
                    (b"tRNS", struct.pack(">HHH", *(int(value) for value in key_of_3))),
                ),
                over_white(rgb / top, (rgb != key_of_3).any(2)[..., None] * 1.0),
            )
            yield Case(
                f"png grey and alpha {kind}",
                png(np.dstack([grey, alpha]), depth, 4, interlaced),
                over_white(unit, seen),
            )
            yield Case(
                f"png rgb and alpha {kind}",
                png(np.dstack([rgb, alpha]), depth, 6, interlaced),
                over_white(rgb / top, seen),
            )
        for n_colours in {1, min(3, top + 1), min(5, top + 1), top + 1} if depth <= 8 else ():
            index = random.integers(0, n_colours, (HEIGHT, WIDTH))
            colours = random.integers(0, 256, (n_colours, 3)).astype(np.uint8)
            greys = np.repeat(np.arange(n_colours)[:, None], 3, 1).astype(np.uint8)
            some = random.integers(0, 256, max(1, n_colours // 2)).astype(np.uint8)
            alphas = np.full(n_colours, 255)
            alphas[: len(some)] = some
            for palette, word in ((colours, "colours"), (greys, "greys")):
                plte = (b"PLTE", palette.tobytes())
                yield Case(
                    f"png palette of {n_colours} {word} {kind}",
                    png(index, depth, 3, interlaced, plte),
                    palette[index],
                )
                yield Case(
                    f"png palette of {n_colours} {word} with alpha {kind}",
                    png(index, depth, 3, interlaced, plte, (b"tRNS", some.tobytes())),
                    over_white(palette[index] / 255, alphas[index][..., None] / 255),
                )


# BMP


def bmp(
    bits: int,
    header: int,
    data: Sequence[bytes] | bytes,
    packing: int = 0,
    palette: bytes = b"",
    n_colours: int = 0,
    masks: tuple[int, ...] = (),
    top_down: bool = False,
) -> bytes:
    """A BMP of rows from the top, or of run-length-coded data."""
    if not isinstance(data, bytes):
        rows = [row + b"\0" * (-len(row) % 4) for row in data]
        data = b"".join(rows if top_down else rows[::-1])
    if header == 12:
        head = struct.pack("<IHHHH", 12, WIDTH, HEIGHT, 1, bits)
    else:
        height = -HEIGHT if top_down else HEIGHT
        sides = struct.pack("<IiiHH", header, WIDTH, height, 1, bits)
        head = sides + struct.pack("<IIiiII", packing, len(data), 2835, 2835, n_colours, 0)
        head = (head + struct.pack(f"<{len(masks)}I", *masks)).ljust(header, b"\0")
    start = 14 + len(head) + len(palette)
    file_header = b"BM" + struct.pack("<IHHI", start + len(data), 0, 0, start)
    return file_header + head + palette + data


def _runs(index: Pixels, four_bits: bool, absolute: bool, left_out: int | None) -> bytes:
    """Run-length-coded rows; `left_out` is a row, from the bottom, of which nothing is said."""
    out = b""
    for place, row in enumerate(index[::-1]):
        if place == left_out:
            out += b"\0\0"
        elif absolute:
            body = packed(row, 4) if four_bits else bytes(row.tolist())
            out += bytes([0, len(row)]) + body + b"\0" * (len(body) % 2) + b"\0\0"
        else:
            for value, run in itertools.groupby(row.tolist()):
                out += bytes([len(list(run)), value * 17 if four_bits else value])
            out += b"\0\0"
    return out + b"\0\1"


def bmps() -> Iterator[Case]:
    """Every header, depth, palette, mask and order of rows."""
    headers = (12, 40, 52, 56, 64, 108, 124)
    for header, top_down in itertools.product(headers, (False, True)):
        if header == 12 and top_down:
            continue
        kind = f"header {header}{', from the top' if top_down else ''}"
        options: dict[str, Any] = {"top_down": top_down}
        for bits, word in itertools.product((1, 4, 8), ("colours", "greys", "black and white")):
            n_colours = 2 if word == "black and white" else 2**bits
            if header == 12 and n_colours != 2**bits:
                continue  # it has no room for the number
            place = np.arange(n_colours)[:, None]
            palette = {
                "colours": (place * [37, 91, 13] + [0, 5, 100]) % 256,
                "greys": np.repeat(place, 3, 1),
                "black and white": np.repeat(place, 3, 1) * 255,
            }[word].astype(np.uint8)
            filler = b"" if header == 12 else b"\0"
            entries = b"".join(colour[::-1].tobytes() + filler for colour in palette)
            index = (_Y * WIDTH + _X) % n_colours
            yield Case(
                f"bmp {bits} bits, palette of {word}, {kind}",
                bmp(
                    bits,
                    header,
                    [packed(row, bits) for row in index],
                    palette=entries,
                    n_colours=n_colours,
                    **options,
                ),
                palette[index],
            )
        rows = [row[:, ::-1].tobytes() for row in RGB]
        yield Case(f"bmp 24 bits, {kind}", bmp(24, header, rows, **options), RGB)
        if header == 12:
            continue
        for word, alpha in {
            "none": np.zeros((HEIGHT, WIDTH)),
            "full": np.full((HEIGHT, WIDTH), 255),
            "some": np.where(_X < 5, 0, 200),
        }.items():
            rows = [row.tobytes() for row in np.dstack([RGB[..., ::-1], alpha]).astype(np.uint8)]
            plain = bmp(32, header, rows, **options)
            yield Case(f"bmp 32 bits, fourth byte {word}, {kind}", plain, RGB)
            if header in (56, 108, 124):
                # Where every alpha is 0, no program means it.
                shows = RGB if word == "none" else over_white(RGB / 255, alpha[..., None] / 255)
                masks = (0xFF0000, 0xFF00, 0xFF, 0xFF000000)
                content = bmp(32, header, rows, 3, masks=masks, **options)
                yield Case(f"bmp 32 bits, alpha {word}, {kind}", content, shows)
        narrow = (RGB >> 3).astype(np.uint16)
        wider = (RGB[..., 1] >> 2).astype(np.uint16)
        shows = over_white(narrow / 31)
        with_565 = np.dstack([narrow[..., 0] / 31, wider / 63, narrow[..., 2] / 31])
        values = narrow[..., 0] << 10 | narrow[..., 1] << 5 | narrow[..., 2]
        rows = [row.astype("<u2").tobytes() for row in values]
        yield Case(f"bmp 16 bits of 555, {kind}", bmp(16, header, rows, **options), shows)
        if header == 64:
            continue  # there, 3 is not for masks
        if header >= 56:
            rows = [(row | 0x8000).astype("<u2").tobytes() for row in values]
            masks = (0x7C00, 0x3E0, 0x1F, 0x8000)
            content = bmp(16, header, rows, 3, masks=masks, **options)
            yield Case(f"bmp 16 bits of 1555, {kind}", content, shows, may_be_refused=True)
        rows = [
            row.astype("<u2").tobytes()
            for row in narrow[..., 0] << 11 | wider << 5 | narrow[..., 2]
        ]
        content = bmp(16, header, rows, 3, masks=(0xF800, 0x7E0, 0x1F), **options)
        yield Case(f"bmp 16 bits of 565, {kind}", content, over_white(with_565))
        rows = [row.tobytes() for row in np.dstack([RGB, _X * 0]).astype(np.uint8)]
        content = bmp(32, header, rows, 3, masks=(0xFF, 0xFF00, 0xFF0000), **options)
        yield Case(f"bmp 32 bits, red first, {kind}", content, RGB, may_be_refused=True)
    place = np.arange(16)[:, None]
    palette = ((place * [37, 91, 13] + [0, 5, 100]) % 256).astype(np.uint8)
    entries = b"".join(colour[::-1].tobytes() + b"\0" for colour in palette)
    index = (_X // 3 + _Y * 2) % 16
    for bits, absolute, left_out in itertools.product((4, 8), (False, True), (None, 3)):
        shown = index.copy()
        if left_out is not None:
            shown[HEIGHT - 1 - left_out] = 0
        yield Case(
            f"bmp {bits} bits, run lengths, absolute {absolute}, row left out {left_out}",
            bmp(
                bits,
                40,
                _runs(index, bits == 4, absolute, left_out),
                2 if bits == 4 else 1,
                entries,
                16,
            ),
            palette[shown],
            may_be_refused=left_out is not None,
        )


# GIF


def gif(
    screen: tuple[int, int],
    at: tuple[int, int],
    index: Pixels,
    palette: Pixels | None,
    own_palette: Pixels | None,
    transparent: int | None = None,
    interlaced: bool = False,
    background: int = 0,
) -> bytes:
    """A GIF of one frame of values below 128; a clear code before each keeps codes at 9 bits."""
    height, width = index.shape

    def entries(colours: Pixels | None) -> tuple[int, bytes]:
        if colours is None:
            return 0, b""
        return 0x80 | (len(colours) - 1).bit_length() - 1, colours.astype(np.uint8).tobytes()

    flags, content = entries(palette)
    head = b"GIF89a" + struct.pack("<HHBBB", *screen, flags, background, 0) + content
    if transparent is not None:
        head += b"!\xf9\x04" + struct.pack("<BHB", 1, 0, transparent) + b"\0"
    flags, content = entries(own_palette)
    head += b"," + struct.pack("<HHHHB", *at, width, height, flags | interlaced << 6) + content
    order = list(range(height))
    if interlaced:
        order = [*order[::8], *order[4::8], *order[2::4], *order[1::2]]
    codes = [code for value in index[order].reshape(-1).tolist() for code in (256, value)]
    bits = "".join(f"{code:09b}"[::-1] for code in [*codes, 257])
    bits += "0" * (-len(bits) % 8)
    data = bytes(int(bits[place : place + 8][::-1], 2) for place in range(0, len(bits), 8))
    blocks = [data[place : place + 255] for place in range(0, len(data), 255)]
    return head + b"\x08" + b"".join(bytes([len(part)]) + part for part in blocks) + b"\0;"


def gifs() -> Iterator[Case]:
    """Frames that cover the screen, lie within it or beyond it; palettes of all or of the frame."""
    random = np.random.default_rng(1)
    colours, more = random.integers(0, 256, (2, 16, 3))
    greys = np.repeat(np.arange(16)[:, None], 3, 1)
    palettes = {
        "of all": (colours, None),
        "of the frame": (None, colours),
        "of both": (more, colours),
        "of all, greys": (greys, None),
        "of the frame, greys": (colours, greys),
    }
    places = [((19, 13), (0, 0), (19, 13)), ((19, 13), (4, 3), (9, 7)), ((19, 13), (0, 0), (9, 7))]
    places += [((19, 13), (5, 4), (19, 13)), ((0, 0), (0, 0), (19, 13)), ((8, 6), (0, 0), (19, 13))]
    for (screen, at, (width, height)), transparent, interlaced, (word, both) in itertools.product(
        places, (None, 0, 3), (False, True), palettes.items()
    ):
        index = random.integers(0, 16, (height, width))
        own = both[0] if both[1] is None else both[1]
        assert own is not None
        frame = own[index]
        if transparent is not None:
            frame[index == transparent] = 255
        sides = (max(screen[1], at[1] + height), max(screen[0], at[0] + width), 3)
        shows = np.full(sides, 255, np.uint8)
        shows[at[1] : at[1] + height, at[0] : at[0] + width] = frame
        yield Case(
            f"gif {screen}, frame {width} x {height} at {at}, transparent {transparent}, "
            f"interlaced {interlaced}, palette {word}",
            gif(screen, at, index, both[0], both[1], transparent, interlaced, background=1),
            shows,
        )


# WebP


def webp(image: Image.Image, **options: Any) -> bytes:
    """A WebP that keeps every value."""
    stream = io.BytesIO()
    image.save(stream, "WEBP", lossless=True, exact=True, **options)
    return stream.getvalue()


def animated_webp(
    canvas: tuple[int, int], at: tuple[int, int], frame: Image.Image, alpha: bool, n_frames: int
) -> bytes:
    """An animation of one picture, at even places, on a canvas that may be larger."""

    def part(kind: bytes, body: bytes) -> bytes:
        return kind + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)

    def three_bytes(*values: int) -> bytes:
        return b"".join(struct.pack("<I", value)[:3] for value in values)

    place = three_bytes(at[0] // 2, at[1] // 2, frame.width - 1, frame.height - 1, 100)
    flags = bytes([2 | alpha << 4, 0, 0, 0])
    body = b"WEBP" + part(b"VP8X", flags + three_bytes(canvas[0] - 1, canvas[1] - 1))
    body += part(b"ANIM", b"\xff\0\0\xff\0\0")
    body += part(b"ANMF", place + b"\0" + webp(frame)[12:]) * n_frames
    return b"RIFF" + struct.pack("<I", len(body)) + body


def webps() -> Iterator[Case]:
    """With and without alpha, animated, frames smaller than the canvas."""
    image, alpha = Image.fromarray(RGB), (_X * 13).astype(np.uint8)
    faded = Image.fromarray(np.dstack([RGB, alpha]))
    seen = over_white(RGB / 255, alpha[..., None] / 255)
    yield Case("webp", webp(image), RGB)
    yield Case("webp with alpha", webp(faded), seen)
    for picture, shows, word in ((image, RGB, "plain"), (faded, seen, "with alpha")):
        more = [picture.transpose(Image.Transpose.ROTATE_180)]
        content = webp(picture, save_all=True, append_images=more)
        yield Case(f"animated webp {word}", content, shows)
    canvas = np.full((30, 40, 3), 255, np.uint8)
    canvas[4 : 4 + HEIGHT, 6 : 6 + WIDTH] = RGB
    for has_alpha, n_frames in itertools.product((False, True), (1, 2)):
        yield Case(
            f"webp of {n_frames} frames smaller than the canvas, alpha {has_alpha}",
            animated_webp((40, 30), (6, 4), image, has_alpha, n_frames),
            canvas,
        )


def every() -> Iterator[Case]:
    """All files of all formats."""
    yield from itertools.chain(pngs(), bmps(), gifs(), webps())
