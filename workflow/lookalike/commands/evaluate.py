"""`lookalike evaluate`: score embeddings that anything made."""

from __future__ import annotations

import argparse

from lookalike.commands.values import cut_offs_of, path_of


def add_evaluate(subcommands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommand to those of the command line."""
    parser = subcommands.add_parser(
        "evaluate",
        help="score embeddings: metrics with chance values and intervals",
        description="Rank a gallery for every query by their embeddings and measure how well "
        "items of the query's label come first. Both tables are parquet files, or folders of such, "
        "with the columns image_id, label (text or whole numbers) and embedding (a list of "
        "numbers), made by anything; or arrays of numbers, .npy or .csv, with a file of labels "
        "beside each. Writes metrics.json, per_query.parquet and rankings.parquet.",
    )
    parser.add_argument("query", type=path_of, metavar="QUERY", help="the queries")
    parser.add_argument("gallery", type=path_of, metavar="GALLERY", help="what is searched")
    parser.add_argument("--out", type=path_of, required=True, metavar="DIR", help="where to write")
    for split, what in (("query", "the queries"), ("gallery", "the gallery")):
        parser.add_argument(
            f"--{split}-labels",
            type=path_of,
            metavar="FILE",
            help=f"of {what} as .npy or .csv: a label for each row, in their order; .csv or "
            ".parquet with a column label, and image_id if there is one, .json or .npy",
        )
    parser.add_argument(
        "--k",
        type=cut_offs_of,
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
        "--exclude-same",
        action="append",
        default=[],
        metavar="COLUMN",
        help="leave out, besides, gallery items of the query's label that have its value in this "
        "column of both tables, such as its camera; given several times: in all of them",
    )
    parser.add_argument(
        "--within",
        action="append",
        default=[],
        metavar="COLUMN",
        help="rank each query among the gallery items that have its value in this column of both "
        "tables; given several times: in all of them",
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
        choices=["auto", "query", "class"],
        default="auto",
        help="what is resampled: single queries, or classes with all their queries; auto takes "
        "classes where they have several queries (%(default)s)",
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of the resampling (%(default)s)")
    parser.add_argument(
        "--device",
        choices=["auto", "cpu", "cuda", "mps"],
        default="cpu",
        help="where to rank (%(default)s); auto takes CUDA, then Apple's MPS, then the CPU. On a "
        "GPU, scores nearer than 1e-6 may come in another order than on the CPU",
    )
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    # Arrow takes a tenth of a second: --help should not wait for it.
    from lookalike.embedding.array_files import embeddings_given
    from lookalike.retrieval.output_place import require_free_of_others, require_outputs

    given = [options.query, options.gallery, options.query_labels, options.gallery_labels]
    require_outputs(options.out, list(filter(None, given)))
    query = embeddings_given(options.query, options.query_labels, "--query-labels")
    gallery = embeddings_given(options.gallery, options.gallery_labels, "--gallery-labels")
    require_free_of_others(options.out)

    # They import torch: neither --help nor a wrong path should wait for it.
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
        same=options.exclude_same,
        within=options.within,
    )
    evaluate_files(
        query,
        gallery,
        options.out,
        settings,
        score=options.score,
        device=choose_device(options.device),
    )
