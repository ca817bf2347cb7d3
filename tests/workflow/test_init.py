"""Images as people have them, brought in by `lookalike init` and run as it says."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml
from PIL import Image

from lookalike.importing.initialise import init
from lookalike.importing.options import InitOptions
from lookalike.importing.summary import next_commands
from support.drawings import draw
from support.snakemake_runs import snakemake

pytestmark = [pytest.mark.workflow, pytest.mark.slow]


def type_(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("lookalike")), *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done


def test_a_flat_folder_is_embedded_for_search_and_nothing_is_measured(tmp_path: Path) -> None:
    source, dest = tmp_path / "source", tmp_path / "data"
    source.mkdir()
    for number in range(11):
        draw(number, 0, 64).save(source / f"{number}.png")
    with Image.open(source / "3.png") as picture:
        picture.resize((50, 50)).save(source / "again.jpg", quality=80)
    init(source, dest, InitOptions())
    run = snakemake(dest)  # it finds the settings there
    assert run.status == 0, run.output
    assert run.jobs == {"manifest": 1, "train": 1, "embed": 4}
    results = dest / "results"
    assert not list(results.rglob("metrics.json"))
    assert not (results / "report.html").exists()
    facts = json.loads((results / "data_report.json").read_text())
    assert [pair["images"] for pair in facts["near_duplicates"]["across"]] == [2]
    assert [finding["level"] for finding in facts["findings"]] == ["note", "note"]

    table = pq.read_table(results / "search.0" / "embeddings" / "gallery.parquet").to_pydict()
    names, vectors = table["image_id"], np.array(table["embedding"])
    assert sorted(names) == sorted(path.name for path in source.iterdir())
    assert table["label"] == names
    scores = vectors @ vectors[names.index("again.jpg")]
    assert [names[place] for place in np.argsort(-scores)[:2]] == ["again.jpg", "3.png"]

    # The command that init prints next, as it is, for an image of the gallery and for a new one.
    command = next_commands(dest, searches=True)[-1].split()
    assert command == ["lookalike", "search", "results", "IMAGE"]
    new = tmp_path / "new.png"
    draw(3, 0, 64).resize((55, 55)).save(new)
    for image in (source / "3.png", new):
        found = type_(dest, *command[1:-1], str(image), "--json")
        first = json.loads(found.stdout)[0]
        assert first["gallery_id"] in {"3.png", "again.jpg"}
        assert first["accepted"] is None
        assert "search.0 has no threshold" in found.stderr
    type_(dest, *command[1:-1], "--gallery-itself", "--html", "near.html")
    assert (dest / "near.html").read_text().count('<li class="query">') == len(names)
    type_(dest, "embed", "results", str(source), "--out", "new.parquet")
    embedded = pq.read_table(dest / "new.parquet").to_pydict()
    assert dict(zip(embedded["image_id"], embedded["embedding"], strict=True)) == dict(
        zip(names, table["embedding"], strict=True)
    )

    # Whoever wants to train without labels is told before anything is done.
    settings = yaml.safe_load((dest / "mine.yaml").read_text())
    settings["runs"].append("strong")
    (dest / "mine.yaml").write_text(yaml.safe_dump(settings))
    run = snakemake(dest)
    assert run.status == 1
    assert "data.labelled is false, so nothing can be trained" in run.output
    assert "recipe strong" in run.output
    assert "Traceback" not in run.output
