"""Embeddings from elsewhere become the workflow's tables, and what follows is of these alone."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lookalike.embedding.given_tables import is_of_images
from lookalike.embedding.tables import read_metadata
from lookalike.errors import LookalikeError
from lookalike.exporting.export import export_run
from lookalike.retrieval.settings import MetricsSettings
from lookalike.searching.answers import SearchedGallery
from lookalike.searching.chosen_run import open_run
from lookalike.searching.commands import SearchSettings, embed_folder, search_images
from lookalike.steps.bring import bring_embeddings
from lookalike.steps.metrics import evaluate_files
from lookalike.storage.files import write_parquet
from support.searched import RUN, Searched, make_searched

GIVEN = "dino.0"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Searched:
    return make_searched(tmp_path_factory.mktemp("searched") / "project")


def own_table(made: Searched, split: str) -> pd.DataFrame:
    """What a network made of the split, as another program would have it: without metadata."""
    table = pq.read_table(made.run / "embeddings" / f"{split}.parquet")
    frame: pd.DataFrame = table.select(["image_id", "embedding"]).to_pandas()
    return frame


def bring(made: Searched, folder: Path, frames: dict[str, pd.DataFrame], **options: Any) -> Path:
    """Bring tables, and score them; returns the run's folder."""
    run = made.results / GIVEN
    shutil.rmtree(run, ignore_errors=True)
    files = {split: folder / f"{split}.parquet" for split in frames}
    for split, frame in frames.items():
        frame.to_parquet(files[split], **options)
    there = {split: run / "embeddings" / f"{split}.parquet" for split in frames}
    bring_embeddings(
        "dino",
        files,
        {split: made.results / "manifest" / f"{split}.parquet" for split in frames},
        there,
        {split: path.with_suffix(".json") for split, path in there.items()},
    )
    evaluate_files(
        there["query"],
        there["gallery"],
        run,
        MetricsSettings(k=[50], exclude="same_file", bootstrap=0),
        query_folder=made.data / "query_images",
        gallery_folder=made.data / "gallery",
    )
    return run


@pytest.fixture
def frames(made: Searched) -> dict[str, pd.DataFrame]:
    return {split: own_table(made, split) for split in ("query", "gallery")}


def test_a_network_s_embeddings_from_elsewhere_score_as_the_network_s(
    made: Searched, frames: dict[str, pd.DataFrame], tmp_path: Path
) -> None:
    run = bring(made, tmp_path, {split: each[::-1] for split, each in frames.items()})
    for name in ("per_query.parquet", "rankings.parquet"):
        assert (run / name).read_bytes() == (made.run / name).read_bytes()
    for split in frames:
        brought, own = (
            pq.read_table(folder / "embeddings" / f"{split}.parquet") for folder in (run, made.run)
        )
        assert brought.equals(own)  # names, labels, hashes, vectors and their types
        told = read_metadata(run / "embeddings" / f"{split}.parquet")
        assert (told["score"], told["given"], told["image"]) == ("cosine", True, None)
        assert is_of_images(
            run / "embeddings" / f"{split}.parquet", made.results / "manifest" / f"{split}.parquet"
        )
    metrics, own_metrics = (
        json.loads((folder / "metrics.json").read_text()) for folder in (run, made.run)
    )
    assert metrics.pop("model_digest") != own_metrics.pop("model_digest")
    assert metrics == own_metrics


def test_equal_embeddings_give_equal_bytes_and_others_another_digest(
    made: Searched, frames: dict[str, pd.DataFrame], tmp_path: Path
) -> None:
    def tables(**options: Any) -> tuple[dict[str, bytes], str]:
        run = bring(made, tmp_path, frames, **options)
        paths = [run / "embeddings" / f"{split}.parquet" for split in frames]
        (digest,) = {read_metadata(path)["model_digest"] for path in paths}
        return {path.name: path.read_bytes() for path in paths}, digest

    first, digest = tables()
    frames["query"] = frames["query"].sample(frac=1, random_state=0)
    assert tables(compression="gzip", row_group_size=7) == (first, digest)
    # A gallery of the same ids and other numbers is not what a threshold was chosen by.
    vectors = frames["gallery"]["embedding"].to_list()
    vectors[0] = -vectors[0]
    frames["gallery"]["embedding"] = vectors
    second, other = tables()
    assert digest != other
    assert first["query.parquet"] != second["query.parquet"]


def test_its_gallery_is_searched_and_what_takes_a_model_is_refused(
    made: Searched, frames: dict[str, pd.DataFrame], tmp_path: Path
) -> None:
    run = bring(made, tmp_path, frames)
    # Left of a time in which the recipe trained.
    for name in ("model.json", "model.safetensors"):
        shutil.copy(made.run / name, run / name)
    opened = open_run(made.results, GIVEN)
    found = SearchedGallery(opened).of_itself(5)
    own = SearchedGallery(open_run(made.results, RUN)).of_itself(5)
    assert np.array_equal(found.places, own.places)
    assert np.array_equal(found.scores, own.scores)

    settings = SearchSettings(run=GIVEN, device="cpu")
    images = [str(made.data / "query_images")]
    refusal = r"dino\.0 came from elsewhere.*by --run"
    with pytest.raises(LookalikeError, match=refusal):
        search_images(made.results, images, settings)
    table = tmp_path / "out.parquet"
    with pytest.raises(LookalikeError, match=refusal):
        embed_folder(
            made.results, made.data / "gallery", table, run=GIVEN, device="cpu", on_bad="fail"
        )
    with pytest.raises(LookalikeError, match=refusal):
        export_run(made.results, tmp_path / "out", run=GIVEN)
    # Whoever hands on a run alone: what its files say of each other still holds.
    (run / "model.json").unlink()
    assert open_run(made.results, GIVEN).digest == opened.digest
    edited = json.loads((run / "metrics.json").read_text()) | {"model_digest": "0" * 32}
    (run / "metrics.json").write_text(json.dumps(edited))
    with pytest.raises(LookalikeError, match=r"metrics\.json: is stale"):
        SearchedGallery(open_run(made.results, GIVEN))


def test_what_was_brought_is_of_the_images_until_one_changes(
    made: Searched, frames: dict[str, pd.DataFrame], tmp_path: Path
) -> None:
    table = bring(made, tmp_path, frames) / "embeddings" / "gallery.parquet"
    manifest = pq.read_table(made.results / "manifest" / "gallery.parquet")
    for column in ("image_id", "label", "sha256"):
        values = ["another", *manifest[column].to_pylist()[1:]]
        place = manifest.schema.get_field_index(column)
        changed = manifest.set_column(place, column, pa.array(values))
        write_parquet(tmp_path / "manifest.parquet", changed)
        assert not is_of_images(table, tmp_path / "manifest.parquet")
    write_parquet(tmp_path / "manifest.parquet", manifest)
    assert is_of_images(table, tmp_path / "manifest.parquet")
    table.write_bytes(table.read_bytes()[:-9])
    assert not is_of_images(table, tmp_path / "manifest.parquet")


def test_what_does_not_fit_writes_nothing(
    made: Searched, frames: dict[str, pd.DataFrame], tmp_path: Path
) -> None:
    with pytest.raises(LookalikeError, match=r"gallery\.parquet: 1 of \d+ gallery images"):
        bring(made, tmp_path, frames | {"gallery": frames["gallery"].iloc[1:]})
    assert not (made.results / GIVEN).exists()
