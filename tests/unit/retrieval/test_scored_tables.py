"""A gallery is known by its names, labels and hashes, however they lie in memory."""

from __future__ import annotations

import hashlib
import struct
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lookalike.embedding.tables import write_embeddings
from lookalike.retrieval.evaluation import evaluate
from lookalike.retrieval.scored_tables import GALLERY_COLUMNS, gallery_digest
from lookalike.retrieval.settings import MetricsSettings
from lookalike.steps.metrics import evaluate_files

TEXTS = st.lists(st.tuples(*[st.text("aé\0\u4e00", max_size=3)] * 3), max_size=4)


def columns(rows: list[tuple[str, str, str]]) -> dict[str, pa.StringArray]:
    return {
        name: pa.array([row[place] for row in rows], pa.string())
        for place, name in enumerate(GALLERY_COLUMNS)
    }


def by_hand(rows: list[tuple[str, str, str]]) -> str:
    content = b""
    for place in range(3):
        texts = [row[place].encode() for row in rows]
        ends = [0, *np.cumsum([len(text) for text in texts]).tolist()]
        content += struct.pack(f"<{len(ends)}q", *map(int, ends)) + b"".join(texts)
    return hashlib.sha256(content).hexdigest()[:32]


@given(TEXTS, TEXTS)
def test_equal_names_and_no_others_have_one_digest(
    one: list[tuple[str, str, str]], other: list[tuple[str, str, str]]
) -> None:
    digest = gallery_digest(columns(one))
    assert digest == by_hand(one)
    assert (digest == gallery_digest(columns(other))) == (one == other)
    # As a part of longer columns.
    longer = columns([("x", "yy", "zzz"), *one, ("x", "y", "z")])
    inside = {name: values.slice(1, len(one)) for name, values in longer.items()}
    assert gallery_digest(inside) == digest


def table(path: Path, model: str | None, seed: int) -> Path:
    vectors = np.random.default_rng(seed).normal(size=(12, 4)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    names = [f"{seed}{n}" for n in range(12)]
    metadata = {"score": "cosine"} | ({"model_digest": model} if model else {})
    write_embeddings(path, names, ["a", "b"] * 6, [f"h{n}" for n in names], vectors, metadata)
    return path


@pytest.mark.parametrize("models", [("m", "m"), (None, None), ("m", None), (None, "m")])
def test_metrics_name_the_model_and_the_gallery_of_tables_that_do(
    tmp_path: Path, models: tuple[str | None, str | None]
) -> None:
    query, gallery = table(tmp_path / "q", models[0], 1), table(tmp_path / "g", models[1], 2)
    settings = MetricsSettings(k=[1], bootstrap=0)
    found = evaluate_files(query, gallery, tmp_path / "out", settings)
    assert evaluate(query, gallery, k=[1], bootstrap=0).summary == found
    rows = pq.read_table(gallery, columns=list(GALLERY_COLUMNS)).to_pylist()
    expected = by_hand([(row["image_id"], row["label"], row["sha256"]) for row in rows])
    known = models == ("m", "m")
    assert found["model_digest"] == ("m" if known else None)
    assert found["gallery_digest"] == (expected if known else None)


def test_without_hashes_the_gallery_is_not_known(tmp_path: Path) -> None:
    query, gallery = table(tmp_path / "q", "m", 1), table(tmp_path / "g", "m", 2)
    pq.write_table(pq.read_table(gallery).drop_columns(["sha256"]), gallery)
    found = evaluate(query, gallery, k=[1], bootstrap=0).summary
    assert (found["model_digest"], found["gallery_digest"]) == ("m", None)
