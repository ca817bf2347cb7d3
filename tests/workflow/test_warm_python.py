"""What runs the tests' workflows does what a plain Python does."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from support.warm_python import warm_python

pytestmark = pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="there is none here")

PROGRAMS = {
    "what it is given": "print(sys.argv[1:], os.getcwd(), os.environ['MINE'], __name__)",
    "where it looks": "import mine; print(mine.NAME, [p for p in sys.path if 'support' in p])",
    "its input": "print(sys.stdin.read())",
    "its end": "print('to stderr', file=sys.stderr); sys.exit(3)",
    "its last words": "sys.exit('no more')",
    "its errors": "raise ValueError('of the program')",
    "its signals": "os.kill(os.getpid(), signal.SIGKILL)",
    "its exit functions": "import atexit; atexit.register(print, 'at the end')",
    "its threads": "import threading, time\n"
    "threading.Thread(target=lambda: (time.sleep(0.2), print('done'))).start()",
}


@pytest.mark.parametrize("code", PROGRAMS.values(), ids=PROGRAMS)
def test_a_program_does_the_same(tmp_path: Path, code: str) -> None:
    (tmp_path / "packages").mkdir()
    (tmp_path / "packages" / "mine.py").write_text("NAME = 'from PYTHONPATH'")
    (tmp_path / "program.py").write_text(f"import os, signal, sys\n{code}\n")
    said = []
    for python in (sys.executable, warm_python()):
        done = subprocess.run(
            [python, "program.py", "one", "--two=3 4"],
            cwd=tmp_path,
            env={**os.environ, "MINE": "5", "PYTHONPATH": str(tmp_path / "packages")},
            input="words",
            capture_output=True,
            text=True,
        )
        said.append((done.returncode, done.stdout, done.stderr.splitlines()[-1:]))
    assert said[0] == said[1]


@pytest.mark.parametrize(
    "options", [["-m", "program"], ["-P", "-m", "mine"], ["-c", "print(5)"], ["-V"], ["-P", "-V"]]
)
def test_options_mean_the_same(tmp_path: Path, options: list[str]) -> None:
    (tmp_path / "packages").mkdir()
    (tmp_path / "packages" / "mine.py").write_text("import sys; print(sys.argv[1:], sys.path[0])")
    (tmp_path / "program.py").write_text("import sys; print(sys.argv[1:], sys.path[0])")
    (tmp_path / "mine.py").write_text("print('of the working directory')")
    said = [
        subprocess.run(
            [python, *options],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(tmp_path / "packages")},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for python in (sys.executable, warm_python())
    ]
    assert said[0] == said[1]


def test_a_signal_reaches_the_program(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(
        "import signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))\n"
        "print('ready', flush=True)\ntime.sleep(60)\n"
    )
    command = [warm_python(), str(tmp_path / "program.py")]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == b"ready\n"
        running.send_signal(signal.SIGTERM)
        assert running.wait(30) == 7
