from pathlib import Path

from lookalike.jobs.step import step

with step(snakemake.log[0], snakemake.output):
    import torch

    from lookalike.steps.expand import expand_queries

    torch.set_num_threads(snakemake.threads)
    expand_queries(
        Path(snakemake.input.query),
        Path(snakemake.input.gallery),
        Path(snakemake.output.query),
        Path(snakemake.output.summary),
        snakemake.params.settings,
        snakemake.params.exclude,
        (Path(snakemake.params.query_folder), Path(snakemake.params.gallery_folder)),
    )
