"""Options that several subcommands take."""

from __future__ import annotations

import argparse
from pathlib import Path

from lookalike.commands.values import name_of, path_of


def add_run(parser: argparse.ArgumentParser) -> None:
    """Add the results folder, and which of its runs: `results` and `run_name`."""
    parser.add_argument(
        "results", type=path_of, metavar="RESULTS", help="the results folder of a workflow"
    )
    parser.add_argument(
        "--run",
        dest="run_name",
        type=name_of,
        metavar="NAME",
        help="the run whose model is used, such as default.0; by default that which the "
        "report shows first, or the only one",
    )


def add_reading(parser: argparse.ArgumentParser) -> None:
    """Add how new images are read and where they are embedded: `on_bad` and `device`."""
    parser.add_argument(
        "--on-bad",
        choices=["skip", "fail"],
        default="skip",
        help="with an image that cannot be used: name it and go on, or stop (%(default)s)",
    )
    parser.add_argument(
        "--device",
        choices=["auto", "cpu", "cuda", "mps"],
        default="auto",
        help="where to embed (%(default)s: CUDA, then Apple's MPS, then the CPU)",
    )


def add_cache_folder(parser: argparse.ArgumentParser) -> None:
    """Add the cache folder: `cache`."""
    parser.add_argument(
        "--cache",
        type=path_of,
        default=Path(".lookalike"),
        metavar="DIR",
        help="the cache folder, as `cache` in the settings (%(default)s)",
    )
