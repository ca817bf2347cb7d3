from pathlib import Path

from lookalike.jobs.step import step

with step(snakemake.log[0], snakemake.output):
    from lookalike.steps.project import project

    project(
        Path(snakemake.input.projection),
        [Path(snakemake.input.query), Path(snakemake.input.gallery)],
        [Path(snakemake.output.query), Path(snakemake.output.gallery)],
    )
