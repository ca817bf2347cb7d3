"""Differences and cosines by hand, and what is looked at of a gallery."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from lookalike.errors import LookalikeError
from lookalike.exporting.checking import Agreement, check_on_gallery, cosine_of, difference_of
from lookalike.images.decoding import read_image
from lookalike.images.resizing import ImageSettings, load_pixels
from lookalike.searching.chosen_run import open_run
from support.pictures import Pixels
from support.searched import Searched, make_searched

AGREED = Agreement(3, 1e-7, "a.png", 0.9999, "b.png")


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Searched:
    return make_searched(tmp_path_factory.mktemp("searched") / "project")


def vector(*numbers: float) -> Pixels:
    return np.array(numbers, np.float32)


def test_differences_are_shares_of_the_length() -> None:
    assert difference_of(vector(0.6, 0.8), vector(0.6, 0.8)) == 0
    assert difference_of(vector(0.6, 0.75), vector(0.6, 0.8)) == pytest.approx(0.05)
    assert difference_of(vector(30, 40.5), vector(30, 40)) == pytest.approx(0.01)
    assert difference_of(vector(0, 0.5), vector(0, 0)) == 0.5
    assert math.isnan(difference_of(vector(np.nan, 0), vector(1, 0)))


def test_cosines_are_those_of_the_angle() -> None:
    assert cosine_of(vector(3, 4), vector(6, 8)) == pytest.approx(1)
    assert cosine_of(vector(1, 0), vector(1, 1)) == pytest.approx(math.sqrt(0.5))
    assert cosine_of(vector(1, 0), vector(-2, 0)) == -1
    assert cosine_of(vector(0, 0), vector(0, 0)) == 1
    assert cosine_of(vector(0, 0), vector(0, 1)) == 0


def test_what_is_beyond_rounding_is_refused() -> None:
    AGREED.require_within()
    for worse in (1.01e-4, math.inf, math.nan):
        with pytest.raises(LookalikeError, match=r"from resized pixels.*a\.png.*Nothing was"):
            replace(AGREED, difference=worse).require_within()
    for worse in (0.9989, -1.0, math.nan):
        with pytest.raises(LookalikeError, match=r"from whole images.*b\.png.*Nothing was"):
            replace(AGREED, cosine=worse).require_within()


class Recalling:
    """It gives the rows of a run's own embeddings, in the order of the gallery."""

    def __init__(self, made: Searched, rows: list[int]) -> None:
        table = pq.read_table(made.run / "embeddings" / "gallery.parquet")
        self.vectors = np.array(table["embedding"].to_pylist(), np.float32)
        self.names = table["image_id"].to_pylist()
        self.rows = rows
        self.given: list[Pixels] = []

    def __call__(self, images: Pixels) -> Pixels:
        row = self.rows[len(self.given)]
        self.given.append(images)
        return self.vectors[row : row + 1].copy()


def test_images_are_spread_over_the_gallery_and_the_worst_are_named(kept: Searched) -> None:
    run = open_run(kept.results)
    n = pq.read_metadata(run.gallery).num_rows
    assert n == 26
    rows = [0, 6, 12, 18, 25]
    of_pixels, of_images = Recalling(kept, rows), Recalling(kept, rows)
    of_pixels.vectors[12, 3] += 0.25
    of_images.vectors[18] *= -1
    found = check_on_gallery(run, kept.results, of_pixels, of_images, at_most=5)
    assert found.n_images == 5
    assert (found.differing, found.turned) == (of_pixels.names[12], of_pixels.names[18])
    assert found.difference == pytest.approx(0.25, rel=1e-5)
    assert found.cosine == pytest.approx(-1)
    # They are given images as the workflow resizes them, and as they are.
    assert {pixels.shape for pixels in of_pixels.given} == {(1, 16, 16, 3)}
    for row, pixels, whole in zip(rows, of_pixels.given, of_images.given, strict=True):
        path = kept.data / "gallery" / of_pixels.names[row]
        image = ImageSettings.from_dict(run.model["image"])
        assert np.array_equal(pixels[0], load_pixels(path, image))
        assert np.array_equal(whole[0], read_image(path))
    all_rows = list(range(n))
    every = Recalling(kept, all_rows), Recalling(kept, all_rows)
    assert check_on_gallery(run, kept.results, *every).difference == 0


def test_what_is_not_a_number_is_the_worst(kept: Searched) -> None:
    rows = [0, 12, 25]
    recalling = Recalling(kept, rows), Recalling(kept, rows)
    for one in recalling:
        one.vectors[12] = np.nan
    found = check_on_gallery(open_run(kept.results), kept.results, *recalling, at_most=3)
    assert math.isnan(found.difference)
    assert math.isnan(found.cosine)
    with pytest.raises(LookalikeError):
        found.require_within()


def test_images_that_are_gone_or_others_are_left_out_and_counted(
    kept: Searched, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    made = kept.copy(tmp_path / "project")
    run = open_run(made.results)
    rows = list(range(2, 26))
    recalling = Recalling(made, rows), Recalling(made, rows)
    first, second = (made.data / "gallery" / name for name in recalling[0].names[:2])
    first.unlink()
    second.unlink()
    second.write_bytes((made.data / "gallery" / recalling[0].names[5]).read_bytes())
    found = check_on_gallery(run, made.results, *recalling)
    assert found.n_images == 24
    assert found.difference == 0
    assert "2 of 26 gallery images are not there as they were embedded" in caplog.text
    for path in (made.data / "gallery").iterdir():
        path.unlink()
    with pytest.raises(LookalikeError, match="none of 26 gallery images is there as it was"):
        check_on_gallery(run, made.results, *recalling)
    with pytest.raises(LookalikeError, match="not noted where the gallery's images lie"):
        check_on_gallery(replace(run, places={}), made.results, *recalling)
