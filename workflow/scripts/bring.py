from pathlib import Path

from lookalike.jobs.step import step

with step(snakemake.log[0], snakemake.output):
    from lookalike.steps.bring import bring_embeddings

    splits = ("query", "gallery")
    bring_embeddings(
        snakemake.params.recipe,
        {split: Path(snakemake.params.files[split]) for split in splits},
        {split: Path(snakemake.input[f"{split}_manifest"]) for split in splits},
        {split: Path(snakemake.output[split]) for split in splits},
        {split: Path(snakemake.output[f"{split}_summary"]) for split in splits},
        snakemake.params.score,
        labelled=snakemake.params.labelled,
    )
