from pathlib import Path

from lookalike.jobs.step import step

with step(snakemake.log[0], snakemake.output):
    from lookalike.steps.hubness import write_hubness

    write_hubness(
        Path(snakemake.input.rankings),
        Path(snakemake.input.metrics),
        Path(snakemake.output[0]),
        snakemake.params.settings["k"],
    )
