"""Jobs end with their run, however it ends, as far as the kernel can tell."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lookalike.jobs import lifeline

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/stat").exists(), reason="looks at processes by /proc"
)

# A run that starts a job, tells its number and waits; the job follows the run after some seconds.
RUN = """
import subprocess, sys, time
from lookalike.jobs import lifeline
lifeline.announce_run()
job = "import time; time.sleep({late}); from lookalike.jobs import lifeline; "
job += "lifeline.end_with_run(); time.sleep(60)"
print(subprocess.Popen([sys.executable, "-c", job], stdout=subprocess.DEVNULL).pid, flush=True)
time.sleep(60)
"""


def is_at_work(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("is_reaped", [True, False])
@pytest.mark.parametrize("late", [0, 1.5])
def test_a_job_ends_with_a_killed_run_and_not_before(late: float, is_reaped: bool) -> None:
    # late: the job follows when the run is gone already.
    run = subprocess.Popen([sys.executable, "-c", RUN.format(late=late)], stdout=subprocess.PIPE)
    assert run.stdout is not None
    job = int(run.stdout.readline())
    time.sleep(0 if late else 1.5)
    assert is_at_work(job)
    run.send_signal(signal.SIGKILL)
    if is_reaped:
        run.wait()
    until = time.monotonic() + 20
    while is_at_work(job):
        assert time.monotonic() < until, "the job works on"
        time.sleep(0.05)
    run.wait()
    run.stdout.close()


def test_another_process_of_the_same_number_is_not_the_run() -> None:
    assert lifeline._start_of(os.getpid()).isdigit()
    # The kernel's own count, which does not move when the clock is set: see proc(5).
    fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    assert int(lifeline._start_of(os.getpid())) == 100 * int(fields[19]) // os.sysconf("SC_CLK_TCK")
    assert lifeline._start_of(os.getpid()) != lifeline._start_of(1)
    assert lifeline._start_of(2**22 + 1) == "gone"


@pytest.mark.parametrize("value", ["", "7", "7 7", "1 2 another-namespace"])
def test_a_run_that_cannot_be_seen_is_not_followed(
    value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def begun(*_: object, **__: object) -> None:
        raise AssertionError("follows")

    monkeypatch.setenv(lifeline.VARIABLE, value)
    monkeypatch.setattr("threading.Thread", begun)
    lifeline.end_with_run()


# A Snakemake at the moment that its scheduler has its lock, with a job at work.
LOCKED = """
import os, signal, subprocess, sys, threading
from snakemake.scheduling.job_scheduler import JobScheduler
from lookalike.jobs import lifeline
scheduler = JobScheduler.__new__(JobScheduler)
scheduler._lock, scheduler._open_jobs = threading.Lock(), threading.Semaphore(0)
scheduler._user_kill = None
signal.signal(signal.SIGTERM, scheduler.exit_gracefully)
lifeline.forward_sigterm()
job = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
with scheduler._lock:
    os.kill(os.getpid(), signal.SIGTERM)
    before = scheduler._user_kill
scheduler._open_jobs.acquire()
print(before, scheduler._user_kill, job.wait())
"""


def test_a_signal_ends_jobs_also_while_the_scheduler_is_locked() -> None:
    done = subprocess.run(
        [sys.executable, "-c", LOCKED], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout.split() == ["None", "graceful", str(-signal.SIGTERM)], done.stderr
