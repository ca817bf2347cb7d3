"""The benchmark for a GPU runs, small, on what is there; and that of thresholds."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import threshold_ways
from lookalike.embedding.tables import write_embeddings
from support.project import ROOT
from support.ranked import normal

# What a machine with a GPU may lack.
ABSENT = ("snakemake", "torchvision", "jsonschema", "imagehash", "hypothesis", "sklearn", "jinja2")
PROGRAM = f"""
import runpy, sys
for name in {ABSENT}:
    sys.modules[name] = None
sys.argv = ["gpu.py", "--small", "--output", sys.argv[1]]
runpy.run_path({str(ROOT / "benchmarks" / "gpu.py")!r}, run_name="__main__")
"""


@pytest.mark.slow
def test_the_benchmark_for_a_gpu_runs_with_few_libraries(tmp_path: Path) -> None:
    output = tmp_path / "results.json"
    # The files of benchmarks import each other.
    program = f"import sys; sys.path.insert(0, {str(ROOT / 'benchmarks')!r})" + PROGRAM
    done = subprocess.run(
        [sys.executable, "-c", program, str(output)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(output.read_text())
    assert told["left_out"] == []
    assert len(told["results"]) == 12
    for result in told["results"]:
        what = result["what"].strip()
        number = result.get("value", result.get("ratio"))
        apart = "furthest" in what or what == "the median"
        assert (0 <= number < 1e-4) if apart else number > 0, what


@pytest.mark.slow
def test_the_tests_of_a_gpu_are_found_with_few_libraries() -> None:
    program = (
        f"import sys, pytest\nfor name in {ABSENT}: sys.modules[name] = None\n"
        "sys.exit(pytest.main(['--collect-only', '-m', 'cuda', '-p', 'no:cacheprovider', "
        f"{str(ROOT / 'tests' / 'unit' / 'test_cuda.py')!r}]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "test_a_gpu_embeds_as_a_cpu_does" in done.stdout
    assert "[cpu]" not in done.stdout


def test_both_ways_of_choosing_a_threshold_are_compared(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Held-out images of the same kind keep a promise, of easier classes they do not."""
    for name, noise in (("alike", 0.9), ("easier", 0.3)):
        tables = {
            "embeddings/query": ("q", 40, 4, 0.9),
            "embeddings/gallery": ("g", 40, 6, 0.9),
            "held_out/embeddings": ("h", 60, 8, noise),
        }
        for seed, (path, (of, n_classes, each, spread)) in enumerate(tables.items()):
            labels = np.repeat(np.arange(n_classes), each)
            centres = normal(n_classes, 8, seed=1 if of in "qg" else 2)
            vectors = centres[labels] + spread * normal(len(labels), 8, seed=3 + seed)
            output = tmp_path / name / "run" / f"{path}.parquet"
            write_embeddings(
                output,
                [f"{of}{i}" for i in range(len(labels))],
                [f"{of.replace('g', 'q')}{label}" for label in labels],
                ["0" * 64] * len(labels),
                vectors,
                {"score": "cosine"},
            )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        "sys.argv", ["ways", "alike/run", "easier/run", "--halves", "10", "--events", "3"]
    )
    threshold_ways.main()
    _, _, *rows = capsys.readouterr().out.splitlines()
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
    assert [row[0] for row in cells] == ["alike", "easier"]
    away = [[float(cell.partition("(")[2].rstrip(")")) for cell in row[5:]] for row in cells]
    (of_queries, of_alike), (again, of_easier) = away
    assert of_queries == again < 0.05
    assert of_alike < 0.05 < of_easier
