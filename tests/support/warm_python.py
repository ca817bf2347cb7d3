"""A Python that has imported its libraries: programs are forked from it, which takes milliseconds.

Each job of the workflow is a program of its own, and most of what a small one costs is importing
torch, snakemake and the like, a hundred times over. `warm_python()` is a command to use in place of
sys.executable. Only libraries are imported beforehand: the code of the project is read anew by
each program, from wherever its PYTHONPATH says. What is killed, measured or run in odd
surroundings should be started by a plain Python.
"""

from __future__ import annotations

import array
import atexit
import contextlib
import gc
import importlib
import json
import os
import runpy
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import traceback
from pathlib import Path
from typing import Any

# What the scripts of the rules and Snakemake import. Not what reads variables when it is imported
# and may be told other things by a job than by us: matplotlib, numba.
LIBRARIES = (
    *("snakemake.cli", "snakemake.executors.local", "snakemake.script", "jsonschema", "yaml"),
    *("numpy", "pandas", "pyarrow", "pyarrow.parquet", "PIL.Image", "tqdm", "jinja2", "psutil"),
    *("torch", "torch.distributed", "safetensors.torch", "lightning_fabric", "scipy.stats"),
    *("kornia.augmentation", "pytorch_metric_learning.losses", "pytorch_metric_learning.miners"),
)
_CAN_FORK = hasattr(os, "pidfd_open")
_LONGEST = 2**20  # bytes of a request: its arguments and variables
_commands: list[str] = []


def warm_python() -> str:
    """The command, whose server runs until this process ends; a plain Python where it cannot be."""
    if not _CAN_FORK:
        return sys.executable
    if not _commands:
        folder = Path(tempfile.mkdtemp(prefix="warm-python-"))
        # A copy, so that no edit of this file comes between a client and its server.
        client = shutil.copy(__file__, folder / "client.py")
        ours = [sys.executable, "-I", "-S", str(client), str(folder / "socket")]
        command = folder / "python"
        command.write_text(f'#!/bin/sh\nexec {" ".join(ours)} "$@"\n')
        command.chmod(0o755)
        place = ["serve", str(folder / "socket"), str(command)]
        server = subprocess.Popen(
            [sys.executable, __file__, *place],
            env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
        )
        atexit.register(_end, server, folder)
        assert server.stdout is not None
        assert server.stdout.readline() == b"ready\n"
        _commands.append(str(command))
    return _commands[0]


def _end(server: subprocess.Popen[bytes], folder: Path) -> None:
    server.kill()
    server.wait()
    shutil.rmtree(folder, ignore_errors=True)


def _ask(path: str, arguments: list[str]) -> int:
    """Have the server run a program with this process's files, folder and variables."""
    process, early = 0, list[int]()

    def pass_on(number: int, _: object) -> None:
        if process:
            os.kill(process, number)
        else:
            early.append(number)

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGHUP):
        signal.signal(number, pass_on)
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(path)
        request = {"arguments": arguments, "folder": str(Path.cwd()), "variables": {**os.environ}}
        files = array.array("i", [0, 1, 2])
        connection.sendmsg([b"."], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, files)])
        connection.sendall(json.dumps(request).encode() + b"\n")
        answers = connection.makefile("rb")
        process = int(answers.readline())
        for missed in early:
            os.kill(process, missed)
        status = int(answers.readline())
    if status < 0:  # end as it did
        with contextlib.suppress(OSError):  # SIGKILL has no other way
            signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    return status


def _serve(path: str, command: str) -> list[str]:
    """Fork a process for each request; returns in those processes alone, with the arguments."""
    sys.path.pop(0)  # the folder of this file
    for library in LIBRARIES:
        importlib.import_module(library)
    gc.collect()
    gc.freeze()  # what was imported is not looked through again in each process
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(path)
    listening.listen(64)
    # By the file that tells of something: who asks, and the process that was started for it.
    asking: dict[int, tuple[socket.socket, int]] = {}
    ready = selectors.DefaultSelector()
    ready.register(listening, selectors.EVENT_READ)
    parent = os.getppid()
    print("ready", flush=True)
    while os.getppid() == parent:
        for key, _ in ready.select(timeout=5):
            if key.fileobj is not listening:
                connection, process = asking.pop(key.fd)
                _, status = os.waitpid(process, 0)
                with contextlib.suppress(OSError):
                    connection.sendall(b"%d\n" % os.waitstatus_to_exitcode(status))
                connection.close()
                ready.unregister(key.fileobj)
                os.close(key.fd)
                continue
            connection, _ = listening.accept()
            request, files = _request(connection)
            process = os.fork()
            if process == 0:
                listening.close()
                for other, _ in asking.values():
                    other.close()
                connection.close()
                return _become(request, files, command)
            connection.sendall(b"%d\n" % process)
            for file in files:
                os.close(file)
            ended = os.pidfd_open(process)
            asking[ended] = connection, process
            ready.register(ended, selectors.EVENT_READ)
    os._exit(0)  # the tests were killed


def _request(connection: socket.socket) -> tuple[dict[str, Any], list[int]]:
    files = array.array("i")
    _, extra, *_ = connection.recvmsg(1, socket.CMSG_SPACE(3 * files.itemsize))
    files.frombytes(extra[0][2])
    with connection.makefile("rb") as stream:
        return json.loads(stream.readline(_LONGEST)), files.tolist()


def _become(request: dict[str, Any], files: list[int], command: str) -> list[str]:
    """Make this process what the one that asked would have been."""
    for target, file in enumerate(files):
        os.dup2(file, target)
        os.close(file)
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["variables"])
    sys.executable = command
    arguments: list[str] = request["arguments"]
    packages = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    if arguments[0] == "-P":
        first, arguments = "", arguments[1:]
    else:
        is_module = arguments[0] == "-m"
        first = str(Path.cwd() if is_module else Path(arguments[0]).resolve().parent)
    sys.path[:] = [*filter(None, [first, *packages]), *sys.path]
    return arguments


def _run(arguments: list[str]) -> int:
    """Run a program to its end, as Python would; returns its status."""
    try:
        if arguments[0] == "-m":
            sys.argv = arguments[1:]
            runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
        else:
            sys.argv = arguments
            runpy.run_path(arguments[0], run_name="__main__")
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            return end.code or 0
        print(end.code, file=sys.stderr)
        return 1
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


if __name__ == "__main__":
    place, *options = sys.argv[1:]
    if place == "serve":
        ended = _run(_serve(*options))
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(ended)  # to take the libraries down again would take as long as to import them
    if options and (options[0][:1] != "-" or options[0] == "-m" or options[:2] == ["-P", "-m"]):
        sys.exit(_ask(place, options))
    os.execv(sys.executable, [sys.executable, *options])  # Python itself knows its other options
