"""Market-1501 by its own rule: from its file names to the scores, re-written here."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml
from numpy.typing import NDArray
from PIL import Image

from lookalike.data.layout import SPLITS, DataSettings
from lookalike.embedding.tables import write_embeddings
from lookalike.importing.initialise import init
from lookalike.importing.options import InitOptions
from lookalike.retrieval.settings import MetricsSettings
from lookalike.steps.manifest import write_manifest
from lookalike.steps.metrics import evaluate_files

K = [1, 5]


def draw(path: Path, rng: np.random.Generator) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(rng.integers(0, 256, (20, 10, 3), dtype=np.uint8)).save(path)


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six persons by three cameras, junk (-1) and distractors (0000)."""
    root, rng = tmp_path_factory.mktemp("market"), np.random.default_rng(0)
    for person in range(1, 4):
        for shot in range(3):
            draw(root / f"bounding_box_train/{person:04}_c{shot + 1}s1_{shot:06}_00.jpg", rng)
    for person in range(4, 10):
        for camera in range(1, 4):
            draw(root / f"query/{person:04}_c{camera}s1_000000_00.jpg", rng)
            for shot in range(int(rng.integers(1, 4))):
                name = f"{person:04}_c{camera}s1_{shot + 1:06}_01.jpg"
                draw(root / "bounding_box_test" / name, rng)
    for number in range(8):
        for identity in ("-1", "0000"):
            draw(root / f"bounding_box_test/{identity}_c{number % 3 + 1}s2_{number:06}_02.jpg", rng)
    # One person is seen by one camera alone: nothing to find.
    for place in ("query/0010_c1s1_000000_00.jpg", "bounding_box_test/0010_c1s1_000001_01.jpg"):
        draw(root / place, rng)
    return root


def vector_of(name: str) -> NDArray[np.float32]:
    """What a network might say of a file: its person, weakly, and its camera."""
    person, camera = person_and_camera(name)
    seed = int.from_bytes(name.encode()[-20:], "little") % 2**32
    vector = np.random.default_rng(seed).normal(size=8)
    vector += 0.8 * np.random.default_rng(1000 + person).normal(size=8)
    vector += 0.8 * np.random.default_rng(2000 + camera).normal(size=8)
    found: NDArray[np.float32] = (vector / np.linalg.norm(vector)).astype(np.float32)
    return found


def person_and_camera(name: str) -> tuple[int, int]:
    """As the data set's readers parse it."""
    found = re.search(r"([-\d]+)_c(\d)", name)
    assert found is not None
    return int(found[1]), int(found[2])


def scores_by_market_s_rule(root: Path) -> dict[str, tuple[float, list[float]]]:
    """Average precision and CMC of each query, by the rule of the data set's evaluation.

    Of the whole gallery, sorted by similarity, what counts as good is of the query's person and
    another camera; what is of its person and camera, or of identity -1, is junk and is passed over.
    """
    gallery = sorted(path.name for path in (root / "bounding_box_test").iterdir())
    scored = {}
    for path in sorted((root / "query").iterdir()):
        person, camera = person_and_camera(path.name)
        similarity = [float(vector_of(path.name) @ vector_of(name)) for name in gallery]
        place, good, precisions, first = 0, 0, [], None
        for at in np.argsort(similarity)[::-1].tolist():
            other, by = person_and_camera(gallery[at])
            if other == -1 or (other == person and by == camera):
                continue
            place += 1
            if other == person:
                good += 1
                precisions.append(good / place)
                first = first or place
        if first is not None:
            cmc = [float(first <= k) for k in K]
            scored[path.name] = sum(precisions) / good, cmc
    return scored


def test_scores_are_those_of_market_s_own_rule(market: Path, tmp_path: Path) -> None:
    dest = tmp_path / "data"
    said = init(market, dest, InitOptions())
    assert "metrics.exclude: {same: [camera]}" in said
    settings = yaml.safe_load((dest / "mine.yaml").read_text())
    assert settings["data"]["attributes"] == "attributes.csv"

    data = DataSettings.from_dict(
        {
            "train": "train",
            "query": "query_images",
            "gallery": "gallery",
            "train_labels": "train_image_info.json",
            "test_labels": "test_image_info.json",
            **settings["data"],
        }
    )
    made, known = (
        {split: tmp_path / f"{split}{name}.parquet" for split in SPLITS}
        for name in ("", "_attributes")
    )
    write_manifest(data, made, tmp_path / "report.json", cache=None, threads=1, attributes=known)
    for split in ("query", "gallery"):
        table = pq.read_table(made[split])
        ids = table["image_id"].to_pylist()
        vectors = np.stack([vector_of(name) for name in ids])
        write_embeddings(
            tmp_path / f"{split}_embeddings.parquet",
            ids,
            table["label"].to_pylist(),
            table["sha256"].to_pylist(),
            vectors,
            {},
        )
    metrics = {"k": K, "no_relevant": "skip", "within": [], **settings["metrics"]}
    metrics["exclude"] = {"also": "same_file", **metrics["exclude"]}
    summary = evaluate_files(
        tmp_path / "query_embeddings.parquet",
        tmp_path / "gallery_embeddings.parquet",
        tmp_path / "out",
        MetricsSettings.of_config(metrics),
        score="cosine",
        query_folder=dest / "query_images",
        gallery_folder=dest / "gallery",
        attributes=(known["query"], known["gallery"]),
    )
    expected = scores_by_market_s_rule(market)
    rows = pq.read_table(tmp_path / "out/per_query.parquet").to_pylist()
    found = {row["query_id"]: row for row in rows if row["scored"]}
    assert found.keys() == expected.keys()
    assert summary["n_skipped_queries"] == 1
    for name, (average_precision, cmc) in expected.items():
        assert found[name]["mAP"] == pytest.approx(average_precision, abs=1e-12)
        assert [found[name][f"CMC@{k}"] for k in K] == cmc
    # The rule matters here: without it most first places are of the query's own camera.
    assert summary["settings"]["same"] == ["camera"]
    assert 0.05 < summary["metrics"]["mAP"] < 0.95


def rows_of(dest: Path) -> list[dict[str, str]]:
    with (dest / "attributes.csv").open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_cameras_are_written_anew_and_what_a_person_added_stays(
    market: Path, tmp_path: Path
) -> None:
    dest = tmp_path / "data"
    init(market, dest, InitOptions())
    first = rows_of(dest)
    placed = [
        (of, path.name)
        for of, folder in (("train", "train"), ("query", "query_images"), ("gallery", "gallery"))
        for path in (dest / folder).iterdir()
    ]
    assert sorted((row["split"], row["image_id"]) for row in first) == sorted(placed)
    assert all(person_and_camera(row["image_id"])[1] == int(row["camera"]) for row in first)

    lines = (dest / "attributes.csv").read_text().splitlines()
    lines = [f"{lines[0]},weather", *(f"{line},sun" for line in lines[1:])]
    (dest / "attributes.csv").write_text("\n".join([*lines, "gallery,by_hand.jpg,9,rain"]))
    init(market, dest, InitOptions(), update=True)
    after = rows_of(dest)
    assert {row["weather"] for row in after} == {"sun", "rain"}
    assert [
        {"split": row["split"], "image_id": row["image_id"], "camera": row["camera"]}
        for row in after
        if row["weather"] == "sun"
    ] == first


def test_a_source_without_cameras_has_no_such_table(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    for label in "abcdef":
        for number in range(4):
            draw(tmp_path / "source" / label / f"{number}.png", rng)
    init(tmp_path / "source", tmp_path / "data", InitOptions())
    assert not (tmp_path / "data/attributes.csv").exists()
    assert "attributes" not in (tmp_path / "data/mine.yaml").read_text()
