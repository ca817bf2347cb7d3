"""Any bytes as an image: decoded to RGB, or refused as a bad image."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from fuzz.targets import atheris, fuzz, images

with atheris.instrument_imports(include=["lookalike", "PIL"]):
    from lookalike.errors import BadImageError
    from lookalike.images import limits as image_limits
    from lookalike.images.decoding import Size, open_reduced, open_rgb

# What speaks of the bytes; `missing_file` and `unreadable` speak of the moment.
STATUSES = {
    *("empty_file", "truncated", "damaged", "not_an_image", "unsupported_format", "too_large"),
}
# A hundred bytes can be an image of 89 million pixels, which takes seconds: fewer tries.
image_limits.MAX_PIXELS = 1_000_000


def one_input(content: bytes) -> None:
    """Raises where the decoder does with anything but BadImageError."""
    try:
        image = open_rgb(content, "white")
    except BadImageError as error:
        assert error.status in STATUSES, error.status
        assert error.detail
        f"{error} {error.detail}".encode()
        return
    assert image.mode == "RGB"
    assert 0 < image.width * image.height <= image_limits.MAX_PIXELS
    assert len(image.tobytes()) == 3 * image.width * image.height
    # What the scan takes for an image must not fail in training, which may decode less of it.
    reduced = open_reduced(content, "white", _quarter)
    assert reduced.size == image.size, "another size at a reduced scale"
    _, _, right, lower = reduced.box
    assert right <= reduced.image.width and lower <= reduced.image.height


def _quarter(size: Size) -> Size:
    return max(1, size[0] // 4), max(1, size[1] // 4)


if __name__ == "__main__":
    fuzz(one_input, images())
