"""Starting the processes of one training, and looking after them until all have ended.

Within a Slurm job they are tasks of a step (`srun`), so that Slurm binds, counts and ends them;
elsewhere they are children of this process. They find each other by environment variables, as
torch's and Slurm's own launchers set them.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from types import FrameType

from lookalike.errors import LookalikeError
from lookalike.jobs.interruption import STOP, Interrupted, handled_by
from lookalike.training.job import TrainingJob

# Seconds that the other processes have to end by themselves when one has failed.
GRACE = 20.0


def launch(job: TrainingJob, log_file: str | Path, keep_open: Sequence[int] = ()) -> None:
    """Run a training by `job.processes` processes.

    Args:
        job: what they do.
        log_file: the first process adds to it, the others only what goes wrong.
        keep_open: file descriptors that the processes inherit: locks that must last as they do.

    Raises:
        LookalikeError: a process failed; the log says why.
        Interrupted: a signal asked to end, and the processes did, keeping the state.
    """
    with tempfile.TemporaryDirectory(prefix="lookalike-") as folder:
        job_file = Path(folder) / "job.json"
        job_file.write_text(
            json.dumps({"log": str(log_file), "job": asdict(job)}), encoding="utf-8"
        )
        # -P: modules in the working directory are the user's, not ours.
        worker = [sys.executable, "-P", "-m", "lookalike.steps.train_worker", str(job_file)]
        with _forwarding_signals() as (children, asked):
            for command, environment in commands(worker, job.processes, job.threads, os.environ):
                children.append(
                    subprocess.Popen(command, env={**os.environ, **environment}, pass_fds=keep_open)
                )
            failed = _wait(children)
        if asked:
            raise Interrupted(asked[0])
        if failed:
            raise LookalikeError(
                f"a training process ended with status {failed}; what it said is above and in "
                f"{log_file}"
            )


def commands(
    worker: Sequence[str], processes: int, threads: int, environment: Mapping[str, str]
) -> list[tuple[list[str], dict[str, str]]]:
    """What to start, and the variables that each has beside this process's own.

    Args:
        worker: the command of one process.
        processes: how many there are.
        threads: of the CPU, of all processes together.
        environment: of this process; in a Slurm job, the processes are one `srun`.
    """
    if "SLURM_JOB_ID" in environment and shutil.which("srun", path=environment.get("PATH")):
        # Within the step that this process is of; all see all GPUs and take each their own.
        share = max(1, threads // processes)
        # Both: Slurm goes by the first, where the environment has that of an outer step, and Fabric
        # asks for the second.
        tasks = [f"--ntasks={processes}", f"--ntasks-per-node={processes}"]
        # As much memory as the job has, whatever it was asked for by.
        step = ["--nodes=1", *tasks, f"--cpus-per-task={share}", "--mem=0"]
        return [(["srun", "--overlap", "--kill-on-bad-exit=1", *step, *worker], {})]
    meeting = {
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(_free_port()),
        "WORLD_SIZE": str(processes),
        "LOCAL_WORLD_SIZE": str(processes),
        "GROUP_RANK": "0",
    }
    ranks = map(str, range(processes))
    return [(list(worker), {**meeting, "RANK": rank, "LOCAL_RANK": rank}) for rank in ranks]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def _forwarding_signals() -> Iterator[tuple[list[subprocess.Popen[bytes]], list[int]]]:
    """Yield a list to put children in, and one of the signals to end that came.

    What this process is asked by a signal, the children are asked too.
    """
    children: list[subprocess.Popen[bytes]] = []
    asked: list[int] = []

    def forward(number: int, frame: FrameType | None) -> None:
        if number in STOP:
            asked.append(number)
        for child in children:
            child.send_signal(number)

    with handled_by(forward):
        try:
            yield children, asked
        finally:
            for child in children:
                if child.poll() is None:
                    child.kill()


def _wait(children: Sequence[subprocess.Popen[bytes]]) -> int:
    """Wait for all to end; where one fails, end the others. Returns the first failure's status."""
    failed, since = 0, 0.0
    while running := [child for child in children if child.poll() is None]:
        if not failed:
            failed = next((child.returncode for child in children if child.returncode), 0)
            if failed:
                since = time.monotonic()
                for child in running:
                    child.terminate()
        elif time.monotonic() - since > GRACE:
            for child in running:
                child.kill()
        time.sleep(0.05)
    return failed or next((child.returncode for child in children if child.returncode), 0)
