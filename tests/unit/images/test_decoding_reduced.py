"""`decode: fast`: JPEGs decoded smaller, against the full decode and against torchvision."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps
from torchvision import transforms

from lookalike.errors import BadImageError
from lookalike.images.decoding import DecodedImage, open_reduced
from lookalike.images.resizing import ImageSettings, load_pixels
from support.hostile_images import segment
from support.pictures import SETTINGS, Pixels, encoded, noise


def photograph(width: int, height: int, seed: int = 0) -> Image.Image:
    """Shades at several scales with less colour than light, an edge, and a little grain."""
    rng = np.random.default_rng(seed)
    total = rng.normal(scale=3, size=(height, width, 3))
    for cell in (8, 24, 72, 200):
        coarse = noise(width // cell + 2, height // cell + 2, channels=4, seed=seed + cell)
        layer = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
        shades = np.asarray(layer) - 127.5
        total += shades[..., 3:] / 3 + shades[..., :3] / 12
    down, across = np.mgrid[:height, :width]
    total[(across - width / 3) ** 2 + (down - height / 2) ** 2 < (min(width, height) / 4) ** 2] += (
        40
    )
    return Image.fromarray((total + 127.5).clip(0, 255).astype(np.uint8))


def jpeg(image: Image.Image, orientation: int = 1, **options: Any) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encoded(image, "JPEG", exif=exif, **options)


def difference(ours: Pixels, theirs: Pixels) -> tuple[float, int]:
    """Mean and greatest difference, in grey levels."""
    apart = np.abs(ours.astype(int) - theirs)
    return float(apart.mean()), int(apart.max())


class TestFastDecoding:
    """`decode: fast` against the full decode, and against the rule of twice the size."""

    FAST = replace(SETTINGS, decode="fast")

    # Sizes that no power of two divides: the last column of a reduced image is only partly filled.
    @pytest.mark.parametrize(
        ("shape", "size", "options"),
        [
            ((1027, 903), 224, {"quality": 90}),
            ((897, 601), 64, {"quality": 75, "subsampling": "4:2:0"}),
            ((601, 897), 64, {"quality": 95, "subsampling": "4:4:4"}),
            ((1201, 331), 24, {"quality": 85, "subsampling": "4:2:2"}),
            ((387, 1003), 40, {"quality": 90, "progressive": True}),
            ((449, 449), 112, {"quality": 60}),
            ((777, 555), 17, {"quality": 90, "subsampling": "4:2:0"}),
        ],
    )
    @pytest.mark.parametrize("resize", ["squash", "crop", "pad"])
    def test_is_close_to_the_full_decode(
        self, resize: str, shape: tuple[int, int], size: int, options: dict[str, Any]
    ) -> None:
        content = jpeg(photograph(*shape, seed=size), **options)
        fast = replace(self.FAST, size=size, resize=resize)
        exact = load_pixels(content, replace(fast, decode="exact"))
        mean, greatest = difference(load_pixels(content, fast), exact)
        assert 0 < mean < 0.7, mean
        assert greatest <= 8, greatest

    @pytest.mark.parametrize("orientation", range(1, 9))
    def test_turned_images_lie_where_torchvision_has_them(self, orientation: int) -> None:
        # 4 x 225 and 4 x 151 are more than the sides: the rest is on another side each time.
        content = jpeg(photograph(897, 601), orientation, quality=90)
        with Image.open(io.BytesIO(content)) as image:
            theirs = transforms.Resize((64, 64))(ImageOps.exif_transpose(image))
        ours = load_pixels(content, replace(self.FAST, size=64))
        mean, greatest = difference(ours, np.asarray(theirs))
        assert 0 < mean < 0.7, mean
        assert greatest <= 8, greatest

    @pytest.mark.parametrize("mode", ["L", "CMYK", "RGB"])
    def test_of_every_kind_of_jpeg(self, mode: str) -> None:
        content = jpeg(photograph(801, 603).convert(mode), quality=90)
        exact = load_pixels(content, replace(SETTINGS, size=100))
        mean, greatest = difference(load_pixels(content, replace(self.FAST, size=100)), exact)
        assert 0 < mean < 0.7, mean
        assert greatest <= 8, greatest

    def test_of_several_frames_the_first_one(self) -> None:
        frames = [photograph(801, 603, seed) for seed in range(2)]
        content = encoded(frames[0], "MPO", save_all=True, append_images=frames[1:], quality=90)
        exact = load_pixels(content, replace(SETTINGS, size=100))
        mean, _ = difference(load_pixels(content, replace(self.FAST, size=100)), exact)
        assert 0 < mean < 0.7, mean

    @settings(derandomize=True, deadline=None, max_examples=120)
    @given(
        width=st.integers(1, 1300),
        height=st.integers(1, 1300),
        size=st.integers(1, 160),
        resize=st.sampled_from(["squash", "crop", "pad"]),
        orientation=st.integers(1, 8),
        mode=st.sampled_from(["RGB", "L", "CMYK"]),
    )
    @example(width=1300, height=10, size=1, resize="squash", orientation=6, mode="RGB")
    @example(width=128, height=64, size=16, resize="pad", orientation=8, mode="RGB")
    @example(width=127, height=64, size=16, resize="squash", orientation=1, mode="L")
    @example(width=640, height=1279, size=80, resize="crop", orientation=5, mode="CMYK")
    def test_never_decodes_below_twice_the_size(
        self, width: int, height: int, size: int, resize: str, orientation: int, mode: str
    ) -> None:
        content = jpeg(Image.new(mode, (width, height)), orientation)
        decoded: list[DecodedImage] = []
        resized: list[tuple[tuple[int, int], tuple[float, float, float, float]]] = []

        def open_and_note(*arguments: Any) -> DecodedImage:
            decoded.append(open_reduced(*arguments))
            return decoded[-1]

        def resize_and_note(image: Image.Image, to: tuple[int, int], how: int, box: Any) -> Any:
            assert image is decoded[0].image
            resized.append((to, box))
            return pillows(image, to, how, box)

        pillows = Image.Image.resize
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("lookalike.images.resizing.open_reduced", open_and_note)
            patch.setattr("PIL.Image.Image.resize", resize_and_note)
            pixels = load_pixels(content, replace(self.FAST, size=size, resize=resize))
        assert pixels.shape == (size, size, 3)

        whole = (height, width) if orientation > 4 else (width, height)
        left, top, right, bottom = decoded[0].box
        scale = round(whole[0] / (right - left))
        assert scale in (1, 2, 4, 8)
        assert decoded[0].size == whole
        assert (right - left, bottom - top) == (whole[0] / scale, whole[1] / scale)
        assert decoded[0].image.size == tuple(-(-side // scale) for side in whole)
        ((to, (left, top, right, bottom)),) = resized
        shrinks = min((right - left) / to[0], (bottom - top) / to[1])
        assert scale == 1 or shrinks >= 2
        assert scale == 8 or shrinks < 4  # half as large would have been too small

    @pytest.mark.parametrize("file_format", ["PNG", "WEBP", "TIFF", "BMP", "GIF"])
    def test_other_formats_are_the_full_decode_to_the_byte(self, file_format: str) -> None:
        content = encoded(photograph(500, 400), file_format)
        for resize in ("squash", "crop", "pad"):
            fast = replace(self.FAST, resize=resize)
            exact = load_pixels(content, replace(fast, decode="exact"))
            assert np.array_equal(load_pixels(content, fast), exact)

    def test_a_tiff_with_jpeg_inside_is_decoded_whole(self) -> None:
        content = encoded(photograph(500, 400), "TIFF", compression="jpeg")
        assert np.array_equal(load_pixels(content, self.FAST), load_pixels(content, SETTINGS))

    @pytest.mark.parametrize("shape", [(95, 300), (95, 95), (24, 24), (5, 400), (3, 2)])
    @pytest.mark.parametrize("orientation", [1, 6])
    def test_a_small_jpeg_is_the_full_decode_to_the_byte(
        self, shape: tuple[int, int], orientation: int
    ) -> None:
        content = jpeg(photograph(*shape), orientation)
        assert np.array_equal(load_pixels(content, self.FAST), load_pixels(content, SETTINGS))

    def test_exact_never_reduces(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def drafted(*_: object) -> None:
            raise AssertionError("reduced")

        content = jpeg(photograph(600, 500))
        monkeypatch.setattr("PIL.JpegImagePlugin.JpegImageFile.draft", drafted)
        with Image.open(io.BytesIO(content)) as image:
            theirs = transforms.Resize((24, 24))(image)
        assert np.array_equal(load_pixels(content, SETTINGS), np.asarray(theirs))

    def test_crop_of_a_reduced_strip_keeps_its_centre(self) -> None:
        along = np.linspace(0, 255, 20_001).astype(np.uint8)
        for strip in (np.tile(along, (399, 1)), np.tile(along, (399, 1)).T):
            content = jpeg(Image.fromarray(strip), quality=98)
            pixels = load_pixels(content, replace(self.FAST, resize="crop"))
            exact = load_pixels(content, replace(SETTINGS, resize="crop"))
            assert difference(pixels, exact)[1] <= 1
            assert set(np.unique(pixels)) <= {125, 126, 127, 128, 129}

    def test_a_file_cut_short_is_never_read(self) -> None:
        content = jpeg(photograph(500, 400))
        for part in range(1, 20):
            with pytest.raises(BadImageError) as caught:
                load_pixels(content[: len(content) * part // 20], self.FAST)
            assert caught.value.status == "truncated"


def lossless_jpeg(grey: npt.NDArray[np.uint8]) -> bytes:
    """A lossless JPEG (ITU T.81, process 14): differences from the left, all codes of 4 bits."""

    height, width = grey.shape
    values = grey.astype(int)
    predicted = np.empty_like(values)
    predicted[:, 1:] = values[:, :-1]
    predicted[1:, 0] = values[:-1, 0]
    predicted[0, 0] = 128
    bits = []
    for difference in (values - predicted).ravel().tolist():
        size = abs(difference).bit_length()
        bits.append(f"{size:04b}")
        if size:
            code = difference if difference > 0 else difference + (1 << size) - 1
            bits.append(f"{code:0{size}b}")
    text = "".join(bits)
    text += "1" * (-len(text) % 8)
    coded = int(text, 2).to_bytes(len(text) // 8, "big").replace(b"\xff", b"\xff\x00")
    frame = bytes([8, *height.to_bytes(2, "big"), *width.to_bytes(2, "big"), 1, 1, 0x11, 0])
    table = bytes([0, 0, 0, 0, 9, *([0] * 12), *range(9)])
    scan = bytes([1, 1, 0, 1, 0, 0])
    return (
        b"\xff\xd8"
        + segment(0xC3, frame)
        + segment(0xC4, table)
        + segment(0xDA, scan)
        + coded
        + b"\xff\xd9"
    )


def test_what_the_decoder_cannot_reduce_is_decoded_whole(tmp_path: Path) -> None:
    grey = (np.add.outer(np.arange(300), np.arange(400)) % 256).astype(np.uint8)
    path = tmp_path / "lossless.jpg"
    path.write_bytes(lossless_jpeg(grey))
    with Image.open(path) as image:
        np.testing.assert_array_equal(np.asarray(image), grey)
    exact = ImageSettings(32, "squash", "white", (0.5, 0.5, 0.5), (0.2, 0.2, 0.2), "exact")
    fast = replace(exact, decode="fast")
    for source in (path, path.read_bytes()):
        np.testing.assert_array_equal(load_pixels(source, fast), load_pixels(source, exact))
