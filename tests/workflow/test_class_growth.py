"""A sweep over the number of training classes, through the real Snakemake."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from support.drawings import write_data
from support.html_reader import parse
from support.snakemake_runs import snakemake, write_settings

pytestmark = pytest.mark.workflow

# Of eight classes two are held out.
TRAINED_ON = {"0.34": 2, "0.5": 3, "1.0": 6}


def test_parts_of_the_classes_are_trained_on_and_drawn(tmp_path: Path) -> None:
    write_data(tmp_path / "data", train_classes=8, test_classes=3)
    recipe: dict[str, Any] = {
        "steps": 2,
        "model": {"embedding_dim": 8},
        "batch": {"classes": 4},
        "validation": {"of": "classes", "classes": 0.25},
        "sweep": {"train_classes": [0.5, 1.0]},
    }
    settings = {"image": {"size": 32}, "runs": ["ms"], "recipes": {"ms": recipe}}
    write_settings(tmp_path, settings)
    done = snakemake(tmp_path)
    assert done.status == 0, done.output
    results = tmp_path / "results"
    weights = {path: path.read_bytes() for path in results.glob("*/model.safetensors")}
    assert len(weights) == len({*weights.values()}) == 2

    # A further part trains itself alone, and the page is made anew.
    recipe["sweep"]["train_classes"].insert(0, 0.34)
    write_settings(tmp_path, settings)
    done = snakemake(tmp_path)
    assert done.status == 0, done.output
    assert (done.jobs["train"], done.jobs["report"]) == (1, 1)
    assert {path: path.read_bytes() for path in weights} == weights
    assert "Nothing to be done" in snakemake(tmp_path).output

    before, images = set(), []
    for share, classes in TRAINED_ON.items():
        folder = results / f"ms-train_classes{share}.0"
        model = json.loads((folder / "model.json").read_text())
        # Trained on all, the file is what it was before there was a choice.
        part = share != "1.0"
        assert model["settings"].get("train_classes") == (float(share) if part else None)
        assert model.get("trained_on") == ({"classes": classes, "of": 6} if part else None)
        log = (results / "logs" / folder.name / "train.log").read_text()
        said = f"of the 6 classes that are not held out, {classes} are trained on"
        assert (said in log) == part
        assert "8 images of held-out classes to validate on" in log
        images.append(f"training on {4 * classes} images" in log)
        untrained = folder / "untrained" / "model.safetensors"
        before.add(untrained.read_bytes())
    assert all(images) and len(before) == 1

    page = parse((results / "report.html").read_text())
    labels = [svg.attributes["aria-label"] for svg in page.all("svg", "chart")]
    (label,) = (
        label for label in labels if label.startswith("mAP@10 by the number of training classes")
    )
    scores = pd.read_csv(results / "comparison.csv").set_index(["recipe", "state"])["mAP@10"]
    expected = [f"{scores['ms-train_classes1.0', 'untrained']:.3f} of 0"] + [
        f"{scores[f'ms-train_classes{share}', 'trained']:.3f} of {classes}"
        for share, classes in TRAINED_ON.items()
    ]
    assert f"ms: {', '.join(expected)}." in label
    assert "ms: twice as many classes, 6 in place of 3, changed mAP@10" in page.text

    # Too small a part is told before anything is trained.
    recipe["sweep"] = {"train_classes": [0.2]}
    write_settings(tmp_path, settings)
    refused = snakemake(tmp_path)
    assert refused.status == 1 and "Traceback" not in refused.output
    assert "recipe ms-train_classes0.2: train_classes: 0.2 takes 1 of 6" in refused.output
    assert "Set it to 0.25 or more" in refused.output
