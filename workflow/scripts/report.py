from pathlib import Path

from lookalike.jobs.step import step

with step(snakemake.log[0], snakemake.output):
    from datetime import datetime

    from lookalike.data.layout import SPLITS
    from lookalike.report.runs import Run
    from lookalike.report.started import Started
    from lookalike.steps.report import write_report

    write_report(
        Path(snakemake.output.page),
        markdown=Path(snakemake.output.markdown),
        latex=Path(snakemake.output.latex),
        changes={Path(page).stem: Path(page) for page in snakemake.output.changes},
        templates={name: Path(path) for name, path in snakemake.params.templates.items()},
        comparison=Path(snakemake.input.comparison),
        data_report=Path(snakemake.input.data_report),
        runs=[
            Run.of(*run, Path(metrics).parent)._replace(given=snakemake.params.given.get(run[0]))
            for run, metrics in zip(snakemake.params.runs, snakemake.input.metrics, strict=True)
        ],
        folders={split: Path(folder) for split, folder in snakemake.params.folders.items()},
        manifests={split: Path(snakemake.input[f"{split}_manifest"]) for split in SPLITS},
        k=snakemake.params.k,
        attributes=Path(snakemake.input.attributes) if snakemake.input.attributes else None,
        selection=Path(snakemake.input.selection[0]) if snakemake.input.selection else None,
        hubness=bool(snakemake.params.hubness),
        started=Started.from_dict(
            snakemake.params.started, Path(snakemake.output[0]), datetime.now().astimezone()
        ),
        **snakemake.params.report,
    )
