from pathlib import Path

from lookalike.jobs.step import step

with step(snakemake.log[0], snakemake.output):
    from lookalike.steps.quantize import quantize

    quantize(
        [Path(snakemake.input.query), Path(snakemake.input.gallery)],
        [Path(snakemake.output.query), Path(snakemake.output.gallery)],
        Path(snakemake.output.summary),
    )
