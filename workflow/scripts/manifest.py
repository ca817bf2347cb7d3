from pathlib import Path

from lookalike.data_layout import DataSettings
from lookalike.logs import step
from lookalike.manifest import write_manifest

with step(snakemake.log[0], snakemake.output):
    write_manifest(
        DataSettings.from_dict(snakemake.params.data),
        {split: Path(snakemake.output[split]) for split in ("train", "query", "gallery")},
        Path(snakemake.output.report),
        cache=Path(snakemake.params.cache),
        threads=snakemake.threads,
    )
