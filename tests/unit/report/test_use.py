"""What the page says to type is typed, on results made by the steps below Snakemake."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
from contextlib import redirect_stdout
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from lookalike.cli import main
from lookalike.report.results import Results, StateResults
from lookalike.report.use import use_of
from support.searched import Searched, make_searched

PLACES = ["results", "my results/of 'it'", "-results", "größe; rm", "a\u3164b"]


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Searched:
    return make_searched(tmp_path_factory.mktemp("searched") / "project")


def results_of(folder: Path) -> Results:
    run = folder / "default.0"
    read: dict[str, Any] = {
        name: json.loads((run / f"{name}.json").read_text()) for name in ("metrics", "model")
    }
    state = StateResults(read["metrics"], run)
    return Results("default", 0, 0, {"trained": state}, read["model"], pd.DataFrame(), {})


def project(kept: Searched, folder: Path, place: str) -> Path:
    """The results under another name, with a photo and a folder of photos beside them."""
    results = folder / place
    shutil.copytree(kept.root, folder / "kept", symlinks=True)
    results.parent.mkdir(parents=True, exist_ok=True)
    (folder / "kept" / "results").rename(results)
    shutil.copytree(kept.data / "query_images", folder / "photos")
    shutil.copy(kept.queries[0], folder / "photo.jpg")
    return results


def words_of(line: str) -> list[str]:
    """The words of a command line, as a shell reads it."""
    command, surroundings = ["bash", "-c", f"printf '%s\\0' {line}"], {"LC_ALL": "C.UTF-8"}
    done = subprocess.run(
        command, capture_output=True, check=True, env={**os.environ} | surroundings
    )
    return done.stdout.decode().split("\0")[:-1]


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
@pytest.mark.parametrize("place", PLACES)
def test_every_command_and_line_runs_as_it_stands(
    kept: Searched, tmp_path: Path, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = project(kept, tmp_path, place)
    monkeypatch.chdir(tmp_path)
    use = use_of([results_of(results)], place)
    assert use.run == "default.0"
    # The export is an optional package's; a workflow's test runs it.
    for line in (*use.search, *use.embed, use.gallery_itself):
        program, *arguments = words_of(line)
        assert program == "lookalike"
        assert main(arguments) == 0, line
    assert {path.name for path in tmp_path.iterdir()} >= {
        *("found.html", "photos.parquet", "near.html")
    }
    said = io.StringIO()
    names: dict[str, Any] = {}
    with redirect_stdout(said):
        exec(compile("\n".join(use.python), "page", "exec"), names)
    row = pq.read_table(results / "default.0" / "embeddings" / "query.parquet").to_pylist()[0]
    assert names["vectors"].tobytes() == np.array([row["embedding"]], np.float32).tobytes()
    assert f"float32 {[*names['vectors'].shape]}" in use.python[1]
    # What is looked for is in the gallery by a link.
    assert row["image_id"] in said.getvalue()


def test_the_first_run_with_a_model_is_used(kept: Searched) -> None:
    run = results_of(kept.results)
    given = replace(run, recipe="dino", model={"settings": {}, "image": {}}, is_given=True)
    use = use_of([given, replace(run, recipe="b"), run], "results")
    assert use.run == "b.0"
    assert all("--run b.0" in line for line in (*use.search, *use.embed, *use.export))
    assert "--run dino.0" in use.gallery_itself
    none = use_of([given], "results")
    assert none.run is None
    assert not [*none.search, *none.embed, *none.export, *none.python]
    assert none.gallery_itself.startswith("lookalike search results --gallery-itself --run dino.0")


def test_without_a_head_the_width_is_not_that_of_the_setting(kept: Searched) -> None:
    run = results_of(kept.results)
    bare = {"model": {**run.model["model"], "head": "none", "embedding_dim": 128}}
    assert "128" not in use_of([replace(run, model={**run.model, **bare})], "results").python[1]
