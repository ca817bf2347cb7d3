"""What is told before a run, of plans that Snakemake would make."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from lookalike.preview import check
from lookalike.preview.check import look_ahead
from lookalike.preview.dry_run import DryRun
from lookalike.preview.settings import checked
from lookalike.steps.train import train_run
from lookalike.training import probe
from support.drawings import write_data
from support.project import ROOT
from support.training import job, make_data

MINE: dict[str, Any] = {
    "model": {"embedding_dim": 8},
    "batch": {"classes": 6},
    "epochs": 1,
}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with images."""
    write_data(tmp_path / "photos")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(probe, "_BUDGET", 0.01)
    monkeypatch.setattr("lookalike.preview.decoding._BUDGET", 0.01)
    return tmp_path


def told(
    folder: Path, monkeypatch: pytest.MonkeyPatch, plan: DryRun, **layer: Any
) -> tuple[str, dict[str, Any]]:
    """What is said of settings, in lines, and the settings as a run has them."""
    file = folder / "mine.yaml"
    values = {"data": {"root": "photos"}, "image": {"size": 16}, "recipes": {"mine": MINE}}
    file.write_text(yaml.safe_dump(values | {"runs": ["mine"]} | layer))
    monkeypatch.setattr(check, "dry_run", lambda *_: plan)
    outlook = look_ahead([file], 1)
    assert outlook.is_well, outlook.lines
    return "\n".join(outlook.lines), checked([file], ROOT).settings


def planned(*trained: str, manifest: bool = True, **embedded: list[str]) -> DryRun:
    counts = {"manifest": 1} if manifest else {}
    counts |= {"train": len(trained), "all": 1, "total": 2 + len(trained)}
    pairs = [(split, model) for split, models in embedded.items() for model in models]
    return DryRun(counts, [*trained], pairs)


def test_a_plan_behind_a_changed_manifest_is_the_most_that_runs(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = planned("mine.0")
    said, settings = told(folder, monkeypatch, plan)
    assert "would run: manifest 1" in said
    assert "most about" not in said.partition("disk:")[0]
    # As the workflow leaves a run.
    run = folder / "results" / "mine.0"
    places = {"trained": str(run), "untrained": str(run / "untrained")}
    made = make_data(folder / "made")
    train_run(job(made, folder, recipe=settings["recipes"]["mine"], **places))
    (folder / "results" / "data_report.json").write_text("{}")
    said, _ = told(folder, monkeypatch, plan)
    assert "would run, at most: manifest 1" in said
    (line,) = [line for line in said.splitlines() if line.startswith("  training mine.0: ")]
    assert line.endswith(", if training images changed")
    assert "  in all at most about " in said
    # A training by other settings is done in any case.
    said, _ = told(folder, monkeypatch, plan, recipes={"mine": MINE | {"epochs": 2}})
    assert "would run, at most: manifest 1" in said
    assert "if training images changed" not in said
    # And so are all jobs, where the manifest stays.
    said, _ = told(folder, monkeypatch, planned("mine.0", manifest=False))
    assert "would run: train 1" in said
    assert "if training images changed" not in said
    assert "  in all about " in said
