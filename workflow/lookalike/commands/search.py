"""`lookalike search`: the nearest gallery images of new ones."""

from __future__ import annotations

import argparse

from lookalike.commands.shared import add_reading, add_run
from lookalike.commands.values import count_of, name_of, path_of
from lookalike.searching.starting import require_results, uncollected


def add_search(subcommands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommand to those of the command line."""
    parser = subcommands.add_parser(
        "search",
        help="what of the gallery looks like these images",
        description="Find the nearest gallery images of each image, exactly, by the model of a run "
        "and in the order of its metrics. Each answer has a score and, where the run has a "
        "threshold, whether it is accepted. Images that cannot be used are named; the others are "
        "answered, and the exit status is 1.",
    )
    add_run(parser)
    parser.add_argument(
        "images",
        nargs="*",
        type=name_of,
        metavar="IMAGE",
        help="an image, a folder with images in it or below, or - for names on standard input",
    )
    parser.add_argument(
        "--gallery-itself",
        action="store_true",
        help="look for every gallery image among the others",
    )
    parser.add_argument(
        "--k", type=count_of, default=10, metavar="N", help="answers for each image (%(default)s)"
    )
    form = parser.add_mutually_exclusive_group()
    for name, written in (("json", "a JSON array of objects"), ("csv", "CSV")):
        form.add_argument(
            f"--{name}",
            dest="form",
            action="store_const",
            const=name,
            help=f"write {written} with query, place, gallery_id, label, score, accepted",
        )
    form.add_argument("--html", type=path_of, metavar="FILE", help="write a page with the pictures")
    parser.add_argument(
        "--gallery-folder",
        type=path_of,
        metavar="DIR",
        help="where the images that are searched lie, should they have moved since",
    )
    parser.add_argument(
        "--among",
        type=path_of,
        metavar="TABLE",
        help="search a table that lookalike embed made by this run, in place of its gallery",
    )
    add_reading(parser)

    def run(options: argparse.Namespace) -> None:
        if bool(options.images) == options.gallery_itself:
            parser.error("name images, or take --gallery-itself")
        _run(options)

    parser.set_defaults(run=run, form="table", names_between_options="images")


def _run(options: argparse.Namespace) -> None:
    require_results(options.results)
    with uncollected():
        from lookalike.searching.commands import (
            SearchSettings,
            search_gallery_itself,
            search_images,
        )

    settings = SearchSettings(
        run=options.run_name,
        k=options.k,
        form=options.form,
        page=options.html,
        device=options.device,
        on_bad=options.on_bad,
        gallery_folder=options.gallery_folder,
        among=options.among,
    )
    if options.gallery_itself:
        search_gallery_itself(options.results, settings)
    else:
        search_images(options.results, options.images, settings)
