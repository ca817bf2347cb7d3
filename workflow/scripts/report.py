from pathlib import Path

from lookalike.logs import step
from lookalike.report import write_report

with step(snakemake.log[0]):
    write_report(
        Path(snakemake.output[0]),
        template=Path(snakemake.params.template),
        comparison=Path(snakemake.input.comparison),
        data_report=Path(snakemake.input.data_report),
        runs=[
            (recipe, seed, Path(history).parent)
            for (recipe, seed), history in zip(
                snakemake.params.runs, snakemake.input.history, strict=True
            )
        ],
        query_folder=Path(snakemake.params.query_folder),
        gallery_folder=Path(snakemake.params.gallery_folder),
        query_manifest=Path(snakemake.input.query_manifest),
        gallery_manifest=Path(snakemake.input.gallery_manifest),
        k=snakemake.params.k,
        **snakemake.params.report,
    )
