from pathlib import Path

from lookalike.jobs.step import step

with step(snakemake.log[0], snakemake.output):
    import torch

    from lookalike.retrieval.settings import MetricsSettings
    from lookalike.retrieval.tables import attribute_files
    from lookalike.steps.metrics import evaluate_files

    torch.set_num_threads(snakemake.threads)
    evaluate_files(
        Path(snakemake.input.query),
        Path(snakemake.input.gallery),
        Path(snakemake.output.metrics).parent,
        MetricsSettings.of_config(snakemake.params.metrics),
        of_training_classes=snakemake.params.of_training_classes,
        query_folder=Path(snakemake.params.query_folder),
        gallery_folder=Path(snakemake.params.gallery_folder),
        attributes=attribute_files(
            snakemake.input.query_attributes, snakemake.input.gallery_attributes
        ),
        name=snakemake.wildcards.model,
    )
