from pathlib import Path

from lookalike.jobs.step import step

with step(snakemake.log[0], snakemake.output):
    from lookalike.steps.selection import write_selection

    write_selection([Path(path) for path in snakemake.input], Path(snakemake.output[0]))
