from pathlib import Path

from lookalike.jobs.step import step

with step(snakemake.log[0]):
    from lookalike.steps.demo import build_demo

    build_demo(
        Path(snakemake.output.train).parent,
        seed=snakemake.params.seed,
        train_classes=snakemake.params.train_classes,
        query_classes=snakemake.params.query_classes,
        distractor_classes=snakemake.params.distractor_classes,
    )
