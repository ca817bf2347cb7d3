from pathlib import Path

from lookalike.jobs.step import step

with step(snakemake.log[0], snakemake.output):
    import torch

    from lookalike.retrieval.candidates import Candidates
    from lookalike.retrieval.tables import attribute_files
    from lookalike.steps.expand import expand_queries

    torch.set_num_threads(snakemake.threads)
    expand_queries(
        Path(snakemake.input.query),
        Path(snakemake.input.gallery),
        Path(snakemake.output.query),
        Path(snakemake.output.summary),
        snakemake.params.settings,
        Candidates.of_config(
            snakemake.params.metrics,
            (Path(snakemake.params.query_folder), Path(snakemake.params.gallery_folder)),
            attribute_files(snakemake.input.query_attributes, snakemake.input.gallery_attributes),
        ),
    )
