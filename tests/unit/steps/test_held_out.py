"""Held-out images asked for as if in the gallery: from image files to a table of answers."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from lookalike.data.layout import DataSettings
from lookalike.data.manifest_table import read_manifest
from lookalike.embedding.filling import EmbedSettings
from lookalike.embedding.tables import read_vectors
from lookalike.models.building import build_model
from lookalike.models.files import save_model
from lookalike.models.settings import ModelSettings
from lookalike.retrieval.carried_answers import DRAWS, carried_answers, held_out_anchors
from lookalike.steps.embed import embed_split
from lookalike.steps.held_out import HeldOutFiles, write_held_out_answers
from lookalike.steps.manifest import write_manifest
from lookalike.storage.files import read_json, write_parquet
from lookalike.training.folds import class_folds
from lookalike.training.held_out import hold_out
from support.drawings import write_data
from support.models import IMAGE
from support.models import MODEL as SETTINGS

MODEL: dict[str, Any] = dict(SETTINGS)
VALIDATION: dict[str, Any] = {"of": "classes", "classes": 0.3, "seed": 1}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Manifests of twelve training classes, a network, and what a gallery has of each query."""
    folder = tmp_path_factory.mktemp("held_out")
    root = write_data(folder / "data", train_classes=12)
    # Of a copy, one is asked for.
    shutil.copy(root / "train" / "0000_001.png", root / "train" / "0000_000.png")
    data = DataSettings(
        root=root,
        train="train",
        query="query_images",
        gallery="gallery",
        train_labels="train_image_info.json",
        test_labels="test_image_info.json",
        on_bad_image="skip",
    )
    paths = {split: folder / f"{split}.parquet" for split in ("train", "query", "gallery")}
    write_manifest(data, paths, folder / "report.json", cache=folder / "cache", threads=1)
    torch.manual_seed(0)
    save_model(
        build_model(ModelSettings.from_dict(MODEL), IMAGE.size),
        folder / "model.safetensors",
        folder / "model.json",
        settings=MODEL,
        image=IMAGE.to_dict(),
        facts={},
    )
    counts = {"n_relevant": [0, 2, 2], "n_gallery": [30, 40, 41]}
    write_parquet(folder / "per_query.parquet", pa.table(counts))
    return folder


def files_in(folder: Path) -> HeldOutFiles:
    return HeldOutFiles(
        folder / "manifest.parquet",
        folder / "embeddings.parquet",
        folder / "embeddings.json",
        folder / "answers.parquet",
    )


def write(made: Path, folder: Path, validation: dict[str, Any], *, trains: bool) -> HeldOutFiles:
    output = files_in(folder)
    write_held_out_answers(
        made / "train.parquet",
        made / "data" / "train",
        made / "model.safetensors",
        made / "per_query.parquet",
        output,
        validation,
        EmbedSettings(folder / "cache", "cpu", batch_size=32, threads=1),
        trains=trains,
    )
    return output


def codes(column: pa.ChunkedArray) -> np.ndarray:
    return np.unique(column.to_pylist(), return_inverse=True)[1]


@pytest.mark.parametrize("trains", [True, False])
def test_answers_are_of_images_that_the_network_has_not_seen(
    made: Path, tmp_path: Path, trains: bool
) -> None:
    output = write(made, tmp_path, VALIDATION, trains=trains)
    train = read_manifest(made / "train.parquet")
    labels, contents = codes(train["label"]), codes(train["sha256"])
    if trains:
        rows = hold_out(labels, contents, "classes", 0.3, 1).queries
    else:
        rows = np.sort(np.unique(contents, return_index=True)[1])
        assert len(rows) == len(train) - 1
    ids = train["image_id"].take(rows).to_pylist()
    assert pq.read_table(output.embeddings)["image_id"].to_pylist() == ids
    assert read_json(output.summary)["images"] == len(ids)

    # The bytes of the split's own embedding; and of each image, draws of its own scores.
    whole = tmp_path / "whole.parquet"
    how = EmbedSettings(tmp_path / "other", "cpu", batch_size=32, threads=1)
    weights, summary = made / "model.safetensors", tmp_path / "whole.json"
    embed_split(made / "train.parquet", made / "data" / "train", weights, whole, summary, [], how)
    vectors = np.concatenate(list(read_vectors(whole)))[rows]
    np.testing.assert_array_equal(np.concatenate(list(read_vectors(output.embeddings))), vectors)
    wanted = carried_answers(
        held_out_anchors(vectors, labels[rows], "cosine"), [0, 2, 2], [30, 38, 39], "cosine"
    )
    answers = pq.read_table(output.answers)
    anchor = wanted.pop("anchor")
    assert len(answers) % DRAWS == 0
    assert answers["image_id"].to_pylist() == [ids[place] for place in anchor]
    for name, values in wanted.items():
        np.testing.assert_array_equal(answers[name].to_numpy(), values)


def test_of_a_fold_the_answers_are_of_its_classes_by_their_names(
    made: Path, tmp_path: Path
) -> None:
    fold = {"classes": 1 / 3, "fold": 1, "folds": 3}
    output = write(made, tmp_path, VALIDATION | fold, trains=True)
    train = read_manifest(made / "train.parquet")
    names = sorted({*train["label"].to_pylist()})
    held_out = {names[i] for i in np.flatnonzero(class_folds(names, 3, 1) == 1)}
    assert len(held_out) == 4
    assert {*pq.read_table(output.embeddings)["label"].to_pylist()} == held_out


@pytest.mark.parametrize("validation", [{"of": "images"}, {"classes": 0}])
def test_where_no_classes_are_held_out_the_tables_are_empty(
    made: Path, tmp_path: Path, validation: dict[str, Any]
) -> None:
    output = write(made, tmp_path, VALIDATION | validation, trains=True)
    assert pq.read_table(output.answers).num_rows == 0
    assert {"image_id", "label", "first_rank"} <= set(pq.read_table(output.answers).column_names)
    assert read_json(output.summary)["images"] == 0


def test_the_same_again_has_the_same_bytes(made: Path, tmp_path: Path) -> None:
    (one, other) = (write(made, tmp_path / name, VALIDATION, trains=True) for name in "ab")
    assert one.answers.read_bytes() == other.answers.read_bytes()
    assert one.embeddings.read_bytes() == other.embeddings.read_bytes()
