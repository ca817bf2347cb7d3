"""A real Slurm on this machine, for tests: one node, two pretended GPUs, a folder of its own.

Debian's slurm-wlm and munge are used as they come, as root and without systemd. No other
configuration of the machine is read or changed.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

GPUS = 2
# More than there are, so that jobs wait for GPUs and for nothing else.
CPUS, MEMORY_MB = 16, 128_000

SLURM_CONF = """
ClusterName=test
SlurmctldHost=localhost(127.0.0.1)
SlurmctldPort={controller_port}
SlurmdPort={node_port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket={folder}/munge/socket
# Without cgroups, which a container may not have, and without an accounting database.
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
SwitchType=switch/none
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/filetxt
JobCompLoc={folder}/jobcomp.log
# Finished jobs stay to be looked at.
MinJobAge=86400
SchedulerType=sched/backfill
# No reservations: on one node, a job that waits for a GPU would hold back all others.
SchedulerParameters=bf_interval=1,sched_interval=5,bf_min_prio_reserve=4294967295
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
GresTypes=gpu
# Else a job that names no memory takes the whole node.
DefMemPerCPU=500
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
SlurmctldTimeout=30
SlurmdTimeout=60
KillWait=5
ReturnToService=2
MailProg=/bin/true
SlurmdParameters=config_overrides
NodeName=localhost NodeAddr=127.0.0.1 CPUs={cpus} RealMemory={memory} Gres=gpu:fake:{gpus}
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""
# A character device each: with a plain file, jobs get no CUDA_VISIBLE_DEVICES.
GRES_CONF = """
AutoDetect=off
NodeName=localhost Name=gpu Type=fake File={folder}/gpu[0-{last}]
"""
# Snakemake's job step drops SLURM_CONF; without a database, sacct must read the file of completed
# jobs; and sbatch is written down.
PROGRAMS = {
    "srun": 'SLURM_CONF={conf} exec {real} "$@"',
    "sacct": 'SLURM_CONF={conf} exec {real} -c "$@"',
    "sbatch": 'echo "sbatch $*" >> {folder}/sbatch.log\nexec {real} "$@"',
}


def why_not() -> str:
    """Why no cluster can be started here; empty where one can."""
    for program in ("slurmctld", "slurmd", "munged", "sbatch", "srun", "sacct"):
        if shutil.which(program) is None:
            return f"{program} is not installed: apt-get install slurm-wlm munge"
    if os.geteuid() != 0:
        return "Slurm's daemons must be started as root"
    with tempfile.TemporaryDirectory() as folder:
        try:
            _make_gpu(Path(folder) / "gpu")
        except PermissionError:
            return "no device files can be made here, and pretended GPUs are such: allow MKNOD"
    return ""


@dataclass
class Job:
    """What Slurm says of a job.

    Attributes:
        number: its id.
        facts: as `scontrol show job` names them.
    """

    number: int
    facts: dict[str, str]

    @property
    def gpus(self) -> int:
        """How many GPUs it asked for."""
        asked = re.search(r"gpu(?::\w+)?:(\d+)", self.facts.get("TresPerJob", ""))
        return int(asked[1]) if asked else 0

    @property
    def span(self) -> tuple[str, str]:
        """When it started and ended."""
        return self.facts["StartTime"], self.facts["EndTime"]


@dataclass
class Cluster:
    """A running Slurm.

    Attributes:
        folder: of its configuration, state and logs.
        environment: of programs that use it.
    """

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)

    def start(self) -> None:
        """Write the configuration and start the daemons."""
        for name in ("munge", "state", "spool", "bin"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        (self.folder / "munge").chmod(0o755)
        for number in range(GPUS):
            _make_gpu(self.folder / f"gpu{number}")
        conf = self.folder / "slurm.conf"
        conf.write_text(
            SLURM_CONF.format(
                folder=self.folder,
                controller_port=_free_port(),
                node_port=_free_port(),
                cpus=CPUS,
                memory=MEMORY_MB,
                gpus=GPUS,
            )
        )
        (self.folder / "gres.conf").write_text(GRES_CONF.format(folder=self.folder, last=GPUS - 1))
        for name, body in PROGRAMS.items():
            script = self.folder / "bin" / name
            real = shutil.which(name)
            script.write_text(
                f"#!/bin/sh\n{body}\n".format(conf=conf, real=real, folder=self.folder)
            )
            script.chmod(0o755)
        path = os.pathsep.join([str(self.folder / "bin"), os.environ["PATH"]])
        self.environment = {**os.environ, "SLURM_CONF": str(conf), "PATH": path}
        key = self.folder / "munge" / "key"
        key.write_bytes(os.urandom(128))
        key.chmod(0o600)
        munge = {"socket": "socket", "pid-file": "pid", "log-file": "log", "seed-file": "seed"}
        files = [f"--{option}={self.folder}/munge/{name}" for option, name in munge.items()]
        self.run("munged", f"--key-file={key}", *files)
        self.start_controller()
        self.run("slurmd", "-f", str(conf), "-N", "localhost")
        self.wait_until_up()

    def run(self, *command: str) -> str:
        """Run a program; returns what it printed."""
        done = subprocess.run(
            command, env=self.environment, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
        return done.stdout

    def start_controller(self) -> None:
        """Start slurmctld; its state is in the folder."""
        self.run("slurmctld", "-f", self.environment["SLURM_CONF"])

    def stop_controller(self) -> None:
        """End slurmctld; jobs go on."""
        _end(self.folder / "slurmctld.pid")

    def wait_until_up(self) -> None:
        """Wait until the node takes jobs."""
        limit = time.monotonic() + 60
        while time.monotonic() < limit:
            with suppress(AssertionError):
                if self.run("sinfo", "-h", "-N", "-o", "%t").strip() in ("idle", "mix", "alloc"):
                    return
            time.sleep(0.2)
        log = (self.folder / "slurmctld.log").read_text()
        raise AssertionError(f"the node did not come up:\n{log[-2000:]}")

    def jobs(self) -> list[Job]:
        """All jobs, those that have ended too."""
        found = []
        for line in self.run("scontrol", "show", "job", "-d", "-o").splitlines():
            facts = dict(re.findall(r"(\w+)=(\S+)", line))
            if "JobId" in facts:
                found.append(Job(int(facts["JobId"]), facts))
        return found

    def running(self) -> list[int]:
        """Ids of the jobs that wait, run or end."""
        return [int(line) for line in self.run("squeue", "-h", "-o", "%i").split()]

    def stop(self) -> None:
        """Cancel all jobs and end the daemons."""
        # Without it, scancel would speak to whatever cluster the machine belongs to.
        if not self.environment:
            return
        with suppress(AssertionError, subprocess.TimeoutExpired):
            self.run("scancel", "-u", "root")
            limit = time.monotonic() + 15
            while self.running() and time.monotonic() < limit:
                time.sleep(0.2)
        for name in ("slurmd.pid", "slurmctld.pid", "munge/pid"):
            _end(self.folder / name)


@contextmanager
def cluster() -> Iterator[Cluster]:
    """Start a cluster, and stop it at the end."""
    with tempfile.TemporaryDirectory(prefix="lookalike-slurm-") as folder:
        here = Cluster(Path(folder))
        # Munge wants a socket that every user can reach.
        here.folder.chmod(0o755)
        try:
            here.start()
            yield here
        finally:
            here.stop()


def most_at_once(spans: Sequence[tuple[str, str, int]]) -> int:
    """The largest sum of what jobs hold at one moment, from (start, end, how many) of each.

    Slurm's times are seconds: what ends in the second in which another starts has ended before.
    """
    events = sorted(
        event
        for start, end, count in spans
        if start != end
        for event in ((start, 1, count), (end, 0, -count))
    )
    most = now = 0
    for _, _, change in events:
        now += change
        most = max(most, now)
    return most


def seconds(time_of_slurm: str) -> float:
    """A time as Slurm writes it, in seconds."""
    return time.mktime(time.strptime(time_of_slurm, "%Y-%m-%dT%H:%M:%S"))


def busy(spans: Iterable[tuple[str, str]]) -> float:
    """Seconds in which at least one of the jobs ran, from (start, end) of each."""
    total, until = 0.0, 0.0
    for start, end in sorted((seconds(start), seconds(end)) for start, end in spans):
        total += max(0.0, end - max(start, until))
        until = max(until, end)
    return total


def _make_gpu(path: Path) -> None:
    null = os.makedev(1, 3)
    os.mknod(path, stat.S_IFCHR | 0o666, null)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _end(pid_file: Path) -> None:
    if not pid_file.exists() or not pid_file.read_text().strip():
        return
    pid = int(pid_file.read_text())
    for number, seconds in ((signal.SIGTERM, 15), (signal.SIGKILL, 5)):
        with suppress(ProcessLookupError):
            os.kill(pid, number)
        limit = time.monotonic() + seconds
        while time.monotonic() < limit:
            status = Path(f"/proc/{pid}/status")
            if not status.exists() or "State:\tZ" in status.read_text():
                return
            time.sleep(0.1)
