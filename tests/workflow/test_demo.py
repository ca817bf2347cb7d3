"""The demo's data, made by its rule."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from support.drawn_layout import labels
from support.project import ROOT


@pytest.mark.workflow
def test_the_rule_makes_the_promised_counts_once(tmp_path: Path) -> None:
    (tmp_path / "Snakefile").write_text(
        "code_of = software_of = str\n"
        'pathvars:\n    results="results",\n'
        f"include: {str(ROOT / 'rules' / 'demo.smk')!r}\n"
    )
    command = [sys.executable, "-m", "snakemake", "--cores", "1", "demo"]
    first = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert first.returncode == 0, first.stderr
    root = tmp_path / "resources" / "demo"
    train, test = (labels(root, f"{part}_image_info.json") for part in ("train", "test"))
    assert (len(set(train.values())), len(train)) == (400, 1200)
    queries = [name for name in test if name.endswith(".twemoji.png")]
    assert (len(queries), len(test) - len(queries)) == (150, 700)
    assert len(set(test.values())) == 150 + 200
    again = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "Nothing to be done" in again.stderr
