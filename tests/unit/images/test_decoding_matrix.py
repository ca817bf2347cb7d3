"""PNG, BMP, GIF and WebP of every kind: what is shown is what the file says, or it is refused."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from lookalike.errors import BadImageError
from lookalike.images.decoding import open_rgb
from support import image_matrix
from support.image_matrix import Case

CASES = list(image_matrix.every())


@pytest.mark.parametrize("file_format", ["png", "bmp", "gif", "webp"])
def test_what_is_shown_is_what_the_file_says(file_format: str) -> None:
    n_read = 0
    for case in CASES:
        if not case.name.startswith((file_format, f"animated {file_format}")):
            continue
        try:
            shown = np.asarray(open_rgb(case.content, "white"))
        except BadImageError as error:
            assert case.may_be_refused, (case.name, str(error))
            assert error.status == "unsupported_format", (case.name, str(error))
            assert "BMP" in error.detail and "convert it" in error.detail, case.name
            continue
        assert shown.shape == case.shows.shape, case.name
        difference = np.abs(shown.astype(int) - case.shows).max()
        assert difference <= 2, (case.name, difference)
        n_read += 1
    assert n_read >= 8


def opencv(case: Case) -> bool | None:
    """Whether OpenCV shows what the case says; None where it reads no such file."""
    shown = cv2.imdecode(np.frombuffer(case.content, np.uint8), cv2.IMREAD_COLOR_RGB)
    if shown is None or shown.shape != case.shows.shape:
        return None
    # OpenCV widens 5 bits to 8 without filling the lower three.
    most = 7 if "16 bits of" in case.name else 2
    return bool(np.abs(shown.astype(int) - case.shows).max() <= most)


def test_opencv_sees_what_the_files_are_said_to_show() -> None:
    # OpenCV lays nothing over white, and paints what a frame leaves uncovered in the file's colour.
    opaque = [
        case
        for case in CASES
        if not any(word in case.name for word in ("alpha", "transparent value", "transparent col"))
        and ("transparent None" in case.name or "gif" not in case.name)
        and "frame 9 x 7" not in case.name
        and not case.may_be_refused
    ]
    cv2.utils.logging.setLogLevel(0)  # what it cannot read, it says on the terminal
    seen = [opencv(case) for case in opaque]
    wrong = [case.name for case, same in zip(opaque, seen, strict=True) if same is False]
    assert wrong == []
    assert seen.count(True) > 200
