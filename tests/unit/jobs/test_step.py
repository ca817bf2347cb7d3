"""What surrounds the work of every step: an error anywhere in it stands in the step's log."""

import subprocess
import sys
from pathlib import Path

import pytest

from support.project import ROOT

SCRIPTS = sorted((ROOT / "workflow" / "scripts").glob("*.py"))


def test_an_import_that_fails_stands_in_the_steps_log(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("raise RuntimeError('no such driver')\n")
    program = 'from lookalike.jobs.step import step\nwith step("step.log"):\n    import broken\n'
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=False)
    assert done.returncode == 1
    assert "no such driver" in (tmp_path / "step.log").read_text()


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_script_imports_nothing_that_can_fail_outside_of_its_step(script: Path) -> None:
    lines = script.read_text().splitlines()
    outside = [line for line in lines if line.startswith(("import", "from"))]
    assert set(outside) <= {"from pathlib import Path", "from lookalike.jobs.step import step"} | {
        "from lookalike.jobs.step import log, step"
    }
