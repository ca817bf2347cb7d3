from pathlib import Path

from lookalike.jobs.step import step

with step(snakemake.log[0], snakemake.output):
    from lookalike.data.layout import SPLITS
    from lookalike.steps.report import write_report

    write_report(
        Path(snakemake.output[0]),
        templates={name: Path(path) for name, path in snakemake.params.templates.items()},
        comparison=Path(snakemake.input.comparison),
        data_report=Path(snakemake.input.data_report),
        runs=[
            (recipe, seed, Path(history).parent)
            for (recipe, seed), history in zip(
                snakemake.params.runs, snakemake.input.history, strict=True
            )
        ],
        folders={split: Path(folder) for split, folder in snakemake.params.folders.items()},
        manifests={split: Path(snakemake.input[f"{split}_manifest"]) for split in SPLITS},
        k=snakemake.params.k,
        **snakemake.params.report,
    )
