"""Running the real Snakemake on the project's Snakefile, in a folder of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from support.project import ROOT
from support.warm_python import warm_python

# Small enough for a test, and everything is there.
QUICK: dict[str, Any] = {
    "image": {"size": 32},
    "recipes": {
        "default": {
            "epochs": 4,
            "model": {"embedding_dim": 16},
            "batch": {"classes": 4},
            "validation": {"classes": 0.2},
        }
    },
}


# The jobs at the end, which any change of results runs.
FINAL = {"compare": 1, "report": 1}


@dataclass(frozen=True)
class Run:
    """What a call of Snakemake did."""

    status: int
    output: str

    @property
    def jobs(self) -> dict[str, int]:
        """How many jobs of each rule ran to their end (`all` is not counted)."""
        finished = re.findall(r"^Finished jobid: \d+ \(Rule: (\w+)\)", self.output, re.MULTILINE)
        return {rule: finished.count(rule) for rule in set(finished) - {"all"}}


def repeatable(*runs: str) -> list[str]:
    """Everything of which "byte for byte" is said: of all, and of `runs` (such as default.0)."""
    models = [f"{run}{twin}" for run in runs for twin in ("", "/untrained")]
    of_a_model = (
        "model.safetensors",
        "model.json",
        "embeddings/query.parquet",
        "embeddings/gallery.parquet",
        "metrics.json",
        "per_query.parquet",
        "rankings.parquet",
    )
    return [
        *(f"results/{run}/threshold.json" for run in runs),
        "results/manifest/train.parquet",
        "results/manifest/query.parquet",
        "results/manifest/gallery.parquet",
        "results/data_report.json",
        "results/comparison.csv",
        "results/comparison.parquet",
        "results/comparison.md",
        "results/comparison.tex",
        *(f"results/{model}/{name}" for model in models for name in of_a_model),
    ]


def start(
    folder: Path,
    *arguments: str,
    snakefile: Path = ROOT / "Snakefile",
    own_group: bool = False,
    python: str = sys.executable,
) -> subprocess.Popen[str]:
    """Start Snakemake in `folder`, with the settings of `folder`/mine.yaml where they are.

    The package is the one beside the Snakefile: a copy of the project runs its own code.
    own_group: it and its jobs make a process group, so that a test can kill them at once.
    """
    settings = ["--configfile", "mine.yaml"] if (folder / "mine.yaml").exists() else []
    package = [str(snakefile.parent / "workflow"), *filter(None, [os.environ.get("PYTHONPATH")])]
    program = [python, "-m", "snakemake", "--snakefile", str(snakefile), "--cores", "2"]
    return subprocess.Popen(
        [*program, *arguments, *settings],  # --configfile takes all that follows it
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(package)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=own_group,
    )


def snakemake(
    folder: Path,
    *arguments: str,
    snakefile: Path = ROOT / "Snakefile",
    python: str | None = None,
) -> Run:
    """Call Snakemake as `start` does, and wait for its end.

    python: what runs it and its jobs; by default one that has imported its libraries already.
    """
    with start(folder, *arguments, snakefile=snakefile, python=python or warm_python()) as process:
        output, _ = process.communicate()
    return Run(process.returncode, output)


def write_settings(folder: Path, settings: dict[str, Any]) -> None:
    """Write `settings` as the folder's mine.yaml."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "mine.yaml").write_text(yaml.safe_dump(settings))
