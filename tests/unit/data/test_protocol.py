from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lookalike.data.manifest_table import SCHEMA
from lookalike.data.protocol import (
    attributes_named,
    attributes_scored_by,
    columns_digest,
    require_findable,
)
from lookalike.errors import LookalikeError
from lookalike.storage.files import write_parquet


def metrics_of(same: list[str], within: list[str], no_relevant: str = "skip") -> dict[str, Any]:
    exclude = {"same": same, "also": "none"} if same else "none"
    return {"exclude": exclude, "within": within, "no_relevant": no_relevant}


Row = tuple[str, str | None, str | None]
rows = st.lists(
    st.tuples(st.sampled_from("ab"), *[st.sampled_from(["1", "2", None])] * 2),
    min_size=1,
    max_size=5,
)


def files_of(folder: Path, split: str, found: list[Row]) -> tuple[Path, Path]:
    ids = [f"{split}{i}.png" for i in range(len(found))]
    manifest = [
        {"image_id": name, "label": row[0], "status": "ok"}
        for name, row in zip(ids, found, strict=True)
    ]
    manifest.append({"image_id": "unusable.png", "label": "a", "status": "unreadable"})
    write_parquet(folder / f"{split}.parquet", pa.Table.from_pylist(manifest, SCHEMA))
    known = {
        "image_id": ids,
        "camera": pa.array([row[1] for row in found], pa.string()),
        "category": pa.array([row[2] for row in found], pa.string()),
    }
    write_parquet(folder / f"{split}_attributes.parquet", pa.table(known))
    return folder / f"{split}.parquet", folder / f"{split}_attributes.parquet"


@settings(derandomize=True, deadline=None, max_examples=100)
@given(queries=rows, gallery=rows, same=st.booleans(), within=st.booleans())
def test_what_has_nothing_to_find_is_what_a_loop_finds(
    queries: list[Row], gallery: list[Row], same: bool, within: bool, tmp_path_factory: Any
) -> None:
    folder: Path = tmp_path_factory.mktemp("findable")
    made = {
        "query": files_of(folder, "query", queries),
        "gallery": files_of(folder, "gallery", gallery),
    }
    lost = 0
    for label, camera, category in queries:
        lost += not any(
            label == other
            and not (same and camera is not None and camera == by)
            and not (within and (category is None or category != of))
            for other, by, of in gallery
        )
    manifests, known = ({split: paths[place] for split, paths in made.items()} for place in (0, 1))
    for no_relevant in ("skip", "error"):
        metrics = metrics_of(["camera"] * same, ["category"] * within, no_relevant)
        if lost and (lost == len(queries) or no_relevant == "error"):
            with pytest.raises(LookalikeError) as error:
                require_findable(manifests, known, metrics)
            assert f"{'none' if lost == len(queries) else lost} of" in str(error.value)
            assert ("(metrics.exclude)" in str(error.value)) == same
            assert ("(metrics.within)" in str(error.value)) == within
        else:
            require_findable(manifests, known, metrics)


def test_columns_are_named_by_setting_and_need_a_table() -> None:
    config: dict[str, Any] = {
        "data": {"attributes": "known.csv"},
        "metrics": metrics_of(["camera"], ["category", "camera"]),
        "report": {"slices": []},
    }
    assert attributes_named(config) == {
        "metrics.exclude": ("camera",),
        "metrics.within": ["category", "camera"],
    }
    assert attributes_scored_by(config["metrics"]) == ["camera", "category"]
    config["data"]["attributes"] = ""
    with pytest.raises(LookalikeError, match=r"metrics\.exclude: names 'camera'.*data\.attributes"):
        attributes_named(config)
    config["metrics"] = metrics_of([], [])
    assert attributes_named(config) == {}


def test_a_digest_is_of_the_columns_that_are_named(tmp_path: Path) -> None:
    table = pa.table({"image_id": ["a", "b"], "camera": ["1", None], "source": ["x", "y"]})
    path = tmp_path / "known.parquet"
    write_parquet(path, table)
    before = columns_digest(path, ["camera"])
    write_parquet(path, table.set_column(2, "source", [["x", "z"]]))
    assert columns_digest(path, ["camera"]) == before
    write_parquet(path, table.set_column(1, "camera", [["1", "2"]]))
    assert columns_digest(path, ["camera"]) != before
