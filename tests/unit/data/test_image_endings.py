"""Which endings say that a file is an image."""

from __future__ import annotations

from PIL import Image

from lookalike.data.image_endings import IMAGE_ENDINGS
from lookalike.images.decoding import FORMATS


def test_every_ending_that_pillow_knows_of_a_format_that_is_read_is_among_them() -> None:
    Image.init()
    known = {end for end, name in Image.registered_extensions().items() if name in FORMATS}
    assert {".jpg", ".png", ".webp"} <= known <= IMAGE_ENDINGS
    assert all(end == end.lower() and end.startswith(".") for end in IMAGE_ENDINGS)
