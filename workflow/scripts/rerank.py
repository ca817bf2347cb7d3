from pathlib import Path

from lookalike.jobs.step import step

with step(snakemake.log[0], snakemake.output):
    import torch

    from lookalike.retrieval.tables import attribute_files
    from lookalike.steps.rerank import rerank

    torch.set_num_threads(snakemake.threads)
    rerank(
        Path(snakemake.input.query),
        Path(snakemake.input.gallery),
        Path(snakemake.output.metrics).parent,
        snakemake.params.metrics,
        snakemake.params.settings,
        (Path(snakemake.params.query_folder), Path(snakemake.params.gallery_folder)),
        of_training_classes=snakemake.params.of_training_classes,
        attributes=attribute_files(
            snakemake.input.query_attributes, snakemake.input.gallery_attributes
        ),
        name=f"{snakemake.wildcards.run}/reranked",
    )
