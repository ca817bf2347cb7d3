"""How long decoding takes is known of the images that were decoded."""

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from lookalike.images.resizing import ImageSettings
from lookalike.jobs.speed import Speeds
from lookalike.preview.data import look_at
from lookalike.preview.decoding import DecodingSpeed
from lookalike.preview.settings import checked
from support.drawings import write_data
from support.project import ROOT


def test_how_long_decoding_takes_is_not_kept_for_other_images_of_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photos, measured = write_data(tmp_path / "photos"), list[int]()

    def measure(decoding: Any, image: ImageSettings) -> float:
        measured.append(image.size)
        return 0.5

    monkeypatch.setattr("lookalike.preview.decoding.DecodingSpeed._measured", measure)

    def ask() -> int:
        measured.clear()
        found = checked([], ROOT)
        values = found.settings | {"data": found.settings["data"] | {"root": str(photos)}}
        data = look_at(values, found.sweeps)
        DecodingSpeed(values, data, 1, Speeds(tmp_path / "cache")).seconds(None)
        return len(measured)

    assert (ask(), ask()) == (1, 0)
    # One image more is no other folder.
    labels = photos / "train_image_info.json"
    known = json.loads(labels.read_text())
    names = sorted(known)
    (photos / "train" / "more.png").write_bytes((photos / "train" / names[0]).read_bytes())
    labels.write_text(json.dumps(known | {"more.png": known[names[0]]}))
    assert ask() == 0
    # The same images as large files, as a camera makes them.
    for path in photos.rglob("*.png"):
        with Image.open(path) as image:
            image.convert("RGB").resize((400, 400)).effect_spread(40).save(path)
    assert (ask(), ask()) == (1, 0)
    # And one in another format.
    renamed = photos / "train" / "more.JPEG"
    with Image.open(photos / "train" / "more.png") as image:
        image.save(renamed)
    labels.write_text(json.dumps(known | {"more.JPEG": known[names[0]]}))
    assert (ask(), ask()) == (1, 0)
