"""The `lookalike` command: what Lookalike does outside a workflow."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from lookalike import __version__
from lookalike.jobs.step import log, step


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one subcommand; returns 0, or exits with 1 (an error to mend) or 2 (wrong usage)."""
    parser = argparse.ArgumentParser(
        prog="lookalike", description="Image similarity with retrieval metrics one can trust."
    )
    parser.add_argument("--version", action="version", version=f"lookalike {__version__}")
    subcommands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_evaluate(subcommands)
    _add_cache(subcommands)
    options = parser.parse_args(arguments)
    with step():
        options.run(options)
    return 0


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


def _cut_offs(text: str) -> list[int]:
    """Read `1,10,50`."""
    try:
        return [int(part) for part in text.split(",")]
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"'{text}' is not a list like 1,10,50") from error
