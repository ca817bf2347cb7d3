"""One of several processes of a training: `python -m lookalike.steps.train_worker FILE`."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
from pathlib import Path

from lookalike.errors import LookalikeError
from lookalike.jobs.step import step


def main() -> None:
    """Do the job that the file describes."""
    _end_with_parent()
    content = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    first = os.environ.get("RANK", os.environ.get("SLURM_PROCID")) == "0"
    with step(content["log"], add=True, only_errors=not first):
        from torch.distributed import DistError

        from lookalike.steps.train import train_run
        from lookalike.training.job import TrainingJob

        try:
            train_run(TrainingJob(**content["job"]))
        except RuntimeError as error:
            if "onnection" not in str(error) and not isinstance(error, DistError):
                raise
            raise LookalikeError("another process of this training has ended") from error


def _end_with_parent() -> None:
    """Ask Linux for SIGTERM when the process that started this one dies, however it does."""
    if sys.platform == "linux":
        set_death_signal = 1
        ctypes.CDLL(None).prctl(set_death_signal, signal.SIGTERM)


if __name__ == "__main__":
    main()
