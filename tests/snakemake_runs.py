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

ROOT = Path(__file__).resolve().parents[1]

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


def snakemake(folder: Path, *arguments: str, snakefile: Path = ROOT / "Snakefile") -> Run:
    """Call Snakemake in `folder`, with the settings of `folder`/mine.yaml where they are.

    The package is the one beside the Snakefile: a copy of the project runs its own code.
    """
    settings = ["--configfile", "mine.yaml"] if (folder / "mine.yaml").exists() else []
    program = [sys.executable, "-m", "snakemake", "--snakefile", str(snakefile), "--cores", "2"]
    done = subprocess.run(
        [*program, *arguments, *settings],  # --configfile takes all that follows it
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(snakefile.parent / "workflow")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return Run(done.returncode, done.stdout)


def write_settings(folder: Path, settings: dict[str, Any]) -> None:
    """Write `settings` as the folder's mine.yaml."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "mine.yaml").write_text(yaml.safe_dump(settings))
