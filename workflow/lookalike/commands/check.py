"""`lookalike check`: mistakes, jobs, time and disk, before anything runs."""

from __future__ import annotations

import argparse
import os
import sys

from lookalike.commands.values import count_of, path_of


def add_check(subcommands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommand to those of the command line."""
    parser = subcommands.add_parser(
        "check",
        help="what a run would do: mistakes with file and line, jobs, time, disk",
        description="Check settings and data as snakemake would, with file and line of each "
        "mistake, and tell which jobs would run, how long they take on this machine and how much "
        "they write. A few steps of each training are measured for that, and kept in the cache "
        "folder; nothing else is written. Ends with status 0 where a run could begin, else 1.",
    )
    parser.add_argument(
        "files",
        nargs="*",
        type=path_of,
        metavar="SETTINGS.yaml",
        help="as snakemake --configfile takes them, in order; by default config.yaml as it is",
    )
    parser.add_argument(
        "--cores",
        type=count_of,
        default=_cores(),
        metavar="N",
        help="cores that the run may use (all, %(default)s)",
    )
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    from lookalike.preview.check import look_ahead

    outlook = look_ahead(options.files, options.cores)
    print("\n".join(outlook.lines))
    if not outlook.is_well:
        sys.exit(1)


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
