"""A run that can come to nothing is refused before anything is decoded or trained."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from support.snakemake_runs import snakemake, write_settings

pytestmark = pytest.mark.workflow


def test_nothing_is_decoded_or_trained_where_nothing_can_come_of_it(tmp_path: Path) -> None:
    labels = {
        "train": {f"t{number}.png": number // 3 for number in range(6)},
        "test": {f"q{number}.png": number for number in range(4)},
    }
    rng = np.random.default_rng(0)
    for split, folder in (("train", "train"), ("test", "query_images")):
        (tmp_path / "data" / folder).mkdir(parents=True)
        for name in labels[split]:
            pixels = rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "data" / folder / name)

    def refusal(**changes: Any) -> str:
        for split in labels:
            path, text = tmp_path / f"data/{split}_image_info.json", json.dumps(labels[split])
            if not path.exists() or path.read_text() != text:
                path.write_text(text)
        write_settings(tmp_path, {"data": {"gallery": "query_images"}, **changes})
        run = snakemake(tmp_path)
        assert run.status == 1
        assert "Traceback" not in run.output
        assert not (tmp_path / "results" / "pixels").exists()
        assert not (tmp_path / "results" / "default.0").exists()
        return run.output

    assert "none of the 4 queries has an image of its class" in refusal()
    # Changed settings are looked at anew, though the manifest is as it was.
    labels["test"]["q0.png"] = labels["test"]["q1.png"]
    said = refusal(metrics={"no_relevant": "error"})
    assert "2 of 4 queries have not an image of its class" in said
    labels["train"] = {f"t{number}.png": max(number - 1, 0) for number in range(6)}
    assert "balanced batches need two training classes" in refusal()

    labels["train"] = {f"t{number}.png": number // 2 for number in range(6)}
    said = refusal(recipes={"default": {"train_classes": 0.4}})
    assert "recipe default: train_classes: 0.4 takes 1 of 3 training classes" in said
    assert "Set it to 0.5 or more" in said

    # What the search side learns needs images, though nothing is trained.
    labels["train"] = {"t0.png": 0}
    as_it_came = {"model": {"name": "efficientnet_lite", "weights": "none"}, "train": "none"}
    frozen = {"recipes": {"frozen": as_it_came}, "runs": ["frozen"]}
    said = refusal(**frozen, search={"whitened": True})
    assert "search.whitened is learnt from the embedded training images" in said
    assert "it takes two usable ones at the least, and there is one" in said
    # Also where the manifest is there, from when nothing was learnt.
    write_settings(tmp_path, {"data": {"gallery": "query_images"}, **frozen})
    assert snakemake(tmp_path, "results/data_report.json").status == 0
    said = refusal(**frozen, search={"truncated": True})
    assert "search.truncated is learnt from the embedded training images" in said
    assert "manifest: scanning" not in said
    assert not (tmp_path / "results" / "frozen.0").exists()
