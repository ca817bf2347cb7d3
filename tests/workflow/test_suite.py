"""`make suite`, very short, on one data set: stopped, taken up again, in the end scored once."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from suite.__main__ import main
from support.project import ROOT

# The data set is scikit-learn's: no package has to be fetched.
SUITE = ["--quick", "--data", "digits", "--recipes", "default", "--seeds", "0", "--cores", "2"]
PEERS = ["--peers", "contrastive", "proxy_anchor"]


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    packages = os.pathsep.join(str(ROOT / name) for name in ("workflow", "benchmarks", "tests"))
    return subprocess.Popen(
        [sys.executable, "-m", "suite", "--folder", str(folder), *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": packages},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def suite(folder: Path, *arguments: str) -> str:
    """The same without a Python of its own; returns how it ended."""
    try:
        main(["--folder", str(folder), *arguments])
    except SystemExit as end:
        return str(end)
    return "done"


def metric(path: Path) -> float:
    return float(json.loads(path.read_text())["metrics"]["mAP@10"])


@pytest.mark.workflow
@pytest.mark.slow
def test_a_suite_is_stopped_taken_up_again_and_scored_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # as it will be, and then no longer
    development = tmp_path / "results" / "suite" / "development"
    with start(tmp_path, *SUITE, *PEERS) as process:
        while not (development / "digits" / "manifest" / "train.parquet").exists():
            assert process.poll() is None, process.communicate()[0]
            time.sleep(0.1)
        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate()
    assert process.returncode == 1
    assert "the same command goes on from here" in output
    assert not (development / "table.csv").exists()

    assert suite(tmp_path, *SUITE, *PEERS) == "done"
    with (development / "table.csv").open() as stream:
        table = list(csv.DictReader(stream))
    rows = {(row["recipe"], row["data"]): row for row in table if row["metric"] == "mAP@10"}
    runs = {
        "default": development / "digits" / "default.0",
        "untrained": development / "digits" / "default.0" / "untrained",
        "peer: contrastive": development / "peer" / "digits" / "contrastive.0",
        "peer: proxy_anchor": development / "peer" / "digits" / "proxy_anchor.0",
    }
    scores = {name: metric(folder / "metrics.json") for name, folder in runs.items()}
    for name, score in scores.items():
        assert float(rows[name, "digits"]["mean"]) == pytest.approx(score, abs=1e-5)
    best = max((name for name in scores if "peer" in name), key=lambda name: scores[name])
    assert rows["peer: chosen", "digits"]["loss"] == best.removeprefix("peer: ")
    # As many steps for everyone, of equal batches.
    for name in ("default", "peer: contrastive", "peer: proxy_anchor"):
        assert rows[name, "digits"]["steps"] == "4"

    made = {path: path.stat().st_mtime_ns for path in development.rglob("m*.json")}
    assert suite(tmp_path, *SUITE, *PEERS) == "done"
    assert "Nothing to be done" in (development / "digits.log").read_text()
    assert made == {path: path.stat().st_mtime_ns for path in development.rglob("m*.json")}

    other = ["--data", "fashion_open", "--seeds", "0", "--final"]
    refused = suite(tmp_path, *other, *PEERS)
    assert "error: no loss of the peer was chosen on fashion_open: run make suite before" in refused
    assert suite(tmp_path, *SUITE, *PEERS, "--final") == "done"
    final = tmp_path / "results" / "suite" / "final"
    losses = [path.name for path in (final / "peer" / "digits").iterdir()]
    assert losses == [f"{best.removeprefix('peer: ')}.0"]
    refused = suite(tmp_path, *SUITE, *PEERS, "--final")
    assert "error: the real splits have been scored" in refused
    assert str(final / "table.md") in refused
