"""`lookalike embed`: the embeddings of new images."""

from __future__ import annotations

import argparse

from lookalike.commands.shared import add_reading, add_run
from lookalike.commands.values import path_of
from lookalike.searching.starting import require_results, uncollected


def add_embed(subcommands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommand to those of the command line."""
    parser = subcommands.add_parser(
        "embed",
        help="the embeddings of new images, as a table",
        description="Write a parquet table with the columns image_id, label (empty), sha256 and "
        "embedding of the images in a folder and below, by the model of a run. An image has the "
        "bytes that the workflow gives it. The table appears whole or not at all.",
    )
    add_run(parser)
    parser.add_argument("folder", type=path_of, metavar="FOLDER", help="the images")
    parser.add_argument(
        "--out", type=path_of, required=True, metavar="TABLE.parquet", help="the table to write"
    )
    add_reading(parser)
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    require_results(options.results)
    with uncollected():
        from lookalike.searching.commands import embed_folder

    embed_folder(
        options.results,
        options.folder,
        options.out,
        run=options.run_name,
        device=options.device,
        on_bad=options.on_bad,
    )
