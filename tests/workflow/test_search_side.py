"""What the search side adds to runs, as states of theirs: made where it is asked for alone."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from sklearn.decomposition import PCA

from lookalike.config import merge
from lookalike.embedding.tables import read_vectors
from lookalike.retrieval.quantization import quantized
from support.drawings import write_data
from support.snakemake_runs import FINAL, QUICK, repeatable, snakemake, write_settings

pytestmark = [pytest.mark.workflow, pytest.mark.slow]

SEARCH: dict[str, Any] = {
    "whitened": {"dim": 6, "shrink": 0.0},
    "quantized": True,
    "expanded": {"k": 2},
    "reranked": {"first": 12, "k1": 4, "k2": 2},
    "hubness": {"k": 5},
}
STATES = ["trained", "untrained", "whitened", "quantized", "expanded", "reranked"]


def vectors(path: Path) -> np.ndarray:
    return np.concatenate(list(read_vectors(path)))


def test_states_of_the_search_side(tmp_path: Path) -> None:
    data = write_data(tmp_path / "data")
    recipe = {"recipes": {"default": {"epochs": 1}}}
    settings = merge(QUICK, merge(recipe, {"data": {"root": str(data)}}))
    write_settings(tmp_path, settings)
    done = snakemake(tmp_path)
    assert done.status == 0, done.output
    before = {name: (tmp_path / name).read_bytes() for name in repeatable("default.0")}
    run = tmp_path / "results" / "default.0"
    assert not (run / "embeddings" / "train.parquet").exists()

    write_settings(tmp_path, merge(settings, {"search": SEARCH}))
    done = snakemake(tmp_path)
    assert done.status == 0, done.output
    made = {"fit_projection": 1, "project": 1, "quantize": 1, "expand": 1, "rerank": 1}
    # The training images; states with embeddings of their own, and of all six how images are found.
    made |= {"embed": 1, "metrics": 3, "hubness": 6}
    assert done.jobs == made | FINAL
    unchanged = [name for name in before if not name.startswith("results/comparison")]
    assert [name for name in unchanged if (tmp_path / name).read_bytes() != before[name]] == []
    rows = list(csv.DictReader((tmp_path / "results" / "comparison.csv").open()))
    assert [row["state"] for row in rows] == STATES

    # What the tables hold, against other ways to make them.
    training, query = (vectors(run / "embeddings" / f"{s}.parquet") for s in ("train", "query"))
    peer = PCA(6, whiten=True, svd_solver="full").fit(training.astype(np.float64))
    theirs = peer.transform(query.astype(np.float64))
    theirs /= np.linalg.norm(theirs, axis=1, keepdims=True)
    ours = vectors(run / "whitened" / "embeddings" / "query.parquet")
    np.testing.assert_allclose(ours * np.sign((ours * theirs).sum(axis=0)), theirs, atol=1e-3)
    of_bytes = vectors(run / "quantized" / "embeddings" / "query.parquet")
    assert of_bytes.tobytes() == quantized(query).tobytes()
    cost = json.loads((run / "whitened" / "search.json").read_text())
    assert (cost["dim"], cost["bytes_per_image"], cost["images"]) == (6, 24, len(training))
    metrics = json.loads((run / "reranked" / "metrics.json").read_text())
    assert metrics.keys() == json.loads((run / "metrics.json").read_text()).keys()
    assert metrics["score"] == "k-reciprocal"
    rankings = pq.read_table(run / "rankings.parquet").to_pandas()
    found = rankings[rankings["rank"] <= 5]["gallery_id"].value_counts()
    hubs = json.loads((run / "hubness.json").read_text())["hubs"]
    assert hubs[0]["found"] == found.max()

    # Another setting makes anew what follows from it, and nothing else.
    more = merge(SEARCH, {"expanded": {"k": 3}, "quantized": False})
    write_settings(tmp_path, merge(settings, {"search": more}))
    done = snakemake(tmp_path)
    assert done.status == 0, done.output
    assert done.jobs == {"expand": 1, "metrics": 1, "hubness": 1} | FINAL
    assert snakemake(tmp_path).jobs == {}
    done = snakemake(tmp_path, "results/default.0/scaled/metrics.json")
    assert done.status != 0
    assert "search.scaled is false" in done.output
    assert "Traceback" not in done.output
