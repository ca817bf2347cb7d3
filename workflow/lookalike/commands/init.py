"""`lookalike init`: make a data folder and settings from images as they are."""

from __future__ import annotations

import argparse
import os
from dataclasses import fields

from lookalike.commands.shared import add_cache_folder
from lookalike.commands.values import a_share, bits_or_none, path_of, share_or_number


def add_init(subcommands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommand to those of the command line."""
    parser = subcommands.add_parser(
        "init",
        help="make a data folder and settings from images as they are",
        description="Make of a folder of images, or of a table that names them, the folder that "
        "the workflow reads: training, query and gallery images with their labels, and settings "
        "that run it (mine.yaml). SOURCE is a folder of class folders; of train, val and test "
        "folders of such; of Market-1501's folders; of images alone, without labels; or a CSV or "
        "parquet table. Nothing in it is touched. docs/importing.md says more.",
    )
    parser.add_argument("source", type=path_of, metavar="SOURCE", help="the images, or their table")
    parser.add_argument("dest", type=path_of, metavar="DEST", help="the folder to make")
    parser.add_argument(
        "--update",
        action="store_true",
        help="add what is new to a DEST that init made; each image stays in the split it is in",
    )
    parser.add_argument(
        "--as",
        dest="kind",
        choices=["classes", "splits", "market1501", "flat"],
        help="what a folder SOURCE is, where its sub-folders' names say something else",
    )
    files = parser.add_mutually_exclusive_group()
    for way, what in (("copy", "copy the images"), ("hardlink", "make hard links to the images")):
        files.add_argument(
            f"--{way}",
            dest="files",
            action="store_const",
            const=way,
            help=f"{what}, in place of symbolic links",
        )
    split = parser.add_argument_group("the split, where SOURCE has none")
    split.add_argument(
        "--closed",
        action="store_true",
        default=None,
        help="train and test on the same classes, by different images; without, by other classes",
    )
    split.add_argument(
        "--test-share",
        type=a_share,
        metavar="SHARE",
        help="share of the classes that are tested; with --closed, of each class's images (0.3)",
    )
    split.add_argument(
        "--queries-per-class",
        type=share_or_number,
        metavar="SHARE|N",
        help="queries among a class's test images: a share below 1, or a number; at least one, and "
        "one image stays in the gallery (0.25)",
    )
    split.add_argument("--seed", type=int, metavar="N", help="seed of the draw (0)")
    split.add_argument(
        "--near-duplicates",
        type=bits_or_none,
        metavar="BITS|none",
        help="images that differ in so many of 64 bits of a perceptual hash or fewer stay in one "
        "split (4); none: look-alikes may be parted, equal files too",
    )
    table = parser.add_argument_group("columns, where SOURCE is a table")
    for name, what in (
        ("path", "the image's path (path)"),
        ("label", "its class (label)"),
        ("split", "train, validation, test, query or gallery (split, if there is one)"),
        ("query", "whether a test image is a query (is_query, if there is one)"),
        ("gallery", "whether a test image is a gallery image (is_gallery, if there is one)"),
        ("group", "images of the same value stay in one split"),
    ):
        table.add_argument(f"--{name}", metavar="COLUMN", help=what)
    table.add_argument(
        "--images", metavar="DIR", help="the folder that paths are relative to (the table's)"
    )
    add_cache_folder(parser)
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    from lookalike.importing.initialise import init
    from lookalike.importing.options import InitOptions

    given = {field.name: getattr(options, field.name) for field in fields(InitOptions)}
    print(
        init(
            options.source,
            options.dest,
            InitOptions(**given),
            update=options.update,
            cache=options.cache,
            threads=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1,
        )
    )
