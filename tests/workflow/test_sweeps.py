"""Sweeps from which winners are chosen, through the real Snakemake, killed and resumed."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from support.drawings import write_data
from support.snakemake_runs import Run, repeatable, snakemake, start, write_settings

pytestmark = pytest.mark.workflow

SMALL: dict[str, Any] = {
    "image": {"size": 32},
    "recipes": {
        "base": {
            "epochs": 1,
            "model": {"embedding_dim": 8},
            "batch": {"classes": 4},
        }
    },
}
LOSSES = ["triplet", "contrastive"]


class Sweep:
    """A folder with data, and a recipe `ms` that extends `base`, swept in folds."""

    def __init__(self, folder: Path, seeds: list[int], **recipe: Any) -> None:
        self.folder, self.seeds = folder, seeds
        self.recipe = {"extends": "base", "folds": 2, **recipe}
        write_data(folder / "data", train_classes=8, test_classes=3)

    def start(self) -> None:
        """Write the settings."""
        recipes = {**SMALL["recipes"], "ms": self.recipe}
        write_settings(
            self.folder, {**SMALL, "runs": ["ms"], "seeds": self.seeds, "recipes": recipes}
        )

    def run(self, *arguments: str) -> Run:
        """Run the workflow; it must succeed."""
        self.start()
        done = snakemake(self.folder, *arguments)
        assert done.status == 0, done.output
        return done

    def kill_after(self, n_histories: int) -> None:
        """Run the workflow and kill it and its jobs without warning once so much is trained."""
        self.start()
        process = start(self.folder, own_group=True)
        limit = time.monotonic() + 1800
        try:
            while len([*self.folder.glob("results/*/history.parquet")]) < n_histories:
                assert process.poll() is None, process.communicate()[0]
                assert time.monotonic() < limit
                time.sleep(0.05)
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
        assert snakemake(self.folder, "--unlock").status == 0

    @property
    def selection(self) -> dict[str, Any]:
        """What results/selection.json says of the sweep."""
        text = (self.folder / "results" / "selection.json").read_text()
        return json.loads(text)["ms"]  # type: ignore[no-any-return]

    def contents(self, *finals: str) -> dict[str, bytes]:
        """All of which bytes are repeatable."""
        runs = [f"{final}.{seed}" for final in finals for seed in self.seeds]
        decisions = sorted(self.folder.glob("results/selection/*.json"))
        names = [
            "results/selection.json",
            *(str(path.relative_to(self.folder)) for path in decisions),
            *repeatable(*runs),
        ]
        return {name: (self.folder / name).read_bytes() for name in names}

    def mean_score(self, recipe: str) -> float:
        """A candidate's mean over folds and seeds, from the histories themselves."""
        scores = []
        for fold in range(2):
            for seed in self.seeds:
                path = self.folder / "results" / f"{recipe}-fold{fold}.{seed}" / "history.parquet"
                history = pq.read_table(path).to_pandas()
                scores.append(history.loc[history["kept"], "validation_mAP@R"].item())
        return float(sum(scores) / len(scores))


def test_a_sweep_chooses_by_held_out_classes_and_goes_on_after_a_kill(tmp_path: Path) -> None:
    axes = {"loss.name": LOSSES, "optimizer.lr": [0.0003, 0.003]}
    whole, killed = (
        Sweep(tmp_path / name, [0], sweep=axes, select={"per": "loss.name"})
        for name in ("whole", "killed")
    )
    # Four candidates in two folds, and two winners.
    done = whole.run()
    expected = {"train": 8 + 2, "select": 1, "selection": 1, "embed": 8, "metrics": 4}
    assert done.jobs.items() >= expected.items()
    results = whole.folder / "results"
    candidates = [f"ms-{loss}-lr{lr}" for loss in LOSSES for lr in (0.0003, 0.003)]
    values = {name: whole.mean_score(name) for name in candidates}
    for loss in LOSSES:
        winner = max(candidates, key=lambda name: (f"-{loss}-" in name, values[name]))
        final = f"ms-{loss}"
        assert whole.selection["winners"][final] == winner
        made = json.loads((results / f"{final}.0" / "model.json").read_text())["settings"]
        assert (made["loss"]["name"], made["validation"]["classes"]) == (loss, 0)
        assert winner.endswith(f"lr{made['optimizer']['lr']}")
        # On all classes, and scored on the test split; the candidates on neither.
        log = (results / "logs" / f"{final}.0" / "train.log").read_text()
        assert "training on 32 images, 1 epochs" in log
        parts = [
            (results / "logs" / f"{winner}-fold{fold}.0" / "train.log").read_text()
            for fold in (0, 1)
        ]
        assert all("16 images of held-out classes to validate on" in part for part in parts)
        assert not (results / f"{winner}-fold0.0" / "embeddings").exists()
    known = {one["recipe"]: one["value"] for one in whole.selection["candidates"]}
    assert known == pytest.approx(values)
    assert "Nothing to be done" in whole.run().output

    killed.kill_after(3)
    killed.run()
    finals = [f"ms-{loss}" for loss in LOSSES]
    assert killed.contents(*finals) == whole.contents(*finals)

    page = (results / "report.html").read_text()
    for loss in LOSSES:
        assert f"{whole.selection['winners'][f'ms-{loss}']}</strong>" in page
    assert page.count("of 2 candidates") == 2

    # A further candidate that does not win trains nothing but itself; the page tells of it.
    before = whole.contents(*finals)
    whole.recipe["sweep"]["optimizer.lr"].append(1e-9)
    done = whole.run()
    worse = [f"ms-{loss}-lr1e-09" for loss in LOSSES]
    assert {*worse}.isdisjoint(whole.selection["winners"].values())
    assert done.jobs == {"train": 4, "select": 1, "selection": 1, "report": 1}
    assert (results / "report.html").read_text().count("of 3 candidates") == 2
    after = whole.contents(*finals)
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"results/selection.json", "results/selection/ms.0.json"}


@pytest.mark.long
def test_a_sweep_of_200_short_runs_killed_twice_ends_in_equal_bytes(tmp_path: Path) -> None:
    axes = {"optimizer.lr": {"from": 1e-4, "to": 1e-2, "scale": "log"}, "loss.name": LOSSES}
    whole, killed = (
        # 75 candidates in two folds, of which 150 + 38 + 8 + 2 runs are made, and two winners.
        Sweep(
            tmp_path / name,
            [0],
            steps=8,
            sweep=axes,
            sample=75,
            select={"per": "loss.name"},
            budget={"halving": 4},
        )
        for name in ("whole", "killed")
    )
    done = whole.run("--quiet", "rules")
    assert done.status == 0
    trained = [*(whole.folder / "results").glob("*/history.parquet")]
    assert 180 <= len(trained) <= 220
    for n in (8, 20):
        killed.kill_after(n)
    killed.run()
    finals = [f"ms-{loss}" for loss in LOSSES]
    assert killed.contents(*finals) == whole.contents(*finals)
