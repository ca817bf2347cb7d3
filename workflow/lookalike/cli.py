"""The `lookalike` command: what Lookalike does outside a workflow."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from lookalike import __version__
from lookalike.commands.cache import add_cache
from lookalike.commands.check import add_check
from lookalike.commands.embed import add_embed
from lookalike.commands.evaluate import add_evaluate
from lookalike.commands.export import add_export
from lookalike.commands.init import add_init
from lookalike.commands.search import add_search
from lookalike.commands.values import is_name
from lookalike.jobs.step import step


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one subcommand; returns 0, or exits with 1 (an error to mend) or 2 (wrong usage)."""
    parser = argparse.ArgumentParser(
        prog="lookalike", description="Image similarity with retrieval metrics one can trust."
    )
    parser.add_argument("--version", action="version", version=f"lookalike {__version__}")
    subcommands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for add in (add_init, add_check, add_evaluate, add_search, add_embed, add_export, add_cache):
        add(subcommands)
    options, others = parser.parse_known_args(arguments)
    # argparse ends a list of names at the first option, and knows nothing of those after it. Only
    # where a subcommand says so is there such a list; another one may have an option of its name.
    names: str = getattr(options, "names_between_options", "")
    if others and not (names and all(map(is_name, others))):
        parser.error(f"unrecognized arguments: {' '.join(others)}")
    if others:
        setattr(options, names, [*getattr(options, names), *others])
    with step():
        options.run(options)
    return 0
