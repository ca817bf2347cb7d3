from pathlib import Path

from lookalike.jobs.step import step

with step(snakemake.log[0], snakemake.output):
    from lookalike.steps.pixels import write_pixels

    write_pixels(
        Path(snakemake.input.manifest),
        Path(snakemake.params.folder),
        Path(snakemake.output.index),
        image=snakemake.params.image,
        cache=Path(snakemake.params.cache),
        pixel_store_gb=snakemake.params.pixel_store_gb,
        threads=snakemake.threads,
    )
