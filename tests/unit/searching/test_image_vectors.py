"""Embeddings in Python are those of the workflow's tables."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from lookalike import LookalikeError, embed_images
from support.searched import RUN, Searched, make_searched


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Searched:
    return make_searched(tmp_path_factory.mktemp("searched") / "project")


@pytest.mark.parametrize("as_text", [True, False])
def test_vectors_are_the_tables_in_the_order_that_was_asked_for(
    kept: Searched, as_text: bool
) -> None:
    rows = pq.read_table(kept.run / "embeddings" / "query.parquet").to_pylist()
    # One of them twice: a list is answered as it is.
    wanted = [*rows[::-1], rows[0]]
    paths = [kept.data / "query_images" / row["image_id"] for row in wanted]
    if as_text:
        vectors = embed_images(str(kept.results), [str(path) for path in paths])
    else:
        vectors = embed_images(kept.results, paths, run=RUN, device="cpu")
    assert vectors.dtype == np.float32
    assert vectors.tobytes() == np.array([row["embedding"] for row in wanted], np.float32).tobytes()


def test_what_cannot_be_embedded_is_an_error_that_names_it(kept: Searched, tmp_path: Path) -> None:
    bad = tmp_path / "bad.png"
    bad.write_text("no image")
    good = kept.queries[0]
    for images, run, message in [
        ([good, bad], None, "bad.png"),
        ([good, tmp_path / "absent.png"], None, "absent.png"),
        ([], None, "the list is empty"),
        ([good], "other.0", "there is no run other.0"),
    ]:
        with pytest.raises(LookalikeError, match=message):
            embed_images(kept.results, images, run=run)
    with pytest.raises(LookalikeError, match="images must be a list"):
        embed_images(kept.results, str(good))
    with pytest.raises(LookalikeError, match="there is no such folder"):
        embed_images(tmp_path / "absent", [good])
