"""Resizing against torchvision to the byte, and the settings of an image."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps
from torchvision import transforms

from lookalike.errors import LookalikeError
from lookalike.images.resizing import ImageSettings, load_pixels
from support.pictures import SETTINGS, noise

SHAPES = [(24, 24), (40, 30), (30, 40), (7, 90), (90, 7), (5, 5), (1, 1), (131, 77), (1, 30)]


class TestResizing:
    @pytest.mark.parametrize("shape", SHAPES)
    def test_squash_is_torchvision_to_the_byte(
        self, tmp_path: Path, shape: tuple[int, int]
    ) -> None:
        image = Image.fromarray(noise(*shape))
        image.save(tmp_path / "a.png")
        expected = transforms.Resize((24, 24))(image)
        assert np.array_equal(load_pixels(tmp_path / "a.png", SETTINGS), np.asarray(expected))

    # A strip of more than 16 to 1 is cut before it grows.
    @pytest.mark.parametrize("shape", [s for s in SHAPES if 16 * min(s) >= max(s)])
    def test_crop_is_torchvision_to_the_byte(self, tmp_path: Path, shape: tuple[int, int]) -> None:
        image = Image.fromarray(noise(*shape))
        image.save(tmp_path / "a.png")
        expected = transforms.Compose([transforms.Resize(24), transforms.CenterCrop(24)])(image)
        pixels = load_pixels(tmp_path / "a.png", replace(SETTINGS, resize="crop"))
        assert np.array_equal(pixels, np.asarray(expected))

    @pytest.mark.parametrize("shape", [(3, 60_000), (60_000, 3)])
    def test_crop_of_a_strip_keeps_its_centre(self, tmp_path: Path, shape: tuple[int, int]) -> None:
        along = np.linspace(0, 255, max(shape)).astype(np.uint8)
        strip = np.tile(along, (min(shape), 1))
        Image.fromarray(strip if shape[0] > shape[1] else strip.T).save(tmp_path / "a.png")
        pixels = load_pixels(tmp_path / "a.png", replace(SETTINGS, resize="crop"))
        assert pixels.shape == (24, 24, 3)
        assert set(np.unique(pixels)) <= {126, 127, 128}

    @pytest.mark.parametrize("shape", [s for s in SHAPES if min(s) * 24 > max(s)])
    def test_pad_is_pillows_own(self, tmp_path: Path, shape: tuple[int, int]) -> None:
        image = Image.fromarray(noise(*shape))
        image.save(tmp_path / "a.png")
        expected = ImageOps.pad(image, (24, 24), Image.Resampling.BILINEAR, "#0a6440")
        ours = load_pixels(
            tmp_path / "a.png", replace(SETTINGS, resize="pad", background="#0a6440")
        )
        across = (ours == (10, 100, 64)).all(axis=2)
        # The margins may differ by the half pixel that an odd rest leaves; the image may not.
        kept = ours[~across.all(axis=1)][:, ~across.all(axis=0)]
        theirs = np.asarray(expected)
        margin = (theirs == (10, 100, 64)).all(axis=2)
        assert np.array_equal(kept, theirs[~margin.all(axis=1)][:, ~margin.all(axis=0)])

    def test_pad_of_a_strip_is_a_line_on_the_background(self, tmp_path: Path) -> None:
        Image.new("RGB", (1, 5000), "red").save(tmp_path / "a.png")
        pixels = load_pixels(tmp_path / "a.png", replace(SETTINGS, resize="pad", background="blue"))
        assert (pixels[:, 11] == (255, 0, 0)).all()
        assert (np.delete(pixels, 11, axis=1) == (0, 0, 255)).all()


class TestSettings:
    def test_survive_json(self) -> None:
        assert ImageSettings.from_dict(json.loads(json.dumps(SETTINGS.to_dict()))) == SETTINGS

    def test_whole_numbers_are_the_same_settings(self) -> None:
        values = SETTINGS.to_dict() | {"mean": [0, 0, 0], "std": [1, 1, 1]}
        floats = SETTINGS.to_dict() | {"mean": [0.0] * 3, "std": [1.0] * 3}
        assert ImageSettings.from_dict(values).digest == ImageSettings.from_dict(floats).digest

    @pytest.mark.parametrize("decode", ["fast", "exact"])
    def test_decode_survives_json(self, decode: str) -> None:
        chosen = replace(SETTINGS, decode=decode)
        assert ImageSettings.from_dict(json.loads(json.dumps(chosen.to_dict()))) == chosen

    def test_a_model_made_before_there_was_a_choice_was_decoded_whole(self) -> None:
        values = SETTINGS.to_dict()
        del values["decode"]
        assert ImageSettings.from_dict(values).decode == "exact"

    @pytest.mark.parametrize(
        ("change", "pixels_change"),
        [
            ({"size": 25}, True),
            ({"resize": "pad"}, True),
            ({"background": "black"}, True),
            ({"background": "#ffffff"}, None),
            ({"decode": "fast"}, True),
            ({"mean": (0.5, 0.5, 0.5)}, False),
            ({"std": (0.5, 0.5, 0.5)}, False),
        ],
    )
    def test_digests_follow_what_they_name(
        self, change: dict[str, Any], pixels_change: bool | None
    ) -> None:
        other = replace(SETTINGS, **change)
        assert (other.pixel_digest != SETTINGS.pixel_digest) == bool(pixels_change)
        assert (other.digest != SETTINGS.digest) == (pixels_change is not None)
        assert len(other.pixel_digest) == len(other.digest) == 16

    @pytest.mark.parametrize(
        "change",
        [
            {"size": 0},
            {"resize": "stretch"},
            {"decode": "quick"},
            {"background": "no colour"},
            {"background": "#ffffff00"},
            {"std": (0.1, 0.0, 0.1)},
        ],
    )
    def test_impossible_values_are_named(self, change: dict[str, Any]) -> None:
        with pytest.raises(LookalikeError, match=f"image.{next(iter(change))}|image.mean"):
            replace(SETTINGS, **change)
