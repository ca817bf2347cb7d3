"""New images have the bytes that the embed step gives them, alone and in company."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from lookalike.embedding.filling import EmbedSettings
from lookalike.errors import LookalikeError
from lookalike.models.building import build_model
from lookalike.models.files import save_model
from lookalike.models.settings import ModelSettings
from lookalike.searching import new_images
from lookalike.searching.image_files import folder_images
from lookalike.searching.new_images import ImageEmbedder, LeftOut, NewImages
from lookalike.steps.embed import embed_split
from support.backbones import settings_of_backbone, with_statistics
from support.devices import torch_threads
from support.models import IMAGE
from support.searched import Searched, make_searched


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Searched:
    return make_searched(tmp_path_factory.mktemp("searched") / "project")


def embedded(weights: Path, folder: Path, on_bad: str = "skip") -> tuple[NewImages, LeftOut]:
    left_out = LeftOut(on_bad)
    parts = list(ImageEmbedder(weights, "cpu").embed(folder_images(folder), left_out))
    return NewImages(
        [file for part in parts for file in part.files],
        [sha256 for part in parts for sha256 in part.sha256s],
        np.concatenate([part.vectors for part in parts]),
    ), left_out


def rows_of(table: Path) -> dict[str, tuple[str, bytes]]:
    return {
        row["image_id"]: (row["sha256"], np.float32(row["embedding"]).tobytes())
        for row in pq.read_table(table).to_pylist()
    }


def as_rows(images: NewImages) -> dict[str, tuple[str, bytes]]:
    return {
        file.name: (sha256, vector.tobytes())
        for file, sha256, vector in zip(images.files, images.sha256s, images.vectors, strict=True)
    }


@pytest.mark.parametrize("batch", [128, 5])
@pytest.mark.parametrize("threads", [1, 2])
def test_they_are_those_of_the_step(
    kept: Searched, batch: int, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(new_images, "BATCH", batch)
    with torch_threads(threads):
        images, _ = embedded(kept.run / "model.safetensors", kept.data / "gallery")
    assert as_rows(images) == rows_of(kept.run / "embeddings" / "gallery.parquet")


@pytest.mark.slow
@pytest.mark.parametrize("features", [True, False])
def test_those_of_a_backbone_and_its_head_are_too(
    kept: Searched, tmp_path: Path, features: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_of_backbone("efficientnet_lite") | {"embedding_dim": 8, "normalize": True}
    torch.manual_seed(0)
    network = build_model(ModelSettings.from_dict(settings), IMAGE.size)
    facts: dict[str, Any] = {"features": "0" * 32} if features else {}
    weights = tmp_path / "model.safetensors"
    save_model(
        with_statistics(network),
        weights,
        tmp_path / "model.json",
        settings=settings,
        image=IMAGE.to_dict(),
        facts=facts,
    )
    manifest = kept.results / "manifest" / "query.parquet"
    folder, table = kept.data / "query_images", tmp_path / "query.parquet"
    how = EmbedSettings(tmp_path / "cache", "cpu", batch_size=32, threads=1)
    embed_split(manifest, folder, weights, table, tmp_path / "query.json", [], how)
    monkeypatch.setattr(new_images, "BATCH", 1)
    assert as_rows(embedded(weights, folder)[0]) == rows_of(table)


@pytest.fixture
def mixed(kept: Searched, tmp_path: Path) -> Path:
    """Three images, one cut short, one that is a text, and files that are none."""
    folder = tmp_path / "mixed"
    folder.mkdir()
    for number, path in enumerate(kept.queries[:3]):
        shutil.copy(path, folder / f"{number}.png")
    (folder / "cut.png").write_bytes(kept.queries[0].read_bytes()[:200])
    (folder / "page.jpg").write_text("<html>404</html>")
    (folder / "labels.json").write_text("{}")
    (folder / "empty").touch()
    return folder


def test_bad_images_are_named_and_the_others_embedded(
    kept: Searched, mixed: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    images, left_out = embedded(kept.run / "model.safetensors", mixed)
    assert [file.name for file in images.files] == ["0.png", "1.png", "2.png"]
    assert (left_out.bad, left_out.beside) == (2, 2)
    named = [record.message for record in caplog.records if record.levelname == "WARNING"]
    assert len(named) == 2
    assert "cut.png: " in named[0]
    assert "page.jpg: it is a web page" in named[1]
    assert "2 file(s) beside the images are none (endings: .json, none)" in caplog.text
    with pytest.raises(LookalikeError, match="2 of 5 images could not be used"):
        left_out.require_none(3)


def test_the_first_bad_image_can_end_it(kept: Searched, mixed: Path) -> None:
    with pytest.raises(LookalikeError, match=r"cut\.png: "):
        embedded(kept.run / "model.safetensors", mixed, on_bad="fail")


def test_weights_of_another_model_are_refused(kept: Searched, tmp_path: Path) -> None:
    copy = kept.copy(tmp_path / "project")
    weights = copy.run / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-4] + b"abcd")
    with pytest.raises(LookalikeError, match=r"does not match the digest in model\.json"):
        ImageEmbedder(weights, "cpu")
