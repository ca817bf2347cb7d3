"""`lookalike export`: the model of a run for programs without torch."""

from __future__ import annotations

import argparse

from lookalike.commands.shared import add_run
from lookalike.commands.values import path_of
from lookalike.searching.starting import require_results


def add_export(subcommands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommand to those of the command line."""
    parser = subcommands.add_parser(
        "export",
        help="the model of a run for programs without torch",
        description="Write the model of a run as two ONNX models: model.onnx takes images as the "
        "workflow resizes them, model_of_images.onnx resizes images of any size itself. "
        "export.json describes both. All three appear, or none.",
    )
    add_run(parser)
    parser.add_argument(
        "--format", choices=["onnx"], default="onnx", help="what to write (%(default)s)"
    )
    parser.add_argument(
        "--out", type=path_of, metavar="DIR", help="where to write (export in the run's folder)"
    )
    parser.add_argument(
        "--check",
        action="store_true",
        help="compare what they make of up to 200 gallery images with the run's own embeddings "
        "first, and write nothing where they differ",
    )
    parser.add_argument(
        "--gallery-folder",
        type=path_of,
        metavar="DIR",
        help="with --check: where the gallery's images lie, should they have moved since the run",
    )

    def run(options: argparse.Namespace) -> None:
        if options.gallery_folder is not None and not options.check:
            parser.error("--gallery-folder goes with --check")
        _run(options)

    parser.set_defaults(run=run)


def _run(options: argparse.Namespace) -> None:
    require_results(options.results)
    from lookalike.exporting.export import export_run

    export_run(
        options.results,
        options.out,
        run=options.run_name,
        check=options.check,
        gallery_folder=options.gallery_folder,
    )
