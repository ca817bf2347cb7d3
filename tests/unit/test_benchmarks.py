"""The benchmark for a GPU runs, small, on what is there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from support.project import ROOT

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
