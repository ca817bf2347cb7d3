from pathlib import Path

from lookalike.jobs.step import log, step

with step(snakemake.log[0], snakemake.output):
    from lookalike.report.runs import Run
    from lookalike.steps.compare import headline_table, write_comparison

    table = write_comparison(
        [
            Run.of(*run, Path(metrics).parent)
            for run, metrics in zip(snakemake.params.runs, snakemake.input.metrics, strict=True)
        ],
        Path(snakemake.output.csv),
        Path(snakemake.output.parquet),
    )
    log.info("\n%s", headline_table(table))
