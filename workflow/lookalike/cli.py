"""The `lookalike` command: what Lookalike does outside a workflow."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

from lookalike import __version__
from lookalike.jobs.step import log, step
from lookalike.searching.starting import uncollected

_MOST_ANSWERS = 1_000_000


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one subcommand; returns 0, or exits with 1 (an error to mend) or 2 (wrong usage)."""
    parser = argparse.ArgumentParser(
        prog="lookalike", description="Image similarity with retrieval metrics one can trust."
    )
    parser.add_argument("--version", action="version", version=f"lookalike {__version__}")
    subcommands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_init(subcommands)
    _add_evaluate(subcommands)
    _add_search(subcommands)
    _add_embed(subcommands)
    _add_export(subcommands)
    _add_cache(subcommands)
    options, others = parser.parse_known_args(arguments)
    # argparse ends the list of images at the first option, and knows nothing of those after it.
    if others and not (hasattr(options, "images") and all(map(_is_name, others))):
        parser.error(f"unrecognized arguments: {' '.join(others)}")
    if others:
        options.images += others
    with step():
        options.run(options)
    return 0


def _add_init(subcommands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subcommands.add_parser(
        "init",
        help="make a data folder and settings from images as they are",
        description="Make of a folder of images, or of a table that names them, the folder that "
        "the workflow reads: training, query and gallery images with their labels, and settings "
        "that run it (mine.yaml). SOURCE is a folder of class folders; of train, val and test "
        "folders of such; of Market-1501's folders; of images alone, without labels; or a CSV or "
        "parquet table. Nothing in it is touched. docs/importing.md says more.",
    )
    parser.add_argument("source", type=_path, metavar="SOURCE", help="the images, or their table")
    parser.add_argument("dest", type=_path, metavar="DEST", help="the folder to make")
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
        type=_share,
        metavar="SHARE",
        help="share of the classes that are tested; with --closed, of each class's images (0.3)",
    )
    split.add_argument(
        "--queries-per-class",
        type=_share_or_number,
        metavar="SHARE|N",
        help="queries among a class's test images: a share below 1, or a number; at least one, and "
        "one image stays in the gallery (0.25)",
    )
    split.add_argument("--seed", type=int, metavar="N", help="seed of the draw (0)")
    split.add_argument(
        "--near-duplicates",
        type=_bits_or_none,
        metavar="BITS|none",
        help="images that differ in so many of 64 bits of a perceptual hash or fewer stay in one "
        "split (4); none: look-alikes may be parted",
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
    parser.add_argument(
        "--cache",
        type=_path,
        default=Path(".lookalike"),
        metavar="DIR",
        help="the cache folder, as `cache` in the settings (%(default)s)",
    )
    parser.set_defaults(run=_init)


def _init(options: argparse.Namespace) -> None:
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


def _add_evaluate(subcommands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subcommands.add_parser(
        "evaluate",
        help="score embeddings: metrics with chance values and intervals",
        description="Rank a gallery for every query by their embeddings and measure how well "
        "items of the query's label come first. Both tables are parquet files, or folders of such, "
        "with the columns image_id, label (text or whole numbers) and embedding (a list of "
        "numbers), made by anything. Writes metrics.json, per_query.parquet and rankings.parquet.",
    )
    parser.add_argument("query", type=_path, metavar="QUERY.parquet", help="the queries")
    parser.add_argument("gallery", type=_path, metavar="GALLERY.parquet", help="what is searched")
    parser.add_argument("--out", type=_path, required=True, metavar="DIR", help="where to write")
    parser.add_argument(
        "--k",
        type=_cut_offs,
        default="1,10,50",
        help="cut-offs of mAP@k and the like (%(default)s)",
    )
    parser.add_argument(
        "--score",
        choices=["cosine", "euclidean"],
        help="what orders the gallery, where the tables do not say",
    )
    parser.add_argument(
        "--exclude",
        choices=["none", "same_id", "same_content"],
        default="none",
        help="gallery items a query leaves out: of its image_id, or its sha256 (%(default)s)",
    )
    parser.add_argument(
        "--no-relevant",
        choices=["skip", "zero", "error"],
        default="skip",
        help="what to do with a query whose label the gallery lacks (%(default)s)",
    )
    parser.add_argument(
        "--bootstrap",
        type=int,
        default=1000,
        metavar="N",
        help="resamples for the 95 %% intervals (%(default)s); 0 for none",
    )
    parser.add_argument(
        "--bootstrap-unit",
        choices=["query", "class"],
        default="query",
        help="what is resampled: single queries, or classes with all their queries (%(default)s)",
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of the resampling (%(default)s)")
    parser.add_argument(
        "--device",
        choices=["auto", "cpu", "cuda", "mps"],
        default="cpu",
        help="where to rank (%(default)s); auto takes CUDA, then Apple's MPS, then the CPU. On a "
        "GPU, scores nearer than 1e-6 may come in another order than on the CPU",
    )
    parser.set_defaults(run=_evaluate)


def _evaluate(options: argparse.Namespace) -> None:
    # They import torch: --help should not wait for it.
    from lookalike.jobs.torch_devices import choose_device
    from lookalike.retrieval.settings import MetricsSettings
    from lookalike.steps.metrics import evaluate_files

    settings = MetricsSettings(
        k=options.k,
        no_relevant=options.no_relevant,
        exclude=options.exclude,
        bootstrap=options.bootstrap,
        bootstrap_unit=options.bootstrap_unit,
        seed=options.seed,
    )
    evaluate_files(
        options.query,
        options.gallery,
        options.out,
        settings,
        score=options.score,
        device=choose_device(options.device),
    )


def _add_search(subcommands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subcommands.add_parser(
        "search",
        help="what of the gallery looks like these images",
        description="Find the nearest gallery images of each image, exactly, by the model of a run "
        "and in the order of its metrics. Each answer has a score and, where the run has a "
        "threshold, whether it is accepted. Images that cannot be used are named; the others are "
        "answered, and the exit status is 1.",
    )
    _add_run(parser)
    parser.add_argument(
        "images",
        nargs="*",
        type=_name,
        metavar="IMAGE",
        help="an image, a folder with images in it or below, or - for names on standard input",
    )
    parser.add_argument(
        "--gallery-itself",
        action="store_true",
        help="look for every gallery image among the others",
    )
    parser.add_argument(
        "--k", type=_count, default=10, metavar="N", help="answers for each image (%(default)s)"
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
    form.add_argument("--html", type=_path, metavar="FILE", help="write a page with the pictures")
    parser.add_argument(
        "--gallery-folder",
        type=_path,
        metavar="DIR",
        help="where the gallery's images lie, should they have moved since the run",
    )
    _add_reading(parser)

    def run(options: argparse.Namespace) -> None:
        if bool(options.images) == options.gallery_itself:
            parser.error("name images, or take --gallery-itself")
        _search(options)

    parser.set_defaults(run=run, form="table")


def _search(options: argparse.Namespace) -> None:
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
    )
    if options.gallery_itself:
        search_gallery_itself(options.results, settings)
    else:
        search_images(options.results, options.images, settings)


def _add_embed(subcommands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subcommands.add_parser(
        "embed",
        help="the embeddings of new images, as a table",
        description="Write a parquet table with the columns image_id, label (empty), sha256 and "
        "embedding of the images in a folder and below, by the model of a run. An image has the "
        "bytes that the workflow gives it. The table appears whole or not at all.",
    )
    _add_run(parser)
    parser.add_argument("folder", type=_path, metavar="FOLDER", help="the images")
    parser.add_argument(
        "--out", type=_path, required=True, metavar="TABLE.parquet", help="the table to write"
    )
    _add_reading(parser)
    parser.set_defaults(run=_embed)


def _embed(options: argparse.Namespace) -> None:
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


def _add_export(subcommands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subcommands.add_parser(
        "export",
        help="the model of a run for programs without torch",
        description="Write the model of a run as two ONNX models: embed_pixels.onnx takes images "
        "as the workflow resizes them, embed_images.onnx resizes images of any size itself. Both "
        "appear, or neither.",
    )
    _add_run(parser)
    parser.add_argument(
        "--format", choices=["onnx"], default="onnx", help="what to write (%(default)s)"
    )
    parser.add_argument(
        "--out", type=_path, metavar="DIR", help="where to write (the run's name inside of onnx)"
    )
    parser.add_argument(
        "--check",
        action="store_true",
        help="compare what they make of up to 200 gallery images with the run's own embeddings "
        "first, and write nothing where they differ",
    )
    parser.add_argument(
        "--gallery-folder",
        type=_path,
        metavar="DIR",
        help="with --check: where the gallery's images lie, should they have moved since the run",
    )

    def run(options: argparse.Namespace) -> None:
        if options.gallery_folder is not None and not options.check:
            parser.error("--gallery-folder goes with --check")
        _export(options)

    parser.set_defaults(run=run)


def _export(options: argparse.Namespace) -> None:
    from lookalike.exporting.export import export_run

    export_run(
        options.results,
        options.out,
        run=options.run_name,
        check=options.check,
        gallery_folder=options.gallery_folder,
    )


def _add_run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "results", type=_path, metavar="RESULTS", help="the results folder of a workflow"
    )
    parser.add_argument(
        "--run",
        dest="run_name",
        type=_name,
        metavar="NAME",
        help="the run whose model is used, such as default.0; by default the first of the "
        "comparison",
    )


def _add_reading(parser: argparse.ArgumentParser) -> None:
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


def _add_cache(subcommands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subcommands.add_parser(
        "cache",
        help="how large the cache is, and making it smaller",
        description="Show what is in the cache folder; with --older-than or --model, remove a part "
        "of it. Whatever is removed is made again when it is needed. Files that Lookalike has not "
        "made stay, wherever they lie.",
    )
    parser.add_argument(
        "--cache",
        type=Path,
        default=Path(".lookalike"),
        metavar="DIR",
        help="the cache folder, as `cache` in the settings (%(default)s)",
    )
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
        _cache(options)

    parser.set_defaults(run=run)


def _cache(options: argparse.Namespace) -> None:
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


def _path(text: str) -> Path:
    """Read a path; an empty one would be the folder that the command was started in."""
    if not text.strip() or "\0" in text:
        raise argparse.ArgumentTypeError(f"{text!r} is not a path")
    return Path(text)


def _name(text: str) -> str:
    """Read a name that is to stand as it is given."""
    _path(text)
    return text


def _is_name(text: str) -> bool:
    return text == "-" or (bool(text.strip()) and "\0" not in text and not text.startswith("-"))


def _count(text: str) -> int:
    """Read a whole number from 1."""
    try:
        number = int(text)
    except ValueError:
        number = 0
    if not 1 <= number <= _MOST_ANSWERS:
        raise argparse.ArgumentTypeError(
            f"{text[:40]!r} is not a whole number from 1 to {_MOST_ANSWERS:,}"
        )
    return number


def _cut_offs(text: str) -> list[int]:
    """Read `1,10,50`."""
    try:
        return [int(part) for part in text.split(",")]
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"'{text}' is not a list like 1,10,50") from error


def _share(text: str) -> float:
    """Read a number between 0 and 1."""
    try:
        value = float(text)
    except ValueError:
        value = 0
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is not a number between 0 and 1, such as 0.3")
    return value


def _share_or_number(text: str) -> float:
    """Read a number between 0 and 1, or a whole number from 1 up."""
    if text.isascii() and text.isdecimal() and len(text) < 10 and int(text) > 0:
        return int(text)
    try:
        return _share(text)
    except argparse.ArgumentTypeError:
        raise argparse.ArgumentTypeError(
            f"'{text}' is neither a share below 1, such as 0.25, nor a whole number such as 1"
        ) from None


def _bits_or_none(text: str) -> int | str:
    """Read a number of bits, or `none`."""
    if text == "none":
        return text
    if text.isascii() and text.isdecimal() and len(text) < 3 and int(text) <= 12:
        return int(text)
    raise argparse.ArgumentTypeError(f"'{text}' is neither none nor a number from 0 to 12")
