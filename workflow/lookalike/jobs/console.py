"""What a run says on the terminal: quieter than Snakemake, and its last line is what matters.

Snakemake's own record of a run (.snakemake/log) keeps every line. Imports nothing heavy.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lookalike.text import shown_path

TERMINAL = "DefaultStreamHandler"
"""What Snakemake calls the handler of its logger that writes to the terminal."""

_LAST_LINES = 15
"""Of a job's log that names no error of ours, as it does where the job was killed."""

# What is said anew, in fewer words, by the closing lines.
_ENDINGS = (
    "Shutting down, this might take some time.",
    "Exiting because a job execution failed. Look above for error messages",
    "Complete log(s): ",
    "Elapsed time: ",
    "WorkflowError:\nAt least one job did not complete successfully.",
)
_NOTHING = "Nothing to be done"
_FRAMES = re.compile(r"(RuleException|CalledProcessError)\b.*returned non-zero exit status", re.S)
_STAMP = re.compile(r"\d\d:\d\d:\d\d ")
_ERROR = re.compile(r"^\d\d:\d\d:\d\d (error|stopped by)", re.M)


@dataclass(frozen=True)
class FailedJob:
    """A job that failed: its rule, its log files, and what else Snakemake knows of it."""

    rule: str
    logs: Sequence[str]
    known: Sequence[str]


class Console(logging.Filter):
    """Filters what Snakemake's logger writes to the terminal, and knows how the run went.

    A count of steps is written once it is known that more steps follow: a run that ends before its
    last step, since a manifest was what it had been, would look like one that broke off.

    Args:
        terminal: the handler that is filtered.
        outcome: what to say of the results in a line, once they are there.
        heard: whether jobs write on this terminal themselves, as they do on one machine.
    """

    def __init__(
        self, terminal: logging.Handler, outcome: Callable[[], str], heard: bool = False
    ) -> None:
        super().__init__()
        self.terminal, self.outcome, self.heard = terminal, outcome, heard
        self.failed: dict[int, FailedJob] = {}
        self._running: set[int] = set()
        self._is_said = False
        self._count: logging.LogRecord | None = None

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether to write a record."""
        event = getattr(getattr(record, "event", None), "value", None)
        text = record.getMessage() if record.msg is not None else ""
        if event == "progress":
            self._count = record
            return False
        if event == "job_error":
            self._note(record.__dict__)
            return False
        if event == "group_error":
            # Its jobs are told of one by one after it, without what the batch system wrote.
            for job in record.__dict__["job_error_info"]:
                self._note({**job, "log": [*job["log"], *record.__dict__["aux_logs"]]})
            return False
        if event == "job_finished":
            # Another attempt did what an earlier one could not.
            self.failed.pop(record.__dict__["job_id"], None)
            self._running.discard(record.__dict__["job_id"])
        if text.startswith(_ENDINGS) or _FRAMES.match(text):
            return False
        if text.startswith(_NOTHING):
            self._say(text)
            self._say(self.outcome())
            return False
        if event == "job_info":
            self._running.add(record.__dict__["jobid"])
            if self._count is not None:
                self.terminal.emit(self._count)
                self._count = None
        return True

    def _note(self, told: Mapping[str, Any]) -> None:
        """Keep what is known of a job that failed for the last lines, and say that it has."""
        known = [f"{name}: {value}" for name, value in (told.get("aux") or {}).items()]
        job = FailedJob(told["rule_name"], told["log"] or [], known)
        if told["jobid"] in self.failed:
            return
        self.failed[told["jobid"]] = job
        # Its own words are the last thing that is seen, with nothing at work that could add to it.
        self._is_said = self.heard and self._running == {told["jobid"]}
        self._running.discard(told["jobid"])
        self._say(f"failed: {job.rule} ({', '.join(job.logs) or 'no log'})", logging.ERROR)

    def say_outcome(self) -> None:
        """Write how a run that succeeded went, as its last lines."""
        count, self._count = self._count, None
        if count is not None:
            # Otherwise the rest was found to be what it should be.
            if count.__dict__["done"] == count.__dict__["total"]:
                self.terminal.emit(count)
            else:
                self._say("all else was up to date")
        self._say(self.outcome())

    def say_failures(self) -> None:
        """Write what went wrong, with the message of each job that failed, as the last lines."""
        if self._is_said:
            return
        for job in self.failed.values():
            self._say(_told(job), logging.ERROR)

    def _say(self, text: str, level: int = logging.INFO) -> None:
        if text:
            self.terminal.emit(logging.LogRecord("lookalike", level, "", 0, text, None, None))


def _told(job: FailedJob) -> str:
    """A failed job, with the end of its log from its error on."""
    logs = [path for path in map(Path, job.logs) if path.is_file()]
    lines = [f"failed: {job.rule}", *job.known]
    for path in logs:
        text = path.read_text(encoding="utf-8", errors="replace")
        starts = [found.start() for found in _ERROR.finditer(text)]
        end = text[starts[-1] :] if starts else "\n".join(text.splitlines()[-_LAST_LINES:])
        lines += [_STAMP.sub("", line) for line in end.splitlines()]
        lines.append(f"(all that it said: {shown_path(path)})")
    if not logs:
        lines.append("It left no log: it ended before it began to work.")
    return "\n".join(lines)
