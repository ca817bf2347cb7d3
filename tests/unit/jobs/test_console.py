"""What of Snakemake's records reaches the terminal, by Snakemake's own logger and formatter."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from snakemake.logging import ColorizingTextHandler, DefaultFormatter
from snakemake_interface_logger_plugins.common import LogEvent

from lookalike.jobs.console import Console

FRAMES = (
    'RuleException:\nCalledProcessError in file "rules/data.smk", line 33:\n'
    "Command 'set -euo pipefail;  python /tmp/tmpq.manifest.py' returned non-zero exit status 1."
)
KILLED = (
    'RuleException:\nCalledProcessError in file "rules/train.smk", line 3:\n'
    "Command 'set -euo pipefail;  python /tmp/tmpq.train.py' died with <Signals.SIGKILL: 9>."
)


class Run:
    """A logger as Snakemake's, and what it wrote."""

    def __init__(self, name: str, heard: bool = False) -> None:
        self.stream = io.StringIO()
        handler = ColorizingTextHandler(nocolor=True, stream=self.stream)
        handler.setFormatter(DefaultFormatter())
        self.logger = logging.Logger(name, logging.INFO)
        self.logger.addHandler(handler)
        self.console = Console(handler, lambda: "report: there", heard)
        handler.addFilter(self.console)

    def log(self, text: str | None, event: LogEvent | None = None, **told: Any) -> None:
        self.logger.info(text, extra={**told, **({"event": event} if event else {})})

    def begin(self, jobid: int) -> None:
        told = {"rule_msg": f"job {jobid}", "jobid": jobid, "reason": "none"}
        self.log(None, LogEvent.JOB_INFO, **told)

    def end(self, jobid: int, done: int, total: int) -> None:
        self.log(f"Finished jobid: {jobid}", LogEvent.JOB_FINISHED, job_id=jobid)
        self.log(None, LogEvent.PROGRESS, done=done, total=total)

    def fail(self, jobid: int, rule: str, logs: list[str], **aux: str) -> None:
        told = {"rule_name": rule, "rule_msg": None, "jobid": jobid, "log": logs, "aux": aux}
        self.log("Error in rule", LogEvent.JOB_ERROR, **told)

    @property
    def lines(self) -> list[str]:
        return [line for line in self.stream.getvalue().splitlines() if line[:1] != "["]


@pytest.fixture
def run() -> Iterator[Run]:
    yield Run("snakemake.like")


def test_a_run_ends_in_its_outcome(run: Run) -> None:
    run.begin(1)
    run.end(1, 1, 2)
    run.begin(0)
    run.end(0, 2, 2)
    run.console.say_outcome()
    run.log("Complete log(s): .snakemake/log")
    run.log("Elapsed time: 0:00:01")
    assert [line for line in run.lines if "steps" in line or "report" in line] == [
        "1 of 2 steps (50%) done",
        "2 of 2 steps (100%) done",
        "report: there",
    ]
    assert run.lines[-1] == "report: there"


def test_what_the_manifest_made_needless_is_not_left_undone(run: Run) -> None:
    run.begin(1)
    run.end(1, 1, 12)
    run.console.say_outcome()
    assert run.lines[-2:] == ["all else was up to date", "report: there"]
    assert not any("of 12 steps" in line for line in run.lines)


def test_where_there_is_nothing_to_do_the_outcome_is_said_too(run: Run) -> None:
    run.log("Nothing to be done (all requested files are present and up to date).")
    assert run.lines[-1] == "report: there"


def test_a_failure_ends_in_its_message(run: Run, tmp_path: Path) -> None:
    log = tmp_path / "manifest.log"
    log.write_text("12:00:00 scanned\n12:00:01 error: mend a.jpg:\n  it is empty\n")
    run.begin(5)
    run.log(FRAMES)
    run.fail(5, "manifest", [str(log)])
    run.log("Shutting down, this might take some time.")
    run.log("Exiting because a job execution failed. Look above for error messages")
    run.console.say_failures()
    run.log("Complete log(s): .snakemake/log")
    run.log("WorkflowError:\nAt least one job did not complete successfully.")
    assert run.lines[-5:] == [
        f"failed: manifest ({log})",
        "failed: manifest",
        "error: mend a.jpg:",
        "  it is empty",
        f"(all that it said: {log})",
    ]
    assert "RuleException" not in run.stream.getvalue()


def test_what_a_job_has_just_said_itself_is_not_said_again(tmp_path: Path) -> None:
    log = tmp_path / "manifest.log"
    log.write_text("12:00:01 error: mend a.jpg\n")
    alone, beside = Run("alone", heard=True), Run("beside", heard=True)
    for run, others in ((alone, []), (beside, [7])):
        for jobid in [5, *others]:
            run.begin(jobid)
        run.fail(5, "manifest", [str(log)])
        run.console.say_failures()
    assert alone.lines[-1] == f"failed: manifest ({log})"
    assert "error: mend a.jpg" not in alone.lines
    assert beside.lines[-2] == "error: mend a.jpg"


def test_a_job_that_said_nothing_of_its_end_shows_its_last_lines_and_the_signal(
    run: Run, tmp_path: Path
) -> None:
    log = tmp_path / "train.log"
    log.write_text("".join(f"12:00:00 epoch {epoch}\n" for epoch in range(100)))
    run.log(KILLED)
    run.fail(6, "train", [str(log)], external_jobid="17")
    run.fail(7, "embed", [str(tmp_path / "none.log")])
    run.console.say_failures()
    assert "SIGKILL" in run.stream.getvalue()
    assert "external_jobid: 17" in run.lines
    assert "epoch 99" in run.lines and "epoch 0" not in run.lines
    assert run.lines[-1] == "It left no log: it ended before it began to work."


def test_an_attempt_that_another_made_good_is_no_failure(run: Run, tmp_path: Path) -> None:
    run.fail(3, "pixels", [str(tmp_path / "pixels.log")])
    assert "failed: pixels" in run.stream.getvalue()
    run.end(3, 1, 2)
    before = run.stream.getvalue()
    run.console.say_failures()
    assert run.stream.getvalue() == before


def test_jobs_of_a_group_are_told_of_once_with_what_the_batch_system_wrote(
    run: Run, tmp_path: Path
) -> None:
    log, batch = tmp_path / "metrics.log", tmp_path / "slurm.log"
    log.write_text("12:00:00 error: no\n")
    batch.write_text("12:00:01 error: out of memory\n")
    told = {"rule_name": "metrics", "jobid": 4, "log": [str(log)], "aux": {}}
    extra = {"aux_logs": [str(batch)], "job_error_info": [told]}
    run.log("Error in group", LogEvent.GROUP_ERROR, **extra)
    run.fail(4, "metrics", [str(log)])
    run.console.say_failures()
    text = run.stream.getvalue()
    assert text.count("failed: metrics (") == 1
    assert "error: no" in text and "error: out of memory" in text
