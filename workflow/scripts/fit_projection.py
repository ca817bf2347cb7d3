from pathlib import Path

from lookalike.jobs.step import step

with step(snakemake.log[0], snakemake.output):
    from lookalike.steps.fit_projection import fit_projection

    fit_projection(
        Path(snakemake.input.training),
        Path(snakemake.output.projection),
        Path(snakemake.output.summary),
        snakemake.params.settings,
        whiten=snakemake.wildcards.projected == "whitened",
    )
