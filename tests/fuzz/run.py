"""Run every fuzz target for FUZZ_SECONDS (60) and print a line each; exit 1 on a finding.

The input behind a finding is kept under FUZZ_FINDINGS (results/fuzz); give it to the target to see
the finding again.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from fuzz.targets import FOLDER_VARIABLE, memory_folder

HERE = Path(__file__).resolve().parent
TARGETS = ("labels", "images", "manifest")
# An input may take this long before it counts as a finding, and a target this much memory.
LONGEST_SECONDS, MOST_MEGABYTES = 20, 3000


def main() -> int:
    """The number of targets with a finding, as the status to exit with: 0 or 1."""
    seconds = int(os.environ.get("FUZZ_SECONDS", "60"))
    kept = Path(os.environ.get("FUZZ_FINDINGS", "results/fuzz"))
    found = [_found(target, seconds, kept) for target in TARGETS]  # each, whatever one found
    return int(any(found))


def _found(target: str, seconds: int, kept: Path) -> bool:
    """Run one target, print its line, and say whether it found something."""
    script = HERE / f"fuzz_{target}.py"
    folder = memory_folder()
    found = Path(tempfile.mkdtemp(prefix=f"lookalike-fuzz-{target}-"))
    command = [
        *(sys.executable, str(script), f"-artifact_prefix={found}/"),
        *(f"-max_total_time={seconds}", "-max_len=4096", "-print_final_stats=1", "-verbosity=1"),
        *(f"-timeout={LONGEST_SECONDS}", f"-rss_limit_mb={MOST_MEGABYTES}"),
    ]
    try:
        done = subprocess.run(
            command,
            env={**os.environ, FOLDER_VARIABLE: str(folder)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=seconds + 300,
            check=False,
        )
        output, status = done.stdout.decode(errors="replace"), done.returncode
    except subprocess.TimeoutExpired as expired:
        output, status = (expired.output or b"").decode(errors="replace"), -1
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    counted = re.search(r"stat::number_of_executed_units:\s*(\d+)", output)
    executions = int(counted[1]) if counted else 0
    inputs = sorted(found.iterdir())
    # Without any execution nothing was looked for, which is no good news either.
    failed = status != 0 or bool(inputs) or not executions
    print(f"{target}: {executions:,} executions, {int(failed)} findings", flush=True)
    if failed:
        print(output[-4000:])
        for path in inputs:
            kept.mkdir(parents=True, exist_ok=True)
            place = Path(shutil.copy(path, kept / f"{target}-{path.name}"))
            print(f"kept: {place}\nsee it again: {sys.executable} {script} {place}", flush=True)
    shutil.rmtree(found)
    return failed


if __name__ == "__main__":
    sys.exit(main())
