"""Tables made of other tables: the same images, other embeddings, another model's name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from lookalike.embedding import tables
from lookalike.embedding.tables import read_metadata, read_vectors, write_embeddings
from lookalike.embedding.transformed import write_transformed
from support.ranked import normal


def source(folder: Path, n: int) -> Path:
    path = folder / "source.parquet"
    names = [f"{at}.png" for at in range(n)]
    metadata = {"model_digest": "a" * 32, "score": "cosine", "image": {}, "version": "1"}
    write_embeddings(path, names, ["x"] * n, ["0"] * n, normal(n, 4), metadata)
    return path


@pytest.mark.parametrize("cut", [1, 3, 100])
@pytest.mark.parametrize("n", [0, 1, 10])
def test_the_same_images_with_other_embeddings_in_blocks_of_any_size(
    tmp_path: Path, n: int, cut: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = source(tmp_path, n)
    monkeypatch.setattr(tables, "_ROWS_PER_GROUP", 4)
    rows, output = normal(n, 2, seed=1), tmp_path / "output.parquet"
    blocks = (rows[at : at + cut] for at in range(0, n, cut))
    write_transformed(table, output, blocks, 2, score="euclidean", made_by="something")
    found = np.concatenate([np.empty((0, 2), np.float32), *read_vectors(output)])
    assert found.tobytes() == rows.tobytes()
    kept = ["image_id", "label", "sha256"]
    assert pq.read_table(output, columns=kept).equals(pq.read_table(table, columns=kept))
    of_source, of_output = read_metadata(table), read_metadata(output)
    assert of_output["model_digest"] != of_source["model_digest"]
    assert of_output == {
        **of_source,
        "model_digest": of_output["model_digest"],
        "score": "euclidean",
    }


def test_what_can_still_be_compared_keeps_its_model(tmp_path: Path) -> None:
    table, output = source(tmp_path, 3), tmp_path / "output.parquet"
    write_transformed(table, output, [normal(3, 4)], 4)
    assert read_metadata(output) == read_metadata(table)


@pytest.mark.parametrize("n", [2, 4])
def test_too_few_or_too_many_rows_are_an_error_and_leave_nothing(tmp_path: Path, n: int) -> None:
    table, output = source(tmp_path, 3), tmp_path / "output.parquet"
    with pytest.raises(ValueError, match="rows came"):
        write_transformed(table, output, [normal(n, 4)], 4)
    assert not output.exists()
