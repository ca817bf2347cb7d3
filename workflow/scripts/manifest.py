from pathlib import Path

from lookalike.jobs.step import step

with step(snakemake.log[0], snakemake.output):
    from lookalike.data.layout import SPLITS, DataSettings
    from lookalike.steps.manifest import write_manifest

    write_manifest(
        DataSettings.from_dict(snakemake.params.data),
        {split: Path(snakemake.output[split]) for split in ("train", "query", "gallery")},
        Path(snakemake.output.report),
        cache=Path(snakemake.params.cache),
        threads=snakemake.threads,
        trains=snakemake.params.trains,
        learnt=snakemake.params.learnt,
        places=Path(snakemake.output.places),
        attributes={
            split: Path(snakemake.output[f"{split}_attributes"])
            for split in SPLITS
            if snakemake.params.data["attributes"]
        },
    )
