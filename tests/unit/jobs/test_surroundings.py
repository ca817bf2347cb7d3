"""What a step makes does not depend on variables and files of whoever starts it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

HOSTILE = {
    "MPLBACKEND": "module://matplotlib_inline.backend_inline",
    "NUMBA_DISABLE_JIT": "1",
    "TQDM_MININTERVAL": "often",
    "SOURCE_DATE_EPOCH": "today",
    "PYTHONWARNINGS": "error",
    "NPY_DISABLE_CPU_FEATURES": "AVX2",
    "HF_HUB_DOWNLOAD_TIMEOUT": "soon",
    "RANK": "3",
    "WORLD_SIZE": "4",
    "LT_CLI_USED": "1",
    "LC_ALL": "C",
    "PYTHONIOENCODING": "ascii:strict",
}
KEPT = {
    "CUDA_VISIBLE_DEVICES": "1",
    "NUMBA_CACHE_DIR": "/somewhere",
    "OMP_NUM_THREADS": "3",
    "PYTORCH_CUDA_ALLOC_CONF": "expandable_segments:True",
    "TORCH_NCCL_BLOCKING_WAIT": "1",
    "SLURM_JOB_ID": "7",
}


def hostile_home(folder: Path) -> dict[str, str]:
    """A working directory and a home whose files change what libraries do, or break them."""
    styles = folder / ".config" / "matplotlib" / "stylelib"
    styles.mkdir(parents=True)
    (styles / "bad.mplstyle").write_bytes(b"\xff\xfe no text")
    (styles.parent / "matplotlibrc").write_text("text.usetex: True\nfont.size: 40\n")
    (folder / "matplotlibrc").write_bytes(b"\xff\xfe no text either")
    (folder / ".numba_config.yaml").write_text("disable_jit: 1\n")
    unset = {"XDG_CACHE_HOME": "", "XDG_CONFIG_HOME": "", "MPLCONFIGDIR": ""}
    return {"HOME": str(folder), "MATPLOTLIBRC": str(folder / "matplotlibrc"), **unset}


def run(folder: Path, program: str, environment: dict[str, str]) -> str:
    """What a program prints that is run in `folder`."""
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


DRAWN = """
from lookalike.jobs.step import step
with step("step.log"):
    from lookalike.report.svg import Curve, Measured, Versus, curves, versus
    line = Curve("a $b$ & c", 0, [(1, 0.5), (2, 0.25)])
    row = Versus("run", 1, [Measured(0.5, 0.4, 0.6), Measured(0.1)], 0.05)
    print(curves("one", "a curve", [line]), versus("two", "rows", [row]))
"""

COMPUTED = """
from lookalike.jobs.step import step
with step("step.log"):
    import os, warnings
    import lookalike.steps.train, numba, numpy
    from lookalike.retrieval.counting import hashes
    text = numpy.frombuffer("tätä".encode(), numpy.uint8)
    print(hashes(text, numpy.array([0, 3, 6], numpy.int32)))
    print(hasattr(hashes, "py_func") or numba.config.DISABLE_JIT)
    warnings.warn("no error", RuntimeWarning)
    print({name: os.environ.get(name) for name in %r})
"""


def test_a_chart_is_drawn_the_same_in_any_surroundings(tmp_path: Path) -> None:
    (plain := tmp_path / "plain").mkdir()
    (hostile := tmp_path / "hostile").mkdir()
    expected = run(plain, DRAWN, {})
    assert expected.count("<svg") == 2
    assert run(hostile, DRAWN, {**HOSTILE, **hostile_home(hostile)}) == expected


@pytest.mark.slow
def test_libraries_compute_the_same_in_any_surroundings(tmp_path: Path) -> None:
    (plain := tmp_path / "plain").mkdir()
    (hostile := tmp_path / "hostile").mkdir()
    program = COMPUTED % [*KEPT]
    expected = run(plain, program, KEPT)
    # What says where work is done, or where things are kept, is left.
    assert str(KEPT) in expected
    found = run(hostile, program, {**HOSTILE, **KEPT, **hostile_home(hostile)})
    assert found == expected


def test_a_style_that_was_set_in_this_process_is_none_of_the_charts() -> None:
    import matplotlib

    from lookalike.report.svg import Curve, curves

    line = Curve("run", 0, [(1, 0.5), (2, 0.25)])
    expected = curves("one", "a curve", [line])
    with matplotlib.rc_context({"axes.linewidth": 7, "xtick.major.size": 30, "text.usetex": True}):
        assert curves("one", "a curve", [line]) == expected


HASHES = """
from lookalike.jobs.step import step
with step():
    import numpy as np
    from lookalike.retrieval.counting import hashes
    print(hashes(np.frombuffer(b"abc", np.uint8), np.array([0, 3], np.int32)))
"""


@pytest.mark.parametrize("settings", ["disable_jit: 1", "foo: [unclosed"])
def test_numba_reads_no_settings_of_the_user_when_it_compiles(
    tmp_path: Path, settings: str
) -> None:
    plain, hostile = tmp_path / "plain", tmp_path / "hostile"
    said = []
    for folder in (plain, hostile):
        folder.mkdir()
        if folder == hostile:
            (folder / ".numba_config.yaml").write_text(settings)
        # Nothing is compiled yet.
        said.append(run(folder, HASHES, {"NUMBA_CACHE_DIR": str(folder / "compiled")}))
        assert list((folder / "compiled").rglob("*.nbc"))
    assert said[0] == said[1]
