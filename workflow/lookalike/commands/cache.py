"""`lookalike cache`: how large the cache is, and making it smaller."""

from __future__ import annotations

import argparse

from lookalike.commands.shared import add_cache_folder
from lookalike.jobs.step import log


def add_cache(subcommands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommand to those of the command line."""
    parser = subcommands.add_parser(
        "cache",
        help="how large the cache is, and making it smaller",
        description="Show what is in the cache folder; with --older-than or --model, remove a part "
        "of it. Whatever is removed is made again when it is needed. Files that Lookalike has not "
        "made stay, wherever they lie.",
    )
    add_cache_folder(parser)
    which = parser.add_mutually_exclusive_group()
    which.add_argument(
        "--older-than",
        type=float,
        metavar="DAYS",
        help="remove what was neither written nor read for so many days",
    )
    which.add_argument(
        "--model",
        metavar="DIGEST",
        help="remove the embeddings of a model, by the first digits of its digest in model.json",
    )
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="with --older-than or --model: only list what would be removed",
    )

    def run(options: argparse.Namespace) -> None:
        if options.dry_run and options.older_than is None and options.model is None:
            parser.error("--dry-run goes with --older-than or --model")
        _run(options)

    parser.set_defaults(run=run)


def _run(options: argparse.Namespace) -> None:
    from lookalike.storage.cache import cache_table, doomed, entries, foreign, foreign_note, prune

    which = {"older_than_days": options.older_than, "model": options.model}
    if options.dry_run:
        found = list(doomed(options.cache, **which))
        for path, size in found:
            log.info("would remove %s, %.1f MB", path, size / 1e6)
        total = sum(size for _, size in found)
        log.info("would remove %d files, %.1f MB", len(found), total / 1e6)
        return
    if options.older_than is not None or options.model is not None:
        files, n_bytes = prune(options.cache, **which)
        log.info("removed %d files, %.1f MB", files, n_bytes / 1e6)
    log.info("\n%s", cache_table(entries(options.cache)))
    if others := foreign(options.cache):
        log.info("%s", foreign_note(others))
