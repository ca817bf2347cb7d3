from pathlib import Path

from lookalike.jobs.step import step

with step(snakemake.log[0], snakemake.output):
    from lookalike.steps.threshold import write_threshold

    held_out = snakemake.input.get("held_out")
    write_threshold(
        Path(snakemake.input.per_query),
        Path(snakemake.input.metrics),
        Path(snakemake.output[0]),
        snakemake.params.threshold,
        Path(held_out) if held_out else None,
    )
